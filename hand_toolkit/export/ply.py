"""The 3D Gaussian splatting PLY (Kerbl et al. 2023, the reference code's layout).

Binary little-endian vertices with ``x y z nx ny nz f_dc_0..2 f_rest_* opacity scale_0..2
rot_0..3``: opacity as a logit, scales as natural logarithms, rotations wxyz, ``f_rest`` channel
by channel. Axes are the toolkit's own (y down, z forward), as such files come from trainers.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from ..core.conventions import SH_C0
from ..core.errors import FileFormatError, InputError
from ..core.files import atomic_write
from ..core.types import Splats
from ..geometry.rotations import normalized_quats
from .axes import sh_coefficients
from .ply_compressed import BOUNDS, PACKED, unpacked

log = logging.getLogger(__name__)

MAX_SPLATS = 20_000_000
MAX_HEADER = 1 << 16
MAX_ASCII = 1 << 30
_DTYPES = {
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
}  # fmt: skip
_DC = tuple(f"f_dc_{k}" for k in range(3))
_RGB = ("red", "green", "blue")
_REQUIRED = (
    *"xyz",
    *_DC,
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


Element = tuple[str, int, np.dtype]
"""Name, count and record of an element of a PLY file."""


def read_ply(path: Path) -> Splats:
    """Splats of a PLY file: 3DGS's, binary or ASCII, with harmonics or plain colours, or packed.

    Raises:
        InputError: the file does not exist.
        FileFormatError: damaged, hostile, or no splats.
    """
    if not path.is_file():
        raise InputError(f"the file {path} does not exist; check the path")
    with path.open("rb") as stream:
        order, elements, start = _header(path.name, stream.read(MAX_HEADER))
        stream.seek(start)
        if order == "ascii":
            tables = _ascii_tables(path, start, elements)
        else:
            tables = {}
            size = path.stat().st_size - start
            for element, count, dtype in elements:
                if dtype.itemsize * count > size:
                    raise FileFormatError(
                        f"{path.name} says {count} {element} entries of {dtype.itemsize} bytes, "
                        f"but only {size} bytes follow; the file was cut off, copy it again"
                    )
                data = stream.read(dtype.itemsize * count)
                tables[element] = np.frombuffer(data, dtype, count)
                size -= dtype.itemsize * count
    if "chunk" in tables:
        arrays = unpacked(path.name, tables["chunk"], tables["vertex"], tables.get("sh"))
        return finite_splats(path.name, arrays)
    return _splats(path.name, tables["vertex"])


def _ascii_tables(path: Path, start: int, elements: list[Element]) -> dict[str, np.ndarray]:
    """Records of an ASCII file's elements, one a line."""
    if path.stat().st_size > MAX_ASCII:
        raise FileFormatError(f"{path.name} has more than {MAX_ASCII >> 20} MiB of text")
    lines = path.read_bytes()[start:].decode("ascii", "replace").splitlines()
    lines = [line for line in lines if line.strip()]
    tables, at = {}, 0
    for element, count, dtype in elements:
        rows = [line.split() for line in lines[at : at + count]]
        at += count
        width = len(dtype.names or ())
        if len(rows) < count or any(len(row) != width for row in rows):
            raise FileFormatError(
                f"{path.name} has not {count} lines of {width} numbers for its {element} entries"
            )
        try:
            values = np.array(rows, np.float64).reshape(count, width)
        except ValueError as error:
            raise FileFormatError(f"{path.name} has text among its numbers ({error})") from error
        tables[element] = np.zeros(count, [(f, "f8") for f in dtype.names or ()])
        for k, field in enumerate(dtype.names or ()):
            tables[element][field] = values[:, k]
    return tables


