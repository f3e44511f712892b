"""Splat files other than PLY and glTF: .splat, .spz and .ksplat, read from strangers."""

from __future__ import annotations

import logging
import struct
import zlib
from pathlib import Path

import numpy as np

from ..core.conventions import SH_C0
from ..core.errors import PARSER_FAULTS, FileFormatError, missing_dependency
from ..core.types import Splats
from .ply import MAX_SPLATS, finite_splats

log = logging.getLogger(__name__)

_SPZ_BYTES_A_SPLAT = 96
"""Most bytes that SPZ 2 and 3 unpack to for a splat: 20 and three bands of harmonics."""

_KSPLAT_HEADER, _KSPLAT_SECTION = 4096, 1024
_KSPLAT_RANGE = 32767


def read_splat(path: Path) -> Splats:
    """The 32-byte records of .splat files.

    Raises:
        FileFormatError: another size, or no usable splat.
    """
    size = path.stat().st_size
    if not size or size % 32 or size > 32 * MAX_SPLATS:
        raise FileFormatError(
            f"{path.name} has {size} bytes; a .splat file has 32 for each splat, up to 20 million"
        )
    raw = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 32)
    numbers = raw[:, :24].copy().view("<f4")
    rgba = raw[:, 24:28] / 255.0
    return finite_splats(
        path.name,
        {
            "means": numbers[:, :3],
            "quats": (raw[:, 28:].astype(np.float64) - 128) / 128,
            "scales": np.abs(numbers[:, 3:]),
            "opacities": rgba[:, 3],
            "colors": rgba[:, :3],
        },
    )


def read_spz(path: Path) -> Splats:
    """SPZ files, by gsply.

    Raises:
        MissingDependencyError: gsply is not installed.
        FileFormatError: damaged, or more splats than are accepted.
    """
    try:
        import gsply
    except ImportError as error:
        raise missing_dependency("reading .spz", "gsply", "spz") from error
    _check_spz(path)
    try:
        data = gsply.read_spz(str(path))
        means = np.asarray(data.means, np.float64)
        first = np.asarray(data.sh0, np.float64).reshape(-1, 3)
        rest = np.zeros((len(means), 0, 3)) if data.shN is None else np.asarray(data.shN)
        with np.errstate(over="ignore"):
            arrays = {
                "means": means,
                "quats": np.asarray(data.quats, np.float64),
                "scales": np.exp(np.asarray(data.scales, np.float64)),
                "opacities": 1 / (1 + np.exp(-np.asarray(data.opacities, np.float64).reshape(-1))),
                "colors": np.concatenate([first[:, None], rest], axis=1)
                if rest.shape[1]
                else 0.5 + SH_C0 * first,
            }
    except PARSER_FAULTS as error:
        raise FileFormatError(f"{path.name} is a damaged SPZ file ({str(error)[:100]})") from error
    return finite_splats(path.name, arrays)


def _check_spz(path: Path) -> None:
    """Refuse what would unpack to more than its header's splats need."""
    head = path.open("rb").read(2)
    if head != b"\x1f\x8b":
        return  # version 4 has its sizes in the open
    unpack = zlib.decompressobj(wbits=31)
    total, count = 0, None
    with path.open("rb") as stream:
        try:
            while chunk := stream.read(1 << 16):
                while chunk:
                    out = unpack.decompress(chunk, 1 << 20)
                    if count is None and len(out) >= 16:
                        magic, _, count = struct.unpack_from("<III", out)
                        if magic != 0x5053474E or count > MAX_SPLATS:
                            raise FileFormatError(
                                f"{path.name} is no SPZ file, or has more than {MAX_SPLATS} splats"
                            )
                    total += len(out)
                    if total > _SPZ_BYTES_A_SPLAT * (count or 0) + 1024:
                        raise FileFormatError(f"{path.name} unpacks to more than its splats need")
                    chunk = unpack.unconsumed_tail
        except zlib.error as error:
            raise FileFormatError(f"{path.name} is a damaged SPZ file ({error})") from error


