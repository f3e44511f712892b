"""Bad pictures and files through the command line: one clear sentence, a code, nothing lost."""

from __future__ import annotations

import errno
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hand_toolkit.cli import run
from hand_toolkit.media.demo import PICTURE
from hand_toolkit.testing.avatars import procedural_avatar


def error_of(capsys: pytest.CaptureFixture[str], args: list[str]) -> tuple[int, str]:
    code = run(args)
    text = capsys.readouterr().err
    lines = [line for line in text.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return code, lines[0]


def fit(path: Path, out: Path) -> list[str]:
    return ["fit", str(path), "-o", str(out), "--quality", "draft"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    path = tmp_path / "out.hand"
    path.write_bytes(b"what was there before")
    return path


def check_kept(out: Path) -> None:
    assert out.read_bytes() == b"what was there before"
    leftovers = [p.name for p in out.parent.iterdir() if p.name.startswith(".")]
    assert leftovers == []


def test_a_picture_without_a_hand(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (200, 300, 3), np.uint8)).save(out.parent / "n.png")
    code, text = error_of(capsys, fit(out.parent / "n.png", out))
    assert code == 4
    assert "no hand was found in 'n.png' (300x200 pixels)" in text
    check_kept(out)


def test_three_hands(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = Image.open(PICTURE).convert("RGB")
    picture.thumbnail((320, 320))
    three = Image.new("RGB", (picture.width * 3, picture.height))
    for k in range(3):
        three.paste(picture, (k * picture.width, 0))
    three.save(out.parent / "three.png")
    code, text = error_of(capsys, fit(out.parent / "three.png", out))
    assert code == 4
    assert "3 hands" in text
    assert "crop" in text
    check_kept(out)


def test_a_truncated_jpeg(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = PICTURE.read_bytes()
    (out.parent / "cut.jpg").write_bytes(data[: len(data) // 3])
    code, text = error_of(capsys, fit(out.parent / "cut.jpg", out))
    assert code == 3
    assert "cut.jpg" in text
    check_kept(out)


def test_a_panorama_of_20000_pixels(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (20_000, 3_000), (90, 120, 90)).save(out.parent / "pano.jpg", quality=60)
    code, text = error_of(capsys, fit(out.parent / "pano.jpg", out))
    assert code in (2, 3, 4)
    assert "pano.jpg" in text
    check_kept(out)


def test_a_decompression_bomb(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    buffer = io.BytesIO()
    Image.new("1", (60_000, 60_000)).save(buffer, "PNG")
    (out.parent / "bomb.png").write_bytes(buffer.getvalue())
    code, text = error_of(capsys, fit(out.parent / "bomb.png", out))
    assert code in (2, 3)
    assert "60000" in text
    check_kept(out)


@pytest.mark.parametrize("kind", ["16bit", "cmyk", "rotated", "palette", "alpha", "grey"])
def test_unusual_but_good_pictures_are_fitted(kind: str, tmp_path: Path) -> None:
    from hand_toolkit.media import load_photo
    from hand_toolkit.pose import estimate_pose

    picture = Image.open(PICTURE).convert("RGB")
    picture.thumbnail((360, 360))
    path = tmp_path / f"{kind}.png"
    if kind == "16bit":
        import cv2

        deep = np.asarray(picture)[..., ::-1].astype(np.uint16) * 257
        cv2.imwrite(str(path), deep)
    elif kind == "cmyk":
        path = path.with_suffix(".jpg")
        picture.convert("CMYK").save(path, quality=95)
    elif kind == "rotated":
        path = path.with_suffix(".jpg")
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.transpose(Image.Transpose.ROTATE_90).save(path, quality=95, exif=exif)
    elif kind == "palette":
        picture.quantize(255).save(path)
    elif kind == "alpha":
        picture.putalpha(255)
        picture.save(path)
    else:
        picture.convert("L").save(path)
    plain = tmp_path / "plain.png"
    Image.open(PICTURE).convert("RGB").resize(picture.size, Image.Resampling.LANCZOS).save(plain)
    loaded = load_photo(path)
    assert loaded.size == load_photo(plain).size
    expected = estimate_pose(load_photo(plain), refine=False)
    found = estimate_pose(loaded, refine=False)
    assert [h.side for h in found.hands] == [h.side for h in expected.hands]
    size = np.ptp(expected.hands[0].keypoints_2d, axis=0).max()
    offset = found.hands[0].keypoints_2d - expected.hands[0].keypoints_2d
    assert np.linalg.norm(offset, axis=1).mean() < 0.06 * size


def test_a_pose_with_nan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    avatar = procedural_avatar(seed=0).save(tmp_path / "a.hand")
    np.savez(tmp_path / "p.npz", poses=np.full((1, 2, 16, 3), np.nan))
    code, text = error_of(
        capsys,
        ["render", str(avatar), "-o", str(tmp_path / "x.png"), "--pose", str(tmp_path / "p.npz")],
    )
    assert code == 3
    assert "NaN" in text
    assert not (tmp_path / "x.png").exists()


class _Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("command", ["info", "render", "import-mano", "pose-file"])
def test_a_hostile_pickle_runs_nothing(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "ran"
    path = tmp_path / ("a.npz" if command == "pose-file" else "a.hand")
    if command == "pose-file":
        np.savez(path, poses=np.array([_Bomb(mark)], dtype=object))
        avatar = procedural_avatar(seed=0).save(tmp_path / "b.hand")
        args = ["render", str(avatar), "-o", str(tmp_path / "x.png"), "--pose", str(path)]
    else:
        path.write_bytes(pickle.dumps(_Bomb(mark)))
        args = {
            "info": ["info", str(path)],
            "render": ["render", str(path), "-o", str(tmp_path / "x.png")],
            "import-mano": ["import-mano", str(path)],
        }[command]
    code, _ = error_of(capsys, args)
    assert code == 3
    assert not mark.exists()


def test_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    avatar = procedural_avatar(seed=0).save(tmp_path / "a.hand")
    target = tmp_path / "x.png"
    target.write_bytes(b"old")

    def full(self: Image.Image, path: Path, *args: object, **options: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Image.Image, "save", full)
    code, text = error_of(capsys, ["render", str(avatar), "-o", str(target), "--size", "32x32"])
    assert code == 2
    assert "disk is full" in text
    assert target.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.hand", "x.png"]


def test_a_mask_of_another_size_or_kind(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out.parent / "mask.png").write_bytes(b"no picture")
    args = [*fit(PICTURE, out), "--mask", str(out.parent / "mask.png")]
    code, text = error_of(capsys, args)
    assert code == 3
    assert "mask.png" in text
    check_kept(out)
