"""Pose and motion of a Rigify rig taken over by the hands."""

import math

import bpy
import numpy as np
from common import ARGS, import_hand, refused, scenario
from mathutils import Quaternion

from blender_addon import rig


def run():
    import addon_utils  # its folder is on the path once bpy is imported

    _, rigs = import_hand(ARGS[0])
    hand = rigs["right"]
    bpy.context.view_layer.objects.active = hand
    report = {"alone": refused(bpy.ops.hand_toolkit.retarget)}
    addon_utils.enable("rigify")
    bpy.ops.object.armature_human_metarig_add()
    source = bpy.context.object
    source.location, source.scale = (1.0, 2.0, 0.5), (2.0, 2.0, 2.0)
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = hand
    assert bpy.ops.hand_toolkit.retarget(source=source.name) == {"FINISHED"}
    rest = rig.get_theta(hand)
    for name, degrees in (("f_index.02.R", 50), ("f_ring.01.R", 30)):
        bone = source.pose.bones[name]
        bone.rotation_mode = "QUATERNION"
        bone.rotation_quaternion = Quaternion((1, 0, 0), math.radians(degrees))
    bpy.context.view_layer.update()
    assert bpy.ops.hand_toolkit.retarget(source=source.name) == {"FINISHED"}
    report["moved"] = [_degrees(a, b) for a, b in zip(rest, rig.get_theta(hand))]
    report["rest"] = np.degrees(np.linalg.norm(rest[1:], axis=1)).tolist()
    return report


def _degrees(a, b):
    def quaternion(v):
        angle = float(np.linalg.norm(v))
        return Quaternion(v / max(angle, 1e-9), angle)

    turn = quaternion(a).rotation_difference(quaternion(b))
    return math.degrees(min(turn.angle, 2 * math.pi - turn.angle))


scenario(run)
