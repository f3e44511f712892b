"""Poses of other rigs as θ: bones matched by name, rests that differ kept as differences.

A rig's bone turns in the world by D = R R₀⁻¹ from its rest R₀. With A, the rotation from the
hand's model axes to the rig's rest hand, and O, the smallest rotation from the flat hand's bone to
the rig's bone at rest, a joint's rotation in model axes is Aᵀ D O A; θ is that of each in its
parent. So a rig whose fingers are bent at rest gives a bent θ at rest, and a T-pose the flat hand.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..core.conventions import MANO_JOINTS, MANO_PARENTS
from ..core.errors import InputError
from ..geometry.rotations import axis_angle_from_quat, quat_from_matrix
from ..hand_model import load_hand_model, rest_hand

NEEDED = ("wrist", "index1", "middle1", "pinky1")


def retarget(
    side: str, heads: Mapping[str, np.ndarray], turns: Mapping[str, np.ndarray]
) -> np.ndarray:
    """θ (T, 16, 3) of a rig's motion, the wrist's in the rig's world.

    Args:
        side: "right" or "left".
        heads: by MANO joint and fingertip (``index_tip``): (3,) place at rest, any unit.
        turns: by MANO joint: (T, 3, 3) rotations in the world from rest to pose; joints that are
            missing follow their parents.

    Raises:
        InputError: the rig has no wrist or knuckles that tell how its hand lies.
    """
    missing = [joint for joint in NEEDED if joint not in heads]
    if missing or "wrist" not in turns:
        raise InputError(
            f"the rig's {side} hand has no bone for {', '.join(missing) or 'wrist'}; at least "
            "the wrist and the knuckles of index, middle and pinky are needed"
        )
    model = load_hand_model("default", side)
    _, joints, keypoints = rest_hand(model, np.zeros(len(model.shape_names)))
    flat = dict(zip(MANO_JOINTS, joints))
    for k, finger in enumerate(("thumb", "index", "middle", "ring", "pinky")):
        flat[f"{finger}_tip"] = keypoints[4 * k + 4]
    place = _aligned(flat, heads)
    count = len(turns["wrist"])
    whole = np.tile(np.eye(3), (count, 16, 1, 1))
    for j, joint in enumerate(MANO_JOINTS):
        parent = int(MANO_PARENTS[j])
        if joint not in turns:
            whole[:, j] = whole[:, parent]
            continue
        bent = np.eye(3) if j == 0 else _bent(joint, flat, heads, place)
        whole[:, j] = place.T @ turns[joint] @ bent @ place
    local = whole.copy()
    local[:, 1:] = np.swapaxes(whole[:, MANO_PARENTS[1:]], -1, -2) @ whole[:, 1:]
    # the wrist's is a rotation from model axes to the rig's world
    local[:, 0] = place @ whole[:, 0]
    return axis_angle_from_quat(quat_from_matrix(local))


def _aligned(flat: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray]) -> np.ndarray:
    """(3, 3) from model axes to the rig's rest hand: Kabsch's rotation of palm and knuckles."""
    names = [
        f"{finger}1" for finger in ("index", "middle", "ring", "pinky") if f"{finger}1" in heads
    ]
    pairs = []
    for points in (flat, heads):
        vectors = np.stack([np.asarray(points[n], float) - points["wrist"] for n in names])
        across = vectors[0] - vectors[-1]
        vectors = np.concatenate([vectors, [across], [np.cross(vectors.mean(0), across) * 10]])
        pairs.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    u, _, vt = np.linalg.svd(pairs[1].T @ pairs[0])
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def _bent(
    joint: str,
    flat: Mapping[str, np.ndarray],
    heads: Mapping[str, np.ndarray],
    place: np.ndarray,
) -> np.ndarray:
    """(3, 3) smallest rotation, in the rig's world, from the flat hand's bone to the rig's."""
    finger, number = joint[:-1], int(joint[-1])
    after = f"{finger}_tip" if number == 3 else f"{finger}{number + 1}"
    if joint not in heads or after not in heads:
        before = f"{finger}{number - 1}"
        # a last bone whose end is unknown lies as the one before it
        return _bent(before, flat, heads, place) if number > 1 else np.eye(3)
    a = place @ (flat[after] - flat[joint])
    b = np.asarray(heads[after], float) - heads[joint]
    if np.linalg.norm(b) < 1e-9:
        return np.eye(3)
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    v, c = np.cross(a, b), float(a @ b)
    if c < -0.999:
        return np.eye(3)
    skew = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + c)
