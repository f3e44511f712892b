"""Which pixels of a photo the one-shot fit compares: the hand, not its rim, not background."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from ...core.types import Camera, PoseEstimate
from ...geometry import rasterize_mesh
from ...skin.observe import background_distance, outline_rim, pose_surfaces, shows_background
from ...skin.uv_layout import LEVEL

NEAR_PX, REGION_PX = 2, 8
"""Pixels, at 256, around the posed hand's silhouette in which mask and background pixels are
compared; a sleeve or arm lies beyond."""

RIM_SHARE = 0.016
"""Width of the mask's rim, over the crop's longer side, whose colours are not compared: there
the photo mixes skin and background, and masks are off by a pixel or two."""


def compared_region(mask: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """(h, w) where photo and avatar are compared: around the posed hand.

    Mask pixels must be nearer to it than background ones: the forearm goes on where the
    hand model ends, and must not pull the wrist out of shape.

    Args:
        mask: (h, w) of the photo.
        alpha: (h, w) of the posed hand.
    """
    scale = max(alpha.shape) / 256
    near, far = (_grown(alpha, round(px * scale)) > 0.5 for px in (NEAR_PX, REGION_PX))
    return torch.where(mask > 0.5, near, far).to(alpha.dtype)


def mask_rim(mask: torch.Tensor) -> torch.Tensor:
    """(h, w) 1 in a band on both sides of the mask's edge."""
    radius = max(1, round(RIM_SHARE * max(mask.shape)))
    solid = (mask > 0.5).to(mask.dtype)
    return _grown(solid, radius) - (1 - _grown(1 - solid, radius))


def background_pixels(
    estimate: PoseEstimate,
    camera: Camera,
    pixels: np.ndarray,
    mask: np.ndarray,
    expected: np.ndarray,
) -> np.ndarray:
    """(h, w) 1 where, near an outline, the photo shows background rather than skin.

    Args:
        estimate: the hands.
        camera: of the pictures.
        pixels: (h, w, 3) sRGB.
        mask: (h, w).
        expected: (h, w, 3) sRGB, mean skin in the photo's light.
    """
    surfaces = pose_surfaces(estimate.hands, LEVEL)
    starts = np.cumsum([0] + [len(s.vertices) for s in surfaces])
    vertices = np.concatenate([s.vertices for s in surfaces])
    matrix = camera.world_to_camera
    depth = rasterize_mesh(
        vertices @ matrix[:3, :3].T + matrix[:3, 3],
        np.concatenate([s.faces + k for s, k in zip(surfaces, starts)]),
        dataclasses.replace(camera, world_to_camera=np.eye(4)),
    ).depth
    rim = outline_rim(depth)
    return rim * shows_background(background_distance(pixels, mask, rim > 0), pixels, expected)


def _grown(picture: torch.Tensor, radius: int) -> torch.Tensor:
    """Maximum of (h, w) values within a square of that radius."""
    size = 2 * radius + 1
    pooled = torch.nn.functional.max_pool2d(picture[None, None], size, stride=1, padding=radius)
    return pooled[0, 0]
