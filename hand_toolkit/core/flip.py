"""FLIP: perceived difference between two pictures that alternate (Andersson et al. 2020).

Weight-free; written from the paper's equations (LDR-FLIP), for 67 pixels per degree.
"""

from __future__ import annotations

import numpy as np

from ..geometry.colour import srgb_to_linear

PIXELS_PER_DEGREE = 67.0
"""A 0.7 m wide 4K monitor seen from 0.7 m, the paper's default."""

_RGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = _RGB_TO_XYZ.sum(1)
_QC, _PC, _PT, _QF = 0.7, 0.4, 0.95, 0.5
_FEATURE_WIDTH = 0.082


def _opponent(xyz: np.ndarray) -> np.ndarray:
    """XYZ to YCxCz (eq. 1)."""
    x, y, z = np.moveaxis(xyz / _WHITE, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _from_opponent(ycc: np.ndarray) -> np.ndarray:
    y = (ycc[..., 0] + 16) / 116
    return np.stack([y + ycc[..., 1] / 500, y, y - ycc[..., 2] / 200], -1) * _WHITE


def _lab(xyz: np.ndarray) -> np.ndarray:
    ratio = xyz / _WHITE
    delta = 6 / 29
    f = np.where(ratio > delta**3, np.cbrt(np.maximum(ratio, 0)), ratio / (3 * delta**2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    light = 116 * y - 16
    # Hunt effect (eq. 5): chroma counts less in the dark
    return np.stack([light, 0.01 * light * 500 * (x - y), 0.01 * light * 200 * (y - z)], -1)


def _hyab(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    d = a - b
    return np.abs(d[..., 0]) + np.hypot(d[..., 1], d[..., 2])


def _filtered(srgb: np.ndarray, ppd: float) -> np.ndarray:
    """Spatially filtered by the contrast sensitivity, as Lab with the Hunt effect."""
    from scipy.ndimage import convolve1d

    ycc = _opponent(srgb_to_linear(srgb) @ _RGB_TO_XYZ.T)
    # sums of Gaussians: weight a, width b in degrees squared (table 1)
    curves = (((1.0, 0.0047),), ((1.0, 0.0053),), ((34.1, 0.04), (13.5, 0.025)))
    radius = int(np.ceil(3 * np.sqrt(0.04 / (2 * np.pi**2)) * ppd))
    x = np.arange(-radius, radius + 1) / ppd
    out = np.empty_like(ycc)
    for channel, terms in enumerate(curves):
        total, weight = np.zeros_like(ycc[..., 0]), 0.0
        for a, b in terms:
            kernel = np.exp(-(np.pi**2) * x**2 / b)
            factor = a * np.pi / b * kernel.sum() ** 2
            kernel = kernel / kernel.sum()
            smooth = convolve1d(ycc[..., channel], kernel, axis=0, mode="nearest")
            total += factor * convolve1d(smooth, kernel, axis=1, mode="nearest")
            weight += factor
        out[..., channel] = total / weight
    linear = np.clip(_from_opponent(out) @ np.linalg.inv(_RGB_TO_XYZ).T, 0, 1)
    return _lab(linear @ _RGB_TO_XYZ.T)


def _features(srgb: np.ndarray, ppd: float) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes of edges and points in normalised luminance (section 4.2)."""
    from scipy.ndimage import convolve1d

    y = (_opponent(srgb_to_linear(srgb) @ _RGB_TO_XYZ.T)[..., 0] + 16) / 116
    sigma = 0.5 * _FEATURE_WIDTH * ppd
    radius = int(np.ceil(3 * sigma))
    x = np.arange(-radius, radius + 1)
    gauss = np.exp(-(x**2) / (2 * sigma**2))
    edge = -x * gauss
    point = (x**2 / sigma**2 - 1) * gauss
    result = []
    for kernel in (edge, point):
        kernel = np.where(
            kernel > 0, kernel / kernel[kernel > 0].sum(), kernel / -kernel[kernel < 0].sum()
        )
        across, down = (
            convolve1d(
                convolve1d(y, kernel, axis=a, mode="nearest"),
                gauss / gauss.sum(),
                axis=1 - a,
                mode="nearest",
            )
            for a in (1, 0)
        )
        result.append(np.hypot(across, down))
    return result[0], result[1]


def flip(
    image: np.ndarray,
    target: np.ndarray,
    mask: np.ndarray | None = None,
    pixels_per_degree: float = PIXELS_PER_DEGREE,
) -> float:
    """Mean FLIP error, 0 (same) to 1, over the mask or the whole picture.

    Args:
        image, target: (H, W, 3) sRGB in [0, 1].
        mask: (H, W) bool; where the mean is taken.
        pixels_per_degree: of the imagined viewer.
    """
    image, target = np.clip(image, 0, 1), np.clip(target, 0, 1)
    ppd = pixels_per_degree
    green = _lab(np.array([0.0, 1.0, 0.0]) @ _RGB_TO_XYZ.T)
    blue = _lab(np.array([0.0, 0.0, 1.0]) @ _RGB_TO_XYZ.T)
    largest = _hyab(green, blue) ** _QC
    color = _hyab(_filtered(image, ppd), _filtered(target, ppd)) ** _QC
    limit = _PC * largest
    color = np.where(
        color < limit,
        _PT / limit * color,
        _PT + (color - limit) / (largest - limit) * (1 - _PT),
    )
    edges_a, points_a = _features(image, ppd)
    edges_b, points_b = _features(target, ppd)
    change = np.maximum(np.abs(edges_a - edges_b), np.abs(points_a - points_b))
    feature = np.clip(change / np.sqrt(2), 0, 1) ** _QF
    error = color ** (1 - feature)
    return float(error[mask].mean() if mask is not None and mask.any() else error.mean())
