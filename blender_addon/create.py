# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that bring avatars into the scene: from a picture, from a file, in place of another."""

from __future__ import annotations

import json
import os

import bpy
import numpy as np

from . import build, chosen, link, look, options, scene_data
from .base import HandOperator, NeedsHand, WorkerOperator, active_hand
from .errors import HandError

PICTURES = "*.jpg;*.jpeg;*.png;*.webp;*.bmp;*.tif;*.tiff"


_pose_sources, _methods = [], []


def _pose_source_items(_self, _context):
    """What the toolkit has installed; only the default while it was not asked."""
    names = (link.offers() or {}).get("pose_sources", [])
    first = ("default", "Default", "The toolkit's own choice")
    return options.menu(_pose_sources, first, [(n, f"The plugin '{n}'") for n in names])


def _method_items(_self, _context):
    """The toolkit's avatar methods; only its own choice while it was not asked."""
    listed = (link.offers() or {}).get("methods", [])
    first = ("auto", "Automatic", "The learned prior where it knows the hand model")
    return options.menu(_methods, first, [(m["name"], m["description"]) for m in listed])


def _fill_settings(operator, _context):
    listed = (link.offers() or {}).get("methods", [])
    chosen = next((m for m in listed if m["name"] == operator.method), None)
    options.fill(operator.settings, chosen["options"] if chosen else ())


