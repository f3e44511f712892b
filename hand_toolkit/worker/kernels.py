"""Compiled loops of the worker: numpy takes 150 ms for what these do to a 1080p frame in 10."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, fastmath=True)
def encode(  # type: ignore[no-untyped-def]
    color, alpha, mean_depth, fringe, transparent, ground, table, far, shown, pixels, depth
):
    """Fill ``pixels`` (H, W, 4) and ``depth`` (H, W), bottom row first, from top-row-first input.

    Args:
        color: (H, W, 3) sRGB with the background blended in (black where ``transparent``).
        alpha, mean_depth: (H, W) of the splats.
        fringe: splats this much before the skin, metres, belong to another finger that they
            overhang by a pixel or two, and the skin there is hidden.
        transparent: divide by alpha before decoding and multiply after.
        ground: (4,) pixel where no hand is.
        table: (N + 1,) sRGB decoding of 0 to 1.
        far: depth of pixels below ``shown`` alpha.
        shown: see ``far``.
        pixels: output.
        depth: that of the skin's mesh, ``far`` outside it; in and out.
    """
    height, width = alpha.shape
    steps = np.float32(len(table) - 1)
    least = np.float32(1e-4) if transparent else np.float32(0.0)
    for y in range(height):
        row = height - 1 - y
        for x in range(width):
            a = alpha[y, x]
            if a < shown:
                depth[row, x] = far
            elif depth[row, x] >= mean_depth[y, x] + fringe:
                depth[row, x] = mean_depth[y, x]
            if a <= least:
                pixels[row, x, 0] = ground[0]
                pixels[row, x, 1] = ground[1]
                pixels[row, x, 2] = ground[2]
                pixels[row, x, 3] = ground[3]
                continue
            keep = a if transparent else np.float32(1.0)
            inverse = np.float32(1.0) / keep
            for c in range(3):
                value = min(max(color[y, x, c] * inverse, np.float32(0.0)), np.float32(1.0)) * steps
                index = min(int(value), len(table) - 2)
                part = value - np.float32(index)
                linear = table[index] + part * (table[index + 1] - table[index])
                pixels[row, x, c] = linear * keep
            pixels[row, x, 3] = keep
