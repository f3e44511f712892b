"""The sRGB curve (IEC 61966-2-1), for numpy arrays and torch tensors, and CIE L*a*b*."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._arrays import where


def srgb_to_linear(srgb: Any) -> Any:
    """Linear values of sRGB-encoded ones in [0, 1]; any shape, the same kind of array."""
    if not hasattr(srgb, "clip"):
        srgb = np.asarray(srgb)
    # the power's base is kept off zero, where its gradient would be NaN times zero
    high = ((srgb.clip(min=0.04045) + 0.055) / 1.055) ** 2.4
    return where(srgb <= 0.04045, srgb / 12.92, high)


def srgb_curve(linear: Any) -> Any:
    """sRGB-encoded values of linear ones; not clipped, so it goes on above 1 (and below 0)."""
    if not hasattr(linear, "clip"):
        linear = np.asarray(linear)
    high = 1.055 * linear.clip(min=0.0031308) ** (1 / 2.4) - 0.055
    return where(linear <= 0.0031308, 12.92 * linear, high)


def linear_to_srgb(linear: Any) -> Any:
    """sRGB-encoded values of linear ones, clipped to [0, 1]; any shape, the same kind of array."""
    if not hasattr(linear, "clip"):
        linear = np.asarray(linear)
    return srgb_curve(linear.clip(0.0, 1.0))


TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
"""Linear sRGB to CIE XYZ (IEC 61966-2-1)."""

WHITE_D65 = TO_XYZ.sum(axis=1)
_CORNER = 6 / 29


def linear_to_lab(linear: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (..., 3) under D65 of linear sRGB (..., 3) (CIE 15:2004, section 8.2.1)."""
    ratio = np.asarray(linear, np.float64) @ TO_XYZ.T / WHITE_D65
    root = np.where(ratio > _CORNER**3, np.cbrt(ratio), ratio / (3 * _CORNER**2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_linear(lab: np.ndarray) -> np.ndarray:
    """Linear sRGB (..., 3) of CIE L*a*b* (..., 3) under D65; not clipped."""
    light, a, b = np.moveaxis(np.asarray(lab, np.float64), -1, 0)
    y = (light + 16) / 116
    root = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    ratio = np.where(root > _CORNER, root**3, 3 * _CORNER**2 * (root - 4 / 29))
    return ratio * WHITE_D65 @ np.linalg.inv(TO_XYZ).T
