"""Skin edited from the panel: tone, lacquer, a decal, and paint there and back."""

import os
from pathlib import Path

import bpy
import numpy as np
from common import ARGS, FOLDER, import_hand, refused, scenario

from blender_addon import rig, scene_data


def find(side):
    root = scene_data.roots(bpy.context.scene)[0]
    return {r.hand_toolkit.side: r for r in scene_data.rigs_of(root)}[side]


def run():
    report = {}
    _root, rigs = import_hand(ARGS[0])
    theta = np.random.default_rng(1).normal(0, 0.2, (16, 3))
    rig.set_theta(rigs["right"], theta)
    bpy.ops.hand_toolkit.select_hand(name=rigs["right"].name)
    report["nothing"] = refused(bpy.ops.hand_toolkit.edit_avatar)
    report["bad"] = refused(bpy.ops.hand_toolkit.edit_avatar, tone="monk:12")
    edit = bpy.ops.hand_toolkit.edit_avatar
    assert edit(tone="monk:9", lacquer="red") == {"FINISHED"}
    root = scene_data.roots(bpy.context.scene)[0]
    assert len(scene_data.roots(bpy.context.scene)) == 1
    report["path"] = bpy.path.abspath(root.hand_toolkit.path)
    report["kept"] = float(np.abs(rig.get_theta(find("right")) - theta).max())
    bpy.ops.hand_toolkit.select_hand(name=find("right").name)
    folder = FOLDER / "skin"
    assert bpy.ops.hand_toolkit.skin_pictures(directory=str(folder), size=256) == {"FINISHED"}
    report["pictures"] = sorted(os.listdir(folder))
    assert edit(decal=ARGS[1], place="palm", size_mm=30.0, ink=True) == {"FINISHED"}
    report["second"] = bpy.path.abspath(scene_data.roots(bpy.context.scene)[0].hand_toolkit.path)
    image = bpy.data.images.new("doubts", 64, 64, alpha=True)
    image.pixels = [1.0] * (4 * 64 * 64)
    assert edit(trust=0.2, paint_out="doubts") == {"FINISHED"}
    report["third"] = bpy.path.abspath(scene_data.roots(bpy.context.scene)[0].hand_toolkit.path)
    assert Path(ARGS[0]).exists()
    return report


scenario(run)
