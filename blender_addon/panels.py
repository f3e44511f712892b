# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar panel "Hand", in the order of the work."""

from __future__ import annotations

import bpy

from . import (
    axes,
    compositing,
    controls,
    fingertips,
    forearm,
    link,
    look,
    pair,
    pose_operators,
    scene_data,
)
from .base import active_hand
from .engine import ENGINE
from .errors import HandError


class HandPanel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Hand"


class HAND_TOOLKIT_PT_create(HandPanel, bpy.types.Panel):
    bl_label = "Create"

    def draw(self, context):
        layout = self.layout
        request = link.job.request
        if request is not None:
            text = "Stopping" if link.job.cancelling else request.message.capitalize()
            layout.label(text=link.job.title)
            layout.progress(factor=request.fraction, text=text)
            layout.operator("hand_toolkit.cancel_job", icon="CANCEL")
            return
        from .chosen import toolkit_python

        if not toolkit_python():
            box = layout.box()
            box.label(text="The toolkit is not set up yet", icon="INFO")
            box.operator("hand_toolkit.show_preferences", icon="PREFERENCES")
        column = layout.column()
        column.scale_y = 1.4
        column.operator(
            "hand_toolkit.create_from_image", text="Create Hand from Image", icon="IMAGE_DATA"
        )


class HAND_TOOLKIT_PT_avatar(HandPanel, bpy.types.Panel):
    bl_label = "Avatar"

    def draw(self, context):
        layout = self.layout
        layout.operator("hand_toolkit.import_avatar", icon="IMPORT")
        chosen = active_hand(context)
        for root in scene_data.roots(context.scene):
            box = layout.box()
            row = box.row(align=True)
            row.label(text=root.name, icon="VIEW_PAN")
            for one in scene_data.rigs_of(root):
                entry = row.operator(
                    "hand_toolkit.select_hand",
                    text=pair.side_of(one).capitalize(),
                    depress=one == chosen,
                )
                entry.name, entry.side = one.name, pair.side_of(one)
            if chosen is not None and scene_data.root_of(chosen) == root:
                packed = scene_data.avatar_bytes(root) is not None
                box.prop(root.hand_toolkit, "path", text="")
                row = box.row(align=True)
                row.operator("hand_toolkit.replace_avatar", text="Replace", icon="FILE_REFRESH")
                pack = row.operator(
                    "hand_toolkit.pack_avatar",
                    text="Unpack" if packed else "Pack",
                    icon="PACKAGE" if packed else "UGLYPACKAGE",
                )
                pack.pack = not packed
                row.operator("hand_toolkit.remove_avatar", text="", icon="TRASH")


class HAND_TOOLKIT_PT_pose(HandPanel, bpy.types.Panel):
    bl_label = "Pose"

    @classmethod
    def poll(cls, context):
        return active_hand(context) is not None

    def draw(self, context):
        layout = self.layout
        hand = active_hand(context)
        armature = pair.armature_of(hand)
        row = layout.row(align=True)
        row.operator("hand_toolkit.rest_pose", text="Rest")
        row.operator_menu_enum("hand_toolkit.preset_pose", "pose", text="Preset")
        row = layout.row(align=True)
        row.operator("hand_toolkit.mirror_pose", text="Mirror", icon="MOD_MIRROR")
        row.operator("hand_toolkit.photo_pose", text="As in Photo", icon="CAMERA_DATA")
        row = layout.row(align=True)
        row.operator("hand_toolkit.random_pose", text="Random", icon="SHADERFX")
        row.operator("hand_toolkit.complete_pose", text="Complete", icon="MOD_ARMATURE")
        row = layout.row(align=True)
        row.scale_y = 1.2
        row.operator("hand_toolkit.key_pose", icon="KEY_HLT")
        try:
            if not controls.complete(hand):
                box = layout.box()
                box.label(text="Baking took sliders and limits off", icon="INFO")
                box.operator("hand_toolkit.restore_controls", icon="LOOP_BACK")
        except HandError as error:
            layout.label(text=str(error), icon="ERROR")
            return
        grid = layout.column(align=True)
        head = grid.split(factor=0.22, align=True)
        head.label(text="")
        head.label(text="Curl")
        head.label(text="Spread")
        for finger in axes.FINGERS:
            line = grid.split(factor=0.22, align=True)
            line.label(text=finger.capitalize())
            if fingertips.in_use(finger, hand):  # its sliders would do nothing
                line.label(text="follows its target")
                continue
            line.prop(armature, f'["{controls.curl_name(finger, hand)}"]', text="", slider=True)
            line.prop(armature, f'["{controls.spread_name(finger, hand)}"]', text="", slider=True)
        row = layout.row(align=True)
        row.operator("hand_toolkit.reset_sliders", text="Reset Sliders")
        on = controls.limits_on(hand)
        toggle = row.operator("hand_toolkit.toggle_limits", depress=on, icon="CON_ROTLIMIT")
        toggle.on = not on
        if forearm.bone_of(hand) is not None:
            held = forearm.held(hand)
            layout.operator("hand_toolkit.hold_forearm", depress=held, icon="PINNED").on = not held


