# SPDX-License-Identifier: GPL-3.0-or-later
"""Export through the toolkit: every installed exporter, with the options that it lists itself."""

from __future__ import annotations

import json
import os

import bpy
import numpy as np

from . import axes, forearm, link, options, pair, rig, scene_data
from .base import NeedsHand, WorkerOperator, active_hand
from .errors import HandError

FORMATS = ("glb", "usd", "fbx", "obj", "bvh", "ply", "spz", "splat", "sog", "npz")
"""What a script may name before the toolkit was asked what it has installed."""

_formats = []  # Blender keeps no reference to the strings of dynamic enums


def formats():
    """What the toolkit can write; asked once."""
    return link.need_offers()["formats"]


def _format_items(_self, _context):
    listed = (link.offers() or {}).get("formats", [])
    found = [(f["name"], f["description"]) for f in listed] or [(name, "") for name in FORMATS]
    _formats[:] = [(n, n.upper(), text, options.number(n)) for n, text in found]
    return _formats


def _fill_options(operator, _context):
    chosen = next((f for f in formats() if f["name"] == operator.format), None)
    options.fill(operator.settings, chosen["options"] if chosen else ())
    if operator.filepath and chosen:
        stem = os.path.splitext(operator.filepath)[0]
        operator.filepath = stem + chosen["suffixes"][0]


class HAND_TOOLKIT_OT_export(NeedsHand, WorkerOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.export"
    bl_label = "Export Avatar"
    bl_description = "Write the avatar, posed or animated as in this scene, for other programs"
    bl_options = {"REGISTER"}
    title = "Exporting"

    filepath: bpy.props.StringProperty(
        name="File",
        description="The file to write",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    format: bpy.props.EnumProperty(
        name="Format",
        description="File format",
        items=_format_items,
        default=options.number("glb"),
        update=_fill_options,
    )
    what: bpy.props.EnumProperty(
        name="Contents",
        description="What of the avatar is written",
        items=(
            ("both", "Mesh and splats", ""),
            ("mesh", "Mesh", ""),
            ("splats", "Splats", ""),
        ),
    )
    animation: bpy.props.BoolProperty(
        name="Animation", description="The scene's frame range instead of this frame", default=True
    )
    options: bpy.props.StringProperty(
        name="Options",
        description="The exporter's own settings as a JSON object (for scripts)",
        options={"SKIP_SAVE"},
    )
    chosen: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    settings: bpy.props.CollectionProperty(
        name="Settings",
        description="What the chosen exporter can be told",
        type=options.HandToolkitOption,
        options={"SKIP_SAVE"},
    )

    def invoke(self, context, event):
        self.interactive = True
        known = [f["name"] for f in formats()]
        wanted = self.chosen or context.scene.hand_toolkit.export_format
        self.format = wanted if wanted in known else known[0]
        root = scene_data.root_of(active_hand(context))
        chosen = next(f for f in formats() if f["name"] == self.format)
        folder = os.path.dirname(bpy.data.filepath) or os.path.expanduser("~")
        self.filepath = os.path.join(folder, root.name + chosen["suffixes"][0])
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        for name in ("format", "what", "animation"):
            layout.prop(self, name)
        options.draw(layout, self.settings)

    def ask(self, context):
        if not self.filepath:
            raise HandError("no file was chosen; give filepath")
        hand = active_hand(context)
        root = scene_data.root_of(hand)
        chosen = next((f for f in formats() if f["name"] == self.format), None)
        if chosen is None:
            raise HandError(f"the toolkit has no exporter '{self.format}'")
        settings = json.loads(self.options) if self.options else {}
        settings.update(options.values(self.settings))
        params = {
            "key": link.open_avatar(root),
            "format": self.format,
            "path": bpy.path.abspath(self.filepath),
            "what": self.what,
            "sides": [pair.side_of(r) for r in scene_data.rigs_of(root)],
            "options": settings,
        }
        scene = context.scene
        moving = self.animation and chosen["animated"] and scene.frame_end > scene.frame_start
        if moving:
            params["fps"] = scene.render.fps / scene.render.fps_base
            return "export", params, sample_motion(context, root)
        arrays = {}
        for one in scene_data.rigs_of(root):
            arrays[f"pose.{pair.side_of(one)}"] = world_theta(one)
        return "export", params, arrays

    def take(self, context, value, arrays):
        self.report({"INFO"}, f"Wrote {', '.join(os.path.basename(p) for p in value['paths'])}")


def world_theta(hand):
    """Evaluated θ (16, 3), or (17, 3) of an arm, the turn of the rig's objects in the wrist's."""
    theta = rig.get_evaluated_theta(hand)
    if hand.matrix_world.determinant() < 0:
        raise HandError(
            f"'{hand.name}' is mirrored by a negative scale, which no other program could pose; "
            "use the avatar's other hand, or Apply the scale"
        )
    turn = axes.TO_BLENDER.T @ np.array(hand.matrix_world.to_quaternion().to_matrix(), np.float64)
    theta[0] = axes.matrix_to_rotvec(turn @ axes.rotvec_to_matrix(theta[0]))
    turned = forearm.rotation(hand)
    return theta if turned is None else np.concatenate([theta, turned[None]])


def world_translation(hand):
    """Wrist position (3,) in the toolkit's world, metres of the hand's natural size."""
    point = np.array(hand.matrix_world @ rig.pose_bones(hand)[0].head, np.float64)
    return axes.TO_BLENDER.T @ point * scene_data.natural_scale(hand.matrix_world)


def sample_motion(context, root):
    """The worker's motion arrays of the scene's frame range, as evaluated."""
    scene = context.scene
    before = scene.frame_current
    count = scene.frame_end - scene.frame_start + 1
    rows = 17 if any(forearm.bone_of(hand) for hand in scene_data.rigs_of(root)) else 16
    theta, where = np.zeros((count, 2, rows, 3)), np.zeros((count, 2, 3))
    present = np.zeros((count, 2), bool)
    try:
        for t in range(count):
            scene.frame_set(scene.frame_start + t)
            for hand in scene_data.rigs_of(root):
                k = axes.SIDES.index(pair.side_of(hand))
                theta[t, k], where[t, k] = world_theta(hand), world_translation(hand)
                present[t, k] = True
    finally:
        scene.frame_set(before)
    return {"theta": theta, "translation": where, "present": present}


def draw_export(menu, _context):
    """Entry of File > Export."""
    menu.layout.operator(HAND_TOOLKIT_OT_export.bl_idname, text="Hand Avatar (glTF, USD, PLY, ...)")


CLASSES = (HAND_TOOLKIT_OT_export,)
