"""Batches: manifests, the index, kills at any time, shards, bad input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from hand_toolkit.batch import read_entries, run_batch
from hand_toolkit.core.errors import InputError
from hand_toolkit.jobs import Processes, RayCluster

HAND = Path(__file__).resolve().parents[1] / "avatar" / "data" / "version_1.hand"
PLY = {"format": "ply"}


@pytest.fixture
def avatars(tmp_path: Path) -> Path:
    """Twelve files of one avatar and one broken file, in two folders."""
    folder = tmp_path / "avatars"
    (folder / "more").mkdir(parents=True)
    for k in range(12):
        shutil.copy(HAND, folder / ("more" if k % 2 else ".") / f"frame_{k}.hand")
    (folder / "broken.hand").write_bytes(b"no avatar")
    (folder / "._frame_1.hand").write_bytes(b"of another system")
    return folder


def rows(out: Path) -> list[dict]:
    lines = (out / "index.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines[1:]]


def test_entries_of_a_folder_come_by_their_numbers(avatars: Path) -> None:
    names = [entry.name for entry in read_entries(avatars, (".hand",))]
    assert names[:7] == ["broken.hand", *(f"frame_{k}.hand" for k in range(0, 12, 2))]
    assert names[7] == str(Path("more", "frame_1.hand")) and len(names) == 13


def test_entries_of_manifests(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("# photos\nphotos/a b.jpg\n\n/elsewhere/c.jpg\n", encoding="utf-8")
    inside, outside = read_entries(listed, ())
    assert inside.path == str(tmp_path / "photos" / "a b.jpg")
    assert inside.name == str(Path("photos", "a b.jpg")) and inside.options == {}
    assert outside.path == "/elsewhere/c.jpg" and outside.name.startswith("c.jpg-")
    listed = tmp_path / "list.jsonl"
    listed.write_text('{"input": "a.jpg", "hands": "left"}\n')
    (entry,) = read_entries(listed, ())
    assert entry.options == {"hands": "left"}
    assert not Path(entry.name).is_absolute() and ".." not in entry.name


@pytest.mark.parametrize("line", ["[1]", "{", '{"output": "a"}', '{"input": 3}', "[" * 40_000])
def test_lines_that_cannot_be_read_are_named(line: str, tmp_path: Path) -> None:
    listed = tmp_path / "list.jsonl"
    listed.write_text('{"input": "a.jpg"}\n' + line + "\n")
    with pytest.raises(InputError, match=r"line 2 of list\.jsonl"):
        list(read_entries(listed, ()))


def test_names_never_leave_the_folder(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("../../etc/passwd\n..\n/\n")
    for entry in read_entries(listed, ()):
        assert ".." not in Path(entry.name).parts and not Path(entry.name).is_absolute()


def test_every_input_once_with_its_failure_by_name(avatars: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = run_batch("export", avatars, out, PLY, engine=Processes(2))
    assert (report.done, report.failed, report.made) == (12, 1, 13)
    found = rows(out)
    assert len({row["input"] for row in found}) == 13
    for row in found:
        if row["status"] == "done":
            assert (out / row["output"]).stat().st_size > 10_000
            assert len(row["sha256"]) == 64 and row["seconds"] >= 0
        else:
            assert row["input"].endswith("broken.hand") and "broken.hand" in row["error"]
    assert report.worst[0]["status"] == "failed"
    before = (out / "index.jsonl").read_bytes()
    again = run_batch("export", avatars, out, PLY)
    assert (again.done, again.failed, again.made) == (12, 1, 0)
    assert (out / "index.jsonl").read_bytes() == before
    shutil.copy(HAND, avatars / "broken.hand")
    mended = run_batch("export", avatars, out, PLY, retry=True)
    assert (mended.done, mended.failed, mended.made) == (13, 0, 1)
    assert len(rows(out)) == 13


def test_other_settings_and_unknown_ones_are_refused(avatars: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_batch("export", avatars, out, PLY, shard=(0, 1))
    with pytest.raises(InputError, match="other settings"):
        run_batch("export", avatars, out, {"format": "glb"})
    with pytest.raises(InputError, match="no option 'colour'"):
        run_batch("export", avatars, tmp_path / "b", {"colour": "red"})
    with pytest.raises(InputError, match="unknown task 'paint'"):
        run_batch("paint", avatars, out)
    with pytest.raises(InputError, match="does not exist"):
        run_batch("export", tmp_path / "nowhere", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="lists nothing"):
        run_batch("export", tmp_path / "empty", tmp_path / "c")
    with pytest.raises(InputError, match="no list of inputs"):
        run_batch("export", HAND, tmp_path / "d")


def test_shards_share_the_inputs(avatars: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    reports = [run_batch("export", avatars, out, PLY, shard=(k, 3)) for k in range(3)]
    assert sum(r.done for r in reports) == 12 and sum(r.failed for r in reports) == 1
    lines = [p.read_text().splitlines()[1:] for p in sorted(out.glob("index-*-of-0003.jsonl"))]
    assert len({json.loads(line)["input"] for part in lines for line in part}) == 13


COMMAND = [sys.executable, "-m", "hand_toolkit.cli", "batch", "render"]


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_killed_at_random_and_gone_on(tmp_path: Path) -> None:
    """Each input is done once, results are whole, nobody works on after the coordinator."""
    folder, out = tmp_path / "avatars", tmp_path / "out"
    folder.mkdir()
    for k in range(24):
        shutil.copy(HAND, folder / f"{k}.hand")
    command = [*COMMAND, str(folder), "-o", str(out), "--workers", "2"]
    command += ["--set", "width=48", "--set", "height=48"]
    finished = 0
    for goal in (3, 9, 15):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while finished < goal and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
            finished = len(rows(out)) if (out / "index.jsonl").is_file() else 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = subprocess.run(["pgrep", "-f", "hand_toolkit.jobs.worker"], capture_output=True)
        assert finished >= goal, left.stdout
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "24 done, 0 failed" in done.stdout
    found = rows(out)
    assert len(found) == len({row["input"] for row in found}) == 24
    assert sorted(p.name for p in out.glob("*.png")) == sorted(f"{k}.hand.png" for k in range(24))
    assert not [p for p in out.glob(".*.png") if p.stat().st_size and p.name.startswith("..")]


@pytest.mark.skipif(os.name == "nt", reason="locks")
def test_a_second_batch_on_the_folder_is_refused(avatars: Path, tmp_path: Path) -> None:
    import fcntl

    out = tmp_path / "out"
    out.mkdir()
    with (out / ".batch.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another batch is writing"):
            run_batch("export", avatars, out, PLY)


def test_a_line_that_a_kill_cut_short_is_done_again(avatars: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_batch("export", avatars, out, PLY)
    path = out / "index.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    report = run_batch("export", avatars, out, PLY)
    assert report.made == 1 and len({row["input"] for row in rows(out)}) == 13
    path.write_text(path.read_text().replace('"status"', '"state"'))
    with pytest.raises(InputError, match="no line of a batch's index"):
        run_batch("export", avatars, out, PLY)


def test_a_long_manifest_is_read_as_it_is_needed(tmp_path: Path) -> None:
    """Two hundred thousand lines: what is held grows by 64 bits each, and starts at once."""
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"photos/{k:07d}.jpg\n" for k in range(200_000)))
    tracemalloc.start()
    entries = read_entries(listed, ())
    assert next(entries).path.endswith("0000000.jpg")
    assert sum(1 for _ in entries) == 199_999
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_on_ray_with_two_processes(avatars: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = run_batch("export", avatars, out, PLY, engine=RayCluster(2))
    assert (report.done, report.failed) == (12, 1)
    assert "broken.hand" in report.worst[0]["error"]
    assert len({row["input"] for row in rows(out)}) == 13


def test_ray_data_finds_hands_photo_by_photo(tmp_path: Path) -> None:
    """The documented pipeline: one worker, a photo with a hand, and a file that is none."""
    import pandas

    from hand_toolkit.media.demo import PICTURE

    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    shutil.copy(PICTURE, photos / f"a{Path(str(PICTURE)).suffix}")
    (photos / "b.jpg").write_text("no picture")
    script = Path(__file__).resolve().parents[2] / "scripts" / "ray_data_poses.py"
    words = [sys.executable, str(script), str(photos), str(out), "--workers", "1"]
    subprocess.run(words, check=True, timeout=300, capture_output=True)
    table = pandas.read_parquet(out).sort_values("path")
    assert list(table["error"].str.len() > 0) == [False, True]
    first = table.iloc[0]
    assert set(first["sides"]) <= {"right", "left"} and len(first["sides"]) >= 1
    assert {len(v) for v in first["theta"]} == {48}
