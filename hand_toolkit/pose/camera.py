"""The camera of a photo whose maker did not write it down."""

from __future__ import annotations

import numpy as np

from ..core.types import Camera, Photo
from ..geometry.rotations import shortest_rotation

DEFAULT_FOCAL_OVER_SIDE = 1.8
"""Focal length that is assumed where EXIF tells none, in units of the picture's longer side
(a 31 degree view, 65 mm on 35 mm film): pictures without EXIF are mostly crops, and a hand
that fills one is then half a metre away. Joint errors depend little on it."""


def default_focal_px(size: tuple[int, int]) -> float:
    """Assumed focal length, pixels, of a picture of (width, height)."""
    return DEFAULT_FOCAL_OVER_SIDE * max(size)


def photo_camera(photo: Photo) -> Camera:
    """Pinhole camera of the photo, with its own focal length or the default, centred."""
    width, height = photo.size
    focal = photo.focal_px or default_focal_px(photo.size)
    return Camera(fx=focal, fy=focal, cx=width / 2, cy=height / 2, width=width, height=height)


def rotation_to_ray(ray: np.ndarray) -> np.ndarray:
    """(3, 3) smallest rotation that takes the optical axis (0, 0, 1) to ``ray`` (3,)."""
    return shortest_rotation(np.array([0.0, 0.0, 1.0]), np.asarray(ray, dtype=float))
