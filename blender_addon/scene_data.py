# SPDX-License-Identifier: GPL-3.0-or-later
"""What the extension keeps in a .blend file, and how to find it again.

An avatar is an empty (``kind`` ROOT) with one armature a hand (RIG) below it and the armature's
mesh (SURFACE) and splats (SPLATS) below that. The root names the ``.hand`` file (relative where
the .blend is saved) or carries its bytes, so saved scenes move with their avatar.
"""

from __future__ import annotations

import os

import bpy
import numpy as np
from mathutils import Vector

from .errors import HandError

PACKED = "hand_toolkit_file"
"""Custom property of the root with the bytes of a packed avatar."""

BACK = "hand_toolkit_back"
"""Custom property of the root: whether its hands at rest show their backs."""

RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()
"""Newer versions want to be told that a path may begin with //."""

KINDS = (
    ("NONE", "None", "Not a part of a hand"),
    ("ROOT", "Avatar", "The empty that carries an avatar"),
    ("RIG", "Rig", "The armature of one hand"),
    ("SURFACE", "Surface", "The skinned mesh of one hand"),
    ("SPLATS", "Splats", "The splats of one hand"),
)


def _poll_root(_self, candidate):
    return candidate.hand_toolkit.kind == "ROOT"


class HandToolkitObject(bpy.types.PropertyGroup):
    """Facts about an object that belongs to an avatar."""

    kind: bpy.props.EnumProperty(name="Kind", items=KINDS, default="NONE")
    side: bpy.props.EnumProperty(
        name="Side",
        items=(("right", "Right", "A right hand"), ("left", "Left", "A left hand")),
        default="right",
    )
    root: bpy.props.PointerProperty(
        name="Avatar",
        description="The avatar this belongs to",
        type=bpy.types.Object,
        poll=_poll_root,
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
    """The armature that ``ob`` means: itself, its mesh's or splats' parent, its avatar's first."""
    if ob is None:
        return None
    kind = ob.hand_toolkit.kind
    if kind == "RIG":
        return ob
    if kind in {"SURFACE", "SPLATS"}:
        return ob.parent if ob.parent and ob.parent.hand_toolkit.kind == "RIG" else None
    if kind == "ROOT":
        return next(iter(rigs_of(ob)), None)
    return None


def free_name(path):
    """``path``, or with the first number at which no file is: another avatar stays whole."""
    stem, ending = os.path.splitext(path)
    count = 1
    while os.path.exists(path):
        count += 1
        path = f"{stem}_{count}{ending}"
    return path


def root_of(ob):
    """The avatar that ``ob`` belongs to, or None."""
    if ob is None:
        return None
    if ob.hand_toolkit.kind == "ROOT":
        return ob
    return ob.hand_toolkit.root


def _children(ob, kind):
    found = [child for child in ob.children if child.hand_toolkit.kind == kind]
    return sorted(found, key=lambda child: (child.hand_toolkit.side != "right", child.name))


def rigs_of(root):
    """The armatures of an avatar, right first."""
    return _children(root, "RIG")


def surface_of(rig):
    """The skinned mesh of a hand, or None."""
    return next(iter(_children(rig, "SURFACE")), None)


def splats_of(rig):
    """The splat cloud of a hand, or None."""
    return next(iter(_children(rig, "SPLATS")), None)


def roots(scene):
    """The avatars of a scene."""
    return [ob for ob in scene.objects if ob.hand_toolkit.kind == "ROOT"]


def bounds(depsgraph, avatars):
    """Lowest and highest corner (3,), metres, of the skins of ``avatars`` as they are posed.

    Args:
        depsgraph: evaluated.
        avatars: their roots.

    Raises:
        HandError: none of them has a mesh.
    """
    corners = []
    for root in avatars:
        for rig in rigs_of(root):
            surface = surface_of(rig)
            if surface is not None:
                shown = surface.evaluated_get(depsgraph)
                corners += [shown.matrix_world @ Vector(c) for c in shown.bound_box]
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
