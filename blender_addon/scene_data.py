# SPDX-License-Identifier: GPL-3.0-or-later
"""What the extension keeps in a .blend file, and how to find it again.

An avatar is an empty (``kind`` ROOT) with one armature a hand (RIG) and the armature's mesh
(SURFACE) and splats (SPLATS). They know each other by marks (``root``, ``rig``), not by parents:
artists parent hands to bodies and take them out of collections. The root names the ``.hand`` file
(relative where the .blend is saved) or carries its bytes, so saved scenes move with their avatar.
"""

from __future__ import annotations

import os

import bpy
import numpy as np
from mathutils import Vector

from . import pair
from .errors import HandError

PACKED = "hand_toolkit_file"
"""Custom property of the root with the bytes of a packed avatar."""

BACK = "hand_toolkit_back"
"""Custom property of the root: whether its hands at rest show their backs."""

VERTEX = "hand_vertex"
"""Attribute of the skin: the number of each vertex, which subdivided meshes keep."""

RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()
"""Newer versions want to be told that a path may begin with //."""

KINDS = (
    ("NONE", "None", "Not a part of a hand"),
    ("ROOT", "Avatar", "The empty that carries an avatar"),
    ("RIG", "Rig", "The armature of a hand, or of both"),
    ("SURFACE", "Surface", "The skinned mesh of one hand"),
    ("SPLATS", "Splats", "The splats of one hand"),
)

JOINT = "hand_joint"
"""Custom property of a bone: its joint's name, whatever the artist calls the bone."""


def _poll_root(_self, candidate):
    return candidate.hand_toolkit.kind == "ROOT"


def _poll_rig(_self, candidate):
    return candidate.hand_toolkit.kind == "RIG"


class HandToolkitObject(bpy.types.PropertyGroup):
    """Facts about an object that belongs to an avatar."""

    kind: bpy.props.EnumProperty(name="Kind", items=KINDS, default="NONE")
    side: bpy.props.EnumProperty(
        name="Side",
        items=(("right", "Right", "A right hand"), ("left", "Left", "A left hand")),
        default="right",
    )
    pair: bpy.props.BoolProperty(
        name="Pair",
        description="The armature has both hands; its side is the one that buttons mean",
        default=False,
    )
    root: bpy.props.PointerProperty(
        name="Avatar",
        description="The avatar this belongs to",
        type=bpy.types.Object,
        poll=_poll_root,
    )
    rig: bpy.props.PointerProperty(
        name="Rig",
        description="The armature that moves this",
        type=bpy.types.Object,
        poll=_poll_rig,
    )
    key: bpy.props.StringProperty(name="Key", description="SHA-256 of the avatar's file")
    path: bpy.props.StringProperty(
        name="File",
        description="The .hand file of this avatar",
        subtype="FILE_PATH",
        options=RELATIVE,
    )
    full_path: bpy.props.StringProperty(
        name="Full path",
        description="Where the file was when the .blend was saved: an appended avatar has no other "
        "clue",
    )
    info: bpy.props.StringProperty(name="About", description="Where the avatar comes from")


def armature_of(ob):
    """The hand that ``ob`` means: itself, its mesh's or splats', its avatar's or instance's.

    See :mod:`.pair` for what a hand is.
    """
    if ob is None:
        return None
    kind = ob.hand_toolkit.kind
    if kind == "RIG":
        return pair.chosen_of(ob)
    if kind in {"SURFACE", "SPLATS"}:
        armature = _rig_of(ob)
        if armature is None or not pair.is_pair(armature):
            return armature
        return pair.HandOfPair(armature, ob.hand_toolkit.side)
    if kind == "ROOT":
        return next(iter(rigs_of(ob)), None)
    if ob.instance_type == "COLLECTION" and ob.instance_collection is not None:
        inside = ob.instance_collection.all_objects
        found = next((o for o in inside if o.hand_toolkit.kind == "RIG"), None)
        return found if found is None else pair.chosen_of(found)
    return None


def free_name(path):
    """``path``, or with the first number at which no file is: another avatar stays whole."""
    stem, ending = os.path.splitext(path)
    count = 1
    while os.path.exists(path):
        count += 1
        path = f"{stem}_{count}{ending}"
    return path


def _rig_of(part):
    """The armature of a mesh or of splats; those of older files know it as their parent."""
    if part.hand_toolkit.rig is not None:
        return part.hand_toolkit.rig
    others = (m.object for m in part.modifiers if m.type == "ARMATURE")
    candidates = (part.parent, *others)
    return next((o for o in candidates if o is not None and o.hand_toolkit.kind == "RIG"), None)


def root_of(ob):
    """The avatar that ``ob`` belongs to, or None."""
    if ob is None:
        return None
    if ob.hand_toolkit.kind == "ROOT":
        return ob
    return ob.hand_toolkit.root


def parts_of(root):
    """All objects of an avatar, itself too, wherever they are parented."""
    return [
        ob
        for ob in bpy.data.objects
        if ob.hand_toolkit.kind != "NONE" and root_of(ob) == root and ob.users_collection
    ]


def _sorted(found):
    return sorted(found, key=lambda hand: (pair.side_of(hand) != "right", hand.name))


