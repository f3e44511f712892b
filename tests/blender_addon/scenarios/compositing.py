"""Hands among Cycles objects: a cube partly before and partly behind the hand, shadows, frames."""

import itertools

import bpy
import numpy as np
from common import ARGS, FOLDER, camera, import_hand, load_pixels, scenario

from blender_addon import rig, scene_data


def cube(name, location, size, color):
    bpy.ops.mesh.primitive_cube_add(location=location, size=size)
    ob = bpy.context.object
    ob.name = name
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    shader = next(n for n in material.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    shader.inputs["Emission Color"].default_value = (*color, 1.0)
    shader.inputs["Emission Strength"].default_value = 1.0
    shader.inputs["Specular IOR Level"].default_value = 0.0
    ob.data.materials.append(material)
    return ob


def run():
    engine = ARGS[1]
    scene = bpy.context.scene
    _root, rigs = import_hand(ARGS[0])
    camera(width=320, height=240)
    scene.camera.data.lens = 60
    # a green bar that pierces the plane of the palms: its left half is nearer than the hands
    bar = cube("Bar", (0.0, 0.0, 0.08), 1.0, (0.0, 1.0, 0.0))
    bar.scale = (0.5, 0.03, 0.03)
    bar.rotation_euler.z = 0.6
    scene.render.engine = engine
    if engine == "CYCLES":
        scene.cycles.samples = 8
        scene.cycles.use_denoising = False
        scene.cycles.device = "CPU"
    light = bpy.data.lights.new("Sun", "SUN")
    light.energy = 3.0
    sun = bpy.data.objects.new("Sun", light)
    scene.collection.objects.link(sun)
    sun.rotation_euler = (0.9, 0.0, 0.6)
    scene.render.film_transparent = True

    # three keyed poses
    assert bpy.ops.hand_toolkit.select_hand(name=rigs["right"].name) == {"FINISHED"}
    for frame, name in ((1, "flat"), (3, "relaxed"), (5, "fist")):
        scene.frame_set(frame)
        assert bpy.ops.hand_toolkit.preset_pose(pose=name, both=True) == {"FINISHED"}
        assert bpy.ops.hand_toolkit.key_pose(both=True) == {"FINISHED"}
    scene.frame_start, scene.frame_end, scene.frame_step = 1, 5, 2
    assert bpy.ops.hand_toolkit.composite(shadows=engine == "CYCLES") == {"FINISHED"}
    assert bpy.ops.hand_toolkit.composite(shadows=engine == "CYCLES") == {"FINISHED"}, "twice"
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode = "PNG", "RGBA"
    scene.render.filepath = str(FOLDER / f"composite_{engine}_####")
    bpy.ops.render.render(animation=True)
    frames = [load_pixels(FOLDER / f"composite_{engine}_{f:04d}.png") for f in (1, 3, 5)]
    report = {"engine": engine, "moves": []}
    for a, b in itertools.pairwise(frames):
        report["moves"].append(float(np.abs(a - b).mean()))

    pixels = frames[0]
    green = (pixels[..., 1] > 0.9) & (pixels[..., 0] < 0.2) & (pixels[..., 3] > 0.9)
    skin = (pixels[..., 0] > pixels[..., 1]) & (pixels[..., 3] > 0.9)
    report["green"] = [int(green[:, :160].sum()), int(green[:, 160:].sum())]
    report["skin"] = [int(skin[:, :160].sum()), int(skin[:, 160:].sum())]
    # what the bar hides or not, from geometry alone: the sign of its depth against the palms
    scene.frame_set(1)
    bpy.context.view_layer.update()
    for side in ("right", "left"):
        at = np.array(rigs[side].matrix_world @ rig.pose_bones(rigs[side])[4].head)
        bar_y = np.tan(0.6) * at[0]
        report[f"bar_before_{side}"] = bool(bar_y < at[1])
        report[f"row_{side}"] = _row(pixels, scene, at)
    report["right_is_left"] = bool(rigs["right"].location.x < 0)
    report["followed"] = follow(scene, engine)
    report["hands"] = len(scene_data.roots(bpy.data.scenes[scene.name + " hands"]))
    return report


def follow(scene, engine):
    """What the artist changes after the set-up holds for the hands, too: size, camera by marker."""
    scene.render.resolution_percentage = 50
    shifted = scene.camera.copy()
    shifted.data = scene.camera.data.copy()
    shifted.data.shift_x = 0.05
    scene.camera.users_collection[0].objects.link(shifted)
    scene.timeline_markers.new("first", frame=1).camera = scene.camera
    scene.timeline_markers.new("second", frame=2).camera = shifted
    scene.frame_start, scene.frame_end, scene.frame_step = 1, 2, 1
    scene.render.filepath = str(FOLDER / f"follow_{engine}_####")
    bpy.ops.render.render(animation=True)
    found = []
    for frame in (1, 2):
        pixels = load_pixels(FOLDER / f"follow_{engine}_{frame:04d}.png")
        solid = pixels[..., 3] > 0.9
        middle = [
            float(np.nonzero(solid & part)[1].mean())
            for part in (pixels[..., 0] > pixels[..., 1], pixels[..., 1] > 0.9)
        ]
        found.append({"size": list(pixels.shape), "skin": middle[0], "bar": middle[1]})
    return found


def _row(pixels, scene, at):
    """Green and skin pixels among those the bar covers around a knuckle."""
    from bpy_extras.object_utils import world_to_camera_view

    there = world_to_camera_view(scene, scene.camera, type(scene.camera.location)(at))
    x = int(there.x * 320)
    bar = world_to_camera_view(
        scene, scene.camera, type(scene.camera.location)((at[0], np.tan(0.6) * at[0], 0.08))
    )
    y = int(bar.y * 240)
    patch = pixels[y - 1 : y + 2, x - 5 : x + 6]
    green = (patch[..., 1] > 0.8) & (patch[..., 0] < 0.3)
    return [int(green.sum()), int((patch[..., 0] > patch[..., 1]).sum())]


scenario(run)
