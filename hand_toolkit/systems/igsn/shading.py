"""Light in torch: the shading of ``avatar.lighting``, differentiable, and fitting a light."""

from __future__ import annotations

import math

import torch

from ...geometry.colour import srgb_curve
from ...geometry.sh import sh_basis

LIGHT_TERMS = 9
"""SH coefficients of a light: bands 0 to 2 hold 99 % of a Lambertian's shading."""

UNSEEN_WEIGHT, UNSEEN_SHARE = 0.1, 0.8
"""Directions that no pixel faces are supposed this bright, relative to the photo's mean, with
this weight relative to all pixels: rooms have walls."""


def shade(light: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
    """Linear shading (..., 3) of unit normals under a light (9, 3), above a small floor.

    The floor keeps gradients alive where a fitted light turns negative.
    """
    value = sh_basis(normals) @ light
    return torch.where(value > 0.02, value, 0.02 * torch.exp((value - 0.02).clamp_max(0) / 0.02))


def linear_to_srgb(linear: torch.Tensor) -> torch.Tensor:
    """IEC 61966-2-1 encoding of values >= 0; above 1 it keeps a slope of one tenth."""
    return srgb_curve(torch.where(linear > 1, 1 + 0.1 * (linear - 1), linear).clamp_min(0))


def solve_light(
    albedo_linear: torch.Tensor,
    normals: torch.Tensor,
    color_linear: torch.Tensor,
    weight: torch.Tensor,
    ridge: float = 0.02,
) -> torch.Tensor:
    """The light (9, 3) under which albedo and normals come closest to the colours.

    Weighted linear least squares per channel. The ridge pulls bands 1 and 2 to zero, so that
    directions that no normal faces stay as bright as the rest.

    Args:
        albedo_linear: (N, 3) linear reflectance (times shadow, where known).
        normals: (N, 3) unit, world.
        color_linear: (N, 3) linear observed colours.
        weight: (N,) non-negative.
        ridge: weight of the pull, relative to the data.
    """
    basis = sh_basis(normals.double())
    pull = torch.full((LIGHT_TERMS,), ridge, dtype=torch.float64, device=normals.device)
    pull[0] = 1e-6
    channels = []
    for c in range(3):
        design = basis * albedo_linear[:, c : c + 1].double()
        weighted = design * weight[:, None].double()
        scale = (weighted * design).sum() / LIGHT_TERMS + 1e-12
        normal_matrix = design.T @ weighted + torch.diag(pull) * scale
        right = weighted.T @ color_linear[:, c].double()
        channels.append(torch.linalg.solve(normal_matrix, right))
    return torch.stack(channels, 1).to(normals.dtype)


def with_unseen(
    albedo: torch.Tensor, normals: torch.Tensor, color: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixels and their weights, joined by a sphere of weak, even light."""
    count = 200
    k = torch.arange(count, device=normals.device, dtype=normals.dtype) + 0.5
    z = 1 - 2 * k / count
    angle = k * math.pi * (3 - math.sqrt(5))
    flat = (1 - z * z).sqrt()
    sphere = torch.stack([flat * angle.cos(), flat * angle.sin(), z], 1)
    even = albedo.mean(0).expand(count, 3)
    level = (color.mean(0) * UNSEEN_SHARE).expand(count, 3)
    weight = torch.ones(len(albedo) + count, device=normals.device)
    weight[len(albedo) :] = UNSEEN_WEIGHT * len(albedo) / count
    return (
        torch.cat([albedo, even]),
        torch.cat([normals, sphere]),
        torch.cat([color, level]),
        weight,
    )