class HAND_TOOLKIT_OT_create_from_image(WorkerOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.create_from_image"
    bl_label = "Create Hand"  # the file browser's button has no room for more
    bl_description = (
        "Make an animatable avatar of the hand, or of the two hands, in a picture or in several "
        "of the same hands"
    )
    title = "Creating the hand"

    filepath: bpy.props.StringProperty(
        name="Picture",
        description="A photo of a hand",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    files: bpy.props.CollectionProperty(
        name="Pictures",
        description="Several pictures of the same hands, in the folder 'directory'",
        type=bpy.types.OperatorFileListElement,
        options={"HIDDEN", "SKIP_SAVE"},
    )
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    filter_glob: bpy.props.StringProperty(default=PICTURES, options={"HIDDEN"})
    # Blender's file browser reads this one by its name: pictures are chosen by looking at them.
    display_type: bpy.props.EnumProperty(
        items=(("DEFAULT", "Default", "", 0), ("THUMBNAIL", "Thumbnails", "", 3)),
        default="THUMBNAIL",
        options={"HIDDEN", "SKIP_SAVE"},
    )
    output: bpy.props.StringProperty(
        name="Save avatar as",
        description="The .hand file to write; empty puts it beside the picture, or beside the "
        ".blend where that folder is read-only, under a name that is free",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    hands: bpy.props.EnumProperty(
        name="Hands",
        description="Which hands the avatar gets",
        items=(
            ("auto", "Automatic", "Whatever the picture shows; one hand gives a mirrored pair"),
            ("left", "Left", "Only the left hand"),
            ("right", "Right", "Only the right hand"),
            ("both", "Both", "A pair; what the picture lacks is mirrored"),
        ),
        default="auto",
    )
    pose_source: bpy.props.EnumProperty(
        name="Pose source", description="Which plugin finds the hand", items=_pose_source_items
    )
    method: bpy.props.EnumProperty(
        name="Method",
        description="How the skin is fitted",
        items=_method_items,
        update=_fill_settings,
    )
    options: bpy.props.StringProperty(
        name="Options",
        description="The method's own settings as a JSON object (for scripts)",
        options={"SKIP_SAVE"},
    )
    settings: bpy.props.CollectionProperty(
        name="Settings",
        description="What the chosen method can be told",
        type=options.HandToolkitOption,
        options={"SKIP_SAVE"},
    )
    quality: bpy.props.EnumProperty(
        name="Quality",
        description="How much work goes into the avatar",
        items=(
            ("draft", "Draft", "Seconds; to see whether the picture works"),
            ("standard", "Standard", "About a minute on two processor cores"),
            ("high", "High", "More splats and a larger working size; some minutes"),
        ),
        default="standard",
    )
    pack: bpy.props.BoolProperty(
        name="Pack", description="Keep the avatar inside the .blend file too", default=True
    )

    def invoke(self, context, event):
        self.interactive = True
        if self.filepath:
            return self.execute(context)
        return self.guard(self._browse, context)

    def _browse(self, context):
        link.worker_command()  # without a toolkit, say so before a picture is chosen
        link.ask_offers()  # the pose sources are there by the time a picture is chosen
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "hands")
        layout.prop(self, "pose_source")
        layout.prop(self, "method")
        options.draw(layout, self.settings)
        layout.prop(self, "quality")
        layout.prop(self, "pack")

    def ask(self, context):
        photos = self._photos()
        settings = json.loads(self.options) if self.options else {}
        settings.update(options.values(self.settings))
        params = {
            "photos": photos,
            "output": self._output(photos[0]),
            "method": self.method or "auto",
            "settings": settings,
            "hands": self.hands,
            "pose_source": "" if self.pose_source == "default" else self.pose_source,
            "quality": self.quality,
            "device": chosen.device(),
        }
        return "fit", params, None

    def _photos(self):
        """Paths of the chosen pictures; several where the file browser marked several."""
        photo = bpy.path.abspath(self.filepath)
        folder = bpy.path.abspath(self.directory) if self.directory else ""
        several = [os.path.join(folder, f.name) for f in self.files if folder and f.name]
        photos = several if len(several) > 1 else [photo or "".join(several)]
        if not photos[0] or os.path.isdir(photos[0]):
            raise HandError("no picture was chosen; choose a photo of a hand")
        for path in photos:
            if not os.path.isfile(path):
                raise HandError(f"the picture {path} does not exist; choose another")
        return photos

    def _output(self, photo):
        if self.output:
            path = bpy.path.abspath(self.output)
            return path if path.endswith(".hand") else path + ".hand"
        stem = os.path.splitext(os.path.basename(photo))[0]
        folders = [os.path.dirname(photo)]
        if bpy.data.filepath:
            folders.append(os.path.dirname(bpy.data.filepath))
        folders.append(bpy.utils.user_resource("DATAFILES", path="hand_toolkit", create=True))
        folder = next((f for f in folders if f and os.access(f, os.W_OK)), folders[-1])
        return scene_data.free_name(os.path.join(folder, stem + ".hand"))

    def take(self, context, value, arrays):
        # the worker has it open under its key, and has described it
        root = bring_in(context, value["path"], value, arrays, self.pack)
        if self.interactive:
            show_in_view(context, root)
        for sentence in value["left_out"]:
            self.report({"WARNING"}, f"Left out: {sentence}")
        count, seconds = value["total_splats"], value["seconds"]
        self.report({"INFO"}, f"{root.name}: {count:,} splats in {seconds:.0f} s")


def import_file(context, path, pack=False, name=None):
    """Bring a ``.hand`` file into the scene; its root.

    Raises:
        HandError: the file does not exist.
        WorkerError: it is no avatar.
    """
    full = bpy.path.abspath(path)
    if not os.path.isfile(full):
        raise HandError(f"the avatar {full} does not exist; choose another file")
    value, arrays = link.worker().call("open_avatar", {"path": full})
    return bring_in(context, full, value, arrays, pack, name)


def bring_in(context, path, value, arrays, pack=False, name=None):
    """Build an avatar that the worker holds open, from its description; its root.

    Args:
        context: Blender's.
        path: the avatar's file.
        value, arrays: what the worker says of it.
        pack: keep the file inside the .blend too.
        name: of the root; by default the file's.
    """
    full = bpy.path.abspath(path)
    link.worker().opened.add(value["key"])
    data = None
    if pack:
        with open(full, "rb") as stream:
            data = stream.read()
    name = name or os.path.splitext(os.path.basename(full))[0]
    baking = ask_textures(value["key"], value["sides"])  # the worker's core beside this one
    root = build.build_avatar(context, name, value, arrays, full, data)
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
        request = baking.get(rig.hand_toolkit.side)
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
    return [r for r in scene_data.rigs_of(root) if r.hand_toolkit.side == side]


def _share_texture(root, surface, side):
    """Show the pictures of the hand that ``surface`` mirrors."""
    for rig in _of_side(root, side):
        own = scene_data.surface_of(rig)
        image, relief = look.texture_of(own), look.texture_of(own, look.RELIEF_NODE)
        if image is not None:
            look.show_texture(surface, image)
        if relief is not None:
            look.show_relief(surface, relief)


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

    interactive = False

    def invoke(self, context, event):
        self.interactive = True
        if self.filepath:  # a file that was dropped into the view
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, context):
        if not self.filepath:
            raise HandError("no file was chosen; give filepath")
        root = import_file(context, self.filepath, self.pack)
        if self.interactive:
            show_in_view(context, root)
        self.report({"INFO"}, f"Imported {root.name}")


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
        new = import_file(context, self.filepath, packed)
        new.matrix_world = old.matrix_world.copy()
        by_side = {r.hand_toolkit.side: r for r in scene_data.rigs_of(old)}
        for rig in scene_data.rigs_of(new):
            before = by_side.get(rig.hand_toolkit.side)
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
    HAND_TOOLKIT_OT_create_from_image,
    HAND_TOOLKIT_OT_import_avatar,
    HAND_TOOLKIT_FH_avatar,
    HAND_TOOLKIT_OT_replace_avatar,
    HAND_TOOLKIT_OT_remove_avatar,
    HAND_TOOLKIT_OT_pack_avatar,
    HAND_TOOLKIT_OT_select_hand,
    HAND_TOOLKIT_OT_cancel_job,
)
