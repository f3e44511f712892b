"""Blender figures: click to avatar, frames a second, geometry nodes, memory, likeness.

    python benchmarks/blender.py [--picture FILE | --hand FILE] [--quality standard] [--json FILE]

Runs the extension in a bpy process of its own (the bpy of this Python) with the real worker. The
viewport figure is the whole way of a *Rendered* frame (evaluated meshes, worker, shared memory) for
a hand that moves on every frame, without the upload to the graphics card, which bpy without a
window cannot do. Times of single frames and updates are the best of some dozens, as other programs
may be running; beside each wall time stands the processor time of Blender and worker together,
which other programs change little. The animation figure is
``bpy.ops.render.render(animation=True)`` into PNG files and again without writing them. ``--hand``
takes a ready avatar and leaves the fit out.

Likeness is that of the avatar just made: the engine's PNG against ``hand-toolkit render`` with the
same camera and θ, its depth against rays on the skinned mesh.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCENARIOS = ROOT / "tests" / "blender_addon" / "scenarios"
FRAMES = 24
CHOOSING_S = 4.0
"""Seconds between the file browser's opening and the choice of a file."""

NAMES = {
    "load": "other programs' load when it began, processors",
    "click_to_avatar_s": "click to avatar in the scene, s",
    "click_to_avatar_cpu_s": "  processor time, s",
    "fit_s": "  of it the fit, s",
    "first_time_s": "import of that .hand file by a fresh worker, s",
    "first_time_cpu_s": "  processor time, s",
    "first_time_stands_s": "  of it until the hand stands there, s",
    "chosen_s": "import of it when choosing the file took 4 s, s",
    "chosen_stands_s": "  of it until the hand stands there, s",
    "second_time_s": "import of it again, its skin baked before, s",
    "second_time_cpu_s": "  processor time, s",
    "splats_per_hand": "splats a hand",
    "viewport_fps": "viewport 960x540, one hand moving, frames/s",
    "viewport_median_fps": "  median",
    "viewport_worker_ms": "  the worker's part, ms",
    "viewport_light_ms": "    light, median, ms",
    "viewport_render_ms": "    splats, median, ms",
    "viewport_encode_ms": "    depth, cover and encoding, median, ms",
    "viewport_cpu_ms": "  processor time a frame, ms",
    "lit_viewport_fps": "the same in a scene's light, frames/s",
    "lit_viewport_median_fps": "  median",
    "lit_viewport_worker_ms": "  the worker's part, ms",
    "lit_viewport_light_ms": "    light, median, ms",
    "lit_viewport_render_ms": "    splats, median, ms",
    "lit_viewport_encode_ms": "    depth, cover and encoding, median, ms",
    "lit_viewport_cpu_ms": "  processor time a frame, ms",
    "animation_fps": "animation 1920x1080 into PNG, frames/s",
    "animation_cpu_ms": "  processor time a frame, ms",
    "animation_unsaved_fps": "  without writing the files, frames/s",
    "nodes_ms": "geometry nodes, 50,000 splats, ms an update",
    "skin_ms": "  the skinned mesh without them, ms an update",
    "memory_before_mb": "Blender's memory before, MB",
    "memory_after_mb": "Blender's memory after all this, MB",
    "torch_in_blender": "torch in Blender's process",
    "psnr_db": "engine against hand-toolkit render, PSNR, dB",
    "depth_median_mm": "depth against the mesh, median, mm",
    "depth_most_mm": "  95% of the silhouette within, mm",
    "depth_flat_mm": "  99.5% where the mesh has no step, within, mm",
}


