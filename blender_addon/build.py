# SPDX-License-Identifier: GPL-3.0-or-later
"""From the worker's arrays to objects: the root, the MANO armatures, the skinned meshes."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Matrix

from . import axes, controls, correctives, forearm, look, pair, rig, scene_data, splats

COLLECTIONS = ("Wrist", "Fingers", "Thumb")
"""Bone collections of every hand."""

HAND_SPACING = 0.115
"""Half the distance between the wrists of a pair as it is imported, metres."""


def build_avatar(context, name, value, arrays, path="", data=None, one_armature=False):
    """Create the objects of an avatar and select its first rig.

    Args:
        context: the scene and collection that they go to; the 3D cursor is the place.
        name: for the root and the new collection.
        value, arrays: what ``open_avatar`` answered.
        path: the ``.hand`` file.
        data: its bytes, to pack them.
        one_armature: put the bones of both hands into one armature, mirror images of each other.

    Returns:
        The root object.
    """
    collection = bpy.data.collections.new(name)
    context.scene.collection.children.link(collection)
    root = bpy.data.objects.new(name, None)
    root.empty_display_type = "PLAIN_AXES"
    root.empty_display_size = 0.03
    root.location = context.scene.cursor.location
    root.scale = (1.0 / scene_data.metres_per_unit(context.scene),) * 3
    root.hand_toolkit.kind = "ROOT"
    root.hand_toolkit.root = root
    root.hand_toolkit.key = value["key"]
    origin = value["provenance"]
    root.hand_toolkit.info = ", ".join(f"{k}: {origin[k]}" for k in sorted(origin))[:400]
    collection.objects.link(root)
    if data is not None:
        root[scene_data.PACKED] = bytes(data)
    if path:
        scene_data.store_path(root, path)
    root[scene_data.BACK] = shows_back(value, arrays)
    try:
        shared = None
        if one_armature and len(value["sides"]) == 2:
            shared = _new_armature(collection, root, "right", f"{root.name} hands")
            shared.hand_toolkit.pair = True
        for side in value["sides"]:
            part = {k[len(side) + 1 :]: v for k, v in arrays.items() if k.startswith(side + ".")}
            _build_hand(context, collection, root, side, value, part, shared)
    except BaseException:
        # half an avatar helps nobody: the scene is as it was
        for ob in list(collection.objects):
            bpy.data.objects.remove(ob)
        bpy.data.collections.remove(collection)
        raise
    for ob in context.selected_objects:
        ob.select_set(False)
    first = pair.armature_of(scene_data.rigs_of(root)[0])
    first.select_set(True)
    context.view_layer.objects.active = first
    return root


def shows_back(value, arrays):
    """Whether the photo shows the back of the hand: then the avatar stands with its back in front.

    Nobody should look for a likeness on the side that the photo did not see.
    """
    for side in value["sides"]:
        if value["observed"][side]:
            wrist = axes.rotvec_to_matrix(arrays[f"{side}.source_theta"][0])
            return float((wrist @ axes.PALM)[2]) > 0  # away from the camera, which looks along +z
    return False


def _build_hand(context, collection, root, side, value, part, shared):
    """Bones (into the armature ``shared`` if given), mesh, splats and controls of one hand."""
    label = f"{root.name} {side}"
    if shared is None:
        hand = _new_armature(collection, root, side, label)
    else:
        hand = pair.HandOfPair(shared, side)
    _add_bones(context, hand, part)
    surface = _build_surface(collection, hand, label, part, root)
    facts = value["hands"][side]
    surface["hand_observed"] = bool(value["observed"][side])
    surface["hand_shape_names"] = list(facts["shape_names"])
    surface["hand_shape"] = [float(v) for v in part["shape"]]
    surface["hand_shape_sigmas"] = [float(v) for v in part["shape_sigmas"]]
    surface["hand_source_theta"] = [float(v) for v in part["source_theta"].ravel()]
    surface["hand_source_translation"] = [float(v) for v in part["source_translation"]]
    for axis in ("fx", "fy", "cx", "cy", "width", "height"):
        root[f"photo_{axis}"] = float(value["camera"][axis])
    look.skin_material(surface, part)
    look.follow_tone(surface, root)
    splats.build_cloud(collection, hand, surface, part)
    controls.add_controls(hand, part["limits"], part["curl_limits"])
    if "pose_dirs" in part:
        correctives.add(hand, surface, part)
    both = len(value["sides"]) == 2
    back = root[scene_data.BACK]
    # A right hand shown palm first is on the viewer's left, one that shows its back on the right.
    shift = (HAND_SPACING if (side == "right") == back else -HAND_SPACING) if both else 0.0
    theta = np.zeros((16, 3))
    theta[0] = axes.display_theta(side, back)
    if shared is None:
        hand.location = (shift, 0.0, 0.0)
        rig.set_theta(hand, theta)
    else:
        rig.set_theta(hand, theta, rig.standing(hand))


def _new_armature(collection, root, side, label):
    """An armature object without bones, in the toolkit's axes, below the avatar."""
    data = bpy.data.armatures.new(label)
    ob = bpy.data.objects.new(label, data)
    _mark(ob, "RIG", side, root)
    collection.objects.link(ob)
    ob.parent = root
    ob.rotation_mode = "XYZ"
    ob.rotation_euler = (-math.pi / 2, 0.0, 0.0)  # axes.TO_BLENDER
    ob.show_in_front = True
    data.display_type = "STICK"  # thin: octahedra in front of a palm hide the palm
    for name in COLLECTIONS:
        data.collections.new(name)
    return ob


