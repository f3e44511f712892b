# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, axes and rotations, stated once for the extension.

The toolkit's world is a camera's: x right, y down, z forward. Blender's is z up. ``TO_BLENDER``
turns the one into the other; every armature object carries it as its rotation, so that bones and
meshes below it live in the toolkit's own axes.

**MANO's θ and the bones.** θ_j is the axis-angle of joint j in the hand's rest axes. The bone of
joint j rests with the orientation ``B_j = bone.matrix_local.to_3x3()`` (y along the finger, x the
axis that bends it), and Blender's pose rotates about the bone's own axes. So the bone-local
rotation is θ_j written in the bone's axes::

    theta_j = B_j @ axis_angle(pose_bone.matrix_basis)

a constant change of axes per bone, exact in both directions (:func:`theta_to_local`,
:func:`local_to_theta`). The wrist's location is ``B_0`` applied in the same way.
"""

from __future__ import annotations

import numpy as np

JOINTS = (
    "wrist",
    "index1",
    "index2",
    "index3",
    "middle1",
    "middle2",
    "middle3",
    "pinky1",
    "pinky2",
    "pinky3",
    "ring1",
    "ring2",
    "ring3",
    "thumb1",
    "thumb2",
    "thumb3",
)
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
SIDES = ("right", "left")
SUFFIX = {"right": ".R", "left": ".L"}

TO_BLENDER = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Toolkit world (x right, y down, z forward) to Blender world (x right, y away, z up)."""

PALM = np.array([0.0, -1.0, 0.0])
"""Where the palm of a flat hand faces, in the hand's rest axes."""

DISPLAY_WRIST = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Wrist rotation that shows a right hand upright, palm to the toolkit's camera."""


def bone_name(joint, side):
    """Name of the bone of ``joint`` (index or name)."""
    name = joint if isinstance(joint, str) else JOINTS[joint]
    return name + SUFFIX[side]


def mirror_theta(theta):
    """θ (..., 3) of the mirrored hand."""
    return np.asarray(theta) * np.array([1.0, -1.0, -1.0])


def display_theta(side, back=False):
    """Wrist axis-angle (3,) of a hand that stands upright, palm (or ``back``) to the viewer."""
    turn = np.diag([-1.0, 1.0, -1.0]) if back else np.eye(3)
    right = matrix_to_rotvec(turn @ DISPLAY_WRIST)
    return right if side == "right" else mirror_theta(right)


def theta_to_local(theta, rest):
    """Bone-local axis-angles (..., 16, 3) of θ; ``rest`` is (16, 3, 3), B_j in columns."""
    return np.einsum("jba,...jb->...ja", rest, theta)


def local_to_theta(local, rest):
    """The inverse of :func:`theta_to_local`."""
    return np.einsum("jab,...jb->...ja", rest, local)


def rotvec_to_quat(rotvec):
    """wxyz quaternions (..., 4) of axis-angles (..., 3)."""
    rotvec = np.asarray(rotvec, np.float64)
    angle = np.linalg.norm(rotvec, axis=-1, keepdims=True)
    # sin(a / 2) / a, smooth through zero
    factor = 0.5 * np.sinc(angle / (2 * np.pi))
    return np.concatenate([np.cos(angle / 2), rotvec * factor], axis=-1)


def quat_to_rotvec(quat):
    """Axis-angles (..., 3), angle at most pi, of quaternions wxyz (..., 4) of any length."""
    quat = np.asarray(quat, np.float64)
    quat = quat / np.maximum(np.linalg.norm(quat, axis=-1, keepdims=True), 1e-12)
    quat = np.where(quat[..., :1] < 0, -quat, quat)
    sine = np.linalg.norm(quat[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quat[..., :1])
    factor = np.where(sine > 1e-9, angle / np.maximum(sine, 1e-12), 2.0)
    return quat[..., 1:] * factor


def matrix_to_rotvec(matrix):
    """Axis-angles (..., 3) of rotation matrices (..., 3, 3)."""
    matrix = np.asarray(matrix, np.float64)
    m = [[matrix[..., i, j] for j in range(3)] for i in range(3)]
    # the largest of the four squared components keeps the division well away from zero
    squared = np.stack(
        [
            1 + m[0][0] + m[1][1] + m[2][2],
            1 + m[0][0] - m[1][1] - m[2][2],
            1 - m[0][0] + m[1][1] - m[2][2],
            1 - m[0][0] - m[1][1] + m[2][2],
        ],
        axis=-1,
    )
    wx, wy, wz = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[0][1] + m[1][0], m[0][2] + m[2][0], m[1][2] + m[2][1]
    rows = np.stack(
        [
            np.stack([squared[..., 0], wx, wy, wz], -1),
            np.stack([wx, squared[..., 1], xy, xz], -1),
            np.stack([wy, xy, squared[..., 2], yz], -1),
            np.stack([wz, xz, yz, squared[..., 3]], -1),
        ],
        axis=-2,
    )
    best = np.argmax(squared, axis=-1)
    quat = np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :]
    return quat_to_rotvec(quat)


def rotvec_to_matrix(rotvec):
    """(..., 3, 3) of axis-angles (..., 3)."""
    w, x, y, z = np.moveaxis(rotvec_to_quat(rotvec), -1, 0)
    return np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], -1),
            np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], -1),
            np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], -1),
        ],
        -2,
    )
