"""A photo's noise, which is no skin: found by its colour, and taken off before skin is read."""

from __future__ import annotations

import numpy as np

NOISY = 0.6
"""Fine blue beside grey over fine grey itself from which a photo is noisy. Skin's lines and pores
are dark, not coloured: clear photos have .15 to .5, dim ones of webcams and phones .75 and more."""

WINDOW_PX = 4.0
"""Standard deviation of the blur beyond which nothing counts as fine."""

STRENGTH, COLOUR_STRENGTH = 3.5, 12.0
"""Of non-local means, grey levels, on luminance and on colour."""


def colour_of_detail(pixels: np.ndarray, mask: np.ndarray) -> float:
    """How coloured fine detail is on the hands.

    Args:
        pixels: (H, W, 3) sRGB in [0, 1].
        mask: (H, W) in [0, 1].
    """
    from scipy.ndimage import binary_erosion, gaussian_filter

    inside = binary_erosion(mask > 0.9, iterations=4)
    if inside.sum() < 200:
        return 0.0
    grey = pixels @ np.array([0.299, 0.587, 0.114])
    spread = []
    for channel in (pixels[..., 2] - grey, grey):
        fine = (channel - gaussian_filter(channel, WINDOW_PX))[inside]
        spread.append(float(np.median(np.abs(fine))))
    return spread[0] / max(spread[1], 1e-4)


def without_noise(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """The picture (H, W, 3) without noise (Buades et al. 2005), or None where it has little."""
    if colour_of_detail(pixels, mask) < NOISY:
        return None
    import cv2

    levels = np.clip(pixels * 255 + 0.5, 0, 255).astype(np.uint8)
    calm = cv2.fastNlMeansDenoisingColored(levels, None, STRENGTH, COLOUR_STRENGTH, 5, 15)
    return np.asarray(calm, np.float64) / 255
