# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators on avatars as a whole: import, replace, remove, pack, select."""

from __future__ import annotations

import os

import bpy

from . import bones, bringing, link, pair, scene_data
from .base import HandOperator, NeedsHand, active_hand
from .errors import HandError


class HAND_TOOLKIT_OT_import_avatar(HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.import_avatar"
    bl_label = "Import Avatar"
    bl_description = "Add an avatar from a .hand file to the scene"

    filepath: bpy.props.StringProperty(
        name="Avatar",
        description="File of an avatar (.hand)",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    filter_glob: bpy.props.StringProperty(default="*.hand", options={"HIDDEN"})
    pack: bpy.props.BoolProperty(
        name="Pack", description="Keep the avatar inside the .blend file too", default=True
    )
    one_armature: bpy.props.BoolProperty(
        name="One Armature", description=bringing.ONE_ARMATURE, default=False
    )

    interactive = False

    def invoke(self, context, event):
        self.interactive = True
        if self.filepath:  # a file that was dropped into the view
            return self.execute(context)
        link.ask_offers()  # the worker starts, and loads, while a file is chosen
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, context):
        if not self.filepath:
            raise HandError("no file was chosen; give filepath")
        root = bringing.import_file(
            context, self.filepath, self.pack, one_armature=self.one_armature
        )
        if self.interactive:
            bringing.show_in_view(context, root)
        self.report({"INFO"}, f"Imported {root.name}")
        bringing.warn_if_hidden(context, root, self.report)


class HAND_TOOLKIT_FH_avatar(bpy.types.FileHandler):
    """Avatars may be dropped into the 3D view."""

    bl_idname = "HAND_TOOLKIT_FH_avatar"
    bl_label = "Hand Avatar"
    bl_import_operator = "hand_toolkit.import_avatar"
    bl_file_extensions = ".hand"

    @classmethod
    def poll_drop(cls, context):
        return context.area is not None and context.area.type == "VIEW_3D"


def draw_import(menu, _context):
    """Entry of File > Import."""
    menu.layout.operator(HAND_TOOLKIT_OT_import_avatar.bl_idname, text="Hand Avatar (.hand)")


class HAND_TOOLKIT_OT_replace_avatar(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.replace_avatar"
    bl_label = "Replace Avatar"
    bl_description = "Put another .hand file in the place of this avatar; its animation stays"

    filepath: bpy.props.StringProperty(
        name="Avatar",
        description="File of an avatar (.hand)",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    filter_glob: bpy.props.StringProperty(default="*.hand", options={"HIDDEN"})

    def invoke(self, context, event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, context):
        from . import rig as rigs

        if not self.filepath:
            raise HandError("no file was chosen; give filepath")
        old = scene_data.root_of(active_hand(context))
        packed = scene_data.avatar_bytes(old) is not None
        shared = any(pair.is_pair(hand) for hand in scene_data.rigs_of(old))
        new = bringing.import_file(context, self.filepath, packed, one_armature=shared)
        new.matrix_world = old.matrix_world.copy()
        by_side = {pair.side_of(r): r for r in scene_data.rigs_of(old)}
        for rig in scene_data.rigs_of(new):
            before = by_side.get(pair.side_of(rig))
            if before is not None:
                rigs.take_over(before, rig)
        delete_avatar(old)
        self.report({"INFO"}, f"Replaced by {new.name}")


def delete_avatar(root):
    """Remove an avatar's objects, its own collection, and the data that nobody else uses."""
    parts = scene_data.parts_of(root)
    for ob in bpy.data.objects:  # what the artist hung on the hands stays where it is
        if ob.parent in parts and ob not in parts:
            place = ob.matrix_world.copy()
            ob.parent = None
            ob.matrix_world = place
    holders = {c for ob in parts for c in ob.users_collection}
    data = [ob.data for ob in parts if ob.data is not None]
    for ob in parts:
        bpy.data.objects.remove(ob)
    for collection in holders:
        empty = not collection.objects and not collection.children and not collection.library
        if empty and collection.name in bpy.data.collections:
            bpy.data.collections.remove(collection)
    bpy.data.batch_remove([d for d in data if d.users == 0])


class HAND_TOOLKIT_OT_remove_avatar(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.remove_avatar"
    bl_label = "Remove Avatar"
    bl_description = "Delete this avatar from the scene; its .hand file stays"

    def run(self, context):
        root = scene_data.root_of(active_hand(context))
        name = root.name
        if context.object.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        delete_avatar(root)
        self.report({"INFO"}, f"Removed {name}")


class HAND_TOOLKIT_OT_pack_avatar(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.pack_avatar"
    bl_label = "Pack Avatar"
    bl_description = "Keep the .hand file inside the .blend file, or take it out again"

    pack: bpy.props.BoolProperty(
        name="Pack", description="Off takes the file out of the .blend again", default=True
    )

    def run(self, context):
        root = scene_data.root_of(active_hand(context))
        if not self.pack:
            if scene_data.PACKED in root:
                self._unpack(root)
            return
        path = scene_data.avatar_path(root)
        if not os.path.isfile(path):
            raise HandError(f"the avatar file {path} is missing, so it cannot be packed")
        with open(path, "rb") as stream:
            root[scene_data.PACKED] = stream.read()

    def _unpack(self, root):
        path = scene_data.avatar_path(root)
        if not os.path.isfile(path):
            data = scene_data.avatar_bytes(root)
            temporary = path + ".part"
            try:
                with open(temporary, "wb") as stream:
                    stream.write(data)
                os.replace(temporary, path)
            except OSError as error:
                raise HandError(f"cannot write {path}: {error.strerror or error}") from error
        del root[scene_data.PACKED]


class HAND_TOOLKIT_OT_select_hand(HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.select_hand"
    bl_label = "Select Hand"
    bl_description = "Make this hand's rig the active object"

    name: bpy.props.StringProperty(name="Rig", description="Name of the hand's armature object")
    side: bpy.props.StringProperty(
        name="Side", description="Of an armature with both hands: right or left", default=""
    )
    pose_mode: bpy.props.BoolProperty(
        name="Pose Mode", description="And go into Pose Mode", default=False
    )

    def run(self, context):
        rig = context.scene.objects.get(self.name)
        if rig is None or rig.hand_toolkit.kind != "RIG":
            raise HandError(f"there is no hand rig '{self.name}' in this scene")
        if context.object is not None and context.object.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        for ob in context.selected_objects:
            ob.select_set(False)
        if self.side and pair.is_pair(rig):
            rig.hand_toolkit.side = self.side
            hand = pair.HandOfPair(rig, self.side)
            rig.data.bones.active = bones.pose_bone(hand, "wrist").bone
        rig.select_set(True)
        context.view_layer.objects.active = rig
        if self.pose_mode:
            bpy.ops.object.mode_set(mode="POSE")


class HAND_TOOLKIT_OT_cancel_job(HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.cancel_job"
    bl_label = "Cancel"
    bl_description = "Stop what the toolkit is doing"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        return link.job.request is not None

    def run(self, context):
        link.job.cancel()


CLASSES = (
    HAND_TOOLKIT_OT_import_avatar,
    HAND_TOOLKIT_FH_avatar,
    HAND_TOOLKIT_OT_replace_avatar,
    HAND_TOOLKIT_OT_remove_avatar,
    HAND_TOOLKIT_OT_pack_avatar,
    HAND_TOOLKIT_OT_select_hand,
    HAND_TOOLKIT_OT_cancel_job,
)
