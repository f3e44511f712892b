"""Bad cameras: what turns a clean picture into a photo as people have them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

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
    picture = cv2.transform(picture, _color_matrix(rng, np.asarray(cv2.mean(picture)[:3])))
    y, x = rng.integers(0, NOISE_SIZE - size, 2) if size < NOISE_SIZE else (0, 0)
    grain = _noise()[y : y + size, x : x + size]
    picture = cv2.addWeighted(picture, 1.0, grain, float(abs(rng.normal()) * 6), 0.0)
    out = np.asarray(cv2.convertScaleAbs(cv2.max(picture, 0.0)))  # type: ignore[call-overload]
    if rng.random() < 0.4:
        curve = 255 * (np.arange(256) / 255) ** np.exp(rng.normal() * 0.3)
        out = np.asarray(cv2.LUT(out, curve.astype(np.uint8)))
    if rng.random() < 0.35:
        quality = int(rng.integers(22, 95))
        coded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        out = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return out


NOISE_SIZE = 384
"""A sheet of noise from which pieces are cut: drawing it anew takes longer than all the rest."""


@lru_cache(maxsize=1)
def _noise() -> np.ndarray:
    rng = np.random.default_rng(47)
    return np.asarray(rng.standard_normal((NOISE_SIZE, NOISE_SIZE, 3), np.float32))


def _color_matrix(rng: np.random.Generator, mean: np.ndarray) -> np.ndarray:
    """(3, 4) saturation, cast, brightness and contrast as one affine map of colours."""
    saturation = 0.0 if rng.random() < 0.1 else float(np.exp(rng.normal() * 0.3))
    matrix = saturation * np.eye(3) + (1 - saturation) / 3
    matrix = np.exp(rng.normal(size=3) * 0.1 + rng.normal() * 0.22)[:, None] * matrix
    middle = float((matrix @ mean).mean())
    contrast = float(np.exp(rng.normal() * 0.2))
    offset = middle * (1 - contrast) + rng.normal() * 8
    return np.concatenate([contrast * matrix, np.full((3, 1), offset)], axis=1)


def _moved(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Motion blur along a line."""
    import cv2

    length = int(rng.integers(3, 15))
    kernel: Any = np.zeros((length, length), np.float32)
    way = rng.normal(size=2)
    way = way / np.linalg.norm(way) * length / 2
    start = (int(length / 2 - way[0]), int(length / 2 - way[1]))
    end = (int(length / 2 + way[0]), int(length / 2 + way[1]))
    cv2.line(kernel, start, end, (1.0,))
    return np.asarray(cv2.filter2D(picture, -1, kernel / max(float(kernel.sum()), 1.0)))
