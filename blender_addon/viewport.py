# SPDX-License-Identifier: GPL-3.0-or-later
"""The *Rendered* viewport: the newest frame that the worker has drawn, never waiting long.

A draw asks for a frame when the view or the hands changed, waits for it a moment, and otherwise
shows the last one and comes back when the new one is there.
"""

from __future__ import annotations

import time

import bpy

from . import camera, link, shown
from .client import FrameBlock, WorkerError
from .errors import HandError

PATIENCE_SECONDS = 0.05
"""How long a draw waits for its frame before it shows the last one."""

seconds_per_frame = []
"""Last times from request to frame; scripts/blender_window_start.py reads them."""


class Viewport:
    """One viewport's picture."""

    def __init__(self):
        self.changed = True
        self.texture = None
        self.key = None
        self.request = None
        self.error = ""
        self.size = (1, 1)
        self._block = FrameBlock()
        self._asked_at = 0.0

    def draw(self, engine, context, depsgraph):
        """Draw into the region that Blender has bound."""
        scene = depsgraph.scene
        scale = int(scene.hand_toolkit.viewport_scale)
        region, data = context.region, context.region_data
        space = context.space_data
        clip = (space.clip_start, space.clip_end)
        key = (tuple(map(tuple, data.perspective_matrix)), region.width, region.height, scale)
        if (self.changed or key != self.key) and self.request is None:
            self._ask(depsgraph, (region, data, clip, scale), key)
        if self.request is not None:
            self._wait()
        if self.texture is not None:
            self._show(engine, scene, region)
        if self.error:
            engine.update_stats("", self.error)
        if self.request is not None or self.changed or key != self.key:
            bpy.app.timers.register(_redraw_rendered, first_interval=0.02)

    def _ask(self, depsgraph, place, key):
        try:
            hands = shown.shown_hands(depsgraph)
            region, data, clip, scale = place
            units = 1.0 / shown.scale_of(hands)
            view = camera.of_viewport(region, data, clip, scale, shown.centre_of(hands), units)
            for root in {h.root for h in hands}:
                link.open_avatar(root)
            light = shown.scene_light(depsgraph, hands, viewport=True)
            around = shown.others(depsgraph, hands, light[1])
            if around is not None:
                light[1].update(around.arrays())
            background = shown.film_background(depsgraph.scene)
            params, arrays = shown.request_of(hands, view, background, light)
            params["depth"] = False  # only the picture is shown
            self.size = (view.camera["width"], view.camera["height"])
            params["block"] = self._block.reserve(*self.size)
            self._asked_at = time.perf_counter()
            self.request = link.worker().submit("render", params, arrays)
            self.changed, self.key, self.error = False, key, ""
        except (HandError, WorkerError) as error:
            self.changed, self.key, self.error = False, key, str(error)

    def _wait(self):
        import gpu

        if not self.request.wait(PATIENCE_SECONDS):
            return
        try:
            self.request.result()
        except WorkerError as error:
            self.error = str(error)
        else:
            pixels, _ = self._block.frame(*self.size)
            width, height = self.size
            buffer = gpu.types.Buffer("FLOAT", width * height * 4, pixels.ravel())
            self.texture = gpu.types.GPUTexture((width, height), format="RGBA16F", data=buffer)
            seconds_per_frame.append(time.perf_counter() - self._asked_at)
            del seconds_per_frame[:-200]
        self.request = None

    def _show(self, engine, scene, region):
        import gpu
        from gpu_extras.presets import draw_texture_2d

        gpu.state.blend_set("ALPHA_PREMULT")
        engine.bind_display_space_shader(scene)
        draw_texture_2d(self.texture, (0, 0), region.width, region.height)
        engine.unbind_display_space_shader()
        gpu.state.blend_set("NONE")


def _redraw_rendered():
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D" and area.spaces.active.shading.type == "RENDERED":
                area.tag_redraw()
