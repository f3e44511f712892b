# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars come into the scene: from a file, with their skins baked beside the building."""

from __future__ import annotations

import os

import bpy
import numpy as np
from mathutils import Vector

from . import build, link, look, pair, scene_data
from .errors import HandError

ONE_ARMATURE = (
    "Both hands' bones in one armature, so that Blender's X-mirror, Symmetrize and Paste Flipped "
    "work; off gives each hand its own"
)


def import_file(context, path, pack=False, name=None, one_armature=False):
    """Bring a ``.hand`` file into the scene; its root.

    Raises:
        HandError: the file does not exist.
        WorkerError: it is no avatar.
    """
    full = bpy.path.abspath(path)
    if not os.path.isfile(full):
        raise HandError(f"the avatar {full} does not exist; choose another file")
    value, arrays = link.worker().call("open_avatar", {"path": full})
    return bring_in(context, full, value, arrays, pack, name, one_armature)


def bring_in(context, path, value, arrays, pack=False, name=None, one_armature=False):
    """Build an avatar that the worker holds open, from its description; its root.

    Args:
        context: Blender's.
        path: the avatar's file.
        value, arrays: what the worker says of it.
        pack: keep the file inside the .blend too.
        name: of the root; by default the file's.
        one_armature: of both hands, for a pair.
    """
    full = bpy.path.abspath(path)
    link.worker().opened.add(value["key"])
    data = None
    if pack:
        with open(full, "rb") as stream:
            data = stream.read()
    name = name or os.path.splitext(os.path.basename(full))[0]
    baking = ask_textures(value["key"], value["sides"])  # the worker's core beside this one
    root = build.build_avatar(context, name, value, arrays, full, data, one_armature)
    if not bpy.app.background:
        link.ask_offers()
    await_textures(root, baking)
    return root


VIEW_MARGIN = 2.9
"""Viewing distance per radius of the avatar at the viewport's usual 50 mm."""


def show_in_view(context, root):
    """Move the 3D view to the avatar and show its skin.

    A hand is small in a view made for a two-metre cube, and one flat colour in a *Solid* one.
    """
    space = context.space_data
    if space is None or space.type != "VIEW_3D" or space.region_3d is None:
        return
    if space.shading.type == "SOLID" and space.shading.color_type == "MATERIAL":
        space.shading.color_type = "TEXTURE"  # objects without a texture look as they did
    view = space.region_3d
    if view.view_perspective == "CAMERA":
        return
    low, high = scene_data.bounds(context.evaluated_depsgraph_get(), [root])
    view.view_location = (low + high) / 2
    view.view_distance = VIEW_MARGIN * float(np.linalg.norm(high - low)) / 2
    space.clip_start = min(space.clip_start, 0.01)


LARGEST_CUBE_M = 4.0
"""Sides up to which something around a hand is taken for a thing, not for a room."""


def warn_if_hidden(context, root, report):
    """Say so where the hands stand inside something solid, as in a new scene's cube."""
    graph = context.evaluated_depsgraph_get()
    low, high = scene_data.bounds(graph, [root])
    for inst in graph.object_instances:
        ob = inst.object
        if ob.type != "MESH" or not inst.show_self or ob.hand_toolkit.kind != "NONE":
            continue
        if ob.display_type in {"BOUNDS", "WIRE"} or not ob.data.polygons:
            continue
        corners = np.array([tuple(inst.matrix_world @ Vector(c)) for c in ob.bound_box])
        least, most = corners.min(axis=0), corners.max(axis=0)
        if (least < low).all() and (most > high).all() and (most - least).max() < LARGEST_CUBE_M:
            report(
                {"WARNING"},
                f"{root.name} stands inside '{ob.name}', which hides it: delete, hide or move one",
            )


TEXTURE_SIZE = 1024
_awaited = []


def ask_textures(key, sides):
    """Let the worker bake the skins of the open avatar ``key``; side -> request."""
    return {
        side: link.worker().submit(
            "texture",
            {"key": key, "side": side, "size": TEXTURE_SIZE, "share": True, "relief": True},
        )
        for side in sides
    }


def await_textures(root, baking):
    """Show the skins that ``ask_textures`` asked for; in a window they arrive a little later."""
    for rig in scene_data.rigs_of(root):
        request = baking.get(pair.side_of(rig))
        if request is not None:
            surface = scene_data.surface_of(rig)
            _awaited.append((request, surface.name, root.hand_toolkit.key))
    if bpy.app.background:
        for request in baking.values():
            request.result()
        _take_textures()
    elif not bpy.app.timers.is_registered(_take_textures):
        bpy.app.timers.register(_take_textures, first_interval=0.5)


def _take_textures():
    """Show what has been baked; a hand that mirrors the other waits for the other's picture."""
    done = [entry for entry in _awaited if entry[0].done]
    # a texture of one's own comes before those that share it
    for entry in sorted(done, key=lambda entry: "like" in (entry[0].value or {})):
        request, name, key = entry
        surface = bpy.data.objects.get(name)
        # Undo or deletion may have come first; a failed bake leaves the vertex colours.
        root = surface.hand_toolkit.root if surface is not None else None
        if request.error is not None or root is None or root.hand_toolkit.key != key:
            _awaited.remove(entry)
        elif "like" not in request.value:
            _awaited.remove(entry)
            look.set_texture(surface, request.arrays["texture"])
            if "relief" in request.arrays:
                look.set_relief(surface, request.arrays["relief"])
        elif not _still_baking(root, request.value["like"]):
            _awaited.remove(entry)
            _share_texture(root, surface, request.value["like"])
    return 0.5 if _awaited else None


def _still_baking(root, side):
    names = {scene_data.surface_of(r).name for r in _of_side(root, side)}
    return any(name in names and not request.done for request, name, _ in _awaited)


def _of_side(root, side):
    return [r for r in scene_data.rigs_of(root) if pair.side_of(r) == side]


def _share_texture(root, surface, side):
    """Show the pictures of the hand that ``surface`` mirrors."""
    for rig in _of_side(root, side):
        own = scene_data.surface_of(rig)
        image, relief = look.texture_of(own), look.texture_of(own, look.RELIEF_NODE)
        if image is not None:
            look.show_texture(surface, image)
        if relief is not None:
            look.show_relief(surface, relief)
