"""A hand on a body's bone, closing around a cup; undone; found again by its marks."""

import bpy
import numpy as np
from common import ARGS, import_hand, refused, scenario
from mathutils import Matrix, Vector

from blender_addon import axes, body_operators, forearm, rig, scene_data


def body(scale, fingers):
    """A T-posed body's arms, in other units, standing elsewhere."""
    data = bpy.data.armatures.new("Body")
    ob = bpy.data.objects.new("Body", data)
    bpy.context.scene.collection.objects.link(ob)
    bpy.context.view_layer.objects.active = ob
    bpy.ops.object.mode_set(mode="EDIT")
    for side, sign in ((".R", -1.0), (".L", 1.0)):
        place = {
            "forearm": ((0.42, 0, 1.4), (0.67, 0, 1.4)),
            "hand": ((0.67, 0, 1.4), (0.75, 0, 1.4)),
        }
        if fingers:
            place |= {
                "f_middle.01": ((0.758, 0, 1.4), (0.79, 0, 1.4)),
                "f_index.01": ((0.755, -0.025, 1.4), (0.79, -0.025, 1.4)),
                "f_pinky.01": ((0.745, 0.04, 1.4), (0.77, 0.04, 1.4)),
            }
        for name, (head, tail) in place.items():
            bone = data.edit_bones.new(name + side)
            bone.head = Vector(head) * scale * Vector((sign, 1, 1))
            bone.tail = Vector(tail) * scale * Vector((sign, 1, 1))
        data.edit_bones["hand" + side].parent = data.edit_bones["forearm" + side]
        for name in place:
            if name.startswith("f_"):
                data.edit_bones[name + side].parent = data.edit_bones["hand" + side]
    bpy.ops.object.mode_set(mode="OBJECT")
    ob.location = (1.0, 2.0, 0.0)
    bpy.context.view_layer.update()
    return ob


def world(hand, point):
    return np.array(hand.matrix_world @ Vector(point))