class HAND_TOOLKIT_PT_motion(HandPanel, bpy.types.Panel):
    bl_label = "Motion and IK"
    bl_parent_id = "HAND_TOOLKIT_PT_pose"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout = self.layout
        hand = active_hand(context)
        armature = pair.armature_of(hand)
        column = layout.column(align=True)
        column.operator("hand_toolkit.load_motion", text="Load Motion File", icon="FILE")
        column.operator("hand_toolkit.pose_from_image", icon="IMAGE_DATA")
        column.operator("hand_toolkit.pose_from_video", icon="FILE_MOVIE")
        column.operator("hand_toolkit.retarget", icon="ARMATURE_DATA")
        column.operator("hand_toolkit.repair_contact", icon="MOD_PHYSICS")
        column = layout.column(align=True)
        column.operator("hand_toolkit.attach", icon="BONE_DATA")
        if scene_data.attached(hand):
            column.operator("hand_toolkit.detach", icon="UNLINKED")
        column.operator("hand_toolkit.grasp", icon="VIEW_PAN")
        layout.label(text="Motions of the toolkit")
        flow = layout.grid_flow(columns=2, align=True)
        for name in (link.offers() or {}).get("motions", pose_operators.MOTIONS):
            entry = flow.operator("hand_toolkit.load_motion", text=name.replace("-", " ").title())
            entry.name = name
        layout.label(text="Fingertip IK")
        row = layout.row(align=True)
        for finger in axes.FINGERS:
            on = fingertips.has_ik(hand, finger)
            entry = row.operator("hand_toolkit.fingertip_ik", text=finger[:2].title(), depress=on)
            entry.finger, entry.on = finger, not on
        for finger in fingertips.fingers_of(hand):
            name = f'["{fingertips.blend_name(finger, hand)}"]'
            layout.prop(armature, name, text=f"{finger.capitalize()}: pose to target", slider=True)


class HAND_TOOLKIT_PT_look(HandPanel, bpy.types.Panel):
    bl_label = "Shape and Look"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return active_hand(context) is not None

    def draw(self, context):
        layout = self.layout
        surface = scene_data.surface_of(active_hand(context))
        if surface is None:
            layout.label(text="The hand has lost its mesh", icon="ERROR")
            return
        row = layout.row(align=True)
        row.prop(look.tone_owner(surface), "color", text="Skin Tone")
        row.operator("hand_toolkit.reset_tone", text="", icon="LOOP_BACK")
        row = layout.row(align=True)
        row.operator("hand_toolkit.edit_avatar", icon="BRUSH_DATA")
        row.operator("hand_toolkit.skin_pictures", icon="IMAGE_DATA")
        layout.operator("hand_toolkit.bake_texture", icon="TEXTURE")
        sliders = surface.hand_toolkit_shape
        if not len(sliders):
            layout.operator("hand_toolkit.edit_shape", icon="MODIFIER")
            return
        column = layout.column(align=True)
        for item in sliders:
            column.prop(item, "value", text=item.name.replace("_", " ").capitalize(), slider=True)
        layout.operator("hand_toolkit.apply_shape", icon="CHECKMARK")


class HAND_TOOLKIT_PT_render(HandPanel, bpy.types.Panel):
    bl_label = "Render"

    @classmethod
    def poll(cls, context):
        return bool(scene_data.roots(context.scene))

    def draw(self, context):
        layout = self.layout
        scene = context.scene
        column = layout.column(align=True)
        column.operator(
            "hand_toolkit.use_engine",
            icon="SHADING_RENDERED",
            depress=scene.render.engine == ENGINE,
        )
        row = column.row(align=True)
        row.operator(
            "hand_toolkit.composite",
            icon="NODE_COMPOSITING",
            depress=compositing.hands_of(scene) is not None,
        )
        row.operator("hand_toolkit.remove_render", text="", icon="TRASH")
        column.operator("hand_toolkit.frame_camera", icon="OUTLINER_OB_CAMERA")
        layout.use_property_split = True
        settings = scene.hand_toolkit
        layout.prop(settings, "light")
        if settings.light == "SCENE":
            layout.prop(settings, "gloss")
        layout.prop(settings, "shadows")
        layout.prop(settings, "trim")
        quality = layout.column(heading="Quality")
        quality.prop(settings, "viewport_scale", text="Viewport")
        quality.prop(scene.render, "resolution_percentage", text="Final")
        quality.prop(scene.render, "use_motion_blur")
        if scene.render.use_motion_blur:
            quality.prop(settings, "blur_samples", text="Samples")
            quality.prop(scene.render, "motion_blur_shutter", text="Shutter")
        sequence = layout.column(align=True)
        sequence.prop(scene, "frame_start", text="Frame Start")
        sequence.prop(scene, "frame_end", text="End")
        sequence.prop(scene.render, "filepath", text="Output")
        row = layout.row(align=True)
        still = row.operator("render.render", text="Image", icon="RENDER_STILL")
        still.use_viewport = True
        moving = row.operator("render.render", text="Sequence", icon="RENDER_ANIMATION")
        moving.animation = moving.use_viewport = True


class HAND_TOOLKIT_PT_export(HandPanel, bpy.types.Panel):
    bl_label = "Export"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return active_hand(context) is not None

    def draw(self, context):
        layout = self.layout
        listed = (link.offers() or {}).get("formats")
        if listed is None:
            layout.operator("hand_toolkit.export", icon="EXPORT")
            return
        flow = layout.grid_flow(columns=3, align=True)
        for entry in listed:
            button = flow.operator("hand_toolkit.export", text=entry["name"].upper())
            button.chosen = entry["name"]


CLASSES = (
    HAND_TOOLKIT_PT_create,
    HAND_TOOLKIT_PT_avatar,
    HAND_TOOLKIT_PT_pose,
    HAND_TOOLKIT_PT_motion,
    HAND_TOOLKIT_PT_look,
    HAND_TOOLKIT_PT_render,
    HAND_TOOLKIT_PT_export,
)
