# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine "Hand Toolkit": hands as splats, drawn by the worker.

It fills Combined (scene-linear, premultiplied) and Depth, honours the camera, the border, film
transparency and motion blur, and leaves everything that is no hand to Cycles or EEVEE, with which
``compositing.py`` joins it.
"""

from __future__ import annotations

import threading
import traceback

import bpy
import numpy as np

from . import camera, lights, link, scene_data, viewport
from .base import HandError
from .client import FrameBlock, WorkerError

ENGINE = "HAND_TOOLKIT"
FAR_DEPTH = 1.0e10
_block = FrameBlock()
_block_lock = threading.Lock()


class Drawn:
    """One hand as the depsgraph shows it."""

    def __init__(self, root, side, tint, vertices):
        self.root, self.side, self.tint, self.vertices = root, side, tint, vertices


def shown_hands(depsgraph):
    """The hands that are visible, with their deformed meshes in world space."""
    found = []
    for inst in depsgraph.object_instances:
        ob = inst.object
        if ob.type != "MESH" or ob.hand_toolkit.kind != "SURFACE" or not inst.show_self:
            continue
        original = ob.original
        root = scene_data.root_of(original)
        if root is None:
            continue
        mesh = ob.data
        points = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", points)
        matrix = np.array(inst.matrix_world, np.float32)
        world = points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
        found.append(Drawn(root, original.hand_toolkit.side, tuple(ob.color[:3]), world))
    return found


def centre_of(hands):
    """(3,) middle of the hands in world space, or None where there is none."""
    return np.mean([h.vertices.mean(axis=0) for h in hands], axis=0) if hands else None


def scene_light(depsgraph, hands):
    """(9, 3) light of the scene where the hands are, "photo", or None for baked colours."""
    scene = depsgraph.scene
    kind = scene.hand_toolkit.light
    if kind != "SCENE" or not hands:
        return "photo" if kind == "PHOTO" else None
    source, graph = lights.light_scene_depsgraph(scene, depsgraph)
    return lights.gather(source, graph, centre_of(hands))


def request_of(hands, view, background, light):
    """``params`` and ``arrays`` of the worker's ``render``."""
    params = {
        "hands": [{"key": h.root.hand_toolkit.key, "side": h.side, "tint": h.tint} for h in hands],
        "camera": view.camera,
        "background": background,
    }
    arrays = {f"vertices{i}": h.vertices for i, h in enumerate(hands)}
    if isinstance(light, str):
        params["light"] = light
    elif light is not None:
        arrays["light"] = light
    return params, arrays


def draw_frame(hands, view, background, light, while_waiting=None):
    """Pixels (H, W, 4) and depth (H, W), float32, bottom row first, as the worker draws them."""
    for root in {h.root for h in hands}:
        link.open_avatar(root)
    params, arrays = request_of(hands, view, background, light)
    width, height = view.camera["width"], view.camera["height"]
    with _block_lock:
        params["block"] = _block.reserve(width, height)
        link.worker().call("render", params, arrays, 600.0, while_waiting)
        pixels, depth = (a.copy() for a in _block.frame(width, height))
    if view.depth_offset:
        depth[depth < FAR_DEPTH] -= view.depth_offset
    return pixels, depth


def film_background(scene):
    """sRGB of the film where no hand is: None for a transparent film, else the world's colour."""
    if scene.render.film_transparent:
        return None
    world = scene.world
    linear = lights.world_light(world)[0] * 0.28209479177387814 if world else np.zeros(3)
    linear = np.clip(linear, 0.0, 1.0)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return [float(c) for c in srgb]


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
        """Called by Blender for every final frame, in its own thread."""
        try:
            pixels, depth = self._frame(depsgraph)
        except _Stopped:
            return
        except (HandError, WorkerError) as error:
            self.report({"ERROR"}, str(error))
            self.error_set(str(error))
            return
        except Exception as error:  # Blender would only show that the render failed
            traceback.print_exc()
            self.error_set(f"a fault of the Hand Toolkit engine: {error}")
            return
        height, width = depth.shape
        result = self.begin_result(0, 0, width, height)
        for layer in result.layers:
            for one in layer.passes:
                if one.name == "Combined":
                    one.rect.foreach_set(pixels.ravel())
                elif one.name == "Depth":
                    one.rect.foreach_set(depth.ravel())
        self.end_result(result)

    def _frame(self, depsgraph):
        scene = depsgraph.scene
        render = scene.render
        if not (render.use_motion_blur and not self.is_preview):
            return self._moment(depsgraph)
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
            pixels, _ = self._moment(depsgraph)
            total = pixels if total is None else total + pixels
            self.update_progress((k + 1) / (count + 1))
        whole = int(np.floor(frame))
        self.frame_set(whole, frame - whole)
        _, depth = self._moment(depsgraph)  # the depth of a blurred edge is that of the moment
        return total / count, depth

    def _moment(self, depsgraph):
        hands = shown_hands(depsgraph)
        view = camera.of_scene(depsgraph, centre_of(hands))
        light = scene_light(depsgraph, hands)
        self.update_stats("", "Hand Toolkit: drawing splats")
        return draw_frame(hands, view, film_background(depsgraph.scene), light, self._watch)

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
    _block.close()
    for cls in bpy.types.Panel.__subclasses__():
        getattr(cls, "COMPAT_ENGINES", set()).discard(ENGINE)


CLASSES = (HandToolkitEngine,)
