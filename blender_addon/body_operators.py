# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands on bodies and around objects: attach to an armature's bone, close until contact."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix, Vector

from . import axes, controls, forearm, link, pair, rig, scene_data
from .base import HandOperator, NeedsHand, WorkerOperator, active_hand
from .errors import HandError
from .pose_operators import FINGER_JOINTS, posed

FOREARM_PER_HAND = 1.35
"""Length of a forearm, elbow to wrist, over that of a hand (ANSUR II, men and women)."""

TRACK = "Hand forearm"
"""Name of the constraint by which the forearm follows the body's."""


def bodies(context):
    """Armatures that are no hand's of ours, the selected ones first."""
    found = [
        ob
        for ob in context.scene.objects
        if ob.type == "ARMATURE" and scene_data.root_of(ob) is None
    ]
    return sorted(found, key=lambda ob: (not ob.select_get(), ob.name))


def hand_bones(armature):
    """Side -> joint -> bone name of the hands that the bones' names tell; asks the toolkit."""
    names = [bone.name for bone in armature.data.bones]
    known, _ = link.worker().call("match_bones", {"bones": names})
    found = {}
    for name, (side, joint) in known["joints"].items():
        found.setdefault(side or "right", {})[joint] = name
    for side, ending in (("right", "r"), ("left", "l")):
        if "wrist" in found.get(side, {}):
            continue
        for name in names:  # rigs without fingers, by what their bone is called
            plain = "".join(c for c in name.lower() if c.isalpha())
            stem = plain.replace("right", "").replace("left", "").removeprefix("def")
            own = plain.endswith(ending) or side in plain
            if own and stem.rstrip("rl") in {"hand", "wrist"}:
                found.setdefault(side, {})["wrist"] = name
                break
    return {side: joints for side, joints in found.items() if "wrist" in joints}


def bone_frame(armature, side, name, joints, roll):
    """Head and axes (columns x hinge, y along, z palm) of a hand bone in the world, at rest.

    Args:
        armature: the body's.
        side: "right" or "left".
        name: of its hand bone.
        joints: joint -> bone name of the fingers that it has.
        roll: radians to turn the palm about the bone.
    """
    bones = armature.data.bones
    bone = bones[name]
    head = bone.head_local
    along = bone.tail_local - head
    if "middle1" in joints:
        along = bones[joints["middle1"]].head_local - head
    along = along.normalized()
    if {"index1", "pinky1"} <= joints.keys():
        across = bones[joints["index1"]].head_local - bones[joints["pinky1"]].head_local
        palm = across.cross(along) * (1.0 if side == "right" else -1.0)
    else:
        palm = -(bone.matrix_local.to_3x3() @ Vector((0.0, 0.0, 1.0)))
    palm = (palm - along * along.dot(palm)).normalized()
    palm = Matrix.Rotation(roll, 3, along) @ palm
    hinge = along.cross(palm)
    return head, Matrix((hinge, along, palm)).transposed()


def natural_length(hand):
    """Metres from the wrist to the middle knuckle of a hand at rest, and to the fingertip."""
    bones = rig.pose_bones(hand)
    wrist = bones[0].bone.head_local
    knuckle = bones[axes.JOINTS.index("middle1")].bone.head_local
    tip = bones[axes.JOINTS.index("middle3")].bone.tail_local
    return (knuckle - wrist).length, (tip - wrist).length


def body_scale(hand, armature, name, joints):
    """Units of the body's armature per metre of the hand, so that the hand has the body's size."""
    bones = armature.data.bones
    knuckle, whole = natural_length(hand)
    if "middle1" in joints:
        reach = (bones[joints["middle1"]].head_local - bones[name].head_local).length
        return reach / knuckle
    parent = bones[name].parent
    if parent is not None and parent.length > 1e-6:
        return parent.length / (FOREARM_PER_HAND * whole)
    return bones[name].length / knuckle