def rigs_of(root):
    """The hands of an avatar, right first."""
    armatures = [ob for ob in parts_of(root) if ob.hand_toolkit.kind == "RIG"]
    return _sorted(hand for ob in armatures for hand in pair.hands_of(ob))


def _part_of(rig, kind):
    """The mesh or the splats of a hand: as a rule its child."""
    armature, side = pair.armature_of(rig), pair.side_of(rig)
    for candidates in (armature.children, bpy.data.objects):
        for ob in candidates:
            facts = ob.hand_toolkit
            if facts.kind != kind or (pair.is_pair(armature) and facts.side != side):
                continue
            if _rig_of(ob) == armature and ob.users_collection:
                return ob
    return None


def at_origin(hand):
    """Put a hand that hangs on its avatar at the avatar's origin; whether it does."""
    if hand.parent != hand.hand_toolkit.root:
        return False  # it was attached to something else, which says where it is
    if pair.is_pair(hand) and any(pair.follows(h) for h in pair.hands_of(pair.armature_of(hand))):
        return not pair.follows(hand)
    hand.location = (0.0, 0.0, 0.0)
    return True


def surface_of(rig):
    """The skinned mesh of a hand, or None."""
    return _part_of(rig, "SURFACE")


def splats_of(rig):
    """The splat cloud of a hand, or None."""
    return _part_of(rig, "SPLATS")


def roots(scene):
    """The avatars of a scene, those in its collection instances too."""
    found = [ob for ob in scene.objects if ob.hand_toolkit.kind == "ROOT"]
    for ob in scene.objects:
        if ob.instance_type == "COLLECTION" and ob.instance_collection is not None:
            inside = ob.instance_collection.all_objects
            found += [o for o in inside if o.hand_toolkit.kind == "ROOT" and o not in found]
    return found


def metres_per_unit(scene):
    """The scene's unit scale: how many metres one Blender unit stands for."""
    units = scene.unit_settings
    return 1.0 if units.system == "NONE" else max(float(units.scale_length), 1e-9)


def natural_scale(matrix):
    """Metres of the hand per Blender unit of the world, of an object's matrix (4, 4).

    A hand in a scene of other units, or one that was scaled, is drawn and written at its natural
    size; the renderer's lengths (of splats, of contact) are in metres of a human hand.
    """
    volume = abs(float(np.linalg.det(np.array(matrix, np.float64)[:3, :3])))
    scale = volume ** (-1.0 / 3.0) if volume > 1e-30 else 1.0
    return 1.0 if abs(scale - 1.0) < 1e-6 else scale


def bounds(depsgraph, avatars):
    """Lowest and highest corner (3,), metres, of the skins of ``avatars`` as they are posed.

    Args:
        depsgraph: evaluated.
        avatars: their roots.

    Raises:
        HandError: none of them has a mesh.
    """
    corners = []
    for inst in depsgraph.object_instances:  # linked instances have places of their own
        ob = inst.object
        if ob.hand_toolkit.kind == "SURFACE" and root_of(ob.original) in avatars:
            corners += [inst.matrix_world @ Vector(c) for c in ob.bound_box]
    if not corners:
        raise HandError("the avatars of this scene have lost their meshes; import them again")
    points = np.array([tuple(c) for c in corners])
    return points.min(axis=0), points.max(axis=0)


def avatar_bytes(root):
    """The packed avatar, or None."""
    data = root.get(PACKED)
    return bytes(data) if data is not None else None


def avatar_path(root):
    """Absolute path of the avatar's file: beside the .blend, else where it was when saved."""
    data = root.hand_toolkit
    path = os.path.normpath(bpy.path.abspath(data.path, library=root.library))
    if not os.path.isfile(path) and os.path.isfile(data.full_path):
        return data.full_path
    return path


def store_path(root, path):
    """Remember the avatar's file, relative to the .blend where that is saved."""
    root.hand_toolkit.full_path = path
    root.hand_toolkit.path = bpy.path.relpath(path) if bpy.data.filepath else path


_full_paths = {}
"""Absolute paths during a save, by name of the root."""


@bpy.app.handlers.persistent
def before_save(target="", *_args):
    """Make avatar paths relative to the file that is about to be written."""
    _full_paths.clear()
    for ob in bpy.data.objects:
        if ob.hand_toolkit.kind == "ROOT" and ob.hand_toolkit.path and ob.library is None:
            _full_paths[ob.name] = ob.hand_toolkit.full_path = avatar_path(ob)
    if isinstance(target, str) and target:
        _relate(os.path.dirname(os.path.abspath(target)))


@bpy.app.handlers.persistent
def after_save(*_args):
    """A saved copy may lie elsewhere than the file that stays open."""
    if bpy.data.filepath:
        _relate(os.path.dirname(bpy.data.filepath))
    _full_paths.clear()


def _relate(folder):
    if not bpy.context.preferences.filepaths.use_relative_paths:
        return
    for name, full in _full_paths.items():
        data = bpy.data.objects[name].hand_toolkit
        try:
            data.path = bpy.path.relpath(full, start=folder)
        except ValueError:  # another drive on Windows has no relative path
            data.path = full


def attached(hand):
    """Whether a hand is on a body."""
    if pair.is_pair(hand):
        return pair.follows(hand)
    return hand.parent is not None and root_of(hand.parent) != root_of(hand)
