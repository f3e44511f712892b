"""The command line from outside: exit codes, one-line errors, files left behind."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hand_toolkit.cli import cli, run
from hand_toolkit.testing.avatars import procedural_avatar


@pytest.fixture(scope="module")
def avatar_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("avatar") / "a.hand"
    return procedural_avatar(seed=0).save(path)


def refused(capsys: pytest.CaptureFixture[str], args: list[str], code: int, words: str) -> None:
    assert run(args) == code
    error = capsys.readouterr().err
    assert error.startswith(("Error: ", "Usage: "))
    assert words in error
    assert "Traceback" not in error


@pytest.mark.parametrize("name", ["", *cli.commands])
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*name.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage:" in text
    assert len(text.splitlines()) > 5


def test_info_says_what_is_in_an_avatar(
    avatar_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["info", str(avatar_file)]) == 0
    text = capsys.readouterr().out
    assert "right hand:" in text
    assert "splats" in text
    assert run(["info", str(avatar_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hand_model"] == "default"


def test_render_takes_built_in_poses_and_orbits(
    avatar_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = []
    for k, words in enumerate(([], ["--pose", "fist"], ["--pose", "fist", "--camera", "orbit:60"])):
        out = tmp_path / f"{k}.png"
        assert run(["render", str(avatar_file), "-o", str(out), "--size", "96x96", *words]) == 0
        pictures.append(np.asarray(Image.open(out)).astype(float))
    assert all(np.abs(a - b).mean() > 2 for a, b in itertools.pairwise(pictures))
    capsys.readouterr()
    for words, said in (
        (["--pose", "fits"], "did you mean fist"),
        (["--pose", "nothing-like-it"], "thumbs_up"),
        (["--pose", "fist", "--camera", "photo"], "orbit:DEGREES"),
        (["--camera", "orbit:x"], "orbit:50"),
        (["--motion", "walk"], "open-close"),
    ):
        assert run(["render", str(avatar_file), "-o", str(tmp_path / "no.png"), *words]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "no.png").exists()


def test_render_writes_a_picture_of_a_hand(avatar_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    assert run(["render", str(avatar_file), "-o", str(out), "--size", "96x64"]) == 0
    picture = np.asarray(Image.open(out).convert("RGB")).astype(int)
    assert picture.shape == (64, 96, 3)
    background = np.array([0x29, 0x2A, 0x2C])
    covered = (np.abs(picture - background).max(axis=2) > 12).mean()
    assert 0.03 < covered < 0.8


def test_transparent_frames_in_a_folder(avatar_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames"
    args = ["render", str(avatar_file), "-o", str(out), "--motion", "pinch", "--fps", "3"]
    assert run([*args, "--size", "48x48", "--background", "transparent"]) == 0
    files = sorted(out.iterdir())
    assert len(files) > 3
    alpha = np.asarray(Image.open(files[0]))[..., 3]
    assert alpha.min() == 0
    assert alpha.max() > 240


def test_video_has_the_motion_s_frames(avatar_file: Path, tmp_path: Path) -> None:
    from hand_toolkit.animate import builtin_motion, resample
    from hand_toolkit.media.video import read_video

    out = tmp_path / "a.mp4"
    args = ["render", str(avatar_file), "-o", str(out), "--motion", "pinch", "--fps", "10"]
    assert run([*args, "--size", "64x64"]) == 0
    fps, frames = read_video(out)
    assert fps == 10
    assert len(list(frames)) == len(resample(builtin_motion("pinch"), 10))


def test_studio_light_changes_the_picture(avatar_file: Path, tmp_path: Path) -> None:
    pictures = []
    for light in ("baked", "photo", "studio"):
        out = tmp_path / f"{light}.png"
        args = ["render", str(avatar_file), "-o", str(out), "--size", "64x64", "--light", light]
        assert run(args) == 0
        pictures.append(np.asarray(Image.open(out)).astype(int))
    assert np.abs(pictures[0] - pictures[2]).max() > 10


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["render", "AVATAR", "-o", "OUT/x.png", "--size", "big"], 2, "WxH"),
        (["render", "AVATAR", "-o", "OUT/x.gif"], 2, "accepted are .png"),
        (["render", "AVATAR", "-o", "OUT/x.png", "--background", "rainbow"], 2, "colour"),
        (["render", "AVATAR", "-o", "OUT/x.mp4", "--background", "transparent"], 2, ".png"),
        (["render", "AVATAR", "-o", "OUT/x.png", "--light", "moon"], 2, "unknown light"),
        (["render", "AVATAR", "-o", "OUT/x.png", "--motion", "jump"], 2, "open-close"),
        (["render", "AVATAR", "-o", "OUT/x.png", "--camera", "from-pose"], 2, "--pose"),
        (["render", "AVATAR", "-o", "OUT/x.png", "--camera", "c.json"], 2, "unknown camera"),
        (["render", "AVATAR", "-o", "none/x.png"], 2, "folder"),
        (["render", "OUT/none.hand", "-o", "OUT/x.png"], 2, "does not exist"),
        (["info", "OUT/noise.hand"], 3, "not a .hand file"),
        (["fit", "OUT/none.jpg", "-o", "OUT/x.hand"], 2, "none.jpg"),
        (["fit", "OUT/noise.jpg", "-o", "OUT/x.hand"], 3, "noise.jpg"),
        (["fit", "OUT/grey.png", "-o", "OUT/x.obj"], 2, "must end in .hand"),
        (["fit", "OUT/grey.png", "-o", "OUT/x.hand"], 4, "no hand was found"),
        (
            ["fit", "OUT/grey.png", "-o", "OUT/x.hand", "--method", "x"],
            2,
            "no method 'x'",
        ),
        (["fit", "OUT/grey.png", "-o", "OUT/x.hand", "--set", "x=1"], 2, "has no option 'x'"),
        (["fit", "OUT/grey.png", "-o", "OUT/x.hand", "--trust", "1.5"], 2, "--trust"),
        (["fit", "OUT/grey.png", "OUT/noise.jpg", "--mask", "OUT/grey.png"], 2, "for one photo"),
        (["fit", "OUT/grey.png", "-o", "OUT/x.hand", "--device", "cuda"], 2, "CUDA"),
        (["fit", "OUT/grey.png", "-o", "OUT/x.hand", "--pose-source", "x"], 2, "installed"),
        (["pose", "OUT/grey.png", "-o", "OUT/x.npz"], 4, "no hand was found"),
        (["pose", "OUT/grey.png", "--avatar", "AVATAR", "--hand-model", "mano"], 2, "leave"),
        (["pose", "OUT/grey.png", "--avatar", "OUT/grey.png"], 3, "grey.png"),
        (["pose", "OUT/empty", "-o", "OUT/x.npz"], 2, "has no pictures"),
        (["export", "AVATAR", "-o", "OUT/x.xyz"], 2, "no format writes"),
        (["export", "AVATAR", "-o", "OUT/x.glb", "--set", "nonsense"], 2, "no value"),
        (["import-mano", "OUT/noise.jpg"], 3, "noise.jpg"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_bad_arguments(
    args: list[str],
    code: int,
    words: str,
    avatar_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "cuda" in args:
        import torch

        if torch.cuda.is_available():
            code = 4
            words = "no hand"
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise.hand").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "noise.jpg").write_bytes(bytes(range(256)) * 4)
    Image.new("RGB", (160, 120), (120, 130, 125)).save(tmp_path / "grey.png")
    before = sorted(p.name for p in tmp_path.rglob("*"))
    filled = [a.replace("AVATAR", str(avatar_file)).replace("OUT", str(tmp_path)) for a in args]
    refused(capsys, filled, code, words)
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_an_existing_output_survives_a_failure(
    avatar_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "x.hand"
    target.write_bytes(b"precious")
    Image.new("RGB", (160, 120), (120, 130, 125)).save(tmp_path / "grey.png")
    refused(capsys, ["fit", str(tmp_path / "grey.png"), "-o", str(target)], 4, "no hand")
    assert target.read_bytes() == b"precious"


def test_an_avatar_without_a_network_is_not_drawn_by_one(
    avatar_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["render", str(avatar_file), "-o", str(tmp_path / "a.png"), "--neural"]
    refused(capsys, args, 2, "it has no neural form; fit the photo with the method 'prior'")
    assert list(tmp_path.iterdir()) == []


def test_interrupting_leaves_nothing_half_written(
    avatar_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hand_toolkit.pictures.demo_sheet as show

    calls = []

    def stop(*args: object, **options: object) -> Iterator[np.ndarray]:
        for _ in range(3):
            yield np.zeros((64, 64, 3), np.uint8)
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(show, "draw_shot", stop)
    out = tmp_path / "a.mp4"
    args = ["render", str(avatar_file), "-o", str(out), "--motion", "pinch", "--size", "64x64"]
    assert run(args) == 130
    assert calls and list(tmp_path.iterdir()) == []


def test_a_fault_is_one_line(
    avatar_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hand_toolkit.avatar import Avatar

    def broken(path: object) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr(Avatar, "load", broken)
    assert run(["info", str(avatar_file)]) == 70
    error = capsys.readouterr().err
    assert "a fault of the toolkit (RuntimeError: first)" in error
    assert len(error.strip().splitlines()) == 1


def test_plugins_and_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins"]) == 0
    text = capsys.readouterr().out
    for word in ("network", "grabcut", "default", "glb", "open-close", "fist"):
        assert word in text
    assert run(["doctor"]) == 0
    assert "device" in capsys.readouterr().out


def test_an_export_without_a_name_lies_beside_the_avatar_and_over_nothing(
    avatar_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "me.hand"
    mine.write_bytes(avatar_file.read_bytes())
    assert run(["export", str(mine), "--format", "ply"]) == 0
    written = (tmp_path / "me.ply").read_bytes()
    assert written.startswith(b"ply\n")
    (tmp_path / "me.ply").write_bytes(b"another's")
    refused(capsys, ["export", str(mine), "--format", "ply"], 2, "--force")
    assert (tmp_path / "me.ply").read_bytes() == b"another's"
    assert run(["export", str(mine), "--format", "ply", "--force"]) == 0
    assert (tmp_path / "me.ply").read_bytes() == written
    refused(capsys, ["export", str(mine)], 2, "--format")
    refused(capsys, ["export", str(mine), "--format", "gbl"], 2, "installed are")
    (tmp_path / "me.ply").rename(tmp_path / "other.ply")
    (tmp_path / "other_0003.ply").write_bytes(b"a frame of another's")
    other = mine.rename(tmp_path / "other.hand")
    (tmp_path / "other.ply").unlink()
    refused(capsys, ["export", str(other), "--format", "ply"], 2, "other_0003.ply")
