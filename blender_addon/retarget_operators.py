# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses and motions of other rigs for these hands: bones matched by name, by the toolkit."""

from __future__ import annotations

import bpy
import numpy as np

from . import axes, link, scene_data
from .base import active_hand
from .errors import HandError
from .pose_operators import PLACE, PLACES, MotionOperator


def _armatures(context):
    """Armatures that are no hand's of ours, the selected ones first."""
    others = [
        ob
        for ob in context.scene.objects
        if ob.type == "ARMATURE" and scene_data.root_of(ob) is None
    ]
    return sorted(others, key=lambda ob: not ob.select_get())


def rest_and_motion(context, armature, names, moving):
    """Rest places (B, 3) of heads and tails, turns (T, B, 3, 3) from rest and heads (T, B, 3).

    All in the toolkit's world, metres; ``moving`` samples the scene's frames.
    """
    to_toolkit = axes.TO_BLENDER.T
    world = np.array(armature.matrix_world, np.float64)
    bones = [armature.data.bones[name] for name in names]

    def place(point):
        return to_toolkit @ (world @ [*point, 1.0])[:3]

    heads = np.array([place(bone.head_local) for bone in bones])
    tails = np.array([place(bone.tail_local) for bone in bones])
    rests = [_turn(armature.matrix_world @ bone.matrix_local) for bone in bones]
    scene = context.scene
    before = scene.frame_current
    frames = range(scene.frame_start, scene.frame_end + 1) if moving else [before]
    turns = np.zeros((len(frames), len(names), 3, 3))
    places = np.zeros((len(frames), len(names), 3))
    try:
        for t, frame in enumerate(frames):
            if moving:
                scene.frame_set(frame)
            posed = armature.evaluated_get(context.evaluated_depsgraph_get())
            for b, name in enumerate(names):
                matrix = posed.matrix_world @ posed.pose.bones[name].matrix
                turns[t, b] = to_toolkit @ _turn(matrix) @ rests[b].T @ to_toolkit.T
                places[t, b] = to_toolkit @ np.array(matrix.translation, np.float64)
    finally:
        if moving:
            scene.frame_set(before)
    return {"heads": heads, "tails": tails, "turns": turns, "places": places}


def _turn(matrix):
    """(3, 3) rotation of a matrix, without its scale."""
    return np.array(matrix.to_quaternion().to_matrix(), np.float64)


class HAND_TOOLKIT_OT_retarget(MotionOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.retarget"
    bl_label = "Retarget from Armature"
    bl_description = (
        "Take the hands' pose, or their motion, from another armature: Rigify, Mixamo, Unreal, "
        "Unity, VRM, Auto-Rig Pro or WebXR by the names of its bones"
    )
    title = "Retargeting"

    source: bpy.props.StringProperty(
        name="Armature",
        description="The armature's object; empty takes the selected one",
        options={"SKIP_SAVE"},
    )
    animation: bpy.props.BoolProperty(
        name="Animation",
        description="The scene's frame range instead of this frame",
        default=False,
    )
    place: bpy.props.EnumProperty(name="Place", description=PLACE, items=PLACES, default="KEEP")

    def invoke(self, context, event):
        self.interactive = True
        return self.execute(context)

    def ask(self, context):
        active_hand(context)
        found = _armatures(context)
        if self.source:
            found = [ob for ob in found if ob.name == self.source]
        if not found:
            raise HandError("no other armature is there; select the one to retarget from")
        armature = found[0]
        names = [bone.name for bone in armature.data.bones]
        known, _ = link.worker().call("match_bones", {"bones": names})
        if not known["joints"]:
            raise HandError(
                f"no bone of {armature.name} has a name that is known (its bones: "
                f"{', '.join(names[:4])}, ...)"
            )
        matched = list(known["joints"])
        fps = context.scene.render.fps / context.scene.render.fps_base
        params = {
            "name": armature.name,
            "fps": fps,
            "joints": [known["joints"][name] for name in matched],
        }
        return "retarget", params, rest_and_motion(context, armature, matched, self.animation)

    def take(self, context, value, arrays):
        self.key(context, value, arrays, self.place, not self.animation)


CLASSES = (HAND_TOOLKIT_OT_retarget,)
