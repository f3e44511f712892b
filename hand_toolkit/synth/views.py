"""Cameras around the hands."""

from __future__ import annotations

import numpy as np

from ..core.types import Camera

FOCAL_MM = (38.0, 90.0)
"""Range of focal lengths on a 36 mm wide sensor."""


def sample_view(
    rng: np.random.Generator, points: np.ndarray, forearms: np.ndarray, size: int
) -> Camera:
    """A camera that sees the hands large and not from behind a forearm.

    Args:
        rng: source of the view.
        points: (N, 3) hand vertices in world axes, metres.
        forearms: (H, 3) unit directions from each wrist into its forearm.
        size: width and height, pixels.
    """
    center = 0.5 * (points.min(0) + points.max(0))
    limit = 0.55
    while True:
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        if direction[2] > -0.75 and (direction @ forearms.T).max() < limit:
            break
        limit = min(limit + 0.004, 1.01)
    focal = rng.uniform(*FOCAL_MM) / 36.0 * size
    roll = rng.normal() * 0.35 + (rng.choice([-1, 1]) * 1.57 if rng.random() < 0.25 else 0.0)
    fill = rng.uniform(0.70, 0.84)
    axes = _look_axes(-direction, roll)
    distance = 0.6
    for _ in range(8):
        local = (points - center) @ axes.T + [0, 0, distance]
        image = local[:, :2] / local[:, 2:] * focal / size
        low, high = image.min(0), image.max(0)
        center = center + axes[:2].T @ (0.5 * (low + high)) * size / focal * distance
        distance = max(distance * float((high - low).max()) / fill, 0.12)
    offset = rng.normal(size=2) * 0.025
    center = center + axes[:2].T @ offset * size / focal * distance
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = -axes @ (center + direction * distance)
    return Camera(focal, focal, size / 2, size / 2, size, size, np.round(matrix, 9))


def _look_axes(forward: np.ndarray, roll: float) -> np.ndarray:
    """(3, 3) rows: camera x right, y down, z forward in world axes (z up)."""
    up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.98 else np.array([0.0, 1.0, 0.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([c * right + s * down, -s * right + c * down, forward])
