"""Layouts of pose arrays that research code writes, as motions.

One hand a file, T frames; rotations may be axis-angle (3 numbers a joint) or matrices (9):

- this project's: ``poses`` (T, 2, 16, 3) rad, sides right, left; ``trans`` (T, 2, 3) m;
  ``present`` (T, 2); ``fps``. What ``hand-toolkit pose`` writes is a superset.
- ``poses`` (T, 16, 3), (T, 48) or (T, 16, 3, 3), with ``trans`` (T, 3) and ``present`` (T,).
- MANO, HaMeR, WiLoR: ``global_orient``, ``hand_pose``, ``transl``.
- HO3D: ``handPose`` (T, 48), ``handTrans`` (T, 3); ARCTIC: ``rot``, ``pose``, ``trans`` by side.
- bodies: AMASS's ``poses`` (T, 156) of SMPL-H and (T, 165) of SMPL-X, ``pose_hand`` (T, 90),
  SMPL-X's ``left_hand_pose`` and ``right_hand_pose``; without wrist rotation.

The side is ``side``, ``handedness``, ``hand_type``, ``is_rhand`` (all of the hand itself), or
``is_right`` or ``right`` as HaMeR and WiLoR write them, which see every hand as a right one.
Coefficients of MANO's principal components, and poses relative to its mean, are read with an
imported MANO alone, since both are licensed data; DexYCB, InterHand2.6M and ARCTIC have such.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.conventions import SIDES, UPRIGHT_WRISTS_M, mirror_theta
from ..core.errors import FileFormatError, InputError
from ..geometry.rotations import axis_angle_from_quat, quat_from_matrix
from ..hand_model.mano_poses import mano_pose_space
from .motion import MAX_FRAMES, Motion, display_wrists

Arrays = Mapping[str, Any]
BODIES = {156: (66, 111), 165: (75, 120)}
"""First numbers of the left and the right hand in SMPL-H's and SMPL-X's poses."""

_SIDE_KEYS = ("side", "handedness", "hand_type", "is_rhand", "is_right", "right")
_MIRRORING = ("is_right", "right")


def motion_from_arrays(arrays: Arrays, name: str) -> Motion:
    """The motion that named arrays hold.

    Raises:
        FileFormatError: none of the layouts, or poses that need MANO's licensed data.
        InputError: values that are no poses.
    """
    fps = _fps(arrays)
    for key in ("poses", "hand_pose", "handPose", "pose_m", "pose_hand"):
        if key in arrays and len(np.atleast_1d(arrays[key])) > MAX_FRAMES:
            raise InputError(f"{len(arrays[key])} frames; accepted is up to {MAX_FRAMES}")
    hands = _hands_of_body(arrays)
    if hands is not None:
        return _bodies(hands, arrays, fps, name)
    if "pose_m" in arrays:
        return _dexycb(np.asarray(arrays["pose_m"], np.float64), arrays, fps, name)
    if "hand_pose" in arrays:
        fingers = _rotations(arrays["hand_pose"], 15, "hand_pose")
        wrist = np.zeros((len(fingers), 1, 3))
        if "global_orient" in arrays:
            wrist = _rotations(arrays["global_orient"], 1, "global_orient")
        theta = np.concatenate([wrist, fingers], axis=1)
        return _one_hand(theta, _first(arrays, "transl", "trans"), arrays, fps, name)
    if "handPose" in arrays:
        theta = _rotations(arrays["handPose"], 16, "handPose")
        return _one_hand(theta, arrays.get("handTrans"), arrays, fps, name)
    poses = np.asarray(arrays["poses"], dtype=np.float64)
    if poses.ndim == 4 and poses.shape[1:] == (2, 16, 3):
        count = len(poses)
        translation = arrays.get("trans", np.zeros((count, 2, 3)))
        present = arrays.get("present", np.ones((count, 2), bool))
        return Motion(poses, translation, present, fps, name)
    theta = _rotations(poses, 16, "poses")
    return _one_hand(theta, _first(arrays, "trans", "transl"), arrays, fps, name)


def hands_motion(hands: Mapping[str, Arrays | None], fps: float, name: str) -> Motion:
    """ARCTIC's and InterHand's hands: by side ``pose`` (45 or 48 a frame), ``rot``, ``trans``.

    Their finger poses are relative to MANO's mean.

    Raises:
        FileFormatError: no hand, or MANO is not imported.
    """
    parts = {}
    for side in SIDES:
        hand = hands.get(side)
        if hand is None:
            continue
        pose = np.asarray(hand["pose"], np.float64)
        joints = 15 if "rot" in hand else 16
        theta = _rotations(pose, joints, "pose")
        if joints == 15:
            theta = np.concatenate([_rotations(hand["rot"], 1, "rot"), theta], axis=1)
        theta[:, 1:] += mano_pose_space(side)[0]
        there = np.asarray(hand.get("present", np.ones(len(theta), bool)))
        parts[side] = theta, np.reshape(hand["trans"], (-1, 3)), there
    if not parts:
        raise FileFormatError("it has no hand with a pose")
    count = max(len(theta) for theta, _, _ in parts.values())
    both, where = np.zeros((count, 2, 16, 3)), np.zeros((count, 2, 3))
    present = np.zeros((count, 2), bool)
    for side, (theta, trans, there) in parts.items():
        k, length = SIDES.index(side), len(theta)
        both[:length, k], where[:length, k], present[:length, k] = theta, trans, there
    return Motion(both, where, present, fps, name)


def _fps(arrays: Arrays) -> float:
    for key in ("fps", "mocap_framerate", "mocap_frame_rate", "frame_rate"):
        if key in arrays:
            return float(np.asarray(arrays[key]).reshape(-1)[0])
    return 30.0


def _first(arrays: Arrays, *keys: str) -> Any:
    return next((arrays[key] for key in keys if key in arrays), None)


def _hands_of_body(arrays: Arrays) -> tuple[Any, Any] | None:
    """Left and right finger poses of a body's arrays, or None."""
    if "left_hand_pose" in arrays or "right_hand_pose" in arrays:
        return arrays.get("left_hand_pose"), arrays.get("right_hand_pose")
    poses = np.asarray(arrays["poses"]) if "poses" in arrays else np.zeros(0)
    if poses.ndim == 2 and poses.shape[1] in BODIES:
        left, right = BODIES[poses.shape[1]]
        return poses[:, left : left + 45], poses[:, right : right + 45]
    hand = np.asarray(arrays.get("pose_hand", 0.0))
    if hand.ndim == 2 and hand.shape[1] == 90 and "hand_pose" not in arrays:
        return hand[:, :45], hand[:, 45:]
    return None


