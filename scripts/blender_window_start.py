"""Runs inside Blender at start: quiet splash, sidebar open on the "Hand" tab, a clean scene.

Also writes what a driver needs to see from outside: ``state.json`` beside the pictures, twice a
second, with the avatars, the job's progress and the last report, so that a shell script can wait.
"""

from __future__ import annotations

import json
import os
import sys

import bpy

FOLDER = os.environ["HAND_WINDOW_FOLDER"]
done = {"prepared": False}


def prepare():
    """Open the sidebar; its category can be set only once it has drawn, so retry."""
    window = bpy.context.window_manager.windows[0]
    area = next((a for a in window.screen.areas if a.type == "VIEW_3D"), None)
    if area is None:
        return 0.5
    space = area.spaces.active
    space.show_region_ui = True
    region = next(r for r in area.regions if r.type == "UI")
    try:
        region.active_panel_category = "Hand"
    except (TypeError, AttributeError):
        area.tag_redraw()
        return 0.5
    if region.active_panel_category != "Hand":
        return 0.5
    with bpy.context.temp_override(window=window, area=area, region=region_of(area)):
        bpy.ops.view3d.view_axis(type="FRONT")
    space.region_3d.view_perspective = "PERSP"
    done["prepared"] = True
    return None


def progress():
    """How far the extension's job is, from its own module."""
    module = sys.modules.get("bl_ext.user_default.hand_toolkit.link")
    request = module.job.request if module is not None else None
    return request.fraction if request is not None else 0.0


def drawn():
    """Milliseconds from request to frame of the *Rendered* viewport, median of the last ones."""
    module = sys.modules.get("bl_ext.user_default.hand_toolkit.viewport")
    times = sorted(module.seconds_per_frame) if module is not None else []
    return {"frames": len(times), "median_ms": 1e3 * times[len(times) // 2] if times else 0.0}


def region_of(area):
    """The main region of an area."""
    return next(r for r in area.regions if r.type == "WINDOW")


def tell():
    """Write what a driver waits for."""
    scene = bpy.context.scene
    state = {
        "prepared": done["prepared"],
        "progress": progress(),
        "objects": sorted(ob.name for ob in scene.objects),
        "avatars": [
            ob.name
            for ob in scene.objects
            if getattr(ob, "hand_toolkit", None) and ob.hand_toolkit.kind == "ROOT"
        ],
        "frame": scene.frame_current,
        "keys": sum(
            len(getattr(a, "fcurves", ()))
            or sum(
                len(bag.fcurves)
                for layer in getattr(a, "layers", ())
                for strip in layer.strips
                for bag in strip.channelbags
            )
            for a in bpy.data.actions
        ),
        "engine": scene.render.engine,
        "drawn": drawn(),
        "rendered": any(i.type == "RENDER_RESULT" and i.has_data for i in bpy.data.images),
        "images": sorted(i.name for i in bpy.data.images),
    }
    temporary = os.path.join(FOLDER, "state.part")
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump(state, stream)
    os.replace(temporary, os.path.join(FOLDER, "state.json"))
    return 0.5


for ob in list(bpy.data.objects):
    if ob.type != "LIGHT":
        bpy.data.objects.remove(ob)
view = bpy.context.preferences.view
view.show_splash = False
# one window: without a window manager a second one lands anywhere
view.filebrowser_display_type = view.render_display_type = "SCREEN"
bpy.context.preferences.filepaths.use_auto_save_temporary_files = False
bpy.app.timers.register(prepare, first_interval=1.0)
bpy.app.timers.register(tell, first_interval=1.0)