def _add_bones(context, hand, part):
    """The bones of one hand; of a pair's its fingers rest pointing outward, as in a T-pose."""
    side, data = pair.side_of(hand), hand.data
    shift = np.zeros(3)
    if pair.is_pair(hand):
        shift[0] = HAND_SPACING if side == "left" else -HAND_SPACING
    with edit_mode(context, pair.armature_of(hand)):
        for joint, name in enumerate(axes.JOINTS):
            bone = data.edit_bones.new(axes.bone_name(name, side))
            parent = axes.PARENTS[joint]
            if parent >= 0:
                bone.parent = data.edit_bones[axes.bone_name(parent, side)]
            bone.use_connect = False
            bone[scene_data.JOINT] = name
            if pair.is_pair(hand):
                bone[pair.SIDE] = side
            place_bone(bone, joint, part["axes"][joint], part["joints"], part["keypoints"], shift)
        if "forearm_points" in part:
            forearm.add_bones(data, side, part["forearm_points"])
    for posed in [b for b in hand.pose.bones if pair.owns(hand, b.bone)]:
        posed.rotation_mode = "QUATERNION"
        if posed.name != axes.bone_name("wrist", side):
            posed.lock_location = (True, True, True)
        posed.lock_scale = (True, True, True)
    if "forearm_points" in part:
        forearm.finish(hand)
    _bone_collections(hand)


def place_bone(bone, joint, columns, joints, keypoints, shift):
    """Put an edit bone at its joint plus ``shift``, with the orientation ``columns`` (3, 3)."""
    head = joints[joint] + shift
    bone.head = head
    bone.tail = head + columns[:, 1] * bone_length(joint, joints, keypoints)
    matrix = Matrix(columns.tolist()).to_4x4()
    matrix.translation = head
    length = bone.length
    bone.matrix = matrix
    bone.length = length


def bone_length(joint, joints, keypoints):
    """Distance to the next joint or tip, metres; the wrist's reaches to the middle knuckle."""
    if joint == 0:
        return float(np.linalg.norm(joints[axes.JOINTS.index("middle1")] - joints[0]))
    finger = axes.FINGERS.index(axes.JOINTS[joint][:-1])
    k = int(axes.JOINTS[joint][-1])
    return float(np.linalg.norm(keypoints[1 + 4 * finger + k] - joints[joint]))


def _bone_collections(hand):
    groups = hand.data.collections
    for bone in [b for b in hand.data.bones if pair.owns(hand, b)]:
        stem = bone.name.removesuffix(axes.SUFFIX[pair.side_of(hand)])
        starts = {"wrist": "Wrist", "forearm": "Wrist", "thumb": "Thumb"}
        group = next((g for start, g in starts.items() if stem.startswith(start)), "Fingers")
        groups[group].assign(bone)
        bone.color.palette = {"Wrist": "THEME09", "Thumb": "THEME03", "Fingers": "THEME04"}[group]


