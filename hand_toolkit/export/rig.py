"""The bones of an exported hand in the skeleton that was asked for, bound and over time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..core.conventions import KEYPOINTS, MANO_JOINTS, MANO_PARENTS
from ..core.skeletons import (
    JOINTS,
    METACARPAL_PART,
    Skeleton,
    find_skeleton,
    forearm_bones,
    split_joint,
)
from ..geometry.rotations import continuous_quats, matrix_from_quat, quat_from_matrix
from ..hand_model.arm import elbow_points, forearm_turns, has_forearm
from ..hand_model.limits import joint_frames
from .scene_hand import SceneHand


@dataclass(frozen=True)
class HandRig:
    """Bones of one hand; J of them, parents before children.

    Attributes:
        names: of the bones.
        parents: (J,) number of each one's parent, -1 for none.
        owners: (J,) the joint of MANO that each follows; ``FOREARM`` for those of the forearm.
        bind: (J, 4, 4) bone-to-world matrices that mesh and splats are bound in, y up.
        bind_quats, bind_places: (J, 4) wxyz and (J, 3), of the bind pose in the parents.
        quats, places: (T, J, 4) and (T, J, 3), over time, in the parents.
    """

    names: tuple[str, ...]
    parents: np.ndarray
    owners: np.ndarray
    bind: np.ndarray
    bind_quats: np.ndarray
    bind_places: np.ndarray
    quats: np.ndarray
    places: np.ndarray

    def weights(self, weights: np.ndarray) -> np.ndarray:
        """(V, J) of (V, 16) skinning weights: a joint of MANO is its first bone's.

        Those of an arm are (V, 19), see :func:`hand_toolkit.hand_model.arm.skin_weights`; a rig
        without a forearm gives the forearm's to the wrist.
        """
        result = np.zeros((len(weights), len(self.names)), weights.dtype)
        forearm = weights[:, 16:]
        for k, j in enumerate(np.flatnonzero(self.owners == FOREARM)[: forearm.shape[1]]):
            result[:, int(j)] = forearm[:, k]
        if forearm.shape[1] and not (self.owners == FOREARM).any():
            weights = weights.copy()
            weights[:, 0] += forearm.sum(1)
        for j in range(len(MANO_JOINTS)):
            result[:, int(np.flatnonzero(self.owners == j)[0])] = weights[:, j]
        return result

    @property
    def roots(self) -> list[int]:
        """Bones without a parent."""
        return [int(j) for j in np.flatnonzero(self.parents < 0)]


FOREARM = -1
"""Owner of the forearm's bones."""


def hand_rig(hand: SceneHand, name: str = "mano", *, plain: bool = False) -> HandRig:
    """The bones of ``hand``, and of its forearm, where it has one, in a skeleton.

    The forearm bears the wrist, as in other people's rigs. Plain rigs, which carry no skin, have
    the hand alone.

    Args, Raises: as for :func:`_hand_rig`.
    """
    rig = _hand_rig(hand, name, plain)
    names = forearm_bones(name, hand.side)
    if plain or not names or not has_forearm(hand.model):
        return rig
    return _with_forearm(rig, hand, names, find_skeleton(name).axes)


