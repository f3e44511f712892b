"""Geometry nodes that bind splats to the skin: evaluated attributes against the toolkit's own."""

import time

import bpy
import numpy as np
from common import ARGS, import_hand, scenario

from blender_addon import axes, rig, scene_data, splats


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
    surface.shape_key_add(name="Basis")
    key = surface.shape_key_add(name="push")
    for point in key.data:
        point.co.z += 0.01
    key.value = 1.0
    bpy.context.view_layer.update()
    data = cloud.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    moved = np.linalg.norm(read(data, "position", "vector", 3) - out["right.position"], axis=1)
    report["shape_key"] = [float(moved.min()), float(moved.max())]
    surface.shape_key_clear()

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


def _base(data):
    kind = data.attributes["radiance:base"].data_type
    return ("color", 4) if kind == "FLOAT_COLOR" else ("vector", 4)


scenario(run)
