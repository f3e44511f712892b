"""Gradient noise in three dimensions, seeded, fast enough for megatexel skins."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np


@cache
def _kernel() -> Any:
    from ..core.jit import compiled

    @compiled()
    def perlin(points: Any, table: Any, gradients: Any, out: Any) -> None:
        for i in range(points.shape[0]):
            x, y, z = points[i, 0], points[i, 1], points[i, 2]
            fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
            ix, iy, iz = int(fx) & 255, int(fy) & 255, int(fz) & 255
            x, y, z = x - fx, y - fy, z - fz
            u = x * x * x * (x * (x * 6 - 15) + 10)
            v = y * y * y * (y * (y * 6 - 15) + 10)
            w = z * z * z * (z * (z * 6 - 15) + 10)
            total = 0.0
            for a in range(2):
                for b in range(2):
                    for c in range(2):
                        h = table[(table[(table[(ix + a) & 255] + iy + b) & 255] + iz + c) & 255]
                        g = gradients[h & 15]
                        dot = g[0] * (x - a) + g[1] * (y - b) + g[2] * (z - c)
                        weight = (u if a else 1 - u) * (v if b else 1 - v) * (w if c else 1 - w)
                        total += weight * dot
            out[i] = total

    return perlin


_GRADIENTS = np.array(
    [
        [1, 1, 0], [-1, 1, 0], [1, -1, 0], [-1, -1, 0], [1, 0, 1], [-1, 0, 1], [1, 0, -1],
        [-1, 0, -1], [0, 1, 1], [0, -1, 1], [0, 1, -1], [0, -1, -1], [1, 1, 0], [-1, 1, 0],
        [0, -1, 1], [0, -1, -1],
    ],
    dtype=np.float64,
)  # fmt: skip


def noise(
    points: np.ndarray, frequency: float, seed: int, octaves: int = 1, gain: float = 0.5
) -> np.ndarray:
    """Perlin's improved gradient noise (2002), summed over octaves, about -1 to 1.

    Args:
        points: (..., 3) metres.
        frequency: cells per metre of the first octave; doubles with each octave.
        seed: same seed, same noise.
        octaves: how many to add.
        gain: amplitude ratio of an octave to the one before.

    Returns:
        (...,) float64.
    """
    rng = np.random.default_rng([seed, 7])
    table = rng.permutation(256)
    flat = np.ascontiguousarray(np.reshape(points, (-1, 3)), dtype=np.float64)
    total, weight, amplitude = np.zeros(len(flat)), 0.0, 1.0
    buffer = np.empty(len(flat))
    for octave in range(octaves):
        shift = rng.uniform(0, 255, 3)
        _kernel()(flat * (frequency * 2**octave) + shift, table, _GRADIENTS, buffer)
        total += amplitude * buffer
        weight += amplitude
        amplitude *= gain
    return (total / weight * 1.4).reshape(np.shape(points)[:-1])
