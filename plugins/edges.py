"""Masks that were made small, laid on the photo's own edges."""

from __future__ import annotations

import numpy as np

EDGE_PIXELS = 1400
"""Largest size of the hand's box at which the edge is sharpened."""


def sharpen(crop: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The small mask at the crop's size, its edge following the picture's edges.

    Args:
        crop: (H, W, 3) uint8 of the photo.
        mask: (h, w) in [0, 1] of the same part, no larger.

    Returns:
        (H, W) float32 in [0, 1].
    """
    import cv2

    full = (crop.shape[1], crop.shape[0])
    # The filter needs fifteen float pictures of its size; past this the edge is soft anyway.
    ratio = min(1.0, EDGE_PIXELS / max(full))
    size = (max(8, round(full[0] * ratio)), max(8, round(full[1] * ratio)))
    guide = cv2.resize(crop, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    large = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    radius = max(2, round(2.5 * size[0] / mask.shape[1]))
    # Guided filter (He et al. 2013): locally linear in the photo, so edges line up.
    filtered = cv2.ximgproc.guidedFilter(guide, large, radius, 1e-4)
    edge = np.clip((filtered - 0.5) * 4.0 + 0.5, 0.0, 1.0).astype(np.float32)
    return np.clip(cv2.resize(edge, full, interpolation=cv2.INTER_LINEAR), 0.0, 1.0)
