"""Damaged files of every kind that is read: ``scripts/fuzz.py`` in small, and what it found."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit import Avatar, load_motion
from hand_toolkit.core.errors import FileFormatError, HandToolkitError
from hand_toolkit.core.npz import read_npz
from hand_toolkit.export import import_file
from hand_toolkit.media.load import load_photo

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import fuzz_mutations
from fuzz_targets import TARGETS


@pytest.mark.parametrize("name", list(TARGETS))
def test_damaged_files_are_read_or_refused_in_a_line(name: str, tmp_path: Path) -> None:
    """Forty inputs a kind; the script ran hundreds of thousands."""
    target = TARGETS[name]
    if name == "spz":
        pytest.importorskip("gsply")
    seeds = target.seeds(tmp_path)
    path = tmp_path / f"input{target.suffix}"
    for index in range(40):
        rng = np.random.default_rng((1, index))
        path.write_bytes(target.mutate(seeds[index % len(seeds)], rng))
        try:
            target.read(path)
        except HandToolkitError as error:
            assert "\n" not in str(error) and len(str(error)) < 800


def test_a_header_with_an_infinite_number(tmp_path: Path) -> None:
    """``int(inf)`` raised an OverflowError."""
    data = TARGETS["hand"].seeds(tmp_path)[0]
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    meta = json.loads(header["__metadata__"]["hand_toolkit"])
    meta["level"] = float("inf")
    header["__metadata__"]["hand_toolkit"] = json.dumps(meta)
    text = json.dumps(header).encode()
    path = tmp_path / "inf.hand"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    with pytest.raises(FileFormatError, match=r"inf\.hand"):
        Avatar.load(path)


def test_a_list_where_gltf_has_a_number(tmp_path: Path) -> None:
    """A list is no key of a dict: a TypeError."""
    data = TARGETS["glb"].seeds(tmp_path)[0]
    size = int.from_bytes(data[12:16], "little")
    document = json.loads(data[20 : 20 + size])
    for accessor in document["accessors"]:
        accessor["componentType"] = [5126]
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = len(text).to_bytes(4, "little") + b"JSON" + text + data[20 + size :]
    path = tmp_path / "list.glb"
    path.write_bytes(data[:8] + (12 + len(body)).to_bytes(4, "little") + body)
    with pytest.raises(FileFormatError, match=r"list\.glb"):
        import_file(path)


def test_a_splat_file_without_splats(tmp_path: Path) -> None:
    """No rows cannot be reshaped: a ValueError."""
    path = tmp_path / "none.ply"
    names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
    names += [f"scale_{k}" for k in range(3)] + [f"rot_{k}" for k in range(4)]
    lines = ["ply", "format binary_little_endian 1.0", "element vertex 0"]
    path.write_text("\n".join([*lines, *(f"property float {n}" for n in names), "end_header\n"]))
    with pytest.raises(FileFormatError, match=r"none\.ply"):
        import_file(path)


def test_members_of_an_npz_that_are_no_arrays(tmp_path: Path) -> None:
    """numpy gives their bytes, which came whole into the message."""
    path = tmp_path / "bytes.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("poses.npy", b"\x93NUMPI" + b"\0" * 5000)
    with pytest.raises(FileFormatError, match="holds no arrays"):
        read_npz(path)
    with pytest.raises(HandToolkitError) as caught:
        load_motion(path)
    assert len(str(caught.value)) < 300


def test_a_tiff_without_dimensions(tmp_path: Path) -> None:
    """Pillow raises a TypeError."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (80, 72)).save(buffer, "TIFF")
    path = tmp_path / "none.tif"
    path.write_bytes(buffer.getvalue().replace(b"\x00\x01\x04\x00", b"\x77\x01\x04\x00"))
    with pytest.raises(FileFormatError, match=r"none\.tif"):
        load_photo(path)


def test_the_damage_opens_the_containers() -> None:
    """Mutations within a zip, a gzip stream or a PNG keep their checksums right."""
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(50))
    whole = 0
    for _ in range(40):
        with zipfile.ZipFile(io.BytesIO(buffer.getvalue())) as archive:
            before = archive.read("a.npy")
        try:
            with zipfile.ZipFile(
                io.BytesIO(fuzz_mutations.zip_members(buffer.getvalue(), rng))
            ) as archive:
                whole += archive.testzip() is None and archive.read("a.npy") != before
        except (zipfile.BadZipFile, KeyError, NotImplementedError, ValueError):
            continue
    assert whole > 10
