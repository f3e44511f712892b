# SPDX-License-Identifier: GPL-3.0-or-later
"""Sliders and joint limits on top of the keyed pose.

Keys and sliders must not fight over one channel, so the sliders drive a constraint: each finger
bone has a Transformation constraint whose result is the slider's angle, added after the keyed
rotation; then comes the Limit Rotation. ``rig.get_theta`` reads the keys alone,
``rig.get_evaluated_theta`` what is seen.
"""

from __future__ import annotations

import math

import numpy as np

from . import axes, pair
from .errors import HandError
from .rig import pose_bones, remove_curves

CURL = "Hand curl"
LIMIT = "Hand limit"
LIMITS = "hand_limits"
"""Custom property of the rig: (16, 3, 2) flexion, abduction, twist, radians."""
CURL_DEGREES = {1: 85.0, 2: 100.0, 3: 65.0}
"""Flexion of a finger's joints at curl 1."""
THUMB_CURL_DEGREES = {1: 30.0, 2: 45.0, 3: 70.0}
SPREAD_DEGREES = 20.0
"""Abduction of a finger's first joint at spread 1."""
SPREAD_WEIGHT = {"thumb": 1.5, "index": 1.0, "middle": 0.25, "ring": -0.6, "pinky": -1.2}
"""How far each finger fans out, towards the thumb."""


def curl_name(finger, hand=None):
    """Custom property of the armature object that bends ``finger`` (of ``hand``)."""
    return pair.own_name(hand, f"{finger}_curl")


def spread_name(finger, hand=None):
    """Custom property of the armature object that fans ``finger`` (of ``hand``) out."""
    return pair.own_name(hand, f"{finger}_spread")


def add_controls(rig, limits, curl_limits):
    """Make the sliders, their constraints and the joint limits, which act.

    Args:
        rig: the armature.
        limits: (16, 3, 2) flexion, abduction, twist, radians.
        curl_limits: (5,) curl at which each finger of the open hand meets other skin.
    """
    for number, finger in enumerate(axes.FINGERS):
        for name, low, high, what in (
            (
                curl_name(finger, rig),
                -0.3,
                round(float(curl_limits[number]), 3),
                "Bend the whole finger on top of its keyed pose, until it meets the palm",
            ),
            (spread_name(finger, rig), -1.0, 1.0, "Fan the finger out on top of its keyed pose"),
        ):
            rig[name] = 0.0
            rig.id_properties_ui(name).update(
                min=low, max=high, soft_min=low, soft_max=high, default=0.0, description=what
            )
            rig.property_overridable_library_set(f'["{name}"]', True)
    rig[pair.own_name(rig, LIMITS)] = [float(v) for v in np.asarray(limits).ravel()]
    _add_constraints(rig)


def _add_constraints(rig):
    """The sliders' and the limits' constraints where bones lack them."""
    side = pair.side_of(rig)
    limits = np.array(rig[pair.own_name(rig, LIMITS)]).reshape(16, 3, 2)
    for joint, bone in enumerate(pose_bones(rig)):
        if joint == 0:
            continue
        name = axes.JOINTS[joint]
        if CURL not in bone.constraints:
            _add_slider(rig, bone, name[:-1], int(name[-1]), side)
        if LIMIT not in bone.constraints:
            _add_limit(bone, limits[joint], side)


def complete(rig):
    """Whether no slider or limit was taken off, e.g. by *Bake Action* with *Clear Constraints*."""
    bones = pose_bones(rig)[1:]
    return all(CURL in b.constraints and LIMIT in b.constraints for b in bones)


def restore(rig):
    """Make what was taken off again; sliders begin at zero, as baked keys contain them.

    Raises:
        HandError: a rig of an older file, which does not know its limits.
    """
    if complete(rig):
        return
    if pair.own_name(rig, LIMITS) not in rig:
        raise HandError("this rig is of an older file and does not know its limits; import it anew")
    # baking keys the sliders as well as what they did to the bones
    sliders = [f(finger, rig) for finger in axes.FINGERS for f in (curl_name, spread_name)]
    remove_curves(rig, {f'["{name}"]' for name in sliders})
    reset_sliders(rig)
    on = limits_on(rig)
    _add_constraints(rig)
    set_limits(rig, on)


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
        drive(constraint, end, rig, curl_name(finger, rig), math.radians(degrees))
    if k == 1:
        sign = -1.0 if side == "right" else 1.0  # abduction is -z on the right hand
        fan = math.radians(SPREAD_DEGREES) * SPREAD_WEIGHT[finger] * sign
        for end in ("to_min_z_rot", "to_max_z_rot"):
            drive(constraint, end, rig, spread_name(finger, rig), fan)


def drive(owner, path, rig, name, factor):
    """Let a custom property of the rig, times ``factor``, drive ``owner.path``."""
    driver = owner.driver_add(path).driver
    driver.type = "SCRIPTED"
    variable = driver.variables.new()
    variable.name = "v"
    variable.type = "SINGLE_PROP"
    variable.targets[0].id = pair.armature_of(rig)
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


def limits_on(rig):
    """Whether the joint limits act."""
    own = [b for b in rig.pose.bones if pair.owns(rig, b.bone)]
    return any(c.enabled for b in own for c in b.constraints if c.name == LIMIT)


def set_limits(rig, on):
    """Switch the joint limits on or off."""
    for bone in rig.pose.bones:
        for constraint in bone.constraints:
            if constraint.name == LIMIT and pair.owns(rig, bone.bone):
                constraint.enabled = on


def reset_sliders(rig):
    """All sliders to zero."""
    for finger in axes.FINGERS:
        for name in (curl_name(finger, rig), spread_name(finger, rig)):
            if name in rig:
                rig[name] = 0.0
    rig.update_tag()
