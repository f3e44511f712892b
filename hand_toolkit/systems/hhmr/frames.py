"""The camera that looks at a palm, and keypoints as conditions see them; torch, batched.

Meshes lie about the palm's centre, in one of two frames: a hand's own axes (θ of the wrist is
zero), or the axes of a camera that looks straight at the palm's centre and is turned about its
axis so that the line from wrist to knuckles points up in its picture.
"""

from __future__ import annotations

import torch

PALM = (0, 5, 9, 13, 17)
"""Keypoints whose mean is the palm's centre."""


def palm_centre(points: torch.Tensor) -> torch.Tensor:
    """(B, 1, 3) of keypoints (B, 21, 3)."""
    return points[:, list(PALM)].mean(1, keepdim=True)


def upright_turn(flat: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
    """(B, 3, 3) turns about the optical axis that make hands point up (-y).

    Args:
        flat: (B, 21, 2) keypoints in the picture.
        seen: (B, 21) bool; where wrist or knuckles are missing, all of a picture's visible
            fingers against what else is visible tell the direction.
    """
    weights = flat.new_zeros(len(flat), 21)
    weights[:, 5], weights[:, 9], weights[:, 13] = 0.25, 0.5, 0.25
    base = flat.new_zeros(len(flat), 21)
    base[:, 0] = 1.0
    if seen is not None:
        visible = seen.to(flat.dtype)
        spare = visible.clone()
        spare[:, [0, 1]] = 0
        weights = weights * visible
        weights = torch.where(weights.sum(1, keepdim=True) > 0, weights, spare)
        base = torch.where(seen[:, :1], base, visible)
    weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-6)
    base = base / base.sum(1, keepdim=True).clamp_min(1e-6)
    direction = ((weights - base)[..., None] * flat).sum(1)
    return turn_to_up(direction)


def turn_to_up(direction: torch.Tensor) -> torch.Tensor:
    """(B, 3, 3) turns about z that take directions (B, 2) to (0, -1)."""
    unit = direction / direction.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    cos, sin = -unit[:, 1], -unit[:, 0]
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    rows = [cos, -sin, zero, sin, cos, zero, zero, zero, one]
    return torch.stack(rows, -1).reshape(-1, 3, 3)


def spin(angle: torch.Tensor) -> torch.Tensor:
    """(B, 3, 3) turns about z by angles (B,)."""
    return turn_to_up(torch.stack([-angle.sin(), -angle.cos()], -1))


def centred(flat: torch.Tensor, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Keypoints (B, 21, 2) as conditions have them, and their unit (B,).

    Args:
        flat: keypoints in a picture.
        seen: (B, 21) bool; the others come out as zero.
    """
    weight = seen.to(flat.dtype)[..., None]
    count = weight.sum(1, keepdim=True).clamp_min(1)
    about = (flat - (flat * weight).sum(1, keepdim=True) / count) * weight
    unit = ((about**2).sum((1, 2)) / count[:, 0, 0]).sqrt().clamp_min(1e-6)
    return about / unit[:, None, None], unit
