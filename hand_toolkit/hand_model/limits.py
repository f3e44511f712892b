"""Anatomy as numbers: joint angles, their ranges, a pose prior, losses and clamping.

Each finger joint has three axes at rest, rows of :func:`joint_frames`: **flexion** (positive
bends towards the palm), **abduction** (positive swings towards the thumb's side; for the
thumb's own joints, away from the palm) and **twist** (about the bone, from its head to its
tip). A joint's rotation is ``R_flexion R_abduction R_twist``: flexion about the axis fixed
in the parent, twist about the moving bone, abduction between them, as the International
Society of Biomechanics recommends (Wu et al. 2005), so ±90° of flexion is not singular.
Angles mean the same on both hands; θ of a left hand is mirrored on the way.

Of the 45 angles 26 are anatomical freedoms (``FREE_ANGLES``), the rest only absorb noise of
pose estimators. Ranges and prior are the ones that pose fitting was measured with; every
function takes numpy arrays or torch tensors and is differentiable in torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..core.conventions import MANO_JOINTS
from .articulation import compose_rotation, split_rotation
from .base import check_shape

AXES = ("flexion", "abduction", "twist")

_FINGER = {
    1: ((-25, 90, 20, 45), (-22, 22, 0, 12), (-8, 8, 0, 5)),
    2: ((-5, 110, 25, 45), None, None),
    3: ((-10, 80, 15, 30), None, None),
}
_THUMB = {
    1: ((-35, 45, 5, 25), (-30, 45, 5, 25), (-35, 35, 0, 18)),
    2: ((-20, 65, 10, 25), (-12, 12, 0, 8), None),
    3: ((-25, 85, 15, 30), None, None),
}
_FIXED = (-3, 3, 0, 2)
"""Degrees (lowest, highest, prior mean, prior sigma); None is an axis that does not move."""


def _table() -> tuple[np.ndarray, tuple[tuple[int, int], ...]]:
    rows = np.zeros((15, 3, 4))
    free = []
    for joint, name in enumerate(MANO_JOINTS[1:]):
        ranges = (_THUMB if name.startswith("thumb") else _FINGER)[int(name[-1])]
        for axis, values in enumerate(ranges):
            rows[joint, axis] = _FIXED if values is None else values
            if values is not None:
                free.append((joint, axis))
    return np.radians(rows), tuple(free)


_ROWS, _FREE = _table()
LOWEST, HIGHEST, PRIOR_MEAN, PRIOR_SIGMA = np.moveaxis(_ROWS, -1, 0)
"""Each (15, 3), radians: joints in MANO order without the wrist, axes as in ``AXES``."""

FREE_ANGLES = tuple(f"{MANO_JOINTS[1 + joint]}_{AXES[axis]}" for joint, axis in _FREE)
"""Names of the 26 angles of :func:`decompose`."""

FREE_JOINT = np.array([joint for joint, _ in _FREE])
FREE_AXIS = np.array([axis for _, axis in _FREE])
FREE_LOWEST, FREE_HIGHEST, FREE_MEAN, FREE_SIGMA = (
    table[FREE_JOINT, FREE_AXIS] for table in (LOWEST, HIGHEST, PRIOR_MEAN, PRIOR_SIGMA)
)
"""Each (26,), radians, in the order of ``FREE_ANGLES``."""

DIP_PER_PIP = 0.67
DIP_SIGMA = 0.35
"""The last joint of a finger follows the middle one: DIP = 0.67 PIP, sigma in radians."""

_PIP = np.array([1, 4, 7, 10])


@lru_cache(maxsize=1)
def joint_frames() -> np.ndarray:
    """(15, 3, 3) unit axes of each finger joint at rest on the right hand, one per row:
    flexion, abduction, twist. They are right-handed and lie in the model's rest axes."""
    from ..core.conventions import FINGERS
    from .default import DATA_FILE

    with np.load(DATA_FILE, allow_pickle=False) as data:
        keypoints = data["keypoint_template"].astype(np.float64)
        flexion = data["flexion_axes"].astype(np.float64)
    frames = np.zeros((15, 3, 3))
    for joint, name in enumerate(MANO_JOINTS[1:]):
        finger, k = FINGERS.index(name[:-1]), int(name[-1]) - 1
        bone = keypoints[2 + 4 * finger + k] - keypoints[1 + 4 * finger + k]
        bone /= np.linalg.norm(bone)
        bend = flexion[finger, k] - bone * (bone @ flexion[finger, k])
        bend /= np.linalg.norm(bend)
        frames[joint] = bend, np.cross(bone, bend), bone
    frames.flags.writeable = False
    return frames


def joint_angles(theta: Any, side: str = "right") -> Any:
    """All 45 angles, losing nothing.

    Args:
        theta: (..., 16, 3) axis-angle; the wrist is ignored.
        side: the hand that ``theta`` belongs to.

    Returns:
        (..., 15, 3) flexion, abduction and twist, radians.
    """
    _check_theta(theta)
    return split_rotation(_mirrored(theta[..., 1:, :], side), joint_frames())


