"""A hand with its forearm: bones, twist, θ in and out, a held forearm, the worker's skinning."""

import bpy
import numpy as np
from common import ARGS, import_hand, scenario

from blender_addon import axes, exporting, forearm, rig, scene_data


def run():
    _root, rigs = import_hand(ARGS[0])
    report = {"names": [b.name for b in rigs["right"].data.bones if "forearm" in b.name]}
    rng = np.random.default_rng(1)
    theta = np.concatenate([rng.normal(0, 0.3, (16, 3)), [[0.9, 0.1, 0.8]]])
    saved = {"theta": theta}
    errors = []
    for side, hand in rigs.items():
        hand.location = (0, 0, 0)
        for bone in hand.pose.bones:
            for constraint in bone.constraints:
                constraint.enabled = False
        rig.set_theta(hand, theta, np.array([0.1, 0.2, 0.3]))
        bpy.context.view_layer.update()
        errors.append(float(np.abs(forearm.rotation(hand) - theta[16]).max()))
        errors.append(float(np.abs(rig.get_theta(hand) - theta[:16]).max()))
        surface = scene_data.surface_of(hand)
        mesh = surface.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
        points = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", points)
        saved[side] = points.reshape(-1, 3)
    np.savez(ARGS[1], **saved)
    report["theta"] = max(errors)
    hand = rigs["right"]
    report["exported"] = list(exporting.world_theta(hand).shape)

    # held: the wrist bends, the forearm stays; and it follows again without a jump
    def direction():
        bpy.context.view_layer.update()
        return np.array(forearm.bone_of(hand).matrix.to_3x3(), float)[:, 1]

    before = direction()
    forearm.hold(hand, True)
    report["hold jump"] = float(np.abs(direction() - before).max())
    bent = rig.get_theta(hand)
    bent[0] = axes.matrix_to_rotvec(
        axes.rotvec_to_matrix(bent[0]) @ axes.rotvec_to_matrix([0, 0, 1.0])
    )
    rig.set_theta(hand, bent)
    report["held"] = float(np.abs(direction() - before).max())
    forearm.hold(hand, False)
    report["let go jump"] = float(np.abs(direction() - before).max())
    motion = np.cumsum(rng.normal(0, 0.05, (10, 17, 3)), axis=0)
    rig.key_motion(hand, motion, None, 1, 24.0, 24.0)
    off = []
    for t in (0, 4, 9):
        bpy.context.scene.frame_set(1 + t)
        off.append(float(np.abs(forearm.rotation(hand) - motion[t, 16]).max()))
    report["keyed"] = max(off)
    return report


scenario(run)
