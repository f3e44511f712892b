# SPDX-License-Identifier: GPL-3.0-or-later
"""Sliders, joint limits and fingertip IK on top of the keyed pose.

Keys and sliders must not fight over one channel, so the sliders drive a constraint: each finger
bone has a Transformation constraint whose result is the slider's angle, added after the keyed
rotation; then comes the Limit Rotation. ``rig.get_theta`` reads the keys alone,
``rig.get_evaluated_theta`` what is seen.
"""

from __future__ import annotations

import math

import bpy

from . import axes
from .errors import HandError

CURL = "Hand curl"
LIMIT = "Hand limit"
CURL_DEGREES = {1: 85.0, 2: 100.0, 3: 65.0}
"""Flexion of a finger's joints at curl 1."""
THUMB_CURL_DEGREES = {1: 30.0, 2: 45.0, 3: 70.0}
SPREAD_DEGREES = 20.0
"""Abduction of a finger's first joint at spread 1."""
SPREAD_WEIGHT = {"thumb": 1.5, "index": 1.0, "middle": 0.25, "ring": -0.6, "pinky": -1.2}
"""How far each finger fans out, towards the thumb."""


def curl_name(finger):
    """Custom property of the armature object that bends ``finger``."""
    return f"{finger}_curl"


def spread_name(finger):
    """Custom property of the armature object that fans ``finger`` out."""
    return f"{finger}_spread"


def add_controls(rig, limits):
    """Make the sliders, their constraints and the joint limits.

    Args:
        rig: the armature.
        limits: (16, 3, 2) flexion, abduction, twist, radians.
    """
    for finger in axes.FINGERS:
        for name, low, what in (
            (curl_name(finger), -0.3, "Bend the whole finger on top of its keyed pose"),
            (spread_name(finger), -1.0, "Fan the finger out on top of its keyed pose"),
        ):
            rig[name] = 0.0
            rig.id_properties_ui(name).update(
                min=low, max=1.0, soft_min=low, soft_max=1.0, default=0.0, description=what
            )
            rig.property_overridable_library_set(f'["{name}"]', True)
    side = rig.hand_toolkit.side
    for joint, name in enumerate(axes.JOINTS):
        if joint == 0:
            continue
        finger, k = name[:-1], int(name[-1])
        bone = rig.pose.bones[axes.bone_name(joint, side)]
        _add_slider(rig, bone, finger, k, side)
        _add_limit(bone, limits[joint], side)


def _add_slider(rig, bone, finger, k, side):
    constraint = bone.constraints.new("TRANSFORM")
    constraint.name = CURL
    # Any object but the rig itself is valid here; the avatar's root always exists.
    constraint.target = rig.hand_toolkit.root
    constraint.owner_space = "LOCAL"
    constraint.target_space = "LOCAL"
    constraint.map_from = "LOCATION"
    constraint.map_to = "ROTATION"
    constraint.mix_mode_rot = "AFTER"
    constraint.to_euler_order = "YZX"
    degrees = (THUMB_CURL_DEGREES if finger == "thumb" else CURL_DEGREES)[k]
    # With from_min == from_max the constraint adds its "to" angles whatever the target does.
    for end in ("to_min_x_rot", "to_max_x_rot"):
        _drive(constraint, end, rig, curl_name(finger), math.radians(degrees))
    if k == 1:
        sign = -1.0 if side == "right" else 1.0  # abduction is -z on the right hand
        fan = math.radians(SPREAD_DEGREES) * SPREAD_WEIGHT[finger] * sign
        for end in ("to_min_z_rot", "to_max_z_rot"):
            _drive(constraint, end, rig, spread_name(finger), fan)


def _drive(owner, path, rig, name, factor):
    driver = owner.driver_add(path).driver
    driver.type = "SCRIPTED"
    variable = driver.variables.new()
    variable.name = "v"
    variable.type = "SINGLE_PROP"
    variable.targets[0].id = rig
    variable.targets[0].data_path = f'["{name}"]'
    driver.expression = f"v * {factor:.6f}"


