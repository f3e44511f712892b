from __future__ import annotations

import dataclasses
import json
import pickle
import resource
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_toolkit.avatar import Avatar
from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.testing.avatars import procedural_avatar


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("avatar") / "a.hand"
    procedural_avatar(seed=0).save(path)
    return path.read_bytes()


def parts(blob: bytes) -> tuple[dict, bytes]:
    size = struct.unpack("<Q", blob[:8])[0]
    return json.loads(blob[8 : 8 + size]), blob[8 + size :]


def join(header: dict, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_a_file_of_version_1_is_drawn_as_it_was(tmp_path: Path) -> None:
    """The picture was rendered with the toolkit that wrote the file, on the first default hand."""
    from PIL import Image

    from hand_toolkit.core.metrics import psnr
    from hand_toolkit.core.types import Camera
    from hand_toolkit.render import render

    data = Path(__file__).with_name("data")
    picture = np.asarray(Image.open(data / "version_1.png"), np.float64) / 255
    theta = np.zeros((16, 3))
    theta[0] = 0.3, 1.2, -1.0
    theta[1:, 2] = -0.4
    camera = Camera(300.0, 300.0, 96.0, 96.0, 192, 192)
    old = Avatar.load(data / "version_1.hand")
    assert old.hand_model == "default_1"
    for avatar in (old, Avatar.load(old.save(tmp_path / "again.hand"))):
        splats = avatar.splats({"right": theta}, {"right": np.array([0.0, -0.02, 0.4])})
        assert psnr(np.asarray(render(splats, camera).color), picture) > 50
    new = dataclasses.replace(old, hand_model="default")
    splats = new.splats({"right": theta}, {"right": np.array([0.0, -0.02, 0.4])})
    assert psnr(np.asarray(render(splats, camera).color), picture) < 30


def test_a_file_of_version_2_bends_as_it_did(tmp_path: Path) -> None:
    path = procedural_avatar(seed=2).save(tmp_path / "a.hand")
    header, data = parts(path.read_bytes())
    facts = json.loads(header["__metadata__"]["hand_toolkit"])
    assert (facts["version"], facts["hand_model"]) == (3, "default")
    header["__metadata__"]["hand_toolkit"] = json.dumps({**facts, "version": 2})
    path.write_bytes(join(header, data))
    assert Avatar.load(path).hand_model == "default_2"


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    avatar = procedural_avatar(seed=2)
    loaded = Avatar.load(avatar.save(tmp_path / "a.hand"))
    assert loaded.sides == avatar.sides
    for a, b in zip(avatar.hands, loaded.hands):
        for name in ("shape", "opacity", "color", "albedo", "evidence", "source_theta"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        for name in ("triangle", "barycentric", "offset", "quat", "scale"):
            np.testing.assert_array_equal(getattr(a.binding, name), getattr(b.binding, name))
    assert dict(loaded.provenance) == dict(avatar.provenance)
    assert loaded.preview == avatar.preview


def test_the_same_avatar_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        procedural_avatar(seed=4).save(tmp_path / f"{name}.hand")
    assert (tmp_path / "a.hand").read_bytes() == (tmp_path / "b.hand").read_bytes()


def test_a_failed_save_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.hand"
    target.write_bytes(b"old")
    avatar = procedural_avatar(seed=0)
    object.__setattr__(avatar, "extras", {"bad": np.array([object()])})
    with pytest.raises(Exception, match=r"."):
        avatar.save(target)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.hand"]


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (mark,))

    path = tmp_path / "a.hand"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FileFormatError):
        Avatar.load(path)
    assert not mark.exists()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_one_clear_error(
    saved: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    blob = bytearray(saved)
    header = struct.unpack("<Q", saved[:8])[0] + 8
    kind = data.draw(st.sampled_from(["flip", "cut", "noise", "header"]))
    if kind == "cut":
        blob = blob[: data.draw(st.integers(0, len(blob) - 1))]
    elif kind == "noise":
        blob = bytearray(data.draw(st.binary(max_size=400)))
    else:
        span = header if kind == "header" else len(blob)
        for _ in range(data.draw(st.integers(1, 8))):
            blob[data.draw(st.integers(0, span - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.hand"
    path.write_bytes(bytes(blob))
    try:
        Avatar.load(path)
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.update(version=99), "format version 99"),
        (lambda h: h.update(hands=[]), "one or two hands"),
        (lambda h: h.update(level=7), "subdivision level 7"),
        (lambda h: h.update(hands=[{"side": "../x", "observed": True}]), "missing"),
        (lambda h: h["camera"].update(fx=float("nan")), "finite"),
        (lambda h: h["camera"].update(width=10**9), "65536"),
        (lambda h: h.pop("camera"), "missing"),
    ],
)
def test_hostile_headers(saved: bytes, tmp_path: Path, change, message: str) -> None:
    header, data = parts(saved)
    inner = json.loads(header["__metadata__"]["hand_toolkit"])
    change(inner)
    header["__metadata__"]["hand_toolkit"] = json.dumps(inner)
    path = tmp_path / "a.hand"
    path.write_bytes(join(header, data))
    with pytest.raises(FileFormatError, match=message):
        Avatar.load(path)


def test_nan_splats_are_refused(saved: bytes, tmp_path: Path) -> None:
    header, data = parts(saved)
    start, stop = header["right.offset"]["data_offsets"]
    raw = bytearray(data)
    raw[start:stop] = np.full((stop - start) // 4, np.nan, np.float32).tobytes()
    path = tmp_path / "a.hand"
    path.write_bytes(join(header, bytes(raw)))
    with pytest.raises(FileFormatError, match=r"offset has .* NaN"):
        Avatar.load(path)


def test_a_claimed_gigabyte_is_not_allocated(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"hand_toolkit": "{}"},
        "light": {"dtype": "F64", "shape": [10**9, 3], "data_offsets": [0, 24 * 10**9]},
    }
    path = tmp_path / "a.hand"
    path.write_bytes(join(header, b"\0" * 64))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileFormatError):
        Avatar.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hand-toolkit fit"):
        Avatar.load(tmp_path / "none.hand")
