"""Geometry nodes that bind splats to the skin: evaluated attributes against the toolkit's own."""

import time

import bpy
import numpy as np
from common import ARGS, FOLDER, camera, import_hand, save_exr, scenario

from blender_addon import axes, controls, rig, scene_data, splats


def read(data, name, field, width):
    attribute = data.attributes[name]
    values = np.empty(len(attribute.data) * width, np.float32)
    attribute.data.foreach_get(field, values)
    return values.reshape(-1, width)


def run():
    _, rigs = import_hand(ARGS[0])
    rng = np.random.default_rng(1)
    theta = rng.normal(0, 0.4, (16, 3))
    out = {"theta": theta}
    report = {"native": splats.native_splats()}
    for side, hand in rigs.items():
        hand.location = (0.0, 0.0, 0.0)
        controls.set_limits(hand, False)
        rig.set_theta(hand, theta, np.array([0.02, 0.01, -0.03]))
        cloud = scene_data.splats_of(hand)
        cloud.hide_viewport = False
        base = read(cloud.data, "radiance:base", *_base(cloud.data))
        out[f"{side}.base"] = base
        bpy.context.view_layer.update()
        data = cloud.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        out[f"{side}.position"] = read(data, "position", "vector", 3)
        out[f"{side}.scale"] = read(data, "scale", "vector", 3)
        out[f"{side}.rotation"] = read(data, "rotation", "value", 4)
        assert np.array_equal(read(data, "radiance:base", *_base(data)), base)
    np.savez(ARGS[1], **out)

    # a shape key on the skin moves them too
    hand = rigs["right"]
    surface, cloud = scene_data.surface_of(hand), scene_data.splats_of(hand)
    key = surface.shape_key_add(name="push", from_mix=False)
    for point in key.data:
        point.co.z += 0.01
    key.value = 1.0
    bpy.context.view_layer.update()
    data = cloud.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    moved = np.linalg.norm(read(data, "position", "vector", 3) - out["right.position"], axis=1)
    report["shape_key"] = [float(moved.min()), float(moved.max())]
    surface.shape_key_remove(key)

    if splats.native_splats():
        report["native_pictures"] = native_pictures(rigs)

    # milliseconds an update takes, the armature's and the mesh's share included and apart
    times = {}
    for name, hidden in (("with", False), ("without", True)):
        cloud.hide_viewport = hidden
        for ob in (scene_data.splats_of(rigs["left"]), scene_data.surface_of(rigs["left"])):
            ob.hide_viewport = True
        taken = []
        for k in range(30):
            rig.set_theta(hand, theta * (1 + 0.01 * k))
            begin = time.perf_counter()
            bpy.context.view_layer.update()
            taken.append(time.perf_counter() - begin)
        times[name] = float(np.median(taken[5:]) * 1e3)
    report["update_ms"] = times["with"] - times["without"]
    report["update_with_skin_ms"] = times["with"]
    report["splats"] = len(out["right.position"])
    assert axes.SIDES
    return report


def native_pictures(rigs):
    """Blender's own drawing of the cloud in Cycles beside our engine, over two keyed poses."""
    scene = bpy.context.scene
    for side, hand in rigs.items():
        hand.location = (-0.115 if side == "left" else 0.115, 0.0, 0.0)
    bpy.ops.hand_toolkit.select_hand(name=rigs["right"].name)
    for frame, pose in ((1, "flat"), (5, "relaxed")):
        scene.frame_set(frame)
        bpy.ops.hand_toolkit.rest_pose(both=True)
        bpy.ops.hand_toolkit.preset_pose(pose=pose, both=True)
        bpy.ops.hand_toolkit.key_pose(both=True)
    camera(width=320, height=200)
    skins = [scene_data.surface_of(hand) for hand in rigs.values()]
    found = []
    for frame in (1, 5):
        scene.frame_set(frame)
        bpy.ops.hand_toolkit.use_engine()
        scene.hand_toolkit.light, scene.hand_toolkit.trim = "BAKED", True
        ours = save_exr(FOLDER / "ours.exr")
        bpy.ops.hand_toolkit.remove_render()
        scene.render.engine, scene.render.film_transparent = "CYCLES", True
        scene.cycles.device, scene.cycles.samples = "CPU", 8
        scene.cycles.use_denoising = False
        for skin in skins:
            skin.hide_render = True
        theirs = save_exr(FOLDER / "theirs.exr")
        for skin in skins:
            skin.hide_render = False
        solid = (ours[..., 3] > 0.99) & (theirs[..., 3] > 0.99)
        difference = theirs[solid][:, :3] ** (1 / 2.2) - ours[solid][:, :3] ** (1 / 2.2)
        found.append(
            {
                "shown": float(solid.mean()),
                "area": float(theirs[..., 3].sum() / ours[..., 3].sum()),
                "darker": float(-difference.mean()),
                "psnr_db": float(-10 * np.log10((difference**2).mean())),
            }
        )
    return found


def _base(data):
    kind = data.attributes["radiance:base"].data_type
    return ("color", 4) if kind == "FLOAT_COLOR" else ("vector", 4)


scenario(run)
