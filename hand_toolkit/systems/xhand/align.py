"""Pictures drawn onto the fitted hands: what poses leave over, taken from optical flow.

Hands in twenty pictures that are each half a millimetre off blur creases and nails when their
pictures are joined, and no joint of a skeleton moves that half a millimetre. So each picture is
compared with the hand drawn in it, and warped by the smooth flow between them before skin is taken
from it again (as colour maps are aligned by Zhou and Koltun 2014, section 4.3, there with a grid).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .evidence import Shown

FARTHEST = 0.02
"""Longest flow that is believed, in parts of the picture's longer side."""

SPREAD = 0.02
"""Standard deviation, likewise, over which flow is joined: skin is smooth between its creases."""

LOCAL = 0.015
"""Of the window whose mean and contrast are taken out, so that light does not flow."""

LEAST_GAIN, FULL_GAIN = 0.0, 0.08
"""Growth of the correlation with the drawn hand from which a flow is believed, and wholly."""

LEAST_CONTRAST = 0.01
"""sRGB contrast in the window below which there is nothing to follow."""


def aligned(shown: Shown, drawn: np.ndarray, alpha: np.ndarray) -> tuple[Shown, np.ndarray]:
    """The view with its picture warped onto the hand that was drawn in it.

    Its mask stays: outlines are what the hand is still fitted to.

    Args:
        shown: the view.
        drawn: (H, W, 3) sRGB of the hand as fitted so far, at the crop's size.
        alpha: (H, W) its coverage.

    Returns:
        The warped view, and (H, W, 2) the flow in pixels: the picture's skin at p + flow(p) is
        shown at p.
    """
    import cv2

    crop = shown.crop
    both = ((alpha > 0.9) & (crop.mask > 0.9)).astype(np.float32)
    flow = _flow(drawn.astype(np.float32), crop.pixels.astype(np.float32), both)
    rows, columns = np.indices(both.shape, np.float32)
    where = columns + flow[..., 0], rows + flow[..., 1]

    moved = cv2.remap(
        crop.pixels.astype(np.float32), *where, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    pixels = np.clip(moved, 0, 1).astype(crop.pixels.dtype)
    return dataclasses.replace(shown, crop=dataclasses.replace(crop, pixels=pixels)), flow


def _flow(drawn: np.ndarray, picture: np.ndarray, both: np.ndarray) -> np.ndarray:
    """(H, W, 2) smooth flow from the drawn hand to the picture; 0 where nothing speaks for it."""
    import cv2

    side = max(both.shape)
    window, spread = LOCAL * side, SPREAD * side
    a, weight_a = _detail(drawn.mean(-1), both, window)
    b, weight_b = _detail(picture.mean(-1), both, window)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    as_bytes = [np.clip(127 + 50 * x * both, 0, 255).astype(np.uint8) for x in (a, b)]
    none = np.zeros((*both.shape, 2), np.float32)
    found: np.ndarray = search.calc(as_bytes[0], as_bytes[1], none)
    length = np.linalg.norm(found, axis=-1)
    sure = both * np.sqrt(weight_a * weight_b) * (length < FARTHEST * side)
    sure = cv2.erode(sure, np.ones((3, 3), np.uint8))
    total = _blurred(sure, spread) + 1e-3
    smooth = np.stack([_blurred(found[..., k] * sure, spread) / total for k in (0, 1)], -1)
    rows, columns = np.indices(both.shape, np.float32)
    moved = cv2.remap(
        b, columns + smooth[..., 0], rows + smooth[..., 1], cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    gain = _alike(a, moved, both, spread) - _alike(a, b, both, spread)
    believed = np.clip((gain - LEAST_GAIN) / (FULL_GAIN - LEAST_GAIN), 0, 1)
    made: np.ndarray = smooth * _blurred(believed.astype(np.float32), 0.5 * spread)[..., None]
    return made.astype(np.float32)


def _detail(grey: np.ndarray, both: np.ndarray, window: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture less its local mean over its local contrast, and how much contrast there is."""
    total = _blurred(both, window) + 1e-3
    mean = _blurred(grey * both, window) / total
    away = (grey - mean) * both
    contrast = np.sqrt(np.maximum(_blurred(away**2, window) / total, 0))
    sure = contrast**2 / (contrast**2 + LEAST_CONTRAST**2)
    return away / (contrast + LEAST_CONTRAST), sure


def _alike(a: np.ndarray, b: np.ndarray, both: np.ndarray, window: float) -> np.ndarray:
    """(H, W) correlation of two pictures without mean in a window."""
    up = _blurred(a * b * both, window)
    down = np.sqrt(_blurred(a * a * both, window) * _blurred(b * b * both, window))
    return up / (down + 1e-3)


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    import cv2

    made: np.ndarray = cv2.GaussianBlur(values.astype(np.float32), (0, 0), sigma)
    return made
