"""What samples can be held to: keypoints in space, keypoints in a picture, given vertices."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .diffusion import Misfit

Joints = Callable[[torch.Tensor], torch.Tensor]
LEAST_DEPTH = 0.5
"""``UNIT_M``: nearer points are as far as this."""


def joint_misfit(joints: Joints, points: torch.Tensor, seen: torch.Tensor) -> Misfit:
    """O is the joint regressor with a mask of joints.

    Args:
        joints: meshes to keypoints, e.g. ``HhmrNetwork.joints``.
        points: (B, 21, 3) where they shall be, ``UNIT_M``.
        seen: (B, 21) bool.
    """

    def misfit(mesh: torch.Tensor) -> torch.Tensor:
        return (((joints(mesh) - points) ** 2).sum(-1) * seen).sum(1)

    return misfit


def vertex_misfit(vertices: torch.Tensor, given: torch.Tensor) -> Misfit:
    """O is a mask of vertices.

    Args:
        vertices: (B, V, 3) where they shall be, ``UNIT_M``.
        given: (V,) or (B, V) bool.
    """

    def misfit(mesh: torch.Tensor) -> torch.Tensor:
        return (((mesh - vertices) ** 2).sum(-1) * given).sum(1)

    return misfit


def projection_misfit(joints: Joints, flat: torch.Tensor, weight: torch.Tensor) -> Misfit:
    """O projects the keypoints of a mesh where it fits the picture best.

    Args:
        joints: meshes to keypoints.
        flat: (B, 21, 2) keypoints in the picture of a camera that looks at the palm, at
            distance one.
        weight: (B, 21) of each, 0 where it is not seen.
    """
    weight = weight.to(flat.dtype)

    def misfit(mesh: torch.Tensor) -> torch.Tensor:
        points = joints(mesh)
        place = placed(points, flat, weight)[:, None]
        depth = (points[..., 2:] + place[..., 2:]).clamp_min(LEAST_DEPTH)
        # at the hand's distance, so that near and far hands pull alike
        gap = ((points + place)[..., :2] / depth - flat) * place[..., 2:].detach()
        return ((gap**2).sum(-1) * weight).sum(1)

    return misfit


def placed(points: torch.Tensor, flat: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(B, 3) translations that project points (B, 21, 3) nearest to ``flat``; least squares.

    x (Z + t_z) = X + t_x is linear in t; its residual is the reprojection error at the hand's
    distance.
    """
    w = weight.to(points.dtype)[..., None]
    total = w.sum(1).clamp_min(1e-6)
    # t_x = mean(x (Z + tz) - X); put in, tz remains
    product = flat * points[..., 2:] - points[..., :2]
    a = (flat - (w * flat).sum(1, keepdim=True) / total[:, None]) * w.sqrt()
    b = (product - (w * product).sum(1, keepdim=True) / total[:, None]) * w.sqrt()
    depth = -(a * b).sum((1, 2)) / (a * a).sum((1, 2)).clamp_min(1e-12)
    depth = depth.clamp_min(2 * LEAST_DEPTH)
    across = ((w * (flat * depth[:, None, None] + product)).sum(1)) / total
    return torch.cat([across, depth[:, None]], -1)
