# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingertip IK: a bone in the rig that a fingertip follows.

The target is a bone, so it is posed, keyed, mirrored and copied with the others; it hangs on the
wrist and deforms nothing. ``<finger>_ik``, a custom property of the rig, blends from the keyed
rotations and sliders (0) to the target (1) and can be keyed.
"""

from __future__ import annotations

import numpy as np
from mathutils import Vector

from . import axes, bones, controls, pair, rig
from .build import edit_mode
from .errors import HandError

IK = "Hand IK"
COLLECTION = "IK"
TARGET = "hand_target"
"""Custom property of a target's bone: its finger."""


def blend_name(finger, hand=None):
    """Custom property of the armature: how much ``finger`` (of ``hand``) follows its target."""
    return pair.own_name(hand, f"{finger}_ik")


def target_of(hand, finger):
    """The pose bone that ``finger`` follows, or None."""
    own = (b for b in hand.pose.bones if pair.owns(hand, b.bone))
    return next((b for b in own if b.bone.get(TARGET) == finger), None)


def has_ik(hand, finger):
    """Whether ``finger`` follows a fingertip target."""
    try:
        tip = bones.pose_bone(hand, finger + "3")
    except HandError:
        return False
    return IK in tip.constraints


def fingers_of(hand):
    """The fingers that follow targets."""
    return [f for f in axes.FINGERS if has_ik(hand, f)]


def add(context, hand, finger):
    """Let ``finger`` follow a target at its tip, which starts where the tip is.

    Raises:
        HandError: it has one.
    """
    if has_ik(hand, finger):
        raise HandError(f"the {finger} already has an IK target")
    controls.restore(hand)
    context.view_layer.update()
    tip = bones.pose_bone(hand, finger + "3")
    wrist = rig.pose_bones(hand)[0]
    target = _target_bone(context, hand, finger, tip, wrist)
    name = blend_name(finger, hand)
    hand[name] = 1.0
    hand.id_properties_ui(name).update(
        min=0.0, max=1.0, default=1.0, description="From the keyed pose and sliders to the target"
    )
    hand.property_overridable_library_set(f'["{name}"]', True)
    constraint = tip.constraints.new("IK")
    constraint.name = IK
    constraint.target, constraint.subtarget = pair.armature_of(hand), target.name
    constraint.chain_count = 3
    tip.constraints.move(len(tip.constraints) - 1, 0)
    controls.drive(constraint, "influence", hand, name, 1.0)
    for k in (1, 2, 3):
        link = bones.pose_bone(hand, f"{finger}{k}")
        limit = link.constraints[controls.LIMIT]
        for axis in "xyz":
            setattr(link, f"use_ik_limit_{axis}", True)
            setattr(link, f"ik_min_{axis}", min(0.0, getattr(limit, f"min_{axis}")))
            setattr(link, f"ik_max_{axis}", max(0.0, getattr(limit, f"max_{axis}")))
        link.ik_stiffness_y = 0.9
        link.ik_stiffness_z = 0.5
    place(context, hand, [finger])
    return target


def _target_bone(context, hand, finger, tip, wrist):
    """A bone at the fingertip of the rest pose, child of the wrist."""
    if hand.library is not None or hand.override_library is not None:
        raise HandError("bones cannot be added to a linked hand; add IK in the file it comes from")
    names = tip.name, wrist.name
    suffix = axes.SUFFIX[pair.side_of(hand)]
    with edit_mode(context, pair.armature_of(hand)):
        bones = hand.data.edit_bones
        bone = bones.new(f"{finger}_ik{suffix}")
        bone.parent, bone.use_connect, bone.use_deform = bones[names[1]], False, False
        bone.head = bones[names[0]].tail
        bone.tail = bone.head + Vector((0.0, 0.012, 0.0))
        bone[TARGET] = finger
        if pair.is_pair(hand):
            bone[pair.SIDE] = pair.side_of(hand)
        made = bone.name
    target = hand.pose.bones[made]
    target.rotation_mode = "QUATERNION"
    target.lock_rotation, target.lock_scale = (True,) * 3, (True,) * 3
    groups = hand.data.collections
    (groups.get(COLLECTION) or groups.new(COLLECTION)).assign(target.bone)
    target.bone.color.palette = "THEME01"
    return target


def remove(context, hand, finger):
    """Take the fingertip target of ``finger`` away; the finger keeps its keyed pose."""
    tip = bones.pose_bone(hand, finger + "3")
    constraint = tip.constraints.get(IK)
    if constraint is not None:
        constraint.driver_remove("influence")
        tip.constraints.remove(constraint)
    target = target_of(hand, finger)
    if target is not None:
        name = target.name
        with edit_mode(context, pair.armature_of(hand)):
            hand.data.edit_bones.remove(hand.data.edit_bones[name])
    if blend_name(finger, hand) in hand:
        del hand[blend_name(finger, hand)]


def place(context, hand, fingers=None):
    """Move targets to where the keyed pose and sliders put the fingertips.

    So a pose that is set while IK is on is the pose that is seen.

    Args:
        context: Blender's.
        hand: the rig.
        fingers: whose; None for all that have one.
    """
    fingers = fingers_of(hand) if fingers is None else fingers
    if not fingers:
        return
    blends = {finger: hand.get(blend_name(finger, hand), 1.0) for finger in fingers}
    for finger in fingers:
        hand[blend_name(finger, hand)] = 0.0
    hand.update_tag()
    context.view_layer.update()
    wrist = rig.pose_bones(hand)[0]
    turn = np.array(wrist.matrix) @ np.linalg.inv(np.array(wrist.bone.matrix_local))
    for finger in fingers:
        target = target_of(hand, finger)
        tip = np.array(bones.pose_bone(hand, finger + "3").tail)
        rest = target.bone.matrix_local
        there = np.linalg.inv(turn) @ np.append(tip, 1.0)
        target.location = rest.to_3x3().transposed() @ (Vector(there[:3]) - rest.translation)
    for finger, blend in blends.items():
        hand[blend_name(finger, hand)] = blend
    hand.update_tag()
    context.view_layer.update()


def key(hand, frame):
    """Key the targets' places and how much they are followed."""
    for finger in fingers_of(hand):
        target_of(hand, finger).keyframe_insert("location", frame=frame, group="IK")
        hand.keyframe_insert(f'["{blend_name(finger, hand)}"]', frame=frame, group="IK")


def let_go(hand, frame):
    """Let all fingers follow their keys, from ``frame`` on; the fingers that did follow targets."""
    fingers = [f for f in fingers_of(hand) if hand.get(blend_name(f, hand), 1.0) > 0]
    keyed = {curve.data_path: curve for curve in rig.action_curves(hand)}
    for finger in fingers:
        hand[blend_name(finger, hand)] = 0.0
        path = f'["{blend_name(finger, hand)}"]'
        if path in keyed:
            points = keyed[path].keyframe_points
            for point in reversed([p for p in points if p.co.x >= frame]):
                points.remove(point)
            hand.keyframe_insert(path, frame=frame, group="IK")
    hand.update_tag()
    return fingers


def in_use(finger, hand):
    """Whether sliders of ``finger`` do nothing now."""
    return has_ik(hand, finger) and hand.get(blend_name(finger, hand), 1.0) >= 1.0
