# SPDX-License-Identifier: GPL-3.0-or-later
"""The forearm's bones, for avatars that have one.

``forearm`` turns about the wrist; ``forearm_mid`` and ``forearm_twist`` follow it with half of its
twist and without, so that skin does not wring. They hang on the wrist, and so move with the hand;
a forearm that is *held* keeps its direction while the wrist bends. θ of an arm has a seventeenth
row, the forearm's rotation to the hand in the hand's rest axes (hand_toolkit.hand_model.arm).
"""

from __future__ import annotations

import numpy as np
from mathutils import Matrix, Vector

from . import axes, bones, pair, scene_data

BONES = ("forearm", "forearm_mid", "forearm_twist")
TWISTED_BACK = (0.0, 0.5, 1.0)
"""Part of the forearm's twist that each bone takes back."""

BEARER = "hand_forearm"
"""Custom property of a bone: which of ``BONES`` it is."""


def names(side):
    """Names of the bones as they are made."""
    return [axes.bone_name(name, side) for name in BONES]


def bone_of(armature, name="forearm"):
    """The pose bone of that mark, or None for a hand that ends at the wrist."""
    own = (b for b in armature.pose.bones if pair.owns(armature, b.bone))
    return next((b for b in own if b.bone.get(BEARER) == name), None)


def add_bones(data, side, points):
    """Make the edit bones, in edit mode.

    Args:
        data: the armature.
        side: "right" or "left".
        points: (3, 3) of the bones' ends, the elbow's first.
    """
    wrist = data.edit_bones[axes.bone_name("wrist", side)]
    parent = wrist
    for name, mark in zip(names(side), BONES):
        bone = data.edit_bones.new(name)
        bone.parent = parent
        bone[BEARER] = mark
        if pair.SIDE in wrist:
            bone[pair.SIDE] = side
        parent = data.edit_bones[names(side)[0]]
    place_bones(data, side, points)


def place_bones(data, side, points):
    """Lay the edit bones from the wrist toward the elbow; x stays the hinge of the wrist."""
    own = [b for b in data.edit_bones if b.get(pair.SIDE, side) == side]
    marked = {b[BEARER]: b for b in own if BEARER in b}
    wrist = next(
        b
        for b in own
        if b.get(scene_data.JOINT) == "wrist" or b.name == axes.bone_name("wrist", side)
    )
    along = np.asarray(points[0], float) / np.linalg.norm(points[0])
    hinge = np.array(wrist.matrix.to_3x3(), float)[:, 0]
    hinge = hinge - along * (along @ hinge)
    hinge /= np.linalg.norm(hinge)
    columns = np.stack([hinge, along, np.cross(hinge, along)], axis=1)
    for mark, length in zip(BONES, (1.0, 0.5, 0.25)):
        bone = marked[mark]
        bone.head = wrist.head
        bone.tail = wrist.head + Vector(along.tolist())
        matrix = Matrix(columns.tolist()).to_4x4()
        matrix.translation = wrist.head
        bone.matrix = matrix
        bone.length = float(np.linalg.norm(points[0])) * length


def finish(armature):
    """Rotation modes, locks, and what drives the bones of the twist."""
    driver_bone = bone_of(armature)
    driver_bone.rotation_mode = "QUATERNION"
    driver_bone.lock_location = driver_bone.lock_scale = (True, True, True)
    for mark, part in zip(BONES[1:], TWISTED_BACK[1:]):
        bone = bone_of(armature, mark)
        bone.rotation_mode = "YXZ"
        bone.lock_location = bone.lock_rotation = bone.lock_scale = (True, True, True)
        driver = bone.driver_add("rotation_euler", 1).driver
        driver.type = "SCRIPTED"
        variable = driver.variables.new()
        variable.name = "twist"
        variable.type = "TRANSFORMS"
        target = variable.targets[0]
        target.id = pair.armature_of(armature)
        target.bone_target = driver_bone.name
        target.transform_space = "LOCAL_SPACE"
        target.rotation_mode = "SWING_TWIST_Y"
        target.transform_type = "ROT_Y"
        driver.expression = f"-{part} * twist"


def _rest(bone):
    return np.array(bone.bone.matrix_local.to_3x3(), np.float64)


def set_rotation(armature, rotation):
    """Turn the forearm to the hand by the axis-angle (3,) in the hand's rest axes."""
    bone = bone_of(armature)
    if bone is None:
        return
    if held(armature):
        hold(armature, False)
    bones.set_rotation(bone, axes.rotvec_to_quat(to_local(armature, rotation)))


def to_local(armature, rotation):
    """Axis-angles (..., 3) about the bone's own axes, of those about the hand's rest axes."""
    return np.asarray(rotation, np.float64) @ _rest(bone_of(armature))


def rotation(armature):
    """(3,) the forearm's rotation to the hand that is seen; None without a forearm."""
    bone = bone_of(armature)
    if bone is None:
        return None
    wrist = bones.pose_bones(armature)[0]
    turns = [
        np.array(b.matrix.to_quaternion().to_matrix(), np.float64) @ _rest(b).T
        for b in (wrist, bone)
    ]
    return axes.matrix_to_rotvec(turns[0].T @ turns[1])


def held(armature):
    """Whether the forearm keeps its direction while the wrist bends."""
    bone = bone_of(armature)
    return bone is not None and not bone.bone.use_inherit_rotation


def hold(armature, on):
    """Let the forearm keep its direction, or follow the hand again; nothing jumps."""
    bone = bone_of(armature)
    if bone is None or held(armature) == on:
        return
    import bpy

    bpy.context.view_layer.update()
    wrist = bones.pose_bones(armature)[0]
    turn = np.array(bone.matrix.to_quaternion().to_matrix(), np.float64)
    bone.bone.use_inherit_rotation = not on
    if on:
        local = _rest(bone).T @ turn
    else:
        seen = np.array(wrist.matrix.to_quaternion().to_matrix(), np.float64) @ _rest(wrist).T
        local = _rest(bone).T @ seen.T @ turn
    bones.set_rotation(bone, axes.rotvec_to_quat(axes.matrix_to_rotvec(local)))
    bpy.context.view_layer.update()