def main() -> None:
    """Run the measurement in its own process and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument(
        "--picture", type=Path, default=ROOT / "hand_toolkit" / "media" / "demo.jpg"
    )
    parser.add_argument("--hand", type=Path, help="a .hand file, not to fit the picture")
    parser.add_argument("--quality", default="standard", choices=["draft", "standard", "high"])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        measure(options)
        return
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).resolve()), "--inside", folder]
        command += ["--picture", str(options.picture.resolve()), "--quality", options.quality]
        if options.hand:
            command += ["--hand", str(options.hand.resolve())]
        env = {
            **os.environ,
            "HAND_TOOLKIT_PYTHON": sys.executable,
            "BLENDER_USER_RESOURCES": str(Path(folder) / "blender"),
        }
        log = Path(folder) / "log"
        with log.open("wb") as stream:
            subprocess.run(
                command, check=False, env=env, stdout=stream, stderr=stream, timeout=1800
            )
        report = Path(folder) / "report.json"
        if not report.is_file():
            raise SystemExit(log.read_text(encoding="utf-8", errors="replace")[-4000:])
        figures = {"load": load, **json.loads(report.read_text(encoding="utf-8"))}
        figures |= likeness(Path(folder), env)
    print(f"Blender {figures['blender']}, {os.cpu_count()} processors")
    for key, name in NAMES.items():
        if key not in figures:
            continue
        value = figures[key]
        digits = (
            4
            if key.endswith("_mm")
            else 2
            if key.startswith(("first_", "second_", "chosen_"))
            else 1
        )
        shown = ("no", "yes")[value] if isinstance(value, bool) else f"{value:,.{digits}f}"
        print(f"{name:<48}{shown:>10}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    if figures["torch_in_blender"]:
        raise SystemExit("Blender's process has loaded torch; only the worker may")


def likeness(folder: Path, env: dict[str, str]) -> dict[str, float]:
    """Pictures and depths of the avatar in ``folder``, through the scenario of the tests."""
    sys.path.insert(0, str(SCENARIOS.parent))
    import comparisons

    hand = folder / "made.hand"
    command = [sys.executable, str(SCENARIOS / "engine.py"), str(folder / "engine.json"), str(hand)]
    log = folder / "engine.log"
    with log.open("wb") as stream:
        done = subprocess.run(
            command, check=False, env=env, stdout=stream, stderr=stream, timeout=900
        )
    if done.returncode:
        raise SystemExit(log.read_text(encoding="utf-8", errors="replace")[-4000:])
    depths = comparisons.depths(folder)
    return {
        "psnr_db": comparisons.pictures(folder, hand).psnr_db,
        "depth_median_mm": depths.median_m * 1e3,
        "depth_most_mm": depths.most_m * 1e3,
        "depth_flat_mm": depths.flat_m * 1e3,
    }


def measure(options: argparse.Namespace) -> None:
    """Inside the bpy process; ends it without Python's own exit, which bpy does not survive."""
    import traceback

    try:
        figures = _figures(options)
        (options.inside / "report.json").write_text(json.dumps(figures), encoding="utf-8")
    except BaseException:
        traceback.print_exc()
    finally:
        import blender_addon

        blender_addon.unregister()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _figures(options: argparse.Namespace) -> dict[str, object]:
    sys.path.insert(0, str(ROOT))
    import time

    import bpy
    import numpy as np

    import blender_addon
    from blender_addon import bringing, link, rig, scene_data

    bpy.ops.wm.read_factory_settings(use_empty=True)
    blender_addon.register()
    figures: dict[str, object] = {"blender": bpy.app.version_string}
    figures["memory_before_mb"] = _memory()
    folder = options.inside
    scene = bpy.context.scene
    output = str(folder / "made.hand")
    if options.hand:
        shutil.copyfile(options.hand, output)
    else:
        begin, used = time.perf_counter(), _processor_seconds()
        bpy.ops.hand_toolkit.create_from_image(
            filepath=str(options.picture), output=output, quality=options.quality
        )
        figures["click_to_avatar_s"] = time.perf_counter() - begin
        figures["click_to_avatar_cpu_s"] = _processor_seconds() - used
        bpy.ops.hand_toolkit.remove_avatar()
    link.stop()
    link.worker().call("ping")
    building = bringing.await_textures

    def stands(root: Any, baking: Any) -> None:
        figures[f"{key}_stands_s"] = time.perf_counter() - begin
        building(root, baking)

    bringing.await_textures = stands
    for key in ("first_time", "chosen", "second_time"):
        if key == "chosen":  # as the file browser of Import does
            link.stop()
            link.ask_offers()
            time.sleep(CHOOSING_S)
        begin, used = time.perf_counter(), _processor_seconds()
        bpy.ops.hand_toolkit.import_avatar(filepath=output)
        figures[f"{key}_s"] = time.perf_counter() - begin
        figures[f"{key}_cpu_s"] = _processor_seconds() - used
        if key != "second_time":
            bpy.ops.hand_toolkit.remove_avatar()
    if not options.hand:
        figures["fit_s"] = figures["click_to_avatar_s"] - figures["first_time_s"]  # type: ignore[operator]
    root = scene_data.roots(scene)[0]
    hand, *others = scene_data.rigs_of(root)
    cloud = scene_data.splats_of(hand)
    figures["splats_per_hand"] = float(len(cloud.data.vertices))

    bpy.ops.hand_toolkit.select_hand(name=hand.name)
    bpy.ops.hand_toolkit.use_engine()
    scene.render.resolution_x, scene.render.resolution_y = 960, 540
    theta = rig.get_theta(hand)
    for kind in ("viewport", "lit_viewport"):
        if kind == "lit_viewport":
            _lamp_and_table()
        figures |= _viewport(kind, hand, theta)
    for ob in [o for o in scene.objects if o.name in {"Lamp", "Plane"}]:
        bpy.data.objects.remove(ob)
    scene.hand_toolkit.light = "PHOTO"
    bpy.ops.hand_toolkit.select_hand(name=hand.name)

    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    bpy.ops.hand_toolkit.load_motion(name="open-close")
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.render.filepath = str(folder / "frame_")
    begin, used = time.perf_counter(), _processor_seconds()
    bpy.ops.render.render(animation=True)
    figures["animation_fps"] = FRAMES / (time.perf_counter() - begin)
    figures["animation_cpu_ms"] = 1e3 * (_processor_seconds() - used) / FRAMES
    begin = time.perf_counter()
    for frame in range(1, FRAMES + 1):
        scene.frame_set(frame)
        bpy.ops.render.render()
    figures["animation_unsaved_fps"] = FRAMES / (time.perf_counter() - begin)

    hand.animation_data.action = None
    _thin(cloud, 50_000)
    skin = scene_data.surface_of(hand)
    for other in others:
        for child in other.children:
            child.hide_viewport = True
    for key, hidden in (("nodes_ms", False), ("skin_ms", True)):
        cloud.hide_viewport = hidden
        times = []
        for k in range(40):
            rig.set_theta(hand, theta * (1 + 0.005 * k))
            begin = time.perf_counter()
            bpy.context.view_layer.update()
            times.append(time.perf_counter() - begin)
        figures[key] = float(np.min(times[8:]) * 1e3)
    figures["nodes_ms"] = figures["nodes_ms"] - figures["skin_ms"]  # type: ignore[operator]
    assert skin is not None
    figures["memory_after_mb"] = _memory()
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    figures["torch_in_blender"] = "torch" in sys.modules or "libtorch" in maps
    return figures


