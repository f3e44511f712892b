"""Rendering the prior's splats: plain surface splats, and pictures of several cameras."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...core.types import Camera, Rendering, Splats
from ...geometry.rotations import quat_from_matrix
from ...render import render
from .gaussians import NORMAL_SIGMA, PLANE_SIGMA
from .layers import unit
from .points import PosedPoints

SURFACE_OPACITY = 0.95


def surface_splats(points: PosedPoints, colors: torch.Tensor) -> Splats:
    """One splat per point straight on the surface, without any network.

    Args:
        points: the hands, all in one scene.
        colors: (H, N, 3).
    """
    frames = points.frames.flatten(0, 1)
    size = (points.rest_size * points.growth).flatten()[:, None]
    return Splats(
        points.world.flatten(0, 1),
        quat_from_matrix(frames),
        size * size.new_tensor([PLANE_SIGMA, PLANE_SIGMA, NORMAL_SIGMA]),
        torch.full_like(size[:, 0], SURFACE_OPACITY),
        colors.flatten(0, 1),
    )


def render_view(
    splats: Splats,
    camera: Camera,
    background: torch.Tensor | None = None,
    world_to_camera: torch.Tensor | None = None,
) -> Rendering:
    """One picture in torch (H, W, 3), with gradients."""
    if background is None:
        background = splats.means.new_zeros(3)
    return render(splats, camera, background, world_to_camera=world_to_camera)


def normal_picture(points: PosedPoints, camera: Camera) -> tuple[torch.Tensor, torch.Tensor]:
    """World normals (H, W, 3), unit where there is surface, and opacity (H, W)."""
    with torch.no_grad():
        picture = render_view(surface_splats(points, points.normals * 0.5 + 0.5), camera)
        alpha = picture.alpha[..., None].clamp_min(1e-4)
        normals = picture.color / alpha * 2 - 1
        return unit(normals), picture.alpha


def stack_views(pictures: Sequence[Rendering]) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours (V, H, W, 3) and opacities (V, H, W)."""
    return torch.stack([p.color for p in pictures]), torch.stack([p.alpha for p in pictures])
