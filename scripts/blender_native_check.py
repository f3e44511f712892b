"""Runs inside Blender 5.2 or newer: the native splat cloud against the loose-point one.

    blender --background --addons bl_ext.user_default.hand_toolkit \
        --python scripts/blender_native_check.py -- AVATAR.hand

PyPI's bpy has neither ``PointCloud.resize`` nor FLOAT4 attributes, so what Blender 5.3 draws is
built here: a real point cloud with four-float radiance, bound to the posed skin by the same node
group. It must give the same centres, sizes, rotations and radiance as the points that the tests
compare with the toolkit. Only the switch to drawing splats is left out where Blender is too old.
Prints one line and exits with 1 on a difference.
"""

from __future__ import annotations

import os
import sys
import time
import traceback

import bpy
import numpy as np
from bl_ext.user_default.hand_toolkit import link, rig, scene_data, splats

ATTRIBUTES = {"position": "vector", "scale": "vector", "rotation": "value", "radiance:base": ""}


def read(data, name):
    """(N, width) of an attribute, whatever the field of its type is called."""
    attribute = data.attributes[name]
    field = ATTRIBUTES[name] or ("color" if attribute.data_type == "FLOAT_COLOR" else "vector")
    width = 4 if name in ("rotation", "radiance:base") else 3
    values = np.empty(len(attribute.data) * width, np.float32)
    attribute.data.foreach_get(field, values)
    return values.reshape(-1, width)


def import_as(native, path):
    """The right hand's cloud of a new avatar, posed at random, and the time of an update."""
    splats.native_splats = lambda: native
    known = scene_data.roots(bpy.context.scene)
    assert bpy.ops.hand_toolkit.import_avatar(filepath=path) == {"FINISHED"}
    root = next(r for r in scene_data.roots(bpy.context.scene) if r not in known)
    hand = scene_data.rigs_of(root)[0]
    cloud = scene_data.splats_of(hand)
    cloud.hide_viewport = False
    theta = np.random.default_rng(2).normal(0, 0.4, (16, 3))
    times = []
    for k in range(12):
        rig.set_theta(hand, theta * (1 - 0.01 * (11 - k)), np.array([0.02, 0.01, -0.03]))
        begin = time.perf_counter()
        bpy.context.view_layer.update()
        times.append(time.perf_counter() - begin)
    data = cloud.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    return cloud, {name: read(data, name) for name in ATTRIBUTES}, float(np.min(times) * 1e3)


def check(path):
    """One line of result.

    Raises:
        AssertionError: the two clouds differ.
    """
    has_type = splats.native_splats()
    if not has_type:
        splats.draw_as_splats = lambda cloud: None
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    _, loose, _ = import_as(False, path)
    cloud, native, milliseconds = import_as(True, path)
    assert cloud.type == "POINTCLOUD", cloud.type
    assert cloud.data.attributes["radiance:base"].data_type == "FLOAT4"
    assert not scene_data.surface_of(cloud.parent).visible_camera
    worst = {}
    for name, values in loose.items():
        assert values.shape == native[name].shape, (name, values.shape, native[name].shape)
        worst[name] = float(np.abs(values - native[name]).max())
    assert max(worst.values()) < 1e-5, worst
    return (
        f"Blender {bpy.app.version_string}: {len(native['position']):,} native points agree with "
        f"the loose ones to {max(worst.values()):.1e}, {milliseconds:.1f} ms an update with the "
        f"skin; splat type {'drawn' if has_type else 'not in this version'}"
    )


code = 1
try:
    print(check(sys.argv[sys.argv.index("--") + 1]))
    code = 0
except BaseException:
    traceback.print_exc()
finally:
    link.stop()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