def read_ksplat(path: Path) -> Splats:
    """KSPLAT 0.1 (mkkellogg/GaussianSplats3D, ``SplatBuffer``); band 0 of the colours.

    Raises:
        FileFormatError: damaged, another version, or no usable splat.
    """
    data = path.read_bytes()
    if len(data) < _KSPLAT_HEADER or data[0] != 0 or data[1] < 1:
        raise FileFormatError(f"{path.name} is not a KSPLAT file of version 0.1")
    sections, _, _, count, level = struct.unpack_from("<IIIIH", data, 4)
    start = _KSPLAT_HEADER + sections * _KSPLAT_SECTION
    if level > 2 or count > MAX_SPLATS or start > len(data):
        raise FileFormatError(f"{path.name} has a damaged KSPLAT header")
    parts = []
    for k in range(sections):
        part, start = _ksplat_section(path.name, data, _KSPLAT_HEADER + k * _KSPLAT_SECTION,
                                      start, level)  # fmt: skip
        parts.append(part)
    columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    if len(columns["means"]) != count:
        raise FileFormatError(
            f"{path.name} says {count} splats and has {len(columns['means'])}; copy it again"
        )
    return finite_splats(path.name, columns)


def _ksplat_section(
    name: str, data: bytes, at: int, start: int, level: int
) -> tuple[dict[str, np.ndarray], int]:
    """Columns of one section, and where the next one starts."""
    count, most, bucket, buckets = struct.unpack_from("<IIII", data, at)
    (block,) = struct.unpack_from("<f", data, at + 16)
    (stored,) = struct.unpack_from("<H", data, at + 20)
    (steps,) = struct.unpack_from("<I", data, at + 24)
    full, partial = struct.unpack_from("<II", data, at + 32)
    (degree,) = struct.unpack_from("<H", data, at + 40)
    if degree > 3 or count > most:
        raise FileFormatError(f"{name} has a damaged KSPLAT section")
    harmonics = 3 * ((degree + 1) ** 2 - 1)
    number = "<f4" if level == 0 else "<f2"
    fields = [
        ("center", "<f4" if level == 0 else "<u2", 3),
        ("scale", number, 3),
        ("turn", number, 4),
        ("rgba", "u1", 4),
        ("sh", ("<f4", "<f2", "u1")[level], harmonics),
    ]
    row = np.dtype([field for field in fields if field[2]])
    sizes = partial * 4
    rows = start + sizes + stored * buckets
    end = rows + row.itemsize * most
    if end > len(data):
        raise FileFormatError(f"{name} ends within its splats; copy it again")
    table = np.frombuffer(data, row, count, rows)
    means = table["center"].astype(np.float64)
    if level:
        lengths = np.concatenate(
            [np.full(full, bucket), np.frombuffer(data, "<u4", partial, start)]
        ).astype(np.int64)
        owner = np.repeat(np.arange(len(lengths)), np.minimum(lengths, count))[:count]
        if len(owner) < count or stored < 12 or len(lengths) > buckets:
            raise FileFormatError(f"{name} has splats outside its KSPLAT buckets")
        raw = np.frombuffer(data, "u1", stored * buckets, start + sizes).reshape(buckets, stored)
        centers = np.ascontiguousarray(raw[:, :12]).view("<f4")
        steps = steps or _KSPLAT_RANGE
        means = (means - steps) * (block / 2 / steps) + centers[owner]
    if degree:
        log.info("%s: its view-dependent colour is left out", name)
    rgba = table["rgba"] / 255.0
    return {
        "means": means,
        "quats": table["turn"].astype(np.float64),
        "scales": np.abs(table["scale"].astype(np.float64)),
        "opacities": rgba[:, 3],
        "colors": rgba[:, :3],
    }, end
