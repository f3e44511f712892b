"""Finger poses of recorded hand motion, as the default hand's joint angles.

Recordings come with other skeletons, so angles are found by fitting the default hand's
keypoints to the recorded ones in shape-free proportions.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ...hand_model.limits import FREE_HIGHEST, FREE_LOWEST, FREE_MEAN, FREE_SIGMA
from ...pose.fit import hand_chain
from ...pose.kinematics import PALM, State

ITERATIONS = 24
BATCH = 400
LEAP_ROWS = 21
"""Leap Motion's first rows are the 21 keypoints; carpal joints follow."""

HEADSET_JOINTS = 25
"""Of a whole pose in WebXR's order; shorter ones show some fingers only."""

LARGEST_ERROR = 0.08
"""Fits whose keypoints stay this far off, in palm sizes on the average, are dropped."""

POINT_SIGMA_M = 0.006


def fit_angles(keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joint angles of right hands by damped Gauss-Newton steps with the pose prior.

    Args:
        keypoints: (N, 21, 3) of right hands, any unit and place.

    Returns:
        angles: (N, 26) radians, inside the ranges of motion.
        errors: (N,) mean distance of keypoints after the fit, in palm sizes.
    """
    parts = [_fit(keypoints[i : i + BATCH]) for i in range(0, len(keypoints), BATCH)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _fit(keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chain = hand_chain("default")
    rest = chain.rest
    palm = _size(rest[None])[0]
    points = keypoints - keypoints[:, :1]
    points = points * (palm / _size(points))[:, None, None]
    count = len(points)
    # the palm's rotation is a start that cannot be far off
    rotation = _turns(points[:, PALM], rest[PALM])
    shape = np.zeros((count, chain.shape_count))
    state = State(rotation, np.zeros((count, 3)), np.tile(FREE_MEAN, (count, 1)), shape)
    wanted = _bones(points, rest)
    for _ in range(ITERATIONS):
        posed = chain.pose(state)
        residual = ((posed.points - wanted) / POINT_SIGMA_M).reshape(count, 63)
        jacobian = (posed.jacobian[..., :29] / POINT_SIGMA_M).reshape(count, 63, 29)
        prior = np.zeros(29)
        prior[3:] = (0.5 / FREE_SIGMA) ** 2
        gradient = np.einsum("bij,bi->bj", jacobian, residual)
        gradient[:, 3:] += prior[3:] * (state.angles - FREE_MEAN)
        normal = jacobian.transpose(0, 2, 1) @ jacobian + np.diag(prior + 2.0)
        step = -np.linalg.solve(normal, gradient[..., None])[..., 0]
        whole = np.zeros((count, chain.size))
        whole[:, :3], whole[:, 6:32] = step[:, :3], step[:, 3:]
        state = state.moved(np.clip(whole, -0.5, 0.5))
        state = State(
            state.rotation,
            state.translation,
            np.clip(state.angles, FREE_LOWEST, FREE_HIGHEST),
            state.shape,
        )
    gap = np.linalg.norm(chain.pose(state, derivatives=False).points - wanted, axis=-1)
    return state.angles, gap.mean(1) / palm


def _turns(points: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(N, 3, 3) rotations that take ``rest`` (K, 3) nearest to ``points`` (N, K, 3)."""
    u, _, vt = np.linalg.svd(points.transpose(0, 2, 1) @ rest)
    sign = np.ones((len(points), 3))
    sign[:, 2] = np.linalg.det(u @ vt)
    return np.asarray((u * sign[:, None]) @ vt)


def _size(points: np.ndarray) -> np.ndarray:
    """(N,) mean distance from the wrist to the four knuckles."""
    return np.asarray(np.linalg.norm(points[:, PALM[1:]] - points[:, :1], axis=-1).mean(1))


def _bones(points: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Keypoints whose finger bones keep their direction but have the default hand's length."""
    out = points.copy()
    for first in (1, 5, 9, 13, 17):
        for k in range(first + 1, first + 4):
            bone = points[:, k] - points[:, k - 1]
            length = np.linalg.norm(rest[k] - rest[k - 1])
            bone = bone * (length / np.maximum(np.linalg.norm(bone, axis=1, keepdims=True), 1e-9))
            out[:, k] = out[:, k - 1] + bone
    return out


def read_leap(folder: Path, every: int = 3, least_confidence: float = 0.5) -> np.ndarray:
    """(N, 21, 3) right-hand keypoints of a folder of Leap Motion recordings.

    Args:
        folder: of files for :func:`read_leap_file`.
        every: keeps one frame of so many.
        least_confidence: of the tracker.
    """
    paths = sorted(folder.glob("*.npz"))
    return np.concatenate([read_leap_file(path, every, least_confidence) for path in paths])


def read_leap_file(path: Path, every: int = 1, least_confidence: float = 0.5) -> np.ndarray:
    """(N, 21, 3) right-hand keypoints of a Leap Motion recording, left hands mirrored.

    Args:
        path: NPZ file with ``joints_mm`` (N, 26, 3), ``hand`` and ``confidence``.
        every: keeps one frame of so many.
        least_confidence: of the tracker.
    """
    with np.load(path, allow_pickle=False) as data:
        joints = data["joints_mm"][:, :LEAP_ROWS].astype(float)
        left = data["hand"] == "left"
        good = data["confidence"] >= least_confidence
    joints[left, :, 0] *= -1
    good &= np.isfinite(joints).all((1, 2))
    joints = joints[good][::every]
    # what Leap Motion calls the wrist is the palm's centre
    fixed, rest = np.array([1, *PALM[1:]]), hand_chain("default").rest
    middle, rest_middle = joints[:, fixed].mean(1, keepdims=True), rest[fixed].mean(0)
    centred, rest_centred = joints[:, fixed] - middle, rest[fixed] - rest_middle
    scale = np.sqrt((centred**2).sum((1, 2)) / (rest_centred**2).sum())
    wrist = (scale[:, None, None] * _turns(centred, rest_centred)) @ (rest[0] - rest_middle)
    joints[:, 0] = middle[:, 0] + wrist
    return joints


def read_headset(path: Path) -> np.ndarray:
    """(N, 21, 3) right-hand keypoints of a headset's static poses, left hands mirrored.

    The file gives WebXR's 25 joints: wrist, four of the thumb, five of each finger, whose
    first lies at the wrist's side of the palm.
    """
    rows = [0, 1, 2, 3, 4]
    for finger in range(4):
        rows += [6 + 5 * finger + k for k in range(4)]
    data = json.loads(path.read_text(encoding="utf-8"))
    found = []
    for side, poses in data.items():
        whole = [p["joints_mm"] for p in poses if len(p["joints_mm"]) == HEADSET_JOINTS]
        joints = np.array(whole, float)[:, rows]
        found.append(joints * ([-1.0, 1, 1] if side == "left" else [1.0, 1, 1]))
    return np.concatenate(found)


def motion_angles(folder: Path, kept: Path | None = None) -> np.ndarray:
    """(N, 26) joint angles of all recordings in a folder; empty (0, 26) without any.

    Args:
        folder: with ``leap/*.npz`` and ``quest_static_poses.json``, either may be missing.
        kept: an NPY file that keeps the result; read if it is there.
    """
    if kept is not None and kept.is_file():
        return np.asarray(np.load(kept, allow_pickle=False))
    sets = []
    if (folder / "leap").is_dir():
        sets.append(read_leap(folder / "leap"))
    headset = folder / "quest_static_poses.json"
    if headset.is_file():
        sets.append(np.repeat(read_headset(headset), 4, axis=0))
    if not sets:
        return np.zeros((0, 26))
    angles, errors = fit_angles(np.concatenate(sets))
    angles = angles[errors < LARGEST_ERROR]
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, angles)
    return angles
