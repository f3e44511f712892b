"""The 3D Gaussian splatting PLY (Kerbl et al. 2023, the reference code's layout).

Binary little-endian vertices with ``x y z nx ny nz f_dc_0..2 f_rest_* opacity scale_0..2
rot_0..3``: opacity as a logit, scales as natural logarithms, rotations wxyz, ``f_rest`` channel
by channel. Axes are the toolkit's own (y down, z forward), as such files come from trainers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.conventions import SH_C0
from ..core.errors import FileFormatError, InputError
from ..core.files import atomic_write
from ..core.types import Splats
from ..geometry.rotations import normalized_quats
from .axes import sh_coefficients

MAX_SPLATS = 20_000_000
MAX_HEADER = 1 << 16
_DTYPES = {
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
}  # fmt: skip
_REQUIRED = (
    *"xyz",
    *(f"f_dc_{k}" for k in range(3)),
    "opacity",
    *(f"scale_{k}" for k in range(3)),
    *(f"rot_{k}" for k in range(4)),
)


def ply_bytes(splats: Splats, comment: str = "") -> bytes:
    """The splats as a file's bytes.

    Args:
        splats: N splats.
        comment: one line for the header.
    """
    n = len(splats)
    sh = sh_coefficients(splats.colors)
    rest = sh[:, 1:].transpose(0, 2, 1).reshape(n, -1)
    opacity = np.clip(np.asarray(splats.opacities, np.float64), 1e-6, 1 - 1e-6)
    columns = [
        np.asarray(splats.means, np.float32),
        np.zeros((n, 3), np.float32),
        sh[:, 0],
        rest,
        np.log(opacity / (1 - opacity))[:, None],
        np.log(np.maximum(np.asarray(splats.scales, np.float64), 1e-9)),
        normalized_quats(splats.quats),
    ]
    names = [
        *"xyz",
        *("nx", "ny", "nz"),
        *(f"f_dc_{k}" for k in range(3)),
        *(f"f_rest_{k}" for k in range(rest.shape[1])),
        "opacity",
        *(f"scale_{k}" for k in range(3)),
        *(f"rot_{k}" for k in range(4)),
    ]
    lines = ["ply", "format binary_little_endian 1.0"]
    if comment:
        printable = "".join(c if " " <= c <= "~" else "?" for c in comment)
        lines.append(f"comment {printable[:200]}")
    lines += [f"element vertex {n}", *(f"property float {name}" for name in names), "end_header"]
    table = np.concatenate([np.asarray(c, "<f4") for c in columns], axis=1)
    return "\n".join([*lines, ""]).encode("ascii") + np.ascontiguousarray(table, "<f4").tobytes()


def write_ply(path: str | Path, splats: Splats, comment: str = "hand-toolkit") -> Path:
    """Write splats, in the toolkit's axes, to ``path``.

    Raises:
        InputError: the file cannot be written.
    """
    atomic_write(path, ply_bytes(splats, comment))
    return Path(path)


def read_ply(path: Path) -> Splats:
    """Splats of a 3DGS PLY file.

    Raises:
        InputError: the file does not exist.
        FileFormatError: damaged, hostile, compressed, or no splats.
    """
    if not path.is_file():
        raise InputError(f"the file {path} does not exist; check the path")
    with path.open("rb") as stream:
        head = stream.read(MAX_HEADER)
        count, dtype, start = _header(path.name, head)
        size = path.stat().st_size - start
        if dtype.itemsize * count > size:
            raise FileFormatError(
                f"{path.name} says {count} splats of {dtype.itemsize} bytes, but only {size} bytes "
                "follow its header; the file was cut off, copy it again"
            )
        stream.seek(start)
        table = np.frombuffer(stream.read(dtype.itemsize * count), dtype, count)
    return _splats(path.name, table)


def _header(name: str, head: bytes) -> tuple[int, np.dtype, int]:
    """Vertex count, record layout and where the records start."""
    if not head.startswith((b"ply\n", b"ply\r\n")):
        raise FileFormatError(f"{name} is not a PLY file; its first line is not 'ply'")
    end = head.find(b"end_header")
    newline = head.find(b"\n", end) if end >= 0 else -1
    if newline < 0:
        raise FileFormatError(f"{name} has no 'end_header' in its first {MAX_HEADER} bytes")
    try:
        lines = head[:end].decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{name} has a PLY header that is not ASCII text") from error
    order, element, count = "", "", -1
    fields: list[tuple[str, str]] = []
    for line in lines[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) >= 2:
            order = words[1]
        elif words[0] == "element" and len(words) == 3:
            if count < 0 and words[1] != "vertex":
                raise FileFormatError(
                    f"{name} starts with the element '{words[1][:40]}'; accepted is a plain 3DGS "
                    "PLY with vertices (convert compressed ones with splat-transform)"
                )
            element = words[1]
            if element == "vertex":
                count = int(words[2]) if words[2].isdigit() and len(words[2]) < 12 else -1
                if not 0 <= count <= MAX_SPLATS:
                    raise FileFormatError(
                        f"{name} says {words[2][:40]} vertices; accepted is up to {MAX_SPLATS}"
                    )
        elif words[0] == "property" and element == "vertex":
            if len(words) != 3 or words[1] not in _DTYPES:
                raise FileFormatError(
                    f"{name} has the property '{line.strip()[:60]}'; accepted are plain numbers"
                )
            if any(words[2] == f for f, _ in fields):
                raise FileFormatError(f"{name} has the property '{words[2][:40]}' twice")
            fields.append((words[2], _DTYPES[words[1]]))
    if order not in ("binary_little_endian", "binary_big_endian"):
        raise FileFormatError(f"{name} has the PLY format '{order[:40]}'; accepted is binary")
    missing = [f for f in _REQUIRED if f not in {n for n, _ in fields}]
    if count < 0 or missing:
        raise FileFormatError(
            f"{name} holds no Gaussian splats: "
            f"{'the property ' + missing[0] + ' is missing' if missing else 'no vertices'}"
        )
    sign = "<" if order == "binary_little_endian" else ">"
    return count, np.dtype([(f, sign + t) for f, t in fields]), newline + 1


def _splats(name: str, table: np.ndarray) -> Splats:
    def columns(*fields: str) -> np.ndarray:
        return np.stack([table[f].astype(np.float64) for f in fields], axis=1)

    rest = [f for f in table.dtype.names or () if f.startswith("f_rest_")]
    per_channel = len(rest) // 3
    if len(rest) % 3 or per_channel not in (0, 3, 8, 15):
        raise FileFormatError(f"{name} has {len(rest)} f_rest properties; accepted: 0, 9, 24, 45")
    if any(f"f_rest_{k}" not in rest for k in range(len(rest))):
        raise FileFormatError(f"{name} has f_rest properties that are not numbered from 0")
    dc = columns("f_dc_0", "f_dc_1", "f_dc_2")
    if rest:
        higher = columns(*(f"f_rest_{k}" for k in range(len(rest))))
        higher = higher.reshape(-1, 3, per_channel).transpose(0, 2, 1)
        colors = np.concatenate([dc[:, None], higher], axis=1)
    else:
        colors = 0.5 + SH_C0 * dc
    with np.errstate(over="ignore"):
        opacity = 1 / (1 + np.exp(-columns("opacity")[:, 0]))
        scales = np.exp(columns("scale_0", "scale_1", "scale_2"))
    arrays = {
        "means": columns("x", "y", "z"),
        "quats": columns("rot_0", "rot_1", "rot_2", "rot_3"),
        "scales": scales,
        "opacities": opacity,
        "colors": colors,
    }
    return finite_splats(name, arrays)


def finite_splats(name: str, arrays: dict[str, np.ndarray]) -> Splats:
    """Splats of float32 arrays.

    Raises:
        FileFormatError: a value is NaN, infinite or too large, or a rotation has no length.
    """
    result = {}
    for key, value in arrays.items():
        with np.errstate(over="ignore", invalid="ignore"):
            value = np.ascontiguousarray(value, dtype=np.float32)
        if not np.isfinite(value).all():
            bad = int((~np.isfinite(value)).sum())
            raise FileFormatError(f"{name} has {bad} {key} values that are NaN or infinite")
        result[key] = value
    length = np.linalg.norm(result["quats"].astype(np.float64), axis=1)
    if len(length) and length.min() < 1e-12:
        raise FileFormatError(f"{name} has a splat whose rotation is the zero quaternion")
    result["quats"] = normalized_quats(result["quats"])
    return Splats(**result)