def _bodies(hands: tuple[Any, Any], arrays: Arrays, fps: float, name: str) -> Motion:
    fingers = [
        None if hand is None else _rotations(hand, 15, "hand pose") for hand in reversed(hands)
    ]
    count = max(len(part) for part in fingers if part is not None)
    theta = np.zeros((count, 2, 16, 3))
    theta[:, :, 0] = display_wrists()
    for k, part in enumerate(fingers):
        if part is not None:
            theta[:, k, 1:] = part
    given = np.asarray(arrays.get("present", [part is not None for part in fingers]))
    present = np.broadcast_to(given, (count, 2)).astype(bool)
    return Motion(theta, np.zeros((count, 2, 3)) + UPRIGHT_WRISTS_M, present, fps, name)


def _dexycb(poses: np.ndarray, arrays: Arrays, fps: float, name: str) -> Motion:
    """DexYCB's ``pose_m`` (T, hands, 51): global rotation, 45 components, translation."""
    flat = poses.reshape(len(poses), -1, 51)[:, 0]
    side = SIDES[int(_sides(arrays, 1)[0][0])]
    mean, components = mano_pose_space(side)
    theta = np.zeros((len(flat), 16, 3))
    theta[:, 0] = flat[:, :3]
    theta[:, 1:] = mean + (flat[:, 3:48] @ components).reshape(-1, 15, 3)
    motion = _one_hand(theta, flat[:, 48:], arrays, fps, name)
    # frames without a hand are all zero (dex-ycb-toolkit)
    return Motion(
        motion.theta, motion.translation, motion.present & flat.any(1)[:, None], fps, name
    )


