"""Keypoints as off as those that eyes find: places, turns, sizes and fingers of hands."""

from __future__ import annotations

import torch

TOWARD_M, SIDEWAYS_M, LOOSE_M = 0.014, 0.004, 0.0025
"""Standard deviations: along the view, across it, and of each point alone."""

TURN, BEND = 0.14, 0.2
"""Radians: of a hand about its wrist, of a finger about its base and its middle joint."""

SIZE = 0.04


def noisy_keypoints(keypoints: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    """Keypoints (B, 2, 21, 3) with noise of torch's generator, ``amount`` (B,) times the usual."""
    batch = len(keypoints)
    scale = amount.view(-1, 1, 1, 1)
    wrist = keypoints[:, :, :1]
    points = keypoints - wrist
    turned = [points[:, :, 0]]
    for finger in range(5):
        chain = points[:, :, 1 + 4 * finger : 5 + 4 * finger]
        for joint in (0, 1):
            base = chain[:, :, joint : joint + 1]
            turn = _turns(BEND * scale[..., 0] * torch.randn(batch, 2, 3))
            bent = (chain[:, :, joint + 1 :] - base) @ turn.transpose(-1, -2) + base
            chain = torch.cat([chain[:, :, : joint + 1], bent], 2)
        turned.extend(chain.unbind(2))
    points = torch.stack(turned, 2)
    points = points @ _turns(TURN * scale[..., 0] * torch.randn(batch, 2, 3)).transpose(-1, -2)
    points = points * (1 + SIZE * scale * torch.randn(batch, 2, 1, 1))
    ray = torch.nn.functional.normalize(wrist, dim=-1)
    place = TOWARD_M * torch.randn(batch, 2, 1, 1) * ray
    place = place + SIDEWAYS_M * torch.randn(batch, 2, 1, 3)
    loose = LOOSE_M * torch.randn(batch, 2, 21, 3)
    return wrist + points + scale * (place + loose)


def _turns(axis_angle: torch.Tensor) -> torch.Tensor:
    """(..., 3, 3) rotations."""
    from ...geometry.rotations import matrix_from_axis_angle

    found: torch.Tensor = matrix_from_axis_angle(axis_angle)
    return found
