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
        props()
    space.region_3d.view_perspective = "PERSP"
    done["prepared"] = True
    return None


def props():
    """A body's arm with Mixamo's names and a bent index finger, and a cup before its palm."""
    data = bpy.data.armatures.new("Body")
    body = bpy.data.objects.new("Body", data)
    bpy.context.scene.collection.objects.link(body)
    bpy.context.view_layer.objects.active = body
    bpy.ops.object.mode_set(mode="EDIT")

    def bone(name, head, tail, parent=None):
        made = data.edit_bones.new(f"mixamorig:Right{name}")
        made.head, made.tail, made.parent = head, tail, parent
        return made

    forearm = bone("ForeArm", (0.33, 0.06, 0.1), (0.11, 0.0, 0.09))
    hand = bone("Hand", (0.11, 0.0, 0.09), (0.06, 0.0, 0.09), forearm)
    for finger, up in (("Index", 0.02), ("Middle", 0.0), ("Ring", -0.015), ("Pinky", -0.03)):
        above = hand
        for k in range(3):
            start = 0.025 - 0.03 * k
            place = ((start, 0.0, 0.09 + up), (start - 0.03, 0.0, 0.09 + up))
            above = bone(f"Hand{finger}{k + 1}", *place, above)
    above = hand
    for k in range(3):
        head, tail = ((0.085 - 0.03 * n, -0.01 * n, 0.11 + 0.015 * n) for n in (k, k + 1))
        above = bone(f"HandThumb{k + 1}", head, tail, above)
    bpy.ops.object.mode_set(mode="OBJECT")
    bent = body.pose.bones["mixamorig:RightHandIndex2"]
    bent.rotation_mode = "QUATERNION"
    bent.rotation_quaternion = (0.9, 0.0, 0.0, 0.44)
    body.show_in_front = False
    bpy.ops.mesh.primitive_cylinder_add(radius=0.033, depth=0.11, location=(0.02, -0.06, 0.09))
    bpy.context.object.name = "Cup"
    bpy.ops.object.select_all(action="DESELECT")


def hands():
    """How bent the right hand is, radians in all, and whether it is on a body."""
    package = "bl_ext.user_default.hand_toolkit"
    rigs = [o for o in bpy.context.scene.objects if getattr(o, "hand_toolkit", None)]
    rigs = [o for o in rigs if o.hand_toolkit.kind == "RIG" and o.hand_toolkit.side == "right"]
    if not rigs or f"{package}.rig" not in sys.modules:
        return {"bent": 0.0, "attached": False, "joined": False}
    theta = sys.modules[f"{package}.rig"].get_theta(rigs[0])
    joined = sys.modules[f"{package}.compositing"].hands_of(bpy.context.scene)
    return {
        "bent": float(abs(theta[1:]).sum()),
        "attached": rigs[0].parent_type == "BONE",
        "joined": joined is not None,
    }


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
        **hands(),
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