def _viewport(kind: str, hand: Any, theta: Any) -> dict[str, float]:
    """Frames of a hand that moves, as the *Rendered* viewport asks for them."""
    import time

    import bpy
    import numpy as np

    from blender_addon import camera, client, link, rig, shown

    block, size = client.FrameBlock(), (960, 540)
    rng, scene = np.random.default_rng(0), bpy.context.scene
    times, drawing, stages = [], [], []
    for k in range(FRAMES + 4):
        if k == 4:
            used = _processor_seconds()
        rig.set_theta(hand, theta + 0.02 * k * rng.normal(size=np.shape(theta)))
        begin = time.perf_counter()
        bpy.context.view_layer.update()
        graph = bpy.context.evaluated_depsgraph_get()
        hands = shown.shown_hands(graph)
        view = camera.of_scene(graph)
        light = shown.scene_light(graph, hands, viewport=True)
        around = shown.others(graph, hands, light[1])
        if around is not None:
            light[1].update(around.arrays())
        middle = time.perf_counter()
        params, arrays = shown.request_of(hands, view, None, light)
        params["block"], params["depth"] = block.reserve(*size), False
        told, _ = link.worker().submit("render", params, arrays).result()
        stages.append(list(told["ms"].values()))
        assert block.frame(*size)[0].any()
        times.append(time.perf_counter() - begin)
        drawing.append(time.perf_counter() - middle)
    assert scene.hand_toolkit.light == ("SCENE" if kind == "lit_viewport" else "PHOTO")
    return {
        f"{kind}_fps": float(1 / np.min(times[4:])),
        f"{kind}_median_fps": float(1 / np.median(times[4:])),
        f"{kind}_worker_ms": float(np.min(drawing[4:]) * 1e3),
        **{
            f"{kind}_{name}_ms": float(value)
            for name, value in zip(told["ms"], np.median(stages[4:], axis=0))
        },
        f"{kind}_cpu_ms": 1e3 * (_processor_seconds() - used) / FRAMES,
    }


def _lamp_and_table() -> None:
    """Blender's own new scene, nearly: a lamp, a grey world, something under the hands."""
    import bpy

    scene = bpy.context.scene
    scene.hand_toolkit.light = "SCENE"
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    lamp.data.energy, lamp.location = 30.0, (0.6, -0.8, 0.9)
    scene.collection.objects.link(lamp)
    scene.world = scene.world or bpy.data.worlds.new("World")
    scene.world.color = (0.05, 0.05, 0.05)
    bpy.ops.mesh.primitive_plane_add(size=2, location=(0, 0, -0.02))
    bpy.context.object.name = "Plane"


def _processor_seconds() -> float:
    """Processor time of this process and of the worker so far."""
    import time

    from blender_addon import link

    total = time.process_time()
    pid = link.worker().pid
    if pid is not None:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        total += sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def _thin(cloud: object, count: int) -> None:
    """Leave or repeat points until the cloud has exactly ``count``."""
    import bmesh

    mesh = cloud.data  # type: ignore[attr-defined]
    bm = bmesh.new()
    bm.from_mesh(mesh)
    while len(bm.verts) < count:
        bmesh.ops.duplicate(bm, geom=list(bm.verts)[: count - len(bm.verts)])
    bm.verts.ensure_lookup_table()
    bmesh.ops.delete(bm, geom=list(bm.verts)[count:], context="VERTS")
    bm.to_mesh(mesh)
    bm.free()


def _memory() -> float:
    """Resident memory of this process, MB."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    main()
