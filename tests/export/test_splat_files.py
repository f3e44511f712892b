"""Splat files of other programs, made here by hand: ASCII, rgb, compressed PLY, SPZ, KSPLAT."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit import Splats, export_avatar
from hand_toolkit.core.errors import FileFormatError
from hand_toolkit.export import import_file
from hand_toolkit.export.ply import ply_bytes
from hand_toolkit.geometry.rotations import matrix_from_quat
from hand_toolkit.testing.avatars import procedural_avatar


def made(count: int = 300) -> Splats:
    rng = np.random.default_rng(0)
    quats = rng.normal(size=(count, 4))
    return Splats(
        rng.uniform(-0.1, 0.1, (count, 3)).astype(np.float32),
        (quats / np.linalg.norm(quats, axis=1, keepdims=True)).astype(np.float32),
        rng.uniform(1e-3, 5e-3, (count, 3)).astype(np.float32),
        rng.uniform(0.1, 0.9, count).astype(np.float32),
        rng.uniform(0.1, 0.9, (count, 3)).astype(np.float32),
    )


def assert_near(got: object, splats: Splats, place: float, rest: float) -> None:
    assert isinstance(got, Splats) and len(got) == len(splats)
    np.testing.assert_allclose(got.means, splats.means, atol=place)
    np.testing.assert_allclose(got.scales, splats.scales, rtol=rest)
    np.testing.assert_allclose(got.opacities, splats.opacities, atol=rest)
    np.testing.assert_allclose(got.colors, splats.colors, atol=rest)
    turns = [matrix_from_quat(np.asarray(s.quats, np.float64)) for s in (got, splats)]
    np.testing.assert_allclose(turns[0], turns[1], atol=2 * rest)


def test_ascii_and_plain_rgb(tmp_path: Path) -> None:
    splats = made()
    head, _, body = ply_bytes(splats).partition(b"end_header\n")
    table = np.frombuffer(body, "<f4").reshape(len(splats), -1)
    names = [line.split()[2].decode() for line in head.splitlines() if b"property" in line]
    lines = "\n".join(" ".join(f"{v:.8g}" for v in row) for row in table)
    text = head.replace(b"binary_little_endian", b"ascii").decode()
    (tmp_path / "a.ply").write_text(f"{text}end_header\n{lines}\n", encoding="ascii")
    assert_near(import_file(tmp_path / "a.ply"), splats, 1e-6, 1e-4)
    columns = dict(zip(names, table.T))
    for k, name in enumerate(("red", "green", "blue")):
        columns[name] = splats.colors[:, k] * 255
        del columns[f"f_dc_{k}"]
    dtype = [(n, "u1" if n in ("red", "green", "blue") else "<f4") for n in columns]
    records = np.zeros(len(splats), dtype)
    for name, values in columns.items():
        records[name] = values
    fields = "".join(f"property {'uchar' if t == 'u1' else 'float'} {n}\n" for n, t in dtype)
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(splats)}\n{fields}"
    (tmp_path / "b.ply").write_bytes(header.encode() + b"end_header\n" + records.tobytes())
    assert_near(import_file(tmp_path / "b.ply"), splats, 1e-6, 5e-3)
    (tmp_path / "c.ply").write_text(f"{text}end_header\n{lines[:-60]}\n", encoding="ascii")
    with pytest.raises(FileFormatError, match="lines of"):
        import_file(tmp_path / "c.ply")


def packed(values: np.ndarray, bits: tuple[int, int, int]) -> np.ndarray:
    """(N, 3) in [0, 1] as 32-bit words, the first number highest."""
    whole = [np.round(values[:, k] * ((1 << b) - 1)).astype(np.uint32) for k, b in enumerate(bits)]
    return whole[0] << (bits[1] + bits[2]) | whole[1] << bits[2] | whole[2]


def test_compressed_ply(tmp_path: Path) -> None:
    splats = made()
    logs = np.log(splats.scales)
    bounds, words = [], []
    for start in range(0, len(splats), 256):
        part = slice(start, start + 256)
        row = []
        columns = []
        for values in (splats.means[part], logs[part]):
            low, high = values.min(0), values.max(0)
            row += [*low, *high]
            columns.append(packed((values - low) / (high - low), (11, 10, 11)))
        bounds.append(row)
        quats = splats.quats[part]
        largest = np.abs(quats).argmax(1)
        signs = np.sign(np.take_along_axis(quats, largest[:, None], 1))
        three = np.stack([np.delete(q, k) for q, k in zip(quats * signs, largest)])
        turn = packed(three / np.sqrt(2) + 0.5, (10, 10, 10)) | largest.astype(np.uint32) << 30
        rgba = np.round(np.column_stack([splats.colors[part], splats.opacities[part]]) * 255)
        color = (rgba.astype(np.uint32) << np.array([24, 16, 8, 0], np.uint32)).sum(1)
        words.append(np.stack([columns[0], turn, columns[1], color.astype(np.uint32)], 1))
    names = [
        f"{end}_{what}{axis}" for what in ("", "scale_") for end in ("min", "max") for axis in "xyz"
    ]
    header = "ply\nformat binary_little_endian 1.0\n"
    header += f"element chunk {len(bounds)}\n" + "".join(f"property float {n}\n" for n in names)
    header += f"element vertex {len(splats)}\n"
    header += "".join(
        f"property uint packed_{n}\n" for n in ("position", "rotation", "scale", "color")
    )
    body = np.array(bounds, "<f4").tobytes() + np.concatenate(words).astype("<u4").tobytes()
    path = tmp_path / "a.compressed.ply"
    path.write_bytes(header.encode() + b"end_header\n" + body)
    assert_near(import_file(path), splats, 2e-4, 6e-3)
    path.write_bytes(header.encode() + b"end_header\n" + body[:-8])
    with pytest.raises(FileFormatError, match="cut off"):
        import_file(path)


def test_spz_comes_back_and_a_bomb_does_not(tmp_path: Path) -> None:
    avatar = procedural_avatar(0, limit=200)
    path = export_avatar(avatar, tmp_path / "a.spz")[0]
    back, ours = import_file(path), import_file(export_avatar(avatar, tmp_path / "a.ply")[0])
    assert isinstance(back, Splats) and isinstance(ours, Splats)
    np.testing.assert_allclose(back.means, ours.means, atol=3e-4)
    header = struct.pack("<IIIBBBB", 0x5053474E, 3, 5, 0, 12, 0, 0)
    (tmp_path / "bomb.spz").write_bytes(gzip.compress(header + b"\0" * (1 << 24)))
    with pytest.raises(FileFormatError, match="unpacks to more"):
        import_file(tmp_path / "bomb.spz")
    (tmp_path / "cut.spz").write_bytes(path.read_bytes()[:300])
    with pytest.raises(FileFormatError, match=r"cut\.spz"):
        import_file(tmp_path / "cut.spz")


@pytest.mark.parametrize("level", [0, 1])
def test_ksplat(level: int, tmp_path: Path) -> None:
    splats = made(40)
    count, bucket, block, steps = len(splats), 16, 0.4, 32767
    header = bytearray(4096 + 1024)
    struct.pack_into("<BBxxIIIIH", header, 0, 0, 1, 1, 1, count, count, level)
    buckets = -(-count // bucket) if level else 0
    full = count // bucket if level else 0
    struct.pack_into(
        "<IIIIfHxxIIIIH", header, 4096,
        count, count, bucket, buckets, block, 12, steps, 0, full, buckets - full, 0,
    )  # fmt: skip
    numbers = "<f4" if level == 0 else "<f2"
    row = np.dtype(
        [
            ("c", "<f4" if level == 0 else "<u2", 3),
            ("s", numbers, 3),
            ("r", numbers, 4),
            ("k", "u1", 4),
        ]
    )
    table = np.zeros(count, row)
    table["s"], table["r"] = splats.scales, splats.quats
    table["k"] = np.round(np.column_stack([splats.colors, splats.opacities]) * 255)
    body = b""
    if level:
        owner = np.arange(count) // bucket
        centers = np.stack([splats.means[owner == b].mean(0) for b in range(buckets)]).astype("<f4")
        table["c"] = np.round((splats.means - centers[owner]) / (block / 2 / steps) + steps)
        body = struct.pack("<I", count % bucket) + centers.tobytes()
    else:
        table["c"] = splats.means
    (tmp_path / "a.ksplat").write_bytes(bytes(header) + body + table.tobytes())
    assert_near(import_file(tmp_path / "a.ksplat"), splats, 1e-5, 5e-3)
    (tmp_path / "b.ksplat").write_bytes((bytes(header) + body + table.tobytes())[:-30])
    with pytest.raises(FileFormatError, match="ends within"):
        import_file(tmp_path / "b.ksplat")
