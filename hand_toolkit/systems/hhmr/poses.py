"""The finger poses that the model learns: recorded, written, mixed, and screened for contact.

A pose is 26 joint angles (``hand_model.limits.FREE_ANGLES``). Poses in which a finger passes
through another, or through the palm, are thrown away: what never trains is never made.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ...hand_model import load_hand_model
from ...hand_model.limits import (
    FREE_AXIS,
    FREE_HIGHEST,
    FREE_JOINT,
    FREE_LOWEST,
    compose,
)
from ...synth.poses import FAMILIES, sample_angles
from .recordings import Recordings

if TYPE_CHECKING:
    import torch

HELD_OUT_FAMILIES = ("ok", "cup", "asl_w", "horns", "asl_e")
"""Families that never train."""

DRAWN = 12_000
"""Poses of families and of the random family that mixtures are made of."""

RECORDED, WRITTEN, BETWEEN = 0.45, 0.25, 0.15
"""Shares of the bank; the rest has some fingers of one pose and the others of another."""

RANDOM_SHARE = 0.35
"""Of the written poses: every joint drawn by itself."""

JITTER = np.radians(2.0)

FLESH_M = 0.004
"""How far finger bones' capsules may sink into each other: flesh gives way, and in a fist
or a pinch fingertips lie on other fingers."""

PALM_RADIUS_M = 0.009

CHUNK = 20_000


def draw_bank(
    rng: np.random.Generator, recordings: Recordings, count: int, device: Any = "cpu"
) -> torch.Tensor:
    """(count, 26) poses to train on, float32 on ``device``.

    Args:
        rng: of all choices.
        recordings: all of them; those that are held out are left out here.
        count: how many poses.
        device: where contact is screened and the result lies.
    """
    recorded = recordings.part(held_out=False).angles
    written = _written(rng, min(DRAWN, count), held_out=False)
    kept: list[Any] = []
    found = 0
    while found < count:
        drawn = _mixed(rng, recorded, written, min(CHUNK, 2 * count))
        good = _screened(drawn, device)
        kept.append(good)
        found += len(good)
    import torch

    return torch.cat(kept)[:count]


def held_out_poses(rng: np.random.Generator, recordings: Recordings, count: int) -> np.ndarray:
    """(count, 26) poses of recordings and families that never train, half of each."""
    recorded = recordings.part(held_out=True).angles
    written = _written(rng, min(2 * count, DRAWN // 8), held_out=True)
    half = count // 2 if len(recorded) else 0
    out = []
    for source, wanted in ((recorded, half), (written, count - half)):
        if wanted:
            good = _screened(source[rng.permutation(len(source))[: 8 * wanted]], "cpu").numpy()
            out.append(np.resize(good, (wanted, 26)))
    return np.concatenate(out)


def _written(rng: np.random.Generator, count: int, held_out: bool) -> np.ndarray:
    names = [n for n in FAMILIES if (n in HELD_OUT_FAMILIES) == held_out]
    out = np.zeros((count, 26))
    for k in range(count):
        loose = not held_out and rng.random() < RANDOM_SHARE
        name = "random" if loose else names[int(rng.integers(len(names)))]
        angles = sample_angles(rng, name, float(rng.uniform(0.5, 1.5)))
        out[k] = angles[FREE_JOINT, FREE_AXIS]
    return out


def _mixed(
    rng: np.random.Generator, recorded: np.ndarray, written: np.ndarray, count: int
) -> np.ndarray:
    def draw() -> np.ndarray:
        poses = written[rng.integers(len(written), size=count)]
        if len(recorded):
            real = recorded[rng.integers(len(recorded), size=count)]
            share = RECORDED / (RECORDED + WRITTEN)
            poses = np.where(rng.random((count, 1)) < share, real, poses)
        return poses

    first, second, kind = draw(), draw(), rng.random((count, 1))
    between = first + (second - first) * rng.random((count, 1))
    swapped = (rng.random((count, 5)) < 0.4)[:, FREE_JOINT // 3]
    fingers = np.where(swapped, second, first)
    plain = RECORDED + WRITTEN
    angles = np.where(kind < plain, first, np.where(kind < plain + BETWEEN, between, fingers))
    return np.clip(angles + JITTER * rng.normal(size=angles.shape), FREE_LOWEST, FREE_HIGHEST)


def _screened(angles: np.ndarray, device: Any) -> torch.Tensor:
    import torch

    poses = torch.as_tensor(angles, dtype=torch.float32, device=device)
    return poses[penetration(poses) < FLESH_M]


def penetration(angles: torch.Tensor) -> torch.Tensor:
    """(B,) metres that bones of different fingers, or of a finger and the palm, overlap most.

    Bones are capsules as thick as the skin about them; neighbours that overlap in the flat
    hand already are allowed as much more.
    """
    import torch

    first, second, reach = (torch.as_tensor(a, device=angles.device) for a in _capsule_pairs())
    out = []
    for part in angles.split(4096):
        points = posed_keypoints(part)
        starts, ends = _bones(points)
        apart = _segment_distance(
            starts[:, first], ends[:, first], starts[:, second], ends[:, second]
        )
        out.append((reach.to(apart.dtype) - apart).amax(1))
    return torch.cat(out)


def posed_keypoints(angles: torch.Tensor) -> torch.Tensor:
    """(B, 21, 3) keypoints of right hands of the mean shape, wrist at the origin."""
    import torch

    from ...hand_model.posing import pose_hand

    model = load_hand_model("default", "right", 0)
    zeros = angles.new_zeros(len(angles), len(model.shape_names))
    with torch.no_grad():
        theta = compose(angles)
        return pose_hand(_points_only(), theta, zeros, zeros[:, :3]).keypoints


@lru_cache(maxsize=1)
def _points_only() -> Any:
    """The hand model with a few vertices: only its keypoints are wanted."""
    import dataclasses

    model = load_hand_model("default", "right", 0)
    return dataclasses.replace(
        model, template=model.template[:4], weights=model.weights[:4],
        shape_dirs=model.shape_dirs[:, :4], pose_dirs=None, pose_joints=None, pose_axes=None,
    )  # fmt: skip


_BONES = [(1 + 4 * f + k, 2 + 4 * f + k) for f in range(5) for k in range(3)]
_RAYS = [(0, 5), (0, 9), (0, 13), (0, 17)]


def _bones(points: Any) -> tuple[Any, Any]:
    """Starts and ends (..., 19, 3) of finger bones, then of the palm's rays."""
    pairs = np.array(_BONES + _RAYS)
    return points[..., pairs[:, 0], :], points[..., pairs[:, 1], :]


