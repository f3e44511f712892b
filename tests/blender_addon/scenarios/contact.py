"""Two keyed hands that go through each other, parted over a range of frames."""

import bpy
import numpy as np
from common import ARGS, import_hand, refused, scenario

from blender_addon import rig, scene_data
from blender_addon.look_operators import shape_of

FRAMES = 6


def run():
    _, rigs = import_hand(ARGS[0])
    bpy.context.view_layer.objects.active = rigs["right"]
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, FRAMES
    assert bpy.ops.hand_toolkit.repair_contact() == {"FINISHED"}
    report = {"apart": [len(rig.action_curves(hand)) for hand in rigs.values()]}
    motion = np.load(ARGS[1])
    for k, side in enumerate(("right", "left")):
        where = motion["where"][:, k] - _hung(rigs[side])
        rig.key_motion(rigs[side], motion["theta"][:, k], where, 1, 24, 24)
    report["keyed"] = _seen(rigs, 5)
    report["empty"] = refused(bpy.ops.hand_toolkit.repair_contact, first=5, last=2)
    assert bpy.ops.hand_toolkit.repair_contact(first=1, last=FRAMES) == {"FINISHED"}
    report["repaired"] = _seen(rigs, 5)
    report["shapes"] = [shape_of(scene_data.surface_of(hand)).tolist() for hand in rigs.values()]
    return report


def _hung(hand):
    """Where a hand hangs on its avatar, in the toolkit's axes."""
    matrix = np.array(scene_data.root_of(hand).matrix_world.inverted() @ hand.matrix_world)
    return matrix[:3, :3].T @ matrix[:3, 3]


def _seen(rigs, frame):
    bpy.context.scene.frame_set(frame)
    return {
        side: [
            rig.get_evaluated_theta(hand).tolist(),
            (rig.get_translation(hand) + _hung(hand)).tolist(),
        ]
        for side, hand in rigs.items()
    }


scenario(run)