def attach(context, hand, armature, name, joints, *, size="BODY", roll=0.0, own_forearm=True):
    """Put a hand on a body's bone: its wrist at the bone's head, along it, of its size.

    Args:
        context: Blender's.
        hand: the rig.
        armature, name: the body and its hand bone.
        joints: joint -> bone name of the fingers that the body has.
        size: "BODY" or "KEEP".
        roll: radians to turn the palm about the bone.
        own_forearm: let the hand's forearm follow the body's.
    """
    theta = rig.get_theta(hand)
    theta[0] = 0.0
    rig.set_theta(hand, theta, rig.home(hand))
    context.view_layer.update()
    head, frame = bone_frame(armature, pair.side_of(hand), name, joints, roll)
    scale = body_scale(hand, armature, name, joints)
    if size == "KEEP":
        world = abs(hand.matrix_world.determinant()) ** (1 / 3)
        scale = world / max(abs(armature.matrix_world.determinant()) ** (1 / 3), 1e-9)
    wrist = rig.pose_bones(hand)[0].bone
    mine = wrist.matrix_local.to_3x3()
    turn = frame @ mine.transposed()
    rest = Matrix.Translation(head) @ turn.to_4x4() @ Matrix.Scale(scale, 4)
    rest = rest @ Matrix.Translation(-wrist.head_local)
    bone = armature.pose.bones[name]
    posed_place = armature.matrix_world @ bone.matrix @ bone.bone.matrix_local.inverted() @ rest
    if pair.is_pair(hand):
        _follow(context, hand, armature, bone, posed_place)
    else:
        hand.parent, hand.parent_type, hand.parent_bone = armature, "BONE", name
        context.view_layer.update()
        hand.matrix_world = posed_place
    context.view_layer.update()
    arm = forearm.bone_of(hand)
    if arm is None:
        return
    for constraint in [c for c in arm.constraints if c.name == TRACK]:
        arm.constraints.remove(constraint)
    if own_forearm and bone.parent is not None:
        constraint = arm.constraints.new("DAMPED_TRACK")
        constraint.name = TRACK
        constraint.target, constraint.subtarget = armature, bone.parent.name
        constraint.track_axis = "TRACK_Y"
        constraint.head_tail = 0.0


def _follow(context, hand, armature, bone, place):
    """Let the wrist of a pair's hand follow a body's bone; the armature takes the body's size.

    The armature is not parented to the body: each wrist follows a bone of its own.

    Args:
        context: Blender's.
        hand: of a pair.
        armature, bone: the body and its posed hand bone.
        place: matrix in the world that an armature of this hand alone would have.
    """
    other = rig.other_rig(hand)
    if other is None or not scene_data.attached(other):  # else the size is chosen
        size = Matrix.Scale(abs(place.determinant()) ** (1 / 3), 4)
        turn = Matrix(axes.TO_BLENDER.tolist()).to_4x4()
        body = armature.matrix_world
        hand.matrix_world = Matrix.Translation(body.translation) @ turn @ size
        context.view_layer.update()
    wrist = rig.pose_bones(hand)[0]
    rest = wrist.bone.matrix_local
    constraint = wrist.constraints.get(pair.BODY) or wrist.constraints.new("CHILD_OF")
    constraint.name, constraint.owner_space = pair.BODY, "WORLD"
    constraint.target, constraint.subtarget = armature, bone.name
    there = place @ rest
    size = Matrix.Scale(
        abs(hand.matrix_world.determinant() / max(abs(place.determinant()), 1e-30)) ** (1 / 3), 4
    )
    now = hand.matrix_world @ rest
    inverse = (armature.matrix_world @ bone.matrix).inverted() @ there @ size @ now.inverted()
    constraint.inverse_matrix = inverse


def _let_go(context, hand):
    """Take a pair's hand off the body; it stays where it is."""
    wrist = rig.pose_bones(hand)[0]
    matrix = wrist.matrix.copy()
    wrist.constraints.remove(wrist.constraints[pair.BODY])
    context.view_layer.update()
    wrist.matrix = matrix


