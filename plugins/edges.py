"""Masks that were made small, laid on the photo's own edges."""

from __future__ import annotations

import numpy as np

EDGE_PIXELS = 900
"""Largest size of the hand's box at which the edge is matted; past this it is soft anyway."""

BAND = 0.02
"""Half width of the band in which alpha is looked for, as a share of the square root of the
mask's pixels: a seventh of a finger."""

TRUST = 0.005
"""Of the mask within the band, see :func:`hand_toolkit.see.matting.matte`. Both numbers by the
hand-drawn outlines of all frames (``benchmarks/eyes.py outlines``)."""


def sharpen(
    crop: np.ndarray,
    mask: np.ndarray,
    skin: np.ndarray | None = None,
    doubt: np.ndarray | None = None,
) -> np.ndarray:
    """The mask at the crop's size, its edge matted: alpha as the colours on both sides say.

    Args:
        crop: (H, W, 3) uint8 of the photo.
        mask: (h, w) in [0, 1] of the same part, no larger.
        skin: (h, w) bool, skin that is not the mask's, such as a forearm: the edge to it is no edge
            of the photo and stays as it is.
        doubt: (h, w) bool, where the mask does not know; alpha is looked for there, too.

    Returns:
        (H, W) float32 in [0, 1].
    """
    import cv2

    from hand_toolkit.see.matting import matte

    full = (crop.shape[1], crop.shape[0])
    ratio = min(1.0, EDGE_PIXELS / max(full))
    size = (max(8, round(full[0] * ratio)), max(8, round(full[1] * ratio)))
    guide = cv2.resize(crop, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    prior = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    inside = (prior > 0.5).astype(np.uint8)
    reach = max(1, round(BAND * float(np.sqrt(inside.sum()))))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    unknown = (cv2.dilate(inside, kernel) > 0) & (cv2.erode(inside, kernel) == 0)
    if doubt is not None:
        unknown |= cv2.resize(doubt.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    start = np.where(unknown, prior, inside).astype(np.float32)
    if skin is not None:
        beside = cv2.resize(skin.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        unknown &= cv2.dilate(beside, kernel) == 0
    alpha = matte(guide, start, unknown, TRUST)
    return np.clip(cv2.resize(alpha, full, interpolation=cv2.INTER_LINEAR), 0.0, 1.0)
