"""Bad cameras: what turns a clean picture into a photo as people have them."""

from __future__ import annotations

import numpy as np


def photographed(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """A picture with blur, colour cast, contrast, noise and JPEG blocks, each now and then.

    Args:
        rng: of all choices.
        picture: (S, S, 3) in [0, 255], sRGB.

    Returns:
        (S, S, 3) uint8.
    """
    import cv2

    picture = picture.astype(np.float32)
    size = picture.shape[0]
    if rng.random() < 0.3:
        small = int(rng.uniform(0.2, 0.8) * size)
        how = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
        shrunk = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        picture = np.asarray(cv2.resize(shrunk, (size, size), interpolation=how))
    if rng.random() < 0.25:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 2.8))))
    if rng.random() < 0.1:
        picture = _moved(rng, picture)
    grey = picture.mean(-1, keepdims=True)
    saturation = 0.0 if rng.random() < 0.1 else float(np.exp(rng.normal() * 0.3))
    picture = grey + (picture - grey) * saturation
    picture = picture * np.exp(rng.normal(size=3) * 0.1 + rng.normal() * 0.22)
    middle = picture.mean()
    picture = middle + (picture - middle) * np.exp(rng.normal() * 0.2) + rng.normal() * 8
    if rng.random() < 0.4:
        picture = 255 * (np.clip(picture, 0, 255) / 255) ** np.exp(rng.normal() * 0.3)
    noise = rng.standard_normal(picture.shape, np.float32)
    picture = np.clip(picture + noise * abs(rng.normal()) * 6, 0, 255)
    out = picture.astype(np.uint8)
    if rng.random() < 0.35:
        quality = int(rng.integers(22, 95))
        coded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        out = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return out


def _moved(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Motion blur along a line."""
    import cv2

    length = int(rng.integers(3, 15))
    kernel = np.zeros((length, length), np.float32)
    way = rng.normal(size=2)
    way = way / np.linalg.norm(way) * length / 2
    start = (int(length / 2 - way[0]), int(length / 2 - way[1]))
    end = (int(length / 2 + way[0]), int(length / 2 + way[1]))
    cv2.line(kernel, start, end, 1.0)
    return np.asarray(cv2.filter2D(picture, -1, kernel / max(float(kernel.sum()), 1.0)))
