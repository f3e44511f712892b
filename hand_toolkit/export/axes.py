"""Between the toolkit's axes (OpenCV: y down, z forward) and y-up formats (glTF, USD, BVH).

The change of axes is half a turn about x: (x, y, z) becomes (x, -y, -z). It is a rotation, so
handedness and triangle order stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.types import Splats
from ..geometry.sh import C0

TO_Y_UP = np.diag([1.0, -1.0, -1.0])
"""Rotation from the toolkit's world axes to y-up world axes; its own inverse."""

_SH_SIGNS = np.array([1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], dtype=np.float32)
"""Sign of each SH coefficient under the turn: minus one for odd powers of y and z together."""


def points_y_up(points: Any) -> np.ndarray:
    """Points or vectors (..., 3) in y-up axes (and back)."""
    return np.asarray(points) * np.array([1, -1, -1], dtype=np.asarray(points).dtype)


def quats_y_up(quats: Any) -> np.ndarray:
    """Rotations (..., 4) wxyz of objects turned to y-up axes: (0, 1, 0, 0) * q."""
    w, x, y, z = np.moveaxis(np.asarray(quats), -1, 0)
    return np.stack([-x, w, -z, y], axis=-1)


def quats_from_y_up(quats: Any) -> np.ndarray:
    """Inverse of :func:`quats_y_up`: (0, -1, 0, 0) * q."""
    w, x, y, z = np.moveaxis(np.asarray(quats), -1, 0)
    return np.stack([x, -w, z, -y], axis=-1)


def sh_coefficients(colors: Any) -> np.ndarray:
    """SH (N, K, 3) of colours (N, 3) sRGB or (N, K, 3) SH."""
    colors = np.asarray(colors, dtype=np.float32)
    if colors.ndim == 3:
        return colors
    return ((colors - 0.5) / C0)[:, None].astype(np.float32)


def base_colors(colors: Any) -> np.ndarray:
    """View-independent sRGB (N, 3), clipped to [0, 1], of either form of colours."""
    colors = np.asarray(colors, dtype=np.float32)
    if colors.ndim == 3:
        colors = 0.5 + C0 * colors[:, 0]
    return np.clip(colors, 0, 1)


def splats_y_up(splats: Splats) -> Splats:
    """The splats in y-up axes: places, rotations and view-dependent colours."""
    return _turned(splats, quats_y_up(splats.quats))


def splats_from_y_up(splats: Splats) -> Splats:
    """Inverse of :func:`splats_y_up`."""
    return _turned(splats, quats_from_y_up(splats.quats))


def _turned(splats: Splats, quats: np.ndarray) -> Splats:
    colors = np.asarray(splats.colors)
    if colors.ndim == 3:
        colors = colors * _SH_SIGNS[: colors.shape[1], None]
    return Splats(
        points_y_up(splats.means).astype(np.float32),
        quats.astype(np.float32),
        np.asarray(splats.scales),
        np.asarray(splats.opacities),
        colors.astype(np.float32),
    )