def _header(name: str, head: bytes) -> tuple[str, list[Element], int]:
    """Byte order or "ascii", the elements that hold splats, and where they start."""
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
    order = ""
    found: dict[str, int] = {}
    fields: dict[str, list[tuple[str, str]]] = {}
    element = ""
    for line in lines[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) >= 2:
            order = words[1]
        elif words[0] == "element" and len(words) == 3:
            element = words[1]
            if element not in ("chunk", "vertex", "sh"):
                if "vertex" in found:
                    break  # what follows the splats is not read
                raise FileFormatError(
                    f"{name} starts with the element '{element[:40]}'; accepted are splats as "
                    "vertices, plain or compressed"
                )
            count = int(words[2]) if words[2].isdigit() and len(words[2]) < 12 else -1
            if not 0 <= count <= MAX_SPLATS or element in found:
                raise FileFormatError(
                    f"{name} says {words[2][:40]} vertices; accepted is up to {MAX_SPLATS}"
                )
            found[element], fields[element] = count, []
        elif words[0] == "property" and element in found:
            if len(words) != 3 or words[1] not in _DTYPES:
                raise FileFormatError(
                    f"{name} has the property '{line.strip()[:60]}'; accepted are plain numbers"
                )
            if any(words[2] == f for f, _ in fields[element]):
                raise FileFormatError(f"{name} has the property '{words[2][:40]}' twice")
            fields[element].append((words[2], _DTYPES[words[1]]))
    if order not in ("binary_little_endian", "binary_big_endian", "ascii"):
        raise FileFormatError(
            f"{name} has the PLY format '{order[:40]}'; accepted are binary and ascii"
        )
    has = {f for f, _ in fields.get("vertex", [])}
    if "chunk" in found:
        needed = {*PACKED} - has | {*BOUNDS} - {f for f, _ in fields["chunk"]}
    else:
        needed = {*_REQUIRED} - has
        if needed & {*_DC} and {*_RGB} <= has:
            needed -= {*_DC}
    if "vertex" not in found or needed:
        raise FileFormatError(
            f"{name} holds no Gaussian splats: "
            f"{'the property ' + min(needed) + ' is missing' if needed else 'no vertices'}"
        )
    sign = ">" if order == "binary_big_endian" else "<"
    elements = [
        (e, count, np.dtype([(f, sign + t) for f, t in fields[e]])) for e, count in found.items()
    ]
    return order, elements, newline + 1


def _splats(name: str, table: np.ndarray) -> Splats:
    def columns(*fields: str) -> np.ndarray:
        return np.stack([table[f].astype(np.float64) for f in fields], axis=1)

    rest = [f for f in table.dtype.names or () if f.startswith("f_rest_")]
    per_channel = len(rest) // 3
    if len(rest) % 3 or per_channel not in (0, 3, 8, 15):
        raise FileFormatError(f"{name} has {len(rest)} f_rest properties; accepted: 0, 9, 24, 45")
    if any(f"f_rest_{k}" not in rest for k in range(len(rest))):
        raise FileFormatError(f"{name} has f_rest properties that are not numbered from 0")
    if _DC[0] not in (table.dtype.names or ()):
        plain = columns(*_RGB)
        whole = table.dtype["red"].kind in "ui" or plain.max(initial=0) > 1
        dc = (plain / (255.0 if whole else 1.0) - 0.5) / SH_C0
    else:
        dc = columns(*_DC)
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


def finite_splats(name: str, arrays: dict[str, np.ndarray], *, whole: bool = False) -> Splats:
    """Splats of float32 arrays; a few bad ones are left out, with a warning that counts them.

    Args:
        name: of the file, for messages.
        arrays: the fields of :class:`Splats`.
        whole: refuse bad splats, where others count on their order.

    Raises:
        FileFormatError: there are none, or more than half have a value that is NaN, infinite or
            too large, or a rotation without length.
    """
    result = {}
    if not len(arrays["means"]):
        raise FileFormatError(f"{name} holds no splats")
    good = np.ones(len(arrays["means"]), bool)
    for key, value in arrays.items():
        with np.errstate(over="ignore", invalid="ignore"):
            result[key] = np.ascontiguousarray(value, dtype=np.float32)
        good &= np.isfinite(result[key].reshape(len(good), -1)).all(1)
    with np.errstate(invalid="ignore", over="ignore"):
        length = np.linalg.norm(result["quats"].astype(np.float64), axis=1)
    good &= np.isfinite(length) & (length > 1e-12)
    bad = int((~good).sum())
    if bad and (whole or 2 * bad > len(good)):
        raise FileFormatError(
            f"{name} has {bad} of {len(good)} splats with values that are NaN or infinite, or a "
            "rotation that is the zero quaternion"
        )
    if bad:
        log.warning("%s: %d of %d splats have no usable values, left out", name, bad, len(good))
        result = {key: np.ascontiguousarray(value[good]) for key, value in result.items()}
    result["quats"] = normalized_quats(result["quats"])
    return Splats(**result)
