# SPDX-License-Identifier: GPL-3.0-or-later
"""A hand's bones: found by their marks, their rest axes, turned in any rotation mode."""

from __future__ import annotations

import numpy as np

from . import axes, pair, scene_data
from .errors import HandError


def pose_bones(rig):
    """The sixteen pose bones in MANO's order, by their marks: the artist may rename them.

    Raises:
        HandError: bones were deleted.
    """
    side = pair.side_of(rig)
    marked = {
        b.bone.get(scene_data.JOINT): b
        for b in rig.pose.bones
        if scene_data.JOINT in b.bone and pair.owns(rig, b.bone)
    }
    bones, missing = [], []
    for joint, name in enumerate(axes.JOINTS):
        # files of the first version have no marks
        bone = marked.get(name) or rig.pose.bones.get(axes.bone_name(joint, side))
        bones.append(bone)
        if bone is None:
            missing.append(axes.bone_name(joint, side))
    if missing:
        raise HandError(f"the rig '{rig.name}' has lost the bones {', '.join(missing)}; undo that")
    return bones


def pose_bone(rig, joint):
    """The pose bone of ``joint``, index or name."""
    return pose_bones(rig)[axes.JOINTS.index(joint) if isinstance(joint, str) else joint]


def rest_axes(rig):
    """(16, 3, 3) B_j: rest orientations of the bones in the hand's axes, in columns."""
    return np.array([np.array(b.bone.matrix_local.to_3x3()) for b in pose_bones(rig)], np.float64)


def set_rotation(bone, quat):
    """Rotate a pose bone in whatever rotation mode the artist has chosen."""
    from mathutils import Quaternion

    rotation = Quaternion(quat)
    if bone.rotation_mode == "QUATERNION":
        # the sign nearest to the last key keeps interpolation on the short arc
        if rotation.dot(bone.rotation_quaternion) < 0:
            rotation.negate()
        bone.rotation_quaternion = rotation
    elif bone.rotation_mode == "AXIS_ANGLE":
        axis, angle = rotation.to_axis_angle()
        bone.rotation_axis_angle = (angle, *axis)
    else:
        bone.rotation_euler = rotation.to_euler(bone.rotation_mode, bone.rotation_euler)
