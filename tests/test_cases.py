"""What users of neighbouring tools reported: every case beside the checkout, by its right value.

``EXPECTED.json`` says the values in words; ``CASES`` has a check for each of its names.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit import Motion, export_avatar
from hand_toolkit.animate import load_motion
from hand_toolkit.cli import run
from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.export import import_file
from hand_toolkit.geometry.rotations import matrix_from_quat
from hand_toolkit.media import load_photo
from hand_toolkit.media.pictures import open_pictures
from hand_toolkit.testing.avatars import procedural_avatar
from hand_toolkit.testing.interop import blender_vertices, fbx_key_times

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "cases"
ELSEWHERE = {"view layers": "tests/blender_addon/test_compositing.py"}

Check = Callable[[Path, pytest.LogCaptureFixture], None]


def motion(name: str) -> Motion:
    return load_motion(FOLDER / name)


def hamer_matrices(out: Path, log: pytest.LogCaptureFixture) -> None:
    got = motion("hamer_matrices.npz")
    assert len(got) == 4 and got.present[:, 0].all() and not got.present[:, 1].any()
    expected = np.zeros((4, 16, 3))
    expected[:, 0] = (0.1, 0.2, 0.3)
    expected[:, 1:, 2] = 0.1 * np.arange(1, 5)[:, None]
    expected[:, 4, 0] = 0.25
    assert np.abs(got.theta[:, 0] - expected).max() < 1e-4


def hamer_one(out: Path, log: pytest.LogCaptureFixture) -> None:
    from hand_toolkit_plugins.file_source import read_hands

    photo = load_photo(FOLDER / "mac_disk" / "IMG_1.jpg")
    got = motion("hamer_one.npz")
    assert len(got) == 1
    np.testing.assert_allclose(got.theta[0, 0, 5], (0, 0, 0.1), atol=1e-4)
    seen = read_hands(FOLDER / "hamer_one.npz", photo)[0].theta
    np.testing.assert_allclose(got.theta[0, 0], seen, atol=1e-6)


def hamer_left(out: Path, log: pytest.LogCaptureFixture) -> None:
    got = motion("hamer_left_axis_angle.npz")
    with np.load(FOLDER / "hamer_left_axis_angle.npz") as data:
        raw = np.concatenate([data["global_orient"], data["hand_pose"]], 1).reshape(4, 16, 3)
    assert got.present[:, 1].all() and not got.present[:, 0].any()
    np.testing.assert_allclose(got.theta[:, 1], raw * [1, -1, -1], atol=1e-9)


def is_rhand(out: Path, log: pytest.LogCaptureFixture) -> None:
    got = motion("is_rhand_false.npz")
    assert got.present[:, 1].all() and not got.present[:, 0].any()


def gap(out: Path, log: pytest.LogCaptureFixture) -> None:
    got = motion("gap.npz")
    assert got.present[:, 1].tolist() == [True, True, False, False, True, True]
    assert got.fps == pytest.approx(29.97)
    avatar = procedural_avatar(0, limit=40)
    paths = export_avatar(avatar, out / "m.npz", "npz", motion=got, options={"layout": "mano"})
    left = next(p for p in paths if "left" in p.name)
    back = load_motion(left)
    assert back.present[:, 1].tolist() == got.present[:, 1].tolist() and back.fps == got.fps
    body = export_avatar(avatar, out / "a.npz", "npz", motion=got, options={"layout": "amass"})[0]
    assert load_motion(body).present.tolist() == got.present.tolist()


def amass_smplx(out: Path, log: pytest.LogCaptureFixture) -> None:
    got = motion("amass_smplx.npz")
    with np.load(FOLDER / "amass_smplx.npz") as data:
        poses = data["poses"]
    assert len(got) == 4 and got.fps == 120
    np.testing.assert_allclose(got.theta[:, 1, 1:].reshape(4, 45), poses[:, 75:120])
    np.testing.assert_allclose(got.theta[:, 0, 1:].reshape(4, 45), poses[:, 120:165])


def amass_objects(out: Path, log: pytest.LogCaptureFixture) -> None:
    got = motion("amass_smplh_object_key.npz")
    with np.load(FOLDER / "amass_smplh_object_key.npz", allow_pickle=False) as data:
        poses = data["poses"]
    np.testing.assert_allclose(got.theta[:, 0, 1:].reshape(-1, 45), poses[:, 111:156])


def pca(out: Path, log: pytest.LogCaptureFixture) -> None:
    with pytest.raises(FileFormatError, match="principal components"):
        motion("pca6_15_frames.npz")


def fbx(out: Path, log: pytest.LogCaptureFixture) -> None:
    given = motion("m12.5.npz")
    avatar = procedural_avatar(0, limit=40)
    path = export_avatar(avatar, out / "x.fbx", motion=given, options={"texture_size": 64})[0]
    for times in fbx_key_times(path):
        if len(times) > 1:
            assert len(times) == 101 and abs(times[-1] - 8) < 1e-4
    assert np.flatnonzero(~given.present[:, 1])[0] / 12.5 == 4.0


def quarters(name: str) -> np.ndarray:
    pixels = load_photo(FOLDER / name).pixels.astype(int)
    height, width = pixels.shape[:2]
    centres = [width * (2 * k + 1) // 8 for k in range(4)]
    middle = pixels[height // 2 - 2 : height // 2 + 2]
    across = np.stack([middle[:, c - 2 : c + 2].mean((0, 1)) for c in centres])
    middles = [
        (slice(height * i // 4 - 2, height * i // 4 + 2), slice(width * j // 4 - 2, width * j // 4))
        for i in (1, 3)
        for j in (1, 3)
    ]
    corners = np.stack([pixels[rows, columns].mean((0, 1)) for rows, columns in middles])
    return across if len(np.unique(across.round(-1), axis=0)) == 4 else corners


def colours(name: str, within: int) -> Check:
    def check(out: Path, log: pytest.LogCaptureFixture) -> None:
        expected = json.loads((FOLDER / "EXPECTED.json").read_text("utf-8"))[name]
        assert np.abs(quarters(name) - expected).max() <= within

    return check


def raw(out: Path, log: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InputError, match="camera raw file"):
        load_photo(FOLDER / "raw_preview.dng")


def vfr(out: Path, log: pytest.LogCaptureFixture) -> None:
    pictures = open_pictures(FOLDER / "vfr.mp4")
    frames = [photo.pixels.astype(int) for photo in pictures]
    jumps = [np.abs(a - b).mean() for a, b in pairwise(frames)]
    assert (np.argmax(jumps) + 1) / (pictures.fps or 0) == pytest.approx(8 / 30, abs=1e-3)


def sar(out: Path, log: pytest.LogCaptureFixture) -> None:
    wide, square = (
        next(iter(open_pictures(FOLDER / name))).pixels.astype(int)
        for name in ("sar_2_1.mp4", "square_pixels.mp4")
    )
    assert wide.shape == square.shape
    assert np.abs(wide - square).mean() < 4


def unpadded(out: Path, log: pytest.LogCaptureFixture) -> None:
    assert open_pictures(FOLDER / "unpadded").names == [f"frame_{k}.jpg" for k in range(1, 12)]


def mac_disk(out: Path, log: pytest.LogCaptureFixture) -> None:
    assert open_pictures(FOLDER / "mac_disk").names == ["IMG_1.jpg"]


def mixed(out: Path, log: pytest.LogCaptureFixture) -> None:
    pictures = open_pictures(FOLDER / "mixed_ok")
    assert len(list(pictures)) == 2 and pictures.names == ["a.jpg", "b.avif"]
    assert pictures.count == 2 and "c.heic" in log.text


def damaged(out: Path, log: pytest.LogCaptureFixture) -> None:
    from hand_toolkit.media.video import _decoded

    assert len(list(_decoded(FOLDER / "damaged_middle.mp4"))) >= 8
    assert "damaged" in log.text


def gltf(out: Path, log: pytest.LogCaptureFixture) -> None:
    avatar = procedural_avatar(0, sides=("right",), limit=40)
    options = {"texture_size": 64}
    path = export_avatar(avatar, out / "m #2 50%25.gltf", what="mesh", options=options)[0]
    uri = json.loads(path.read_text("utf-8"))["buffers"][0]["uri"]
    assert uri == "m%20%232%2050%2525.bin"
    assert blender_vertices(path, 1, 30.0)
    whole = export_avatar(avatar, out / "s #2 50%25.gltf", what="splats")[0]
    assert len(import_file(whole)) == len(avatar)


def spz(out: Path, log: pytest.LogCaptureFixture) -> None:
    hand = procedural_avatar(0, limit=40).save(out / "me.hand")
    assert run(["export", str(hand), "-o", str(out / "v.spz"), "--set", "version=2"]) == 2
    assert not (out / "v.spz").exists()


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hand_toolkit.cli", *map(str, arguments)],
        capture_output=True, text=True, encoding="cp1252", timeout=120, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


def cp1252(out: Path, log: pytest.LogCaptureFixture) -> None:
    hand = procedural_avatar(0, limit=40).save(out / "\u624b.hand")
    done = command("info", hand, PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr
    assert "\\u624b.hand" in done.stdout


def ascii_ply(out: Path, log: pytest.LogCaptureFixture) -> None:
    text, binary = import_file(FOLDER / "ascii.ply"), import_file(FOLDER / "no_normals.ply")
    assert len(text) == 5
    for field in ("means", "quats", "scales", "opacities", "colors"):
        np.testing.assert_allclose(getattr(text, field), getattr(binary, field), atol=1e-5)


def one_nan(out: Path, log: pytest.LogCaptureFixture) -> None:
    assert len(import_file(FOLDER / "one_nan.ply")) == 4
    assert "1 of 5" in log.text


def mirror(out: Path, log: pytest.LogCaptureFixture) -> None:
    plain, mirrored = (import_file(FOLDER / f"{name}.glb") for name in ("plain", "mirror"))
    forms = []
    for splats in (plain, mirrored):
        half = matrix_from_quat(np.asarray(splats.quats, np.float64)) * splats.scales[:, None, :]
        forms.append(half @ half.transpose(0, 2, 1))
    matrix = np.diag([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(forms[1], matrix @ forms[0] @ matrix.T, atol=1e-9)


def exits(out: Path, log: pytest.LogCaptureFixture) -> None:
    path = str(FOLDER / "plugins" / "exits")
    done = command("plugins", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert "FAILED" in done.stdout and "SystemExit" in done.stdout
    assert command("formats", PYTHONPATH=path).returncode == 0


def animation(name: str) -> Check:
    def check(out: Path, log: pytest.LogCaptureFixture) -> None:
        pictures = open_pictures(FOLDER / name)
        assert len(list(pictures)) == 4 and pictures.fps == pytest.approx(10)

    return check


def animations(out: Path, log: pytest.LogCaptureFixture) -> None:
    animation("hand.gif")(out, log)
    animation("hand_anim.webp")(out, log)


CASES: dict[str, Check] = {
    "hamer_matrices.npz": hamer_matrices,
    "hamer_one.npz": hamer_one,
    "hamer_left_axis_angle.npz": hamer_left,
    "is_rhand_false.npz": is_rhand,
    "gap.npz": gap,
    "amass_smplx.npz": amass_smplx,
    "amass_smplh_object_key.npz": amass_objects,
    "fbx": fbx,
    "p3_palette.png": colours("p3_palette.png", 2),
    "adobe_r03.jpg": colours("adobe_r03.jpg", 3),
    "brand_mif1.avif": colours("brand_mif1.avif", 4),
    "raw_preview.dng": raw,
    "vfr.mp4": vfr,
    "sar_2_1.mp4": sar,
    "unpadded/": unpadded,
    "mac_disk/": mac_disk,
    "mixed_ok/": mixed,
    "damaged_middle.mp4": damaged,
    "gltf export": gltf,
    "spz": spz,
    "cp1252": cp1252,
    "ascii.ply": ascii_ply,
    "one_nan.ply": one_nan,
    "mirror.glb": mirror,
    "plugins/exits": exits,
    "pca6_15_frames.npz": pca,
    "hand.gif, hand_anim.webp": animations,
}


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if not FOLDER.is_dir():
        pytest.skip("the reports' files are not here")
    caplog.set_level(logging.WARNING)
    CASES[name](tmp_path, caplog)


def test_every_report_is_checked() -> None:
    if not FOLDER.is_dir():
        pytest.skip("the reports' files are not here")
    told = json.loads((FOLDER / "EXPECTED.json").read_text("utf-8"))
    assert set(told) == set(CASES) | set(ELSEWHERE)
