"""Directions in which a flat hand's bones, fingers and palm grow."""

from __future__ import annotations

import numpy as np

from .rest import MANO_FIRST, FlatHand


def bone_direction(flat: FlatHand, finger: int, bone: int) -> tuple[np.ndarray, np.ndarray]:
    """Change of vertices (N, 3) and keypoints (21, 3) as a bone grows by its own length.

    Args:
        flat: the hand.
        finger: 0 to 4, thumb to little finger.
        bone: 0 to 2 from the first joint on.
    """
    first, joint = 1 + 4 * finger, MANO_FIRST[finger]
    head, end = flat.keypoints[first + bone], flat.keypoints[first + bone + 1]
    vector = end - head
    length = np.linalg.norm(vector)
    direction = vector / length
    along = np.clip((flat.vertices - head) @ direction, 0, length)
    own = flat.weights[:, joint + bone, None] * along[:, None] * direction
    distal = flat.weights[:, joint + bone + 1 : joint + 3].sum(1)[:, None] * vector
    points = np.zeros((21, 3))
    points[first + bone + 1 : first + 4] = vector
    return own + distal, points


def thickness_direction(flat: FlatHand, finger: int) -> np.ndarray:
    """Change of vertices (N, 3) as a finger, 0 to 4 from the thumb, grows twice as thick."""
    first, joint = 1 + 4 * finger, MANO_FIRST[finger]
    out = np.zeros_like(flat.vertices)
    for k in range(3):
        head, end = flat.keypoints[first + k], flat.keypoints[first + k + 1]
        direction = (end - head) / np.linalg.norm(end - head)
        offset = flat.vertices - head
        across = offset - (offset @ direction)[:, None] * direction
        # the thumb's metacarpal is inside the palm, which thickens only partly with it
        share = 0.4 if finger == 0 and k == 0 else 1.0
        out += share * flat.weights[:, joint + k, None] * across
    return out


def palm_direction(flat: FlatHand, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The palm stretched to twice its extent along one axis about the wrist, fingers and thumb
    carried along: change of vertices (N, 3) and keypoints (21, 3).

    The forearm keeps its shape: the stretch fades out towards the wrist's crease.
    """
    knuckles = flat.keypoints[[5, 9, 13, 17], 0].mean()
    centre = 0.5 * (flat.keypoints[[5, 17]].mean(0) + flat.keypoints[[9, 13]].mean(0))
    axis_vector = np.eye(3)[axis]

    def stretch(points: np.ndarray) -> np.ndarray:
        t = np.clip(points[:, 0] / knuckles, 0.0, None)
        fade = 1.0 if axis == 0 else _smoothstep(np.clip(t / 0.5, 0, 1))
        line = np.minimum(t, 1.0)[:, None] * centre
        amount = points[:, axis] - (0.0 if axis == 0 else line[:, axis])
        amount = np.where(points[:, 0] > 0, 0.0, amount) if axis == 0 else amount
        return (fade * amount)[:, None] * axis_vector

    heads = np.stack([flat.keypoints[0], *flat.keypoints[1:18:4]])
    # knuckles lie inside the palm's depth: thickness must not shift the fingers
    carried = stretch(heads) * (0.0 if axis == 1 else 1.0)
    vertices = flat.weights[:, :1] * stretch(flat.vertices)
    keypoints = np.zeros((21, 3))
    for finger, shift in enumerate(carried[1:]):
        joint, first = MANO_FIRST[finger], 1 + 4 * finger
        vertices += flat.weights[:, joint : joint + 3].sum(1)[:, None] * shift
        keypoints[first : first + 4] = shift
    return vertices, keypoints


def _smoothstep(t: np.ndarray) -> np.ndarray:
    return t * t * (3 - 2 * t)