def _with_forearm(rig: HandRig, hand: SceneHand, names: tuple[str, ...], axes: str) -> HandRig:
    points = elbow_points(hand.vertices, hand.side)
    along, back = -points[0] / np.linalg.norm(points[0]), np.array([0.0, 1.0, 0.0])
    frame = np.eye(3) if axes == "model" else _axes_frame(along, back, axes, hand.side)
    bind = np.tile(np.eye(4), (3, 1, 1))
    bind[:, :3, :3] = hand.bind_rotation @ frame
    bind[:, :3, 3] = hand.to_bind(points)
    turns, wrists = _chain(hand)
    world = np.tile(np.eye(4), (len(hand.theta), 3, 1, 1))
    for t, rotation in enumerate(hand.forearm):
        turned = turns[t, 0] @ forearm_turns(rotation, points[0])
        world[t, :, :3, :3] = turned @ frame
        world[t, :, :3, 3] = wrists[t, 0] + np.einsum("kij,kj->ki", turned, points)
    # the bearing bone comes first, its twist last
    order = np.array([0, *range(3, 3 + len(rig.names)), 1, 2])
    parents = np.concatenate([[-1], np.where(rig.parents < 0, 0, rig.parents + 1), [0, 0]])
    own = np.tile(np.eye(4), (len(hand.theta), len(rig.names), 1, 1))
    own[..., :3, :3], own[..., :3, 3] = matrix_from_quat(rig.quats), rig.places
    for j, parent in enumerate(rig.parents):
        if parent >= 0:
            own[:, j] = own[:, parent] @ own[:, j]
    whole = np.concatenate([world, own], axis=1)[:, order]
    whole_bind = np.concatenate([bind, rig.bind])[order]
    bind_quats, bind_places = _local(whole_bind[None], parents)
    quats, places = _local(whole, parents)
    quats[0] *= np.where((quats[0] * bind_quats[0]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    owners = np.concatenate([[FOREARM], rig.owners, [FOREARM, FOREARM]])
    return HandRig(
        (names[0], *rig.names, *names[1:]), parents, owners, whole_bind, bind_quats[0],
        bind_places[0], continuous_quats(quats), places,
    )  # fmt: skip


def _hand_rig(hand: SceneHand, name: str, plain: bool) -> HandRig:
    """The bones of ``hand`` in a skeleton of :mod:`hand_toolkit.core.skeletons`.

    Args:
        hand: the hand.
        name: the skeleton's.
        plain: nested bones with the hand's own axes, for formats that know no rest rotations.

    Raises:
        InputError: there is no such skeleton.
    """
    skeleton = find_skeleton(name)
    if plain:
        skeleton = dataclasses.replace(skeleton, flat=False, axes="model")
    if name == "mano":
        places = np.tile(hand.local_offsets, (len(hand.theta), 1, 1))
        places[:, 0] = hand.wrist_positions
        return HandRig(
            hand.joint_names, MANO_PARENTS, np.arange(16), hand.bind_joints,
            hand.local_bind_quats, hand.local_offsets, hand.local_quats, places,
        )  # fmt: skip
    bones = skeleton.bones(hand.side)
    joints = list(bones)
    parents = np.array([_parent(joint, joints, skeleton) for joint in joints])
    owners = np.array([MANO_JOINTS.index(_owner(joint)) for joint in joints])
    points = np.stack([joint_point(hand, joint) for joint in joints])
    frames = np.stack([_frame(hand, joint, skeleton.axes) for joint in joints])
    bind = np.tile(np.eye(4), (len(joints), 1, 1))
    bind[:, :3, :3] = hand.bind_rotation @ frames
    bind[:, :3, 3] = hand.to_bind(points)
    turns, wrists = _chain(hand)
    world = np.tile(np.eye(4), (len(hand.theta), len(joints), 1, 1))
    world[..., :3, :3] = turns[:, owners] @ frames
    offsets = (points - hand.joints[owners])[..., None]
    world[..., :3, 3] = wrists[:, owners] + (turns[:, owners] @ offsets)[..., 0]
    bind_quats, bind_places = _local(bind[None], parents)
    quats, places = _local(world, parents)
    signs = np.where((quats[0] * bind_quats[0]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    quats[0] *= signs
    return HandRig(
        tuple(bones.values()), parents, owners, bind, bind_quats[0], bind_places[0],
        continuous_quats(quats), places,
    )  # fmt: skip


def joint_point(hand: SceneHand, joint: str) -> np.ndarray:
    """(3,) where one of ``JOINTS`` is on the rest hand, model axes, metres."""
    finger, part = split_joint(joint)
    if part == "metacarpal":
        knuckle = hand.joints[MANO_JOINTS.index(f"{finger}1")]
        return hand.joints[0] + METACARPAL_PART * (knuckle - hand.joints[0])
    if part == "tip":
        return hand.keypoints[KEYPOINTS.index(joint)]
    return hand.joints[MANO_JOINTS.index(joint)]


def _owner(joint: str) -> str:
    finger, part = split_joint(joint)
    return {"metacarpal": "wrist", "tip": f"{finger}3"}.get(part, joint)


def _before(joint: str) -> str | None:
    """The joint that ``joint`` hangs on in the full hand."""
    finger, _ = split_joint(joint)
    if not finger:
        return None
    order = [f"{finger}_metacarpal", *(f"{finger}{k}" for k in (1, 2, 3)), f"{finger}_tip"]
    known = [name for name in order if name in JOINTS]
    k = known.index(joint)
    return known[k - 1] if k else "wrist"


def _parent(joint: str, joints: list[str], skeleton: Skeleton) -> int:
    before = None if skeleton.flat else _before(joint)
    while before is not None and before not in joints:
        before = _before(before)
    return -1 if before is None else joints.index(before)


def _direction(hand: SceneHand, joint: str) -> np.ndarray:
    """(3,) unit, along the bone toward the fingertip at rest."""
    finger, part = split_joint(joint)
    if not finger:
        step = joint_point(hand, "middle1") - joint_point(hand, "wrist")
    elif part == "tip":
        step = joint_point(hand, joint) - joint_point(hand, f"{finger}3")
    else:
        after = {"metacarpal": "1", "1": "2", "2": "3", "3": "_tip"}[part]
        step = joint_point(hand, f"{finger}{after}") - joint_point(hand, joint)
    return step / np.linalg.norm(step)


def _frame(hand: SceneHand, joint: str, axes: str) -> np.ndarray:
    """(3, 3) the bone's axes as columns, in model axes at rest."""
    if axes == "model":
        return np.eye(3)
    along = _direction(hand, joint)
    finger, part = split_joint(joint)
    back = np.array([0.0, 1.0, 0.0])
    if finger and part != "metacarpal":
        number = MANO_JOINTS.index(f"{finger}{part if part != 'tip' else 3}") - 1
        back = joint_frames()[number, 1] * [1.0 if hand.side == "right" else -1.0, 1.0, 1.0]
    return _axes_frame(along, back, axes, hand.side)


def _axes_frame(along: np.ndarray, back: np.ndarray, axes: str, side: str) -> np.ndarray:
    """(3, 3) axes of a bone along ``along`` whose back is roughly ``back``."""
    back = back - along * (along @ back)
    back /= np.linalg.norm(back)
    if axes == "-z":
        return np.stack([np.cross(back, -along), back, -along], axis=1)
    if axes == "y":
        return np.stack([np.cross(along, back), along, back], axis=1)
    sign = -1.0 if side == "right" else 1.0
    x, z = sign * along, sign * back
    return np.stack([x, np.cross(z, x), z], axis=1)


def _chain(hand: SceneHand) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (T, 16, 3, 3) and places (T, 16, 3) of MANO's joints, y up."""
    local = matrix_from_quat(hand.local_quats)
    turns, places = local.copy(), np.zeros((*local.shape[:2], 3))
    places[:, 0] = hand.wrist_positions
    for j in range(1, 16):
        parent = int(MANO_PARENTS[j])
        turns[:, j] = turns[:, parent] @ local[:, j]
        places[:, j] = places[:, parent] + turns[:, parent] @ hand.local_offsets[j]
    return turns, places


def _local(world: np.ndarray, parents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (T, J, 4) wxyz and places (T, J, 3) in the parents."""
    inside = world.copy()
    has = parents >= 0
    inside[:, has] = np.linalg.inv(world[:, parents[has]]) @ world[:, has]
    return quat_from_matrix(inside[..., :3, :3]), inside[..., :3, 3]