def run():
    root, rigs = import_hand(ARGS[0])
    ops, report = bpy.ops.hand_toolkit, {}
    right = rigs["right"]
    ops.select_hand(name=right.name)
    report["no body"] = refused(ops.attach)
    one = body(1.0, True)
    ops.select_hand(name=right.name)
    assert ops.attach(both=True) == {"FINISHED"}
    bpy.context.view_layer.update()
    for side, sign in (("right", -1.0), ("left", 1.0)):
        hand = rigs[side]
        bones = rig.pose_bones(hand)
        wrist = world(hand, bones[0].head)
        knuckle = world(hand, bones[axes.JOINTS.index("middle1")].head)
        thumb = world(hand, bones[axes.JOINTS.index("thumb3")].tail)
        palm = np.array(hand.matrix_world.to_3x3() @ bones[0].matrix.to_3x3())[:, 2]
        report[side] = {
            "wrist": float(np.linalg.norm(wrist - [1 + sign * 0.67, 2, 1.4])),
            "knuckle": float(np.linalg.norm(knuckle - [1 + sign * 0.758, 2, 1.4])),
            "thumb": float(thumb[1] - 2.0),
            "palm": palm.tolist(),
            "parent": [hand.parent.name, hand.parent_bone],
        }
    report["found"] = [r.name == rigs[r.hand_toolkit.side].name for r in scene_data.rigs_of(root)]
    # poses of the body's fingers leave the wrist to the bone that turns it
    index = one.pose.bones["f_index.01.R"]
    index.rotation_mode, index.rotation_euler = "XYZ", (0.5, 0.0, 0.0)
    before = world(right, rig.pose_bones(right)[axes.JOINTS.index("middle1")].head)
    ops.select_hand(name=right.name)
    assert ops.retarget(source=one.name) == {"FINISHED"}
    bpy.context.view_layer.update()
    after = world(right, rig.pose_bones(right)[axes.JOINTS.index("middle1")].head)
    assert np.allclose(before, after, atol=1e-5), (before, after)
    assert np.abs(rig.get_theta(right)[4:7]).max() < 0.05 < np.abs(rig.get_theta(right)[1]).max()
    index.rotation_euler = (0.0, 0.0, 0.0)
    rig.set_theta(right, np.zeros((16, 3)))
    bpy.context.view_layer.update()
    # the body moves, the hand goes along; the forearm points to the elbow
    pose = one.pose.bones["forearm.R"]
    pose.rotation_mode = "XYZ"
    pose.rotation_euler = (0.0, 0.0, 0.7)
    bpy.context.view_layer.update()
    bone = one.pose.bones["hand.R"]
    report["follows"] = float(
        np.linalg.norm(
            world(right, rig.pose_bones(right)[0].head) - np.array(one.matrix_world @ bone.head)
        )
    )
    arm = forearm.bone_of(right)
    along = np.array(right.matrix_world.to_3x3() @ arm.matrix.to_3x3())[:, 1]
    elbow = np.array(one.matrix_world.to_3x3() @ (pose.head - bone.head))
    report["forearm"] = float(
        np.degrees(np.arccos(along @ elbow / np.linalg.norm(along) / np.linalg.norm(elbow)))
    )
    ops.select_hand(name=right.name)
    assert ops.detach() == {"FINISHED"}
    report["detached"] = right.parent == root and right.parent_type == "OBJECT"
    report["detach twice"] = refused(ops.detach)
    # a body in centimetres without fingers
    bpy.data.objects.remove(one)
    hundred = body(100.0, False)
    ops.select_hand(name=right.name)
    assert ops.attach() == {"FINISHED"}
    length = body_operators.natural_length(right)[1]
    scale = abs(right.matrix_world.determinant()) ** (1 / 3)
    report["share of the forearm"] = float(scale * length / 25.0)
    bpy.data.objects.remove(hundred)

    # a cup before the palm
    left = rigs["left"]
    left.parent = None
    left.matrix_world = left.matrix_world.to_quaternion().to_matrix().to_4x4()
    rig.set_theta(left, np.zeros((16, 3)), np.zeros(3))
    bpy.context.view_layer.update()
    place = left.matrix_world @ Matrix.Translation((0.085, -0.062, 0.0))
    bpy.ops.mesh.primitive_cylinder_add(radius=0.033, depth=0.12)
    cup = bpy.context.object
    cup.matrix_world = place
    ops.select_hand(name=left.name)
    cup.location.z += 1.0
    bpy.context.view_layer.update()
    report["nothing chosen"] = refused(ops.grasp)
    cup.matrix_world = place
    bpy.context.view_layer.update()
    before = rig.get_theta(left)
    assert ops.grasp() == {"FINISHED"}, "the nearest thing in reach"
    bpy.context.view_layer.update()
    report["closed"] = float(np.abs(rig.get_evaluated_theta(left) - before)[1:].max())
    report["wrist kept"] = float(np.abs(rig.get_evaluated_theta(left) - before)[0].max())
    skin = scene_data.surface_of(left)
    seen = skin.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    points = np.empty(3 * len(seen.vertices), np.float32)
    seen.vertices.foreach_get("co", points)
    turn = np.array((cup.matrix_world.inverted() @ skin.matrix_world), float)
    local = points.reshape(-1, 3) @ turn[:3, :3].T + turn[:3, 3]
    away = np.hypot(local[:, 0], local[:, 1]) - 0.033
    beside = np.abs(local[:, 2]) < 0.058
    report["nearest_mm"] = float(1000 * away[beside].min())
    fingers = {}
    groups = {g.index: g.name for g in skin.vertex_groups}
    owner = np.array([max(v.groups, key=lambda g: g.weight).group for v in skin.data.vertices])
    for finger in axes.FINGERS:
        own = np.array([groups[k].startswith(finger) for k in owner])
        fingers[finger] = float(1000 * away[beside & own].min()) if (beside & own).any() else 99.0
    report["fingers_mm"] = fingers
    return report


if __name__ == "__main__":
    scenario(run)
