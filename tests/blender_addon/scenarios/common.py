"""What every scenario does first and last. Runs inside Blender's Python: bpy, numpy, stdlib."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

import bpy  # noqa: E402
import numpy as np  # noqa: E402

import blender_addon as addon  # noqa: E402
from blender_addon import bringing, scene_data  # noqa: E402

REPORT = Path(sys.argv[1])
ARGS = sys.argv[2:]
FOLDER = REPORT.parent


def scenario(function):
    """Run ``function`` with the extension registered; it returns the report.

    The process ends through ``os._exit``: leaving a Python with bpy in the ordinary way crashes
    4.2 and hangs 4.5.
    """
    code = 1
    try:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        addon.register()
        bringing.TEXTURE_SIZE = 128  # for speed; the bake has tests of its own
        report = function() or {}
        assert not {"torch", "scipy", "hand_toolkit", "cv2"} & set(sys.modules), "not a thin client"
        report["blender"] = bpy.app.version_string
        REPORT.write_text(json.dumps(report), encoding="utf-8")
        code = 0
    except BaseException:
        traceback.print_exc()
        from blender_addon import link

        if link._worker is not None:
            print("the worker's log:", *list(link._worker.log)[-30:], sep="\n")
    finally:
        try:
            addon.unregister()
        except Exception:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def import_hand(path, pack=False):
    """Import an avatar; its root and rigs by side."""
    known = set(scene_data.roots(bpy.context.scene))
    assert bpy.ops.hand_toolkit.import_avatar(filepath=str(path), pack=pack) == {"FINISHED"}
    root = next(r for r in scene_data.roots(bpy.context.scene) if r not in known)
    return root, {r.hand_toolkit.side: r for r in scene_data.rigs_of(root)}


def refused(function, *args, **kwargs):
    """The error that an operator reports."""
    try:
        function(*args, **kwargs)
    except RuntimeError as error:
        return str(error).strip()
    raise AssertionError("the operator reported no error")


def camera(location=(0.0, -0.75, 0.09), lens=70.0, width=480, height=360):
    """A camera along +y, and the picture's size."""
    scene = bpy.context.scene
    data = bpy.data.cameras.new("Camera")
    data.lens, data.clip_start = lens, 0.01
    ob = bpy.data.objects.new("Camera", data)
    scene.collection.objects.link(ob)
    ob.location = location
    ob.rotation_euler = (np.pi / 2, 0.0, 0.0)
    scene.camera = ob
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    return ob


def compositing_tree(scene, make=False):
    """The scene's compositing nodes, in whatever way the version keeps them, or None."""
    if hasattr(scene, "compositing_node_group"):
        if make and scene.compositing_node_group is None:
            tree = bpy.data.node_groups.new("Grading", "CompositorNodeTree")
            tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
            scene.compositing_node_group = tree
        return scene.compositing_node_group
    if make:
        scene.use_nodes = True
    return scene.node_tree if scene.use_nodes else None


def save_exr(path):
    """Write the render result as a float picture and read it back: (H, W, 4) bottom row first."""
    scene = bpy.context.scene
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "OPEN_EXR"
    settings.color_mode, settings.color_depth = "RGBA", "32"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return load_pixels(path)


def load_pixels(path):
    """(H, W, 4) of a picture file as stored, bottom row first."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)


def save_layers(path):
    """Render with all passes; name -> (H, W, C), bottom row first."""
    scene = bpy.context.scene
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return path