def _add_limit(bone, limits, side):
    constraint = bone.constraints.new("LIMIT_ROTATION")
    constraint.name = LIMIT
    constraint.owner_space = "LOCAL"
    constraint.euler_order = "YZX"
    flexion, abduction, twist = limits
    if side == "right":
        y, z = twist, (-abduction[1], -abduction[0])
    else:
        y, z = (-twist[1], -twist[0]), abduction
    for axis, (low, high) in zip("xyz", (flexion, y, z)):
        setattr(constraint, f"use_limit_{axis}", True)
        setattr(constraint, f"min_{axis}", float(low))
        setattr(constraint, f"max_{axis}", float(high))
    constraint.enabled = False


def limits_on(rig):
    """Whether the joint limits act."""
    return any(c.enabled for b in rig.pose.bones for c in b.constraints if c.name == LIMIT)


def set_limits(rig, on):
    """Switch the joint limits on or off."""
    for bone in rig.pose.bones:
        for constraint in bone.constraints:
            if constraint.name == LIMIT:
                constraint.enabled = on


def reset_sliders(rig):
    """All sliders to zero."""
    for finger in axes.FINGERS:
        for name in (curl_name(finger), spread_name(finger)):
            if name in rig:
                rig[name] = 0.0
    rig.update_tag()


IK = "Hand IK"
IK_COLLECTION = "IK"


def has_ik(rig, finger):
    """Whether ``finger`` follows a fingertip target."""
    tip = rig.pose.bones.get(axes.bone_name(finger + "3", rig.hand_toolkit.side))
    return tip is not None and IK in tip.constraints


def add_ik(context, rig, finger):
    """Let ``finger`` follow a target at its tip; the target is an empty beside the rig.

    Raises:
        HandError: it has one.
    """
    if has_ik(rig, finger):
        raise HandError(f"the {finger} already has an IK target")
    side = rig.hand_toolkit.side
    bone = rig.pose.bones[axes.bone_name(finger + "3", side)]
    target = bpy.data.objects.new(f"{rig.name} {finger} tip", None)
    target.empty_display_type = "SPHERE"
    target.empty_display_size = 0.008
    for collection in rig.users_collection:
        collection.objects.link(target)
    target.parent = rig
    target.location = bone.tail
    constraint = bone.constraints.new("IK")
    constraint.name = IK
    constraint.target = target
    constraint.chain_count = 3
    bone.constraints.move(len(bone.constraints) - 1, 0)
    for k in (1, 2, 3):
        link_bone = rig.pose.bones[axes.bone_name(f"{finger}{k}", side)]
        limit = link_bone.constraints.get(LIMIT)
        for axis in "xyz":
            setattr(link_bone, f"use_ik_limit_{axis}", True)
            setattr(link_bone, f"ik_min_{axis}", min(0.0, getattr(limit, f"min_{axis}")))
            setattr(link_bone, f"ik_max_{axis}", max(0.0, getattr(limit, f"max_{axis}")))
        link_bone.ik_stiffness_y = 0.9
        link_bone.ik_stiffness_z = 0.5
    return target


def remove_ik(rig, finger):
    """Remove the fingertip target of ``finger``."""
    bone = rig.pose.bones[axes.bone_name(finger + "3", rig.hand_toolkit.side)]
    constraint = bone.constraints.get(IK)
    if constraint is None:
        return
    target = constraint.target
    bone.constraints.remove(constraint)
    if target is not None:
        bpy.data.objects.remove(target)


def add_pose_correctives(rig, surface, pose_dirs):
    """MANO's pose blend shapes as driven shape keys: 9 for each of the 15 finger joints.

    Key (j, a, b) has the value ``(R_j - I)[a, b]`` of θ_j's rotation matrix (MANO, eq. 6), which
    its driver takes from the evaluated bone. ``pose_dirs`` is (135, V, 3).
    """
    from . import correctives

    correctives.add(rig, surface, pose_dirs)
