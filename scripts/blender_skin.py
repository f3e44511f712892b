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
from pathlib import Path
from typing import Any

from blender_run import run

LAMPS = (("key", (-0.5, -0.6, 0.5), 9.0), ("rim", (0.5, 0.4, 0.35), 6.0))
"""Name, place in metres and watts of the area lamps."""


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("avatar", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--samples", type=int, default=16)
    run(parser, draw)


def draw(options: argparse.Namespace) -> None:
    """Both pictures."""
    import bpy
    import mathutils

    import blender_addon
    from blender_addon import scene_data

    bpy.ops.wm.read_factory_settings(use_empty=True)
    blender_addon.register()
    scene = bpy.context.scene
    bpy.ops.hand_toolkit.import_avatar(filepath=str(options.avatar.resolve()), pack=False)
    rigs = scene_data.rigs_of(scene_data.roots(scene)[0])
    corners = []
    for rig in rigs:
        for ob in rig.children_recursive:
            ob.hide_render = rig != rigs[0] or ob.type != "MESH" or not ob.data.polygons
            if not ob.hide_render:
                corners += [ob.matrix_world @ mathutils.Vector(c) for c in ob.bound_box]
    aim = sum(corners, mathutils.Vector()) / len(corners)
    for name, place, power in LAMPS:
        data = bpy.data.lights.new(name, "AREA")
        data.energy, data.size = power, 0.25
        lamp = bpy.data.objects.new(name, data)
        lamp.location = aim + mathutils.Vector(place)
        lamp.rotation_euler = _toward(lamp.location, aim)
        scene.collection.objects.link(lamp)
    world = bpy.data.worlds.new("grey")
    world.color = (0.05, 0.05, 0.055)
    scene.world = world
    eye = aim + mathutils.Vector((0.0, -0.55, 0.03))
    data = bpy.data.cameras.new("camera")
    data.lens, data.clip_start = 70, 0.01
    scene.camera = bpy.data.objects.new("camera", data)
    scene.camera.location, scene.camera.rotation_euler = eye, _toward(eye, aim)
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
    cycles, eevee = (_pixels(options.output / f"{name}.png") for name in ("cycles", "eevee"))
    hand = abs(cycles - cycles[0, 0]).max(axis=2) > 0.05
    print(f"over the hand EEVEE is {abs(cycles - eevee)[hand].mean():.3f} off Cycles in the mean, ")
    print(f"{(eevee - cycles)[hand].mean(axis=0).round(3)} in red, green and blue (sRGB, 0 to 1)")


def _pixels(path: Path) -> Any:
    """(H, W, 3) as stored."""
    import bpy
    import numpy as np

    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)[..., :3]


def _toward(place: Any, target: Any) -> tuple[float, float, float]:
    """Euler angles that turn an object's -z at a target."""
    x, y, z = (t - p for p, t in zip(place, target))
    return (math.acos(-z / math.sqrt(x * x + y * y + z * z)), 0.0, math.atan2(-x, y))


if __name__ == "__main__":
    main()
