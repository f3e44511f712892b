"""What a renderer needs of skin besides its colour: relief and roughness, from the albedo."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

ZONES_FILE = Path(__file__).with_name("skin_zones.npz")

SKIN_ROUGHNESS, PALM_ROUGHNESS, NAIL_ROUGHNESS = 0.48, 0.58, 0.26
"""Of the back of the hand, of the palm, which has no oil, and of nails."""

CREASE_ROUGHNESS = 0.5
"""Added roughness for a unit of log albedo that a place is darker than the skin around it."""

FINE_M = 0.0025
"""Standard deviation of the blur that is taken off: broader differences are colour, not relief."""

DEPTH_M = 4e-4
"""Depth of a place whose log albedo is one below the skin around it: creases are dark."""

DEEPEST = 0.35
"""Log albedo beyond which dark and bright marks are pigment, not shape."""


@lru_cache(maxsize=1)
def _zones() -> tuple[np.ndarray, np.ndarray]:
    with np.load(ZONES_FILE, allow_pickle=False) as data:
        return data["nail"] / 255.0, data["palm"] / 255.0


def nails_and_palm(hand_model: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(S, S) 1 on nails, and 1 on the palm and the pads; zeros for layouts that have no map."""
    from scipy.ndimage import zoom

    if hand_model not in ("default", "default_arm"):  # an arm's hand has the hand's layout
        return np.zeros((size, size)), np.zeros((size, size))
    nail, palm = (zoom(m, size / len(m), order=1, grid_mode=True, mode="nearest") for m in _zones())
    return nail.clip(0, 1), palm.clip(0, 1)


def fine_log_albedo(color: np.ndarray, covered: np.ndarray, texel_m: float) -> np.ndarray:
    """(S, S) how much brighter, in log albedo, a texel is than the skin around it.

    Args:
        color: (S, S, 3) sRGB in [0, 1].
        covered: (S, S) bool.
        texel_m: size of a texel on the skin, metres.
    """
    from scipy.ndimage import gaussian_filter

    from ..geometry.colour import srgb_to_linear

    log = np.log(np.maximum(srgb_to_linear(color).mean(axis=-1), 5e-3)).astype(np.float32)
    # a little blur first: single texels are the photo's noise
    log = gaussian_filter(log, 0.6 * max(1.0, 0.0003 / texel_m))
    sigma = FINE_M / texel_m
    weight = gaussian_filter(covered.astype(np.float32), sigma)
    around = gaussian_filter(log * covered, sigma) / np.maximum(weight, 1e-6)
    fine = DEEPEST * np.tanh((log - around) / DEEPEST)
    return np.where(covered, fine, 0.0)


def roughness_map(fine: np.ndarray, nail: np.ndarray, palm: np.ndarray) -> np.ndarray:
    """(S, S) perceptual roughness in [0, 1]."""
    skin = SKIN_ROUGHNESS + (PALM_ROUGHNESS - SKIN_ROUGHNESS) * palm
    skin = skin + CREASE_ROUGHNESS * np.maximum(-fine, 0)
    return np.clip(skin * (1 - nail) + NAIL_ROUGHNESS * nail, 0.05, 1.0)
