"""PLY as SuperSplat and splat-transform compress it: 256 splats share a chunk's bounds.

A vertex is four 32-bit words (``packed_position`` 11-10-11 bits, ``packed_rotation`` the largest
component's number and the other three in 10 bits, ``packed_scale`` 11-10-11, ``packed_color``
RGBA in 8 bits); the element ``sh`` has bytes of the harmonics, channel by channel.
"""

from __future__ import annotations

import numpy as np

from ..core.conventions import SH_C0
from ..core.errors import FileFormatError

CHUNK = 256
BOUNDS = tuple(
    f"{end}_{what}{axis}" for end in ("min", "max") for what in ("", "scale_") for axis in "xyz"
)
PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")


def unpacked(
    name: str, chunks: np.ndarray, vertices: np.ndarray, sh: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Columns of the splats.

    Args:
        name: for messages.
        chunks: (C,) records with ``min_x`` ... ``max_scale_z`` and perhaps ``min_r`` ... ``max_b``.
        vertices: (N,) records with ``packed_*``.
        sh: (N,) records with ``f_rest_*`` bytes, or None.

    Raises:
        FileFormatError: fewer chunks than the splats need.
    """
    count = len(vertices)
    if len(chunks) * CHUNK < count:
        raise FileFormatError(f"{name} has {len(chunks)} chunks for {count} splats; copy it again")
    owner = np.arange(count) // CHUNK

    def bounded(word: str, bits: tuple[int, int, int], prefix: str) -> np.ndarray:
        low, high = (
            np.stack([chunks[f"{end}_{prefix}{axis}"].astype(np.float64) for axis in "xyz"], 1)
            for end in ("min", "max")
        )
        part = _fractions(vertices[word], bits)
        return low[owner] + part * (high - low)[owner]

    word = vertices["packed_rotation"].astype(np.uint32)
    three = (_fractions(word & 0x3FFFFFFF, (10, 10, 10)) - 0.5) * np.sqrt(2)
    largest = (word >> 30).astype(int)
    quats = np.zeros((count, 4))
    for k in range(4):
        rows = largest == k
        others = [j for j in range(4) if j != k]
        quats[np.ix_(rows, others)] = three[rows]
        quats[rows, k] = np.sqrt(np.clip(1 - (three[rows] ** 2).sum(1), 0, 1))
    color = vertices["packed_color"].astype(np.uint32)
    rgba = np.stack([(color >> shift & 255) / 255 for shift in (24, 16, 8, 0)], 1)
    rgb = rgba[:, :3]
    if "min_r" in (chunks.dtype.names or ()):
        low, high = (
            np.stack([chunks[f"{end}_{c}"].astype(np.float64) for c in "rgb"], 1)
            for end in ("min", "max")
        )
        rgb = low[owner] + rgb * (high - low)[owner]
    colors = rgb
    if sh is not None and len(sh.dtype.names or ()):
        fields = sh.dtype.names or ()
        rest = np.stack([sh[f].astype(np.float64) for f in fields], 1)
        rest = ((rest + 0.5) / 256 - 0.5) * 8
        rest = rest.reshape(count, 3, -1).transpose(0, 2, 1)
        colors = np.concatenate([((rgb - 0.5) / SH_C0)[:, None], rest], axis=1)
    return {
        "means": bounded("packed_position", (11, 10, 11), ""),
        "quats": quats,
        "scales": np.exp(bounded("packed_scale", (11, 10, 11), "scale_")),
        "opacities": rgba[:, 3],
        "colors": colors,
    }


def _fractions(words: np.ndarray, bits: tuple[int, int, int]) -> np.ndarray:
    """(N, 3) in [0, 1] of three fields, the first in the highest bits."""
    words = words.astype(np.uint32)
    shifts = (bits[1] + bits[2], bits[2], 0)
    return np.stack(
        [(words >> s & ((1 << b) - 1)) / ((1 << b) - 1) for s, b in zip(shifts, bits)], 1
    )