def theta_from_joint_angles(angles: Any, wrist: Any = None, side: str = "right") -> Any:
    """The inverse of :func:`joint_angles`.

    Args:
        angles: (..., 15, 3) radians.
        wrist: (..., 3) axis-angle of the wrist; zero if None.
        side: the hand that the result is for.

    Returns:
        (..., 16, 3) axis-angle.
    """
    check_shape("angles", angles[(0,) * (angles.ndim - 2)], (15, 3))
    fingers = _mirrored(compose_rotation(angles, joint_frames()), side)
    first = fingers[..., :1, :] * 0 if wrist is None else wrist[..., None, :]
    return _concatenate([first, fingers])


def decompose(theta: Any, side: str = "right") -> Any:
    """(..., 26) anatomical angles (``FREE_ANGLES``), radians, of θ (..., 16, 3)."""
    return joint_angles(theta, side)[..., FREE_JOINT, FREE_AXIS]


def compose(angles: Any, wrist: Any = None, side: str = "right") -> Any:
    """θ (..., 16, 3) of (..., 26) anatomical angles; the other 19 are zero.

    Args:
        angles: (..., 26) radians, in the order of ``FREE_ANGLES``.
        wrist: (..., 3) axis-angle of the wrist; zero if None.
        side: the hand that the result is for.
    """
    check_shape("angles", angles[(0,) * (angles.ndim - 1)], (26,))
    place = np.zeros((26, 45))
    place[np.arange(26), 3 * FREE_JOINT + FREE_AXIS] = 1
    full = (angles @ _like(place, angles)).reshape(*angles.shape[:-1], 15, 3)
    return theta_from_joint_angles(full, wrist, side)


def limit_loss(theta: Any, side: str = "right", softness: float = 0.05) -> Any:
    """(...) squared excess over the ranges, summed over the 45 angles.

    Args:
        theta: (..., 16, 3) axis-angle.
        side: the hand that ``theta`` belongs to.
        softness: excess in radians that costs 1.
    """
    angles = joint_angles(theta, side)
    over = (angles - _like(HIGHEST, angles)).clip(min=0)
    under = (_like(LOWEST, angles) - angles).clip(min=0)
    return (((over + under) / softness) ** 2).sum((-2, -1))


def pose_prior(theta: Any, side: str = "right") -> Any:
    """(...) negative log density of the pose prior, up to a constant.

    Independent normals per angle, and the last joint of the four fingers following the
    middle one.
    """
    angles = joint_angles(theta, side)
    spread = ((angles - _like(PRIOR_MEAN, angles)) / _like(PRIOR_SIGMA, angles)) ** 2
    follow = (angles[..., _PIP + 1, 0] - DIP_PER_PIP * angles[..., _PIP, 0]) / DIP_SIGMA
    return 0.5 * (spread.sum((-2, -1)) + (follow**2).sum(-1))


def clamp_theta(theta: Any, side: str = "right") -> Any:
    """θ (..., 16, 3) with every finger angle moved into its range; the wrist is kept."""
    angles = joint_angles(theta, side)
    low, high = _like(LOWEST, angles), _like(HIGHEST, angles)
    inside = angles.clip(low, high)
    return theta_from_joint_angles(inside, theta[..., 0, :], side)


def finger_theta(
    flexion: Mapping[str, Sequence[float]], spread: Mapping[str, float] | None = None
) -> np.ndarray:
    """θ (16, 3) of a right hand posed by hand, wrist at zero.

    Args:
        flexion: finger ("thumb" ... "pinky") -> flexion of its three joints, radians.
        spread: finger -> abduction of its first joint, radians.

    Raises:
        InputError: an unknown finger or a wrong number of angles.
    """
    from ..core.conventions import FINGERS
    from ..core.errors import InputError

    angles = np.zeros((15, 3))
    for finger in [*flexion, *(spread or {})]:
        if finger not in FINGERS:
            raise InputError(f"unknown finger {finger!r}; accepted are: {', '.join(FINGERS)}")
    for finger, bends in flexion.items():
        check_shape(f"flexion of the {finger}", np.asarray(bends), (3,))
        first = MANO_JOINTS.index(f"{finger}1") - 1
        angles[first : first + 3, 0] = bends
    for finger, angle in (spread or {}).items():
        angles[MANO_JOINTS.index(f"{finger}1") - 1, 1] = angle
    return theta_from_joint_angles(angles)


def _check_theta(theta: Any) -> None:
    if theta.ndim < 2 or tuple(theta.shape[-2:]) != (16, 3):
        check_shape("theta", theta, (16, 3))


def _mirrored(axis_angle: Any, side: str) -> Any:
    from ..core.conventions import side_index

    if side_index(side) == 0:
        return axis_angle
    return axis_angle * _like(np.array([1.0, -1.0, -1.0]), axis_angle)


def _like(array: np.ndarray, other: Any) -> Any:
    """``array`` as the kind, dtype and device of ``other``."""
    if isinstance(other, np.ndarray):
        return array
    import torch

    return torch.as_tensor(array, dtype=other.dtype, device=other.device)


def _concatenate(parts: list[Any]) -> Any:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis=-2)
    import torch

    return torch.cat(parts, -2)