def _build_surface(collection, hand, label, part, root):
    armature, side = pair.armature_of(hand), pair.side_of(hand)
    mesh = bpy.data.meshes.new(f"{label} skin")
    faces = part["faces"]
    mesh.vertices.add(len(part["vertices"]))
    mesh.loops.add(faces.size)
    mesh.polygons.add(len(faces))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(part["vertices"], np.float32).ravel())
    mesh.loops.foreach_set("vertex_index", faces.ravel())
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    layer = mesh.uv_layers.new(name="UVMap")
    layer.uv.foreach_set("vector", np.ascontiguousarray(part["uvs"], np.float32).ravel())
    splats.write(mesh, scene_data.VERTEX, "INT", "value", np.arange(len(part["vertices"])))
    ob = bpy.data.objects.new(f"{label} skin", mesh)
    _mark(ob, "SURFACE", side, root)
    ob.hand_toolkit.rig = armature
    collection.objects.link(ob)
    ob.parent = armature
    ob.location = rig.home(hand) - part["joints"][0]
    _assign_weights(ob, part["weights"], side)
    modifier = ob.modifiers.new("Hand rig", "ARMATURE")
    modifier.object = armature
    return ob


def _assign_weights(ob, weights, side):
    """Vertex groups with the exact skinning weights, written in one pass over the vertices."""
    import bmesh

    for name in (*axes.JOINTS, *forearm.BONES)[: weights.shape[1]]:
        ob.vertex_groups.new(name=axes.bone_name(name, side))
    rows, columns = np.nonzero(weights > 1e-7)
    values = weights[rows, columns].tolist()
    mesh = bmesh.new()
    mesh.from_mesh(ob.data)
    layer = mesh.verts.layers.deform.verify()
    groups = [vertex[layer] for vertex in mesh.verts]
    for row, column, value in zip(rows.tolist(), columns.tolist(), values):
        groups[row][column] = value
    mesh.to_mesh(ob.data)
    mesh.free()


def _mark(ob, kind, side, root):
    ob.hand_toolkit.kind = kind
    ob.hand_toolkit.side = side
    ob.hand_toolkit.root = root


class edit_mode:
    """Edit mode of one armature, and back to what was active."""

    def __init__(self, context, ob):
        self.context, self.ob = context, ob

    def __enter__(self):
        layer = self.context.view_layer
        if self.context.object is not None and self.context.object.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        self.before = layer.objects.active
        layer.objects.active = self.ob
        bpy.ops.object.mode_set(mode="EDIT")

    def __exit__(self, *_):
        bpy.ops.object.mode_set(mode="OBJECT")
        self.context.view_layer.objects.active = self.before


def reshape(context, rig_object, arrays, shape):
    """Give a hand another shape: surface, joints, bone lengths; bone orientations stay, so θ does.

    Args:
        context: of the operator.
        rig_object: the armature.
        arrays: ``vertices``, ``joints``, ``keypoints`` that ``reshape`` answered.
        shape: (S,) what was asked for.
    """
    surface = scene_data.surface_of(rig_object)
    mesh = surface.data
    flat = np.ascontiguousarray(arrays["vertices"], np.float32)
    if len(mesh.vertices) != len(flat):
        raise ValueError("the skin mesh was edited and has another number of vertices")
    old = np.empty(flat.size, np.float32)
    mesh.vertices.foreach_get("co", old)
    if mesh.shape_keys:  # sculpted keys ride along with the new shape
        for block in mesh.shape_keys.key_blocks:
            values = np.empty(flat.size, np.float32)
            block.data.foreach_get("co", values)
            block.data.foreach_set("co", values + flat.ravel() - old)
    mesh.vertices.foreach_set("co", flat.ravel())
    mesh.update()
    rest = rig.rest_axes(rig_object)
    names = [bone.name for bone in rig.pose_bones(rig_object)]
    shift = rig.home(rig_object) - arrays["joints"][0]
    with edit_mode(context, pair.armature_of(rig_object)):
        for joint, name in enumerate(names):
            bone = rig_object.data.edit_bones[name]
            place_bone(bone, joint, rest[joint], arrays["joints"], arrays["keypoints"], shift)
        if "forearm_points" in arrays:
            side = pair.side_of(rig_object)
            forearm.place_bones(rig_object.data, side, arrays["forearm_points"])
    surface["hand_shape"] = [float(v) for v in shape]
    splats.update_rest(rig_object, surface)