@lru_cache(maxsize=1)
def _capsule_pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of bones and how near (metres) they may come before they overlap."""
    import torch

    model = load_hand_model("default", "right", 0)
    starts, ends = _bones(model.keypoint_template)
    owner = model.weights.argmax(1)
    radii = np.full(len(starts), PALM_RADIUS_M)
    first_joint = (13, 1, 4, 10, 7)
    for f in range(5):
        for k in range(3):
            bone = 3 * f + k
            skin = model.template[owner == first_joint[f] + k]
            along = ends[bone] - starts[bone]
            t = np.clip((skin - starts[bone]) @ along / (along @ along), 0, 1)
            radii[bone] = np.median(
                np.linalg.norm(skin - starts[bone] - t[:, None] * along, axis=1)
            )
    first, second = [], []
    for a in range(15):
        for b in range(a + 1, len(starts)):
            palm = b >= 15
            # a finger's own ray and first bone, and the thumb's root, lie in the palm
            if (palm and (a % 3 == 0 or a == 1)) or (not palm and a // 3 == b // 3):
                continue
            first.append(a)
            second.append(b)
    one, two = np.array(first), np.array(second)
    flat = _segment_distance(
        *(torch.as_tensor(x[rows])[None] for rows in (one, two) for x in (starts, ends))
    )[0].numpy()
    return one, two, np.minimum(radii[one] + radii[two], flat).astype(np.float32)


def _segment_distance(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Distance of segments ab and cd (..., 3) (Ericson, Real-Time Collision Detection, 5.1.9)."""
    u, v, w = b - a, d - c, a - c
    uu, vv, uv = (u * u).sum(-1), (v * v).sum(-1), (u * v).sum(-1)
    uw, vw = (u * w).sum(-1), (v * w).sum(-1)
    s = ((uv * vw - uw * vv) / (uu * vv - uv * uv).clamp_min(1e-12)).clamp(0, 1)
    t = (uv * s + vw) / vv
    t_inside = t.clamp(0, 1)
    s = ((uv * t_inside - uw) / uu).clamp(0, 1)
    return (w + s[..., None] * u - t_inside[..., None] * v).norm(dim=-1)
