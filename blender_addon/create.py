# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator that makes an avatar of a picture."""

from __future__ import annotations

import json
import os

import bpy

from . import bringing, chosen, link, options, scene_data
from .base import WorkerOperator
from .errors import HandError

PICTURES = "*.jpg;*.jpeg;*.png;*.webp;*.bmp;*.tif;*.tiff"
VIDEOS = "*.mp4;*.mov;*.mkv;*.webm;*.avi;*.m4v"
OF_MANY = "xhand"
"""The method that a whole folder may be given to; with another one it was hardly meant."""


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
        "of the same hands, a video, or, with the method xhand, a folder"
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
    filter_glob: bpy.props.StringProperty(default=f"{PICTURES};{VIDEOS}", options={"HIDDEN"})
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
            ("standard", "Standard", "About twenty seconds on two processor cores"),
            ("high", "High", "More splats and a larger working size; some minutes"),
        ),
        default="standard",
    )
    trust: bpy.props.FloatProperty(
        name="Trust Photo",
        description="How far the photo's skin is believed: 0 little but its tone, 1 all that is "
        "seen, shadows and stains too",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    pack: bpy.props.BoolProperty(
        name="Pack", description="Keep the avatar inside the .blend file too", default=True
    )
    one_armature: bpy.props.BoolProperty(
        name="One Armature", description=bringing.ONE_ARMATURE, default=False
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
        layout.prop(self, "trust")
        layout.prop(self, "pack")
        layout.prop(self, "one_armature")

    def ask(self, context):
        photos = self._photos()
        settings = json.loads(self.options) if self.options else {}
        settings.update(options.values(self.settings))
        if self.trust != 0.5:  # a method without it says so
            settings["trust"] = self.trust
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
        if self.method == OF_MANY and len(photos) == 1 and os.path.isdir(photos[0] or folder):
            return [(photos[0] or folder).rstrip("/\\")]
        if not photos[0] or os.path.isdir(photos[0]):
            raise HandError(
                "no picture was chosen; choose a photo of a hand, or the method xhand for a folder"
            )
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
        root = bringing.bring_in(
            context, value["path"], value, arrays, self.pack, one_armature=self.one_armature
        )
        if self.interactive:
            bringing.show_in_view(context, root)
        for sentence in value["left_out"]:
            self.report({"WARNING"}, f"Left out: {sentence}")
        count, seconds = value["total_splats"], value["seconds"]
        self.report({"INFO"}, f"{root.name}: {count:,} splats in {seconds:.0f} s")
        bringing.warn_if_hidden(context, root, self.report)


CLASSES = (HAND_TOOLKIT_OT_create_from_image,)
