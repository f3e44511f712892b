"""Which parts of a picture show skin like that of the hands already found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..core.conventions import KEYPOINT_PARENTS
from .crops import crop_of_points
from .views import Detection, View

SAMPLE = 48
"""Pixels of a tile's edge at which colours are compared."""

SPREADS = 2.5
"""A pixel is like skin within so many standard deviations of the hands' colour."""

LEAST_SPREAD = np.array([0.012, 0.012, 0.25])
"""Of red's and green's share and of the brightness's logarithm: so much lamps and shade change."""

LEAST_DARK = 24
"""Sum of red, green and blue below which a pixel has no colour."""

LEAST_SHARE = 0.02
"""Of a tile's pixels that show skin and no known hand."""


def skin_tiles(
    pyramid: list[np.ndarray], hands: Sequence[Detection], tiles: Sequence[View]
) -> list[View]:
    """The tiles in which enough pixels look like the hands' skin and belong to none of them.

    Args:
        pyramid: the photo and its halvings.
        hands: found ones, whose bones give the skin's colour.
        tiles: upright squares of the photo.
    """
    known = np.concatenate([_bone_colours(pyramid, hand) for hand in hands])
    if len(known) < 20:
        return list(tiles)
    middle = np.median(known, axis=0)
    spread = np.maximum(1.48 * np.median(np.abs(known - middle), axis=0), LEAST_SPREAD)
    kept = []
    for tile in tiles:
        small = replace(tile, size=SAMPLE)
        colours, lit = _colours(small.cut(pyramid))
        skin = lit & (np.abs(colours - middle) < SPREADS * spread).all(axis=-1)
        for hand in hands:
            skin &= ~_inside(small, hand)
        if skin.mean() > LEAST_SHARE:
            kept.append(tile)
    return kept


def _bone_colours(pyramid: list[np.ndarray], hand: Detection) -> np.ndarray:
    """(N, 3) colours along the hand's bones, see :func:`_colours`."""
    view = replace(crop_of_points(hand.keypoints), angle=0.0, size=96)
    colours, lit = _colours(view.cut(pyramid))
    matrix = view.matrix()
    points = hand.keypoints @ matrix[:2, :2].T + matrix[:2, 2]
    steps = np.linspace(0.1, 0.9, 7)[:, None, None]
    along = (points[KEYPOINT_PARENTS[1:]] * (1 - steps) + points[1:] * steps).reshape(-1, 2)
    x, y = np.clip(along, 0, view.size - 1).astype(int).T
    return np.asarray(colours[y, x][lit[y, x]])


def _colours(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) red and green as shares of the sum and its logarithm; (H, W) bool where that has a
    meaning."""
    values = pixels.astype(np.float32)
    total = np.maximum(values.sum(axis=-1, keepdims=True), 1.0)
    return np.concatenate([values[..., :2] / total, np.log(total)], -1), total[..., 0] > LEAST_DARK


def _inside(tile: View, hand: Detection) -> np.ndarray:
    """(SAMPLE, SAMPLE) bool: pixels of an upright tile in a disk about a hand."""
    low, high = hand.keypoints.min(axis=0), hand.keypoints.max(axis=0)
    middle, radius = (low + high) / 2, 0.6 * math.dist(low, high)
    steps = (np.arange(SAMPLE) + 0.5) / SAMPLE - 0.5
    x = tile.center[0] + steps[None] * tile.side - middle[0]
    y = tile.center[1] + steps[:, None] * tile.side - middle[1]
    return np.asarray(x**2 + y**2 < radius**2)
