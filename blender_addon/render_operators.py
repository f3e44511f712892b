# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that prepare the scene for rendering."""

from __future__ import annotations

import bpy

from . import compositing, scene_data
from .base import HandError, HandOperator
from .engine import ENGINE


class NeedsAvatar:
    """Poll of operators that need an avatar somewhere in the scene."""

    @classmethod
    def poll(cls, context):
        if not scene_data.roots(context.scene):
            cls.poll_message_set("There is no hand avatar in this scene yet")
            return False
        return True


class HAND_TOOLKIT_OT_use_engine(NeedsAvatar, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.use_engine"
    bl_label = "Render Hands Only"
    bl_description = (
        "Render this scene with the Hand Toolkit engine: the hands as splats, with alpha and "
        "depth, colours untouched"
    )

    transparent: bpy.props.BoolProperty(name="Transparent film", default=True)

    def run(self, context):
        scene = context.scene
        scene.render.engine = ENGINE
        scene.render.film_transparent = self.transparent
        scene.view_settings.view_transform = "Standard"
        scene.view_layers[0].use_pass_z = True
        if scene.camera is None:
            self._camera(context)

    def _camera(self, context):
        """A portrait camera that sees the avatar: nobody should meet an empty first render."""
        import math

        root = scene_data.roots(context.scene)[0]
        data = bpy.data.cameras.new("Camera")
        data.lens = 60.0
        data.display_size = 0.1  # a hand is small beside a metre-wide camera
        ob = bpy.data.objects.new("Camera", data)
        context.scene.collection.objects.link(ob)
        ob.location = root.matrix_world.translation
        ob.location.y -= 0.9
        ob.location.z += 0.1
        ob.rotation_euler = (math.pi / 2, 0.0, 0.0)
        data.clip_start = 0.01
        context.scene.camera = ob


class HAND_TOOLKIT_OT_composite(NeedsAvatar, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.composite"
    bl_label = "Render with the Scene"
    bl_description = (
        "Set up compositing: this scene in Cycles or EEVEE and the hands as splats, joined by "
        "depth when you render"
    )

    shadows: bpy.props.BoolProperty(
        name="Shadows on the hands",
        description="A second layer that catches the scene's shadows on the skin (Cycles)",
        default=True,
    )

    def run(self, context):
        scene = context.scene
        if scene.render.engine == ENGINE:
            scene.render.engine = "CYCLES"
        if scene.camera is None:
            raise HandError("the scene has no camera; add one and make it the active camera")
        hands = compositing.set_up(context, self.shadows)
        self.report({"INFO"}, f"Press F12: '{scene.name}' and '{hands.name}' are joined by depth")


CLASSES = (HAND_TOOLKIT_OT_use_engine, HAND_TOOLKIT_OT_composite)
