# SPDX-License-Identifier: GPL-3.0-or-later
"""Tone, lacquer, decals, paint: the worker makes another avatar, which takes this one's place."""

from __future__ import annotations

import os

import bpy
import numpy as np

from . import link, pair, scene_data
from .base import NeedsHand, WorkerOperator, active_hand
from .errors import HandError


def edited_path(root):
    """A new file beside the avatar's, or beside the .blend, or in the session's folder."""
    old = bpy.path.abspath(root.hand_toolkit.path or "")
    folder = os.path.dirname(old)
    if not folder or not os.access(folder, os.W_OK):
        folder = os.path.dirname(bpy.data.filepath) or bpy.app.tempdir
    stem = os.path.splitext(os.path.basename(old))[0] or "hand"
    stem = stem.split("_edited")[0] + "_edited"
    number = 1
    while os.path.exists(os.path.join(folder, f"{stem}{number}.hand")):
        number += 1
    return os.path.join(folder, f"{stem}{number}.hand")


def painted_file(name):
    """A file of an image painted here, or the file of that name."""
    image = bpy.data.images.get(name)
    if image is None:
        return bpy.path.abspath(name)
    path = os.path.join(bpy.app.tempdir, "hand_paint_out.png")
    # the artist's image keeps its path and format; a copy of it would lose what is not saved
    copy = bpy.data.images.new("hand paint out", *image.size, alpha=True)
    try:
        pixels = np.empty(4 * image.size[0] * image.size[1], np.float32)
        image.pixels.foreach_get(pixels)
        copy.pixels.foreach_set(pixels)
        copy.file_format = "PNG"
        copy.save(filepath=path)
    finally:
        bpy.data.images.remove(copy)
    return path


class HAND_TOOLKIT_OT_edit_avatar(NeedsHand, WorkerOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.edit_avatar"
    bl_label = "Edit Skin"
    bl_description = (
        "Another skin tone, nail lacquer, a decal or paint, as a new avatar in its place"
    )
    bl_options = {"REGISTER", "UNDO"}
    title = "Editing the avatar"

    trust: bpy.props.FloatProperty(
        name="Trust Photo",
        description="0.5 leaves the skin; towards 0 little but its tone stays of the photo",
        default=0.5,
        min=0.0,
        max=0.5,
        subtype="FACTOR",
    )
    paint_out: bpy.props.StringProperty(
        name="Paint Out",
        description="An image painted on the skin's layout, by its name here or as a file: white "
        "or opaque where the photo is not to be believed",
    )
    tone: bpy.props.StringProperty(
        name="Tone",
        description="monk:1 to 10, fitzpatrick:1 to 6, #rrggbb, or melanin=0.3,haemoglobin=-0.1",
    )
    lacquer: bpy.props.StringProperty(
        name="Lacquer", description="A colour, thumb=red,ring=#c0a020, or none for bare nails"
    )
    freckles: bpy.props.FloatProperty(
        name="Freckles", description="How many: 0 none, 1 usual", min=0.0, max=3.0
    )
    veins: bpy.props.FloatProperty(
        name="Veins", description="How clear: 0 none, 1 usual", min=0.0, max=3.0
    )
    hair: bpy.props.FloatProperty(
        name="Hair", description="On the back: 0 none, 1 usual", min=0.0, max=3.0
    )
    decal: bpy.props.StringProperty(
        name="Decal", description="A PNG with transparency", subtype="FILE_PATH"
    )
    place: bpy.props.StringProperty(
        name="Place",
        description="back, palm, wrist, wrist_inside, a finger, or U,V of the texture",
        default="back",
    )
    size_mm: bpy.props.FloatProperty(
        name="Size (mm)", description="Of the decal on the skin", default=40.0, min=2.0, max=200.0
    )
    angle: bpy.props.FloatProperty(
        name="Angle (degrees)", description="By which the decal is turned", default=0.0
    )
    ink: bpy.props.BoolProperty(name="Ink", description="Stain the skin, as a tattoo does")
    paint: bpy.props.StringProperty(
        name="Paint",
        description="A picture painted over that of Skin Pictures",
        subtype="FILE_PATH",
    )
    hand_length: bpy.props.StringProperty(
        name="Hand length", description="From the wrist to the middle fingertip, e.g. 18.4cm"
    )

    def invoke(self, context, event):
        self.interactive = True
        return context.window_manager.invoke_props_dialog(self, width=360)

    def ask(self, context):
        hand = active_hand(context)
        root = scene_data.root_of(hand)
        edits = {"tone": self.tone, "lacquer": self.lacquer, "hand_length": self.hand_length}
        edits = {name: text.strip() for name, text in edits.items() if text.strip()}
        if self.trust < 0.5:
            edits["trust"] = self.trust
        if self.paint_out.strip():
            edits["paint_out_skins"] = [painted_file(self.paint_out.strip())]
            edits["side"] = hand.hand_toolkit.side
        for name in ("freckles", "veins", "hair"):
            if getattr(self, name) > 0:
                edits[name] = getattr(self, name)
        if self.decal:
            picture = bpy.path.abspath(self.decal)
            edits["decals"] = [[picture, self.place, self.size_mm, self.angle]]
            edits["ink"] = self.ink
            edits["side"] = pair.side_of(hand)
        if self.paint:
            edits["paints"] = [bpy.path.abspath(self.paint)]
        if not edits:
            raise HandError("nothing was chosen; give a tone, a lacquer, a decal or paint")
        params = {"key": link.open_avatar(root), "edits": edits, "output": edited_path(root)}
        return "edit", params, {}

    def take(self, context, value, arrays):
        bpy.ops.hand_toolkit.replace_avatar(filepath=value["path"])
        self.report({"INFO"}, f"{os.path.basename(value['path'])}: {value['edits']}")


class HAND_TOOLKIT_OT_skin_pictures(NeedsHand, WorkerOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.skin_pictures"
    bl_label = "Skin Pictures"
    bl_description = (
        "Write albedo, normal, roughness and a wireframe guide into a folder, to paint on"
    )
    title = "Writing the skin's pictures"

    directory: bpy.props.StringProperty(
        name="Folder", description="Where the pictures are written", subtype="DIR_PATH"
    )
    size: bpy.props.IntProperty(
        name="Size", description="Of the pictures, pixels", default=2048, min=256, max=8192
    )

    def invoke(self, context, event):
        self.interactive = True
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def ask(self, context):
        if not self.directory:
            raise HandError("no folder was chosen; give directory")
        root = scene_data.root_of(active_hand(context))
        folder = bpy.path.abspath(self.directory)
        params = {"key": link.open_avatar(root), "folder": folder, "size": self.size}
        return "skin_pictures", params, {}

    def take(self, context, value, arrays):
        self.report({"INFO"}, ", ".join(os.path.basename(p) for p in value["paths"]))


CLASSES = (HAND_TOOLKIT_OT_edit_avatar, HAND_TOOLKIT_OT_skin_pictures)
