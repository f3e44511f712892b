# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that let the toolkit's hand model choose a natural pose, wholly or for the rest."""

from __future__ import annotations

import bpy

from . import axes, pair, rig
from .base import NeedsHand, WorkerOperator, active_hand
from .errors import HandError
from .pose_operators import FINGER_JOINTS, posed


def selected_joints(hand):
    """Joints of the fingers (1 to 15) whose bones are selected."""
    found = []
    for joint, bone in enumerate(rig.pose_bones(hand)):
        # Blender 5 selects pose bones, older ones their data
        chosen = getattr(bone, "select", None)
        if chosen is None:
            chosen = bone.bone.select
        if chosen and joint in FINGER_JOINTS:
            found.append(joint)
    return found


class NaturalPose(NeedsHand, WorkerOperator):
    """Asks the worker for another pose of the selected hand and takes its fingers."""

    def take(self, context, value, arrays):
        hand = active_hand(context)
        # what was keyed by hand and by sliders is in the answer already
        rig.set_theta(hand, arrays["theta"], None, FINGER_JOINTS)
        posed(context, hand, FINGER_JOINTS)


class HAND_TOOLKIT_OT_random_pose(NaturalPose, bpy.types.Operator):
    bl_idname = "hand_toolkit.random_pose"
    bl_label = "Random Natural Pose"
    bl_description = "Give the fingers a natural pose by chance; the wrist stays"
    title = "Drawing a natural pose"

    seed: bpy.props.IntProperty(name="Seed", description="Another seed, another pose", min=0)
    strength: bpy.props.FloatProperty(
        name="Strength",
        description="0 leaves the pose as it is, 1 takes the natural one",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )

    def ask(self, context):
        hand = active_hand(context)
        return (
            "natural_pose",
            {"side": pair.side_of(hand), "seed": self.seed, "strength": self.strength},
            {"theta": rig.get_theta(hand)},
        )


class HAND_TOOLKIT_OT_complete_pose(NaturalPose, bpy.types.Operator):
    bl_idname = "hand_toolkit.complete_pose"
    bl_label = "Complete Pose"
    bl_description = "The selected finger bones stay, the other fingers follow naturally"
    title = "Completing the pose"

    seed: bpy.props.IntProperty(name="Seed", description="Another seed, another pose", min=0)

    def ask(self, context):
        hand = active_hand(context)
        keep = selected_joints(hand)
        if not keep:
            raise HandError("select the finger bones that shall stay, in pose mode, first")
        return (
            "natural_pose",
            {
                "side": pair.side_of(hand),
                "seed": self.seed,
                "keep": [axes.JOINTS[joint] for joint in keep],
            },
            {"theta": rig.get_theta(hand)},
        )


CLASSES = (HAND_TOOLKIT_OT_random_pose, HAND_TOOLKIT_OT_complete_pose)
