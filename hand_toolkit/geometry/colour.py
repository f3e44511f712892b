"""The sRGB curve (IEC 61966-2-1), for numpy arrays and torch tensors."""

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
