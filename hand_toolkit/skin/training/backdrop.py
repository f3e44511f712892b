"""What is behind a hand in a synthetic photo: walls, slabs, bottles, sleeves, other skin."""

from __future__ import annotations

import numpy as np


def noise_picture(
    rng: np.random.Generator, shape: tuple[int, int], scales: tuple[int, ...] = (4, 12, 40)
) -> np.ndarray:
    """(H, W, 3) float32 noise about 0 of several scales in pixels, smooth or blocky."""
    import cv2

    result = np.zeros((*shape, 3), np.float32)
    for scale in scales:
        low = (max(2, shape[0] // scale), max(2, shape[1] // scale), 3)
        small = rng.normal(size=low).astype(np.float32)
        how = int(rng.choice([cv2.INTER_CUBIC, cv2.INTER_NEAREST]))
        result += cv2.resize(small, shape[::-1], interpolation=how) * rng.uniform(0, 0.6)
    return result


def paint_backdrop(rng: np.random.Generator, size: int, skin: np.ndarray) -> np.ndarray:
    """(S, S, 3) linear colours, often near the skin's (3,): wood, faces, cardboard."""
    import cv2

    alike = rng.random() < 0.4
    base = np.log(skin) + rng.normal(size=3) * 0.35 if alike else np.log(rng.uniform(0.02, 0.9, 3))
    grey = rng.random() < 0.4
    picture = base + noise_picture(rng, (size, size)) * rng.uniform(0, 1.2)
    picture = np.ascontiguousarray(picture, np.float32)
    for _ in range(int(rng.integers(0, 7))):
        corners = (rng.uniform(-0.1, 1.1, (4, 2)) * size).astype(np.int32)
        color = [float(v) for v in np.log(rng.uniform(0.01, 0.95, 3))]
        cv2.fillConvexPoly(picture, cv2.convexHull(corners), color)
    if grey:
        picture = picture.mean(2, keepdims=True) + rng.normal(size=3) * 0.05
    return np.exp(np.clip(picture, -4.5, 0.2))
