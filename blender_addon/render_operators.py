# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that prepare the scene for rendering."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Vector

from . import compositing, scene_data
from .base import HandOperator
from .engine import ENGINE
from .errors import HandError


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

    transparent: bpy.props.BoolProperty(
        name="Transparent film",
        description="Off fills the picture with the world's colour",
        default=True,
    )

    def run(self, context):
        scene = context.scene
        if scene.render.engine != ENGINE:
            compositing.remove(scene)
            compositing.remember(
                scene,
                engine=scene.render.engine,
                film_transparent=scene.render.film_transparent,
                view_transform=scene.view_settings.view_transform,
                depth={layer.name: layer.use_pass_z for layer in scene.view_layers},
            )
        scene.render.engine = ENGINE
        scene.render.film_transparent = self.transparent
        scene.view_settings.view_transform = "Standard"
        scene.view_layers[0].use_pass_z = True
        if scene.camera is None:
            frame_camera(context)
        elif picture_share(context) < LEAST_SHARE:
            self.report(
                {"WARNING"}, "The camera hardly sees the hands; press Frame Hands to move it there"
            )


LEAST_SHARE = 0.1
"""Of the picture's width or height: hands smaller than this are taken for forgotten."""
FRAME_MARGIN = 1.2
"""Room around the framed hands, for fingers that are going to move."""


def _corners(context):
    """(8, 3) corners of the box around all hands of the scene."""
    graph = context.evaluated_depsgraph_get()
    low, high = scene_data.bounds(graph, scene_data.roots(context.scene))
    return np.array([[(low, high)[k >> a & 1][a] for a in range(3)] for k in range(8)])


def picture_share(context):
    """How much of the picture the hands span, of its width or height, whichever is more."""
    from bpy_extras.object_utils import world_to_camera_view

    scene = context.scene
    seen = [world_to_camera_view(scene, scene.camera, Vector(c)) for c in _corners(context)]
    if min(s.z for s in seen) <= 0:
        return 0.0
    spans = []
    for axis in (0, 1):
        values = np.clip([s[axis] for s in seen], 0.0, 1.0)
        spans.append(values.max() - values.min())
    return float(max(spans)) if min(spans) > 0 else 0.0


def frame_camera(context):
    """Move the scene's camera along its own view until it sees all hands; make one if need be."""
    scene = context.scene
    if scene.camera is None:
        data = bpy.data.cameras.new("Camera")
        data.lens = 60.0
        data.display_size = 0.1  # a hand is small beside a metre-wide camera
        ob = bpy.data.objects.new("Camera", data)
        scene.collection.objects.link(ob)
        ob.rotation_euler = (math.pi / 2, 0.0, 0.0)
        scene.camera = ob
    ob = scene.camera
    corners = _corners(context)
    middle = corners.mean(axis=0)
    points = (middle + FRAME_MARGIN * (corners - middle)).ravel().tolist()
    context.view_layer.update()
    place, scale = ob.camera_fit_coords(context.evaluated_depsgraph_get(), points)
    matrix = ob.matrix_world.copy()
    matrix.translation = place
    ob.matrix_world = matrix
    if ob.data.type == "ORTHO":
        ob.data.ortho_scale = scale
    nearest = min((Vector(c) - Vector(place)).length for c in corners)
    ob.data.clip_start = min(ob.data.clip_start, 0.1 * nearest)


class HAND_TOOLKIT_OT_frame_camera(NeedsAvatar, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.frame_camera"
    bl_label = "Frame Hands"
    bl_description = (
        "Move the scene's camera along its view until it shows all hands; adds a camera where "
        "there is none"
    )

    def run(self, context):
        camera = context.scene.camera
        if camera is not None and camera.type != "CAMERA":
            raise HandError(f"'{camera.name}' is no camera; choose a camera object")
        if camera is not None and camera.library is not None:
            raise HandError(f"'{camera.name}' is linked and cannot be moved; add a camera here")
        frame_camera(context)


class HAND_TOOLKIT_OT_composite(NeedsAvatar, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.composite"
    bl_label = "Render with the Scene"
    bl_description = (
        "Set up compositing: this scene in Cycles or EEVEE and the hands as splats over it, where "
        "nothing hides them, when you render. World, film, nodes and view layers stay"
    )

    shadows: bpy.props.BoolProperty(
        name="Shadows on the hands",
        description="The scene's objects and the hands shade the skin, in Cycles and in EEVEE",
        default=True,
    )

    def run(self, context):
        scene = context.scene
        if scene.hand_toolkit.light_scene not in (None, scene):
            raise HandError(
                f"'{scene.name}' holds the hands of '{scene.hand_toolkit.light_scene.name}'; "
                "go to that scene"
            )
        if scene.camera is None:
            raise HandError("the scene has no camera; add one and make it the active camera")
        scene.hand_toolkit.shadows = self.shadows
        hands = compositing.set_up(context)
        self.report({"INFO"}, f"Press F12: the hands of '{hands.name}' go over '{scene.name}'")


class HAND_TOOLKIT_OT_remove_render(HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.remove_render"
    bl_label = "Remove from Render"
    bl_description = (
        "Take back what Render Hands Only and Render with the Scene have set up: engine, film, "
        "nodes and the scene of the hands. The avatars stay"
    )

    @classmethod
    def poll(cls, context):
        scene = context.scene
        if compositing.hands_of(scene) is None and compositing.BEFORE not in scene:
            cls.poll_message_set("Nothing was set up for rendering")
            return False
        return True

    def run(self, context):
        compositing.remove(context.scene)


CLASSES = (
    HAND_TOOLKIT_OT_use_engine,
    HAND_TOOLKIT_OT_frame_camera,
    HAND_TOOLKIT_OT_composite,
    HAND_TOOLKIT_OT_remove_render,
)
