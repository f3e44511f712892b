"""The skin's material on the mesh, drawn by EEVEE and by Cycles from the same lamps, side by side.

    python scripts/blender_skin.py me.hand OUTPUT [--size 384] [--samples 16] [--python PYTHON]

Writes OUTPUT/eevee.png and OUTPUT/cycles.png. Run it with any Python that has bpy; ``--python``
names the one that has hand-toolkit. EEVEE needs OpenGL 4.3. On a machine without a graphics card
Mesa draws it, slowly: EGL_PLATFORM=surfaceless LIBGL_ALWAYS_SOFTWARE=1 GALLIUM_DRIVER=llvmpipe
MESA_LOADER_DRIVER_OVERRIDE=swrast MESA_GL_VERSION_OVERRIDE=4.6.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAMPS = (("key", (-0.5, -0.6, 0.5), 9.0), ("rim", (0.5, 0.4, 0.35), 6.0))
"""Name, place in metres and watts of the area lamps."""


def main() -> None:
    """Draw; ends the process at once, as bpy does not survive Python's own exit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("avatar", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--python", default=sys.executable, help="the toolkit's Python")
    options = parser.parse_args()
    options.output = options.output.resolve()
    options.output.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("HAND_TOOLKIT_PYTHON", options.python)
    os.environ.setdefault("BLENDER_USER_RESOURCES", str(options.output / "blender"))
    sys.path.insert(0, str(ROOT))
    import blender_addon

    code = 1
    try:
        draw(options)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        blender_addon.unregister()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def draw(options: argparse.Namespace) -> None:
    """Both pictures."""
    import bpy

    import blender_addon
    from blender_addon import scene_data

    bpy.ops.wm.read_factory_settings(use_empty=True)
    blender_addon.register()
    scene = bpy.context.scene
    bpy.ops.hand_toolkit.import_avatar(filepath=str(options.avatar.resolve()), pack=False)
    root = scene_data.roots(scene)[0]
    for rig in scene_data.rigs_of(root):
        for ob in rig.children_recursive:
            if ob.type == "MESH":
                ob.hide_render = not any(m and m.use_nodes for m in ob.data.materials)
                print(ob.name, len(ob.data.polygons), "hidden" if ob.hide_render else "drawn")
    for name, place, power in LAMPS:
        data = bpy.data.lights.new(name, "AREA")
        data.energy, data.size = power, 0.25
        lamp = bpy.data.objects.new(name, data)
        lamp.location = place
        lamp.rotation_euler = _toward(place, (0.0, 0.0, 0.09))
        scene.collection.objects.link(lamp)
    world = bpy.data.worlds.new("grey")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (0.05, 0.05, 0.055, 1)
    scene.world = world
    eye = (0.0, -0.62, 0.12)
    data = bpy.data.cameras.new("camera")
    data.lens, data.clip_start = 70, 0.01
    scene.camera = bpy.data.objects.new("camera", data)
    scene.camera.location, scene.camera.rotation_euler = eye, _toward(eye, (0.0, 0.0, 0.09))
    scene.collection.objects.link(scene.camera)
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x = scene.render.resolution_y = options.size
    scene.render.resolution_percentage = 100
    for engine in ("CYCLES", "BLENDER_EEVEE"):
        if engine == "BLENDER_EEVEE" and bpy.app.version < (5, 0):
            engine = "BLENDER_EEVEE_NEXT"
        scene.render.engine = engine
        scene.cycles.samples = 2 * options.samples
        scene.eevee.taa_render_samples = options.samples
        name = "cycles" if engine == "CYCLES" else "eevee"
        scene.render.filepath = str(options.output / f"{name}.png")
        bpy.ops.render.render(write_still=True)
        print(scene.render.filepath, flush=True)


def _toward(place: tuple[float, ...], target: tuple[float, ...]) -> tuple[float, float, float]:
    """Euler angles that turn an object's -z at a target."""
    x, y, z = (t - p for p, t in zip(place, target))
    return (math.acos(-z / math.sqrt(x * x + y * y + z * z)), 0.0, math.atan2(-x, y))


if __name__ == "__main__":
    main()
