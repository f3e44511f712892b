"""Bone frames of a hand from its keypoints, and where places lie in them.

As in HALO, a hand is given by keypoints alone: the palm's frame is the rigid turn of its five
points, and each further bone follows from its parent's frame by the smallest turn that puts it
on its two keypoints. All hands are right ones; a left one is mirrored along x first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ...core.conventions import KEYPOINT_PARENTS, KEYPOINT_TO_MANO

if TYPE_CHECKING:
    import torch

PALM = (0, 5, 9, 13, 17)
BONES = 16
WRIST_REACH = 0.35
"""The palm goes on behind the wrist by this share of its length."""

FLESH_SLACK_M, GATE_SLACK_M = 0.002, 0.010
"""A part's flesh may reach this much farther than at rest; it is asked about places yet farther."""

BONE_KEYPOINTS = tuple(k for k in range(21) if k and k % 4)
"""Keypoint at which each finger bone begins; it ends at the next."""

PARENT_BONE = (-1, *(0 if k % 4 == 1 else n for n, k in enumerate(BONE_KEYPOINTS)))
"""Of the 16 bones; the palm is the first."""


@dataclass(frozen=True)
class RestHand:
    """What is known of the mean hand at rest.

    Attributes:
        keypoints: (21, 3) metres.
        lengths: (20,) metres from each keypoint's parent to it.
        reach: (16,) metres of flesh about each bone at most.
        gates: (16,) metres from its bone within which a part is asked.
        surface: (P, 3) places on the skin, each farthest from those before.
        surface_bone: (P,) the bone that carries each.
    """

    keypoints: np.ndarray
    lengths: np.ndarray
    reach: np.ndarray
    gates: np.ndarray
    surface: np.ndarray
    surface_bone: np.ndarray


@lru_cache(maxsize=4)
def rest_frames(hand_model: str, points: int) -> RestHand:
    """Constants of a hand model's mean right hand.

    Args:
        hand_model: its name.
        points: how many places on the skin.
    """
    import torch

    from ...geometry.closing import closed_mesh
    from ...hand_model import load_hand_model

    model = load_hand_model(hand_model, "right")
    keypoints = model.keypoint_template.astype(np.float64)
    count = len(model.template)
    vertices, _ = closed_mesh(model.template.astype(np.float64), model.faces)
    # a bone's number among MANO's joints
    order = np.array([0, *KEYPOINT_TO_MANO[list(BONE_KEYPOINTS)]])
    bone = np.zeros(len(vertices), int)
    bone[:count] = np.argsort(order)[model.weights.argmax(1)]
    ends = bone_segments(torch.tensor(keypoints)[None])
    distance = segment_distance(torch.tensor(vertices)[None], *ends)[0].numpy()
    own = distance[np.arange(len(vertices)), bone]
    reach = np.array([own[bone == b].max() for b in range(BONES)]) + FLESH_SLACK_M
    gates = reach + GATE_SLACK_M
    picked = [int(np.argmin(vertices[:, 0]))]
    gap = np.linalg.norm(vertices - vertices[picked[0]], axis=1)
    while len(picked) < points:
        picked.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(vertices - vertices[picked[-1]], axis=1))
    lengths = np.linalg.norm(keypoints[1:] - keypoints[KEYPOINT_PARENTS[1:]], axis=1)
    return RestHand(keypoints, lengths, reach, gates, vertices[picked], bone[picked])


def bone_frames(keypoints: torch.Tensor, rest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames of the bones.

    Args:
        keypoints: (B, 21, 3) of right hands, metres, any axes.
        rest: (21, 3) of the hand at rest.

    Returns:
        Turns (B, 16, 3, 3) from rest to posed axes, and origins (B, 16, 3).
    """
    import torch

    palm = list(PALM)
    given = keypoints[:, palm] - keypoints[:, palm].mean(1, keepdim=True)
    known = rest[palm] - rest[palm].mean(0)
    u, _, vt = torch.linalg.svd(given.transpose(1, 2) @ known)
    sign = torch.ones(len(u), 3, dtype=u.dtype, device=u.device)
    sign[:, 2] = torch.sign(torch.linalg.det(u @ vt))
    turns = [u @ (sign[:, :, None] * vt)]
    origins = [keypoints[:, 0]]
    for bone, begin in enumerate(BONE_KEYPOINTS, 1):
        above = turns[PARENT_BONE[bone]]
        straight = above @ (rest[begin + 1] - rest[begin])
        actual = keypoints[:, begin + 1] - keypoints[:, begin]
        turns.append(_smallest_turn(straight, actual) @ above)
        origins.append(keypoints[:, begin])
    return torch.stack(turns, 1), torch.stack(origins, 1)


def _smallest_turn(start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """(B, 3, 3) rotation of directions (B, 3) onto others, by Rodrigues' formula."""
    import torch

    a = torch.nn.functional.normalize(start, dim=-1)
    b = torch.nn.functional.normalize(end, dim=-1)
    axis = torch.linalg.cross(a, b)
    zero = torch.zeros_like(axis[:, 0])
    x, y, z = axis.unbind(-1)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).view(-1, 3, 3)
    share = 1 / (1 + (a * b).sum(-1)).clamp_min(1e-3)
    eye = torch.eye(3, dtype=a.dtype, device=a.device)
    return eye + skew + share[:, None, None] * (skew @ skew)


def bone_segments(keypoints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Line segments of hands (B, 21, 3): begins and ends (B, 20, 3), and each one's bone (20,).

    The palm has five: to the thumb's base and the knuckles, begun behind the wrist.
    """
    import torch

    back = keypoints[:, :1] - WRIST_REACH * (keypoints[:, 9:10] - keypoints[:, :1])
    palm_ends = keypoints[:, [1, 5, 9, 13, 17]]
    begins = torch.cat([back.expand(-1, 5, -1), keypoints[:, list(BONE_KEYPOINTS)]], 1)
    ends = torch.cat([palm_ends, keypoints[:, [k + 1 for k in BONE_KEYPOINTS]]], 1)
    bone = torch.tensor([0] * 5 + list(range(1, BONES)), device=keypoints.device)
    return begins, ends, bone


def segment_distance(
    places: torch.Tensor, begins: torch.Tensor, ends: torch.Tensor, bone: torch.Tensor
) -> torch.Tensor:
    """(B, N, 16) distances of places (B, N, 3) from each bone's segments, metres."""
    import torch

    way = ends - begins
    # |p - b - t w|^2 by scalar products, which spares a (B, N, 20, 3) array
    along = (places @ way.transpose(1, 2) - (begins * way).sum(-1)[:, None]) / (
        (way * way).sum(-1).clamp_min(1e-9)[:, None]
    )
    along = along.clamp(0, 1)
    squared = (places * places).sum(-1, keepdim=True) - 2 * places @ begins.transpose(1, 2)
    squared = squared + (begins * begins).sum(-1)[:, None]
    dot = places @ way.transpose(1, 2) - (begins * way).sum(-1)[:, None]
    squared = squared - 2 * along * dot + along * along * (way * way).sum(-1)[:, None]
    gap = squared.clamp_min(1e-10).sqrt()
    palm = gap[..., bone == 0].amin(-1, keepdim=True)
    return torch.cat([palm, gap[..., bone > 0]], -1)
