# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine "Hand Toolkit": hands as splats, drawn by the worker.

It fills Combined (scene-linear, premultiplied) and Depth of every view layer and stereo view,
honours the camera, the border, film transparency, motion blur and depth of field, and leaves
everything that is no hand to Cycles or EEVEE, with which ``compositing.py`` joins it.
"""

from __future__ import annotations

import traceback

import bpy
import numpy as np

from . import camera, viewport
from .client import WorkerError
from .errors import HandError
from .shown import (
    centre_of,
    draw_frame,
    film_background,
    give_block_back,
    others,
    scale_of,
    scene_light,
    shown_hands,
)

ENGINE = "HAND_TOOLKIT"


class HandToolkitEngine(bpy.types.RenderEngine):
    """Draws splats; see the module."""

    bl_idname = ENGINE
    bl_label = "Hand Toolkit"
    bl_use_preview = False
    bl_use_eevee_viewport = True
    bl_use_postprocess = True

    def update_render_passes(self, scene=None, renderlayer=None):
        self.register_pass(scene, renderlayer, "Combined", 4, "RGBA", "COLOR")
        if renderlayer.use_pass_z:
            self.register_pass(scene, renderlayer, "Depth", 1, "Z", "VALUE")

    def render(self, depsgraph):
        """Called by Blender for every view layer of a final frame, in its own thread."""
        try:
            layer = depsgraph.view_layer_eval.name
            for view in self._views(depsgraph.scene):
                pixels, depth = self._frame(depsgraph, view)
                self._hand_over(pixels, depth, layer, view)
        except _Stopped:
            return
        except (HandError, WorkerError) as error:
            self.report({"ERROR"}, str(error))
            self.error_set(str(error))
        except Exception as error:  # Blender would only show that the render failed
            traceback.print_exc()
            self.error_set(f"a fault of the Hand Toolkit engine: {error}")

    @staticmethod
    def _views(scene):
        """Names of the stereo views; one empty name where there is one picture."""
        render = scene.render
        if not render.use_multiview:
            return [""]
        if render.views_format == "STEREO_3D":
            return [v.name for v in render.stereo_views if v.use]
        return [v.name for v in render.views if v.use]

    def _hand_over(self, pixels, depth, layer, view):
        height, width = depth.shape
        result = self.begin_result(0, 0, width, height, layer=layer, view=view)
        for one in result.layers[0].passes:
            if one.name == "Combined":
                one.rect.foreach_set(pixels.ravel())
            elif one.name == "Depth":
                one.rect.foreach_set(depth.ravel())
        self.end_result(result)

    def _frame(self, depsgraph, view):
        scene = depsgraph.scene
        render = scene.render
        if not (render.use_motion_blur and not self.is_preview):
            return self._moment(depsgraph, view)
        count = scene.hand_toolkit.blur_samples
        shutter = render.motion_blur_shutter
        start = {"START": 0.0, "CENTER": -shutter / 2, "END": -shutter}[
            getattr(render, "motion_blur_position", "CENTER")
        ]
        frame = scene.frame_current + scene.frame_subframe
        total = None
        for k in range(count):
            at = frame + start + shutter * (k + 0.5) / count
            whole = int(np.floor(at))
            self.frame_set(whole, at - whole)
            pixels, _ = self._moment(depsgraph, view, k, count)
            total = pixels if total is None else total + pixels
            self.update_progress((k + 1) / (count + 1))
        whole = int(np.floor(frame))
        self.frame_set(whole, frame - whole)
        _, depth = self._moment(depsgraph, view)  # a blurred edge has the depth of the moment
        return total / count, depth

    def _moment(self, depsgraph, name, number=0, moments=1):
        """One moment of the shutter; of several, each takes a part of the lens' points."""
        hands = shown_hands(depsgraph)
        units = 1.0 / scale_of(hands)
        view = camera.of_scene(depsgraph, centre_of(hands), self, name, units)
        light = scene_light(depsgraph, hands)
        around = others(depsgraph, hands, light[1])
        if around is not None:
            light[1].update(around.arrays())
            if around.left_out:
                self.report(
                    {"WARNING"},
                    f"{around.left_out} objects far from the hands neither hide nor shade them: "
                    "together they have too many triangles",
                )
        lens = camera.lens_of(depsgraph, view, hands, name)
        if lens and moments > 1:
            lens["points"] = lens["points"][number::moments] or lens["points"][:1]
        self.update_stats("", "Hand Toolkit: drawing splats")
        background = film_background(depsgraph.scene)
        return draw_frame(hands, view, background, light, lens, self._watch)

    def _watch(self, _request):
        if self.test_break():
            raise _Stopped

    def view_update(self, context, depsgraph):
        """Called by Blender when the scene changed."""
        self._viewport().changed = True

    def view_draw(self, context, depsgraph):
        """Called by Blender to draw the *Rendered* viewport."""
        self._viewport().draw(self, context, depsgraph)

    def _viewport(self):
        view = getattr(self, "hand_view", None)
        if view is None:
            view = self.hand_view = viewport.Viewport()
        return view


class _Stopped(Exception):
    """The artist pressed Esc."""


def _panels():
    """Blender's own panels that make sense for the engine."""
    wanted = {
        "RENDER_PT_format",
        "RENDER_PT_frame_range",
        "RENDER_PT_time_stretching",
        "RENDER_PT_output",
        "RENDER_PT_color_management",
        "RENDER_PT_encoding",
        "RENDER_PT_post_processing",
    }
    for cls in bpy.types.Panel.__subclasses__():
        engines = getattr(cls, "COMPAT_ENGINES", None)
        if engines is None:
            continue
        name = cls.__name__
        shared = name in wanted or name.startswith(("DATA_PT_", "WORLD_PT_", "VIEWLAYER_PT_"))
        if (
            shared and ("BLENDER_RENDER" in engines or "BLENDER_EEVEE" in engines)
        ) or name in wanted:
            yield engines


def register_panels():
    """Show Blender's general panels while our engine is chosen."""
    for engines in _panels():
        engines.add(ENGINE)


def unregister_panels():
    """Undo :func:`register_panels`, and give the frame's memory back."""
    give_block_back()
    for cls in bpy.types.Panel.__subclasses__():
        getattr(cls, "COMPAT_ENGINES", set()).discard(ENGINE)


CLASSES = (HandToolkitEngine,)