def _rotations(values: Any, joints: int, key: str) -> np.ndarray:
    """(T, joints, 3) axis-angle of axis-angle or matrices in any nesting.

    Raises:
        FileFormatError: principal components, other numbers a frame, or no rotations.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.shape in ((3 * joints,), (joints, 3), (joints, 3, 3)) and joints > 1:
        array = array[None]  # one frame
    elif joints == 1 and array.shape in ((3,), (3, 3)) and not _is_axis_angle(array):
        array = array[None]
    if array.ndim < 1 or not array.size:
        raise FileFormatError(f"'{key}' is empty")
    flat = array.reshape(len(array), -1)
    width = flat.shape[1]
    if width == 9 * joints:
        matrices = flat.reshape(-1, joints, 3, 3)
        gram = matrices @ np.swapaxes(matrices, -1, -2)
        if np.abs(gram - np.eye(3)).max() > 0.02 or np.linalg.det(matrices).min() < 0:
            raise FileFormatError(f"'{key}' has 3x3 matrices that are no rotations")
        return axis_angle_from_quat(quat_from_matrix(matrices))
    if width == 3 * joints:
        return flat.reshape(-1, joints, 3)
    if width < 3 * joints and joints == 15:
        raise FileFormatError(
            f"'{key}' has {width} numbers a frame, coefficients of MANO's principal components, "
            f"which are licensed data; write the full pose ({3 * joints} numbers) instead"
        )
    raise FileFormatError(
        f"'{key}' has shape {array.shape}; accepted are {joints} rotations a frame, as axis-angle "
        f"({3 * joints} numbers) or matrices ({9 * joints})"
    )


def _is_axis_angle(array: np.ndarray) -> bool:
    """Whether (3, 3) numbers are three axis-angle vectors rather than one matrix."""
    return array.ndim == 2 and np.abs(array @ array.T - np.eye(3)).max() > 0.02


def _sides(arrays: Arrays, count: int) -> tuple[np.ndarray, bool]:
    """(T,) 0 right or 1 left, and whether left hands are stored as right ones."""
    key = next((k for k in _SIDE_KEYS if k in arrays), None)
    if key is None:
        return np.zeros(count, int), False
    given = np.asarray(arrays[key]).reshape(-1)
    if given.dtype.kind in "US":
        words = [str(w.decode() if isinstance(w, bytes) else w).lower() for w in given]
        if not set(words) <= set(SIDES):
            raise InputError(f"'{key}' is {str(words[0])[:40]!r}; accepted are 'right' and 'left'")
        sides = np.array([SIDES.index(w) for w in words])
    else:
        sides = np.where(given.astype(np.float64) > 0.5, 0, 1)
    if len(sides) not in (1, count):
        raise InputError(f"'{key}' has {len(sides)} entries for {count} frames")
    mirrored = key in _MIRRORING and bool(np.all(arrays.get("mirrored", True)))
    return np.broadcast_to(sides, (count,)), mirrored


def _one_hand(theta: np.ndarray, place: Any, arrays: Arrays, fps: float, name: str) -> Motion:
    """A motion of frames that each have one hand."""
    count = len(theta)
    sides, mirrored = _sides(arrays, count)
    frames = np.arange(count)
    if mirrored:
        theta = np.where((sides == 1)[:, None, None], mirror_theta(theta), theta)
    both, where = np.zeros((count, 2, 16, 3)), np.zeros((count, 2, 3))
    both[frames, sides] = theta
    if place is not None:
        where[frames, sides] = np.asarray(place, np.float64).reshape(-1, 3)
    present = np.zeros((count, 2), bool)
    present[frames, sides] = True
    there = np.asarray(arrays.get("present", True))
    return Motion(both, where, present & (there[:, None] if there.ndim == 1 else there), fps, name)