_bone_names = []


def _bone_items(self, context):
    """Bones of the chosen body; the first is the toolkit's own guess."""
    found = bodies(context)
    armature = next((ob for ob in found if ob.name == self.armature), found[0] if found else None)
    names = [] if armature is None else [bone.name for bone in armature.data.bones]
    _bone_names[:] = [("AUTO", "By its name", "The hand bone of the same side, by its name")]
    _bone_names.extend((name, name, "") for name in names)
    return _bone_names


class HAND_TOOLKIT_OT_attach(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.attach"
    bl_label = "Attach to Body Bone"
    bl_description = (
        "Put the hand on another armature's hand bone: placed, turned and scaled as the body's "
        "hand, and parented to it"
    )

    armature: bpy.props.StringProperty(
        name="Armature", description="The body's armature; empty takes the selected one"
    )
    bone: bpy.props.EnumProperty(name="Bone", description="Its hand bone", items=_bone_items)
    size: bpy.props.EnumProperty(
        name="Size",
        description="How large the hand becomes",
        items=(
            ("BODY", "The body's", "As large as the body's hand, by its knuckles or its forearm"),
            ("KEEP", "Keep", "As large as the hand is"),
        ),
        default="BODY",
    )
    roll: bpy.props.FloatProperty(
        name="Roll",
        description="Turn the palm about the bone, where the body's bones do not tell how it faces",
        subtype="ANGLE",
    )
    own_forearm: bpy.props.BoolProperty(
        name="Forearm follows",
        description="Let the hand's own forearm, if it has one, point along the body's",
        default=True,
    )
    both: bpy.props.BoolProperty(
        name="Both hands", description="The avatar's other hand on the other side", default=False
    )

    def run(self, context):
        hand = active_hand(context)
        found = bodies(context)
        if self.armature:
            found = [ob for ob in found if ob.name == self.armature]
        if not found:
            raise HandError("no body's armature is there; select the one to attach to, then a hand")
        armature = found[0]
        if context.object is not None and context.object.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        known = hand_bones(armature)
        hands = [hand]
        if self.both:
            other = rig.other_rig(hand)
            hands += [other] if other is not None else []
        for one in hands:
            side = pair.side_of(one)
            joints = known.get(side, {})
            name = joints.get("wrist")
            if self.bone not in {"AUTO", ""} and one is hand:
                name = self.bone
                joints = joints if joints.get("wrist") == name else {}
            if name is None:
                raise HandError(
                    f"{armature.name} has no bone that is named like a {side} hand; choose one"
                )
            attach(
                context, one, armature, name, joints,
                size=self.size, roll=self.roll, own_forearm=self.own_forearm,
            )  # fmt: skip
            self.report({"INFO"}, f"{one.name} is on {armature.name}'s bone {name}")


class HAND_TOOLKIT_OT_detach(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.detach"
    bl_label = "Detach"
    bl_description = "Take the hand off the body; it stays where it is"

    def run(self, context):
        hand = active_hand(context)
        if not scene_data.attached(hand):
            raise HandError(f"{hand.name} is on no body")
        if pair.is_pair(hand):
            _let_go(context, hand)
        else:
            place = hand.matrix_world.copy()
            hand.parent, hand.parent_type, hand.parent_bone = scene_data.root_of(hand), "OBJECT", ""
            hand.matrix_world = place
        arm = forearm.bone_of(hand)
        for constraint in [] if arm is None else [c for c in arm.constraints if c.name == TRACK]:
            arm.constraints.remove(constraint)


def things(context):
    """Meshes that a hand may grasp, the selected ones first."""
    found = [
        ob
        for ob in context.view_layer.objects
        if ob.type == "MESH" and scene_data.root_of(ob) is None
    ]
    return sorted(found, key=lambda ob: (not ob.select_get(), ob.name))


def within_reach(hand, found):
    """The nearest of some meshes, if it is nearer to the palm than a finger is long; else none."""
    bones = rig.pose_bones(hand)
    palm = (bones[0].head + bones[axes.JOINTS.index("middle1")].head) / 2
    point = hand.matrix_world @ palm
    reach = natural_length(hand)[0] * abs(hand.matrix_world.determinant()) ** (1 / 3)
    near = []
    for ob in found:
        hit, place, _, _ = ob.closest_point_on_mesh(ob.matrix_world.inverted() @ point)
        if hit:
            near.append(((ob.matrix_world @ place - point).length, ob.name, ob))
    return [ob for far, _, ob in sorted(near)[:1] if far < reach]


def triangles_in(context, thing, hand):
    """Vertices (V, 3) in the rig's axes, metres, and triangles (F, 3) of an object as seen."""
    graph = context.evaluated_depsgraph_get()
    seen = thing.evaluated_get(graph)
    mesh = seen.to_mesh()
    try:
        mesh.calc_loop_triangles()
        points = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", points)
        faces = np.empty(3 * len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("vertices", faces)
    finally:
        seen.to_mesh_clear()
    place = np.array(hand.matrix_world.inverted() @ thing.matrix_world, np.float64)
    points = points.reshape(-1, 3) @ place[:3, :3].T + place[:3, 3]
    faces = faces.reshape(-1, 3)
    if np.linalg.det(place[:3, :3]) < 0:
        faces = faces[:, ::-1]
    return points, np.ascontiguousarray(faces)


class HAND_TOOLKIT_OT_grasp(NeedsHand, WorkerOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.grasp"
    bl_label = "Close until Contact"
    bl_description = (
        "Close the fingers around the selected mesh, or the nearest in reach, each until it touches"
    )
    title = "Closing the hand"

    target: bpy.props.StringProperty(
        name="Object",
        description="The mesh to grasp; empty takes the selected one, else the nearest in reach",
        options={"SKIP_SAVE"},
    )
    open_first: bpy.props.BoolProperty(
        name="Open first",
        description="Begin from an open hand with the thumb opposite, not from this pose",
        default=True,
    )

    def ask(self, context):
        hand = active_hand(context)
        found = things(context)
        if self.target:
            found = [ob for ob in found if ob.name == self.target]
        elif found and not found[0].select_get():
            found = within_reach(hand, found)
        if not found:
            raise HandError(
                "no mesh is selected or within the hand's reach; select the object to grasp, then "
                "the hand"
            )
        vertices, faces = triangles_in(context, found[0], hand)
        surface = scene_data.surface_of(hand)
        root = scene_data.root_of(hand)
        params = {
            "key": link.open_avatar(root),
            "side": pair.side_of(hand),
            "open": self.open_first,
            "name": found[0].name,
        }
        arrays = {
            "theta": rig.get_evaluated_theta(hand),
            "translation": rig.get_translation(hand),
            "vertices": vertices,
            "faces": faces,
        }
        if surface is not None and "hand_shape" in surface:
            arrays["shape"] = np.array(surface["hand_shape"], np.float64)
        return "grasp", params, arrays

    def take(self, context, value, arrays):
        hand = active_hand(context)
        # what the sliders did is in the pose already
        controls.reset_sliders(hand)
        rig.set_theta(hand, arrays["theta"], None, FINGER_JOINTS)
        posed(context, hand, FINGER_JOINTS)
        if not value["touching"]:
            self.report({"WARNING"}, f"No finger reaches {value['name']}; bring it into the hand")
        else:
            fingers = ", ".join(value["touching"])
            self.report({"INFO"}, f"{fingers.capitalize()} touch {value['name']}")


CLASSES = (HAND_TOOLKIT_OT_attach, HAND_TOOLKIT_OT_detach, HAND_TOOLKIT_OT_grasp)
