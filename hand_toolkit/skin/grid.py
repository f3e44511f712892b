"""The completion network's grid, and the way to it from a layout of any size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .uv_layout import UVLayout, uv_layout

GRID = 192
"""Side of the network's grid, texels of 1.5 mm."""


def spread(values: np.ndarray, layout: UVLayout) -> np.ndarray:
    """(S, S, C) float32 picture of texel values (N, C), 0 off the layout."""
    picture = np.zeros((layout.size * layout.size, values.shape[1]), np.float32)
    picture[layout.index] = values
    return picture.reshape(layout.size, layout.size, -1)


def shrink(values: np.ndarray, layout: UVLayout, size: int) -> np.ndarray:
    """(size, size, C) means over each grid texel's covered part of texel values (N, C).

    0 where less than ``LEAST`` is covered.
    """
    import cv2

    picture, cover = spread(values, layout), cover_share(layout, size)
    channels = [
        cv2.resize(picture[..., c], (size, size), interpolation=cv2.INTER_AREA)
        for c in range(picture.shape[2])
    ]
    held = np.stack(channels, axis=2) / np.maximum(cover, LEAST)[..., None]
    return held * (cover > LEAST)[..., None]


LEAST = 0.4
"""Grid texels with a smaller covered part count as empty."""


@lru_cache(maxsize=8)
def cover_share(layout: UVLayout, size: int) -> np.ndarray:
    """(size, size) covered part of each grid texel."""
    import cv2

    covered = layout.covered.astype(np.float32)
    return np.asarray(cv2.resize(covered, (size, size), interpolation=cv2.INTER_AREA))


def grid_cover(hand_model: str = "default") -> np.ndarray:
    """(GRID, GRID) bool: what the network sees as the hand."""
    return cover_share(uv_layout(hand_model, 2 * GRID), GRID) > LEAST
