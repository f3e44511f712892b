"""θ in and out of the bones, sliders, limits, mirroring, IK, motions, shape."""

import bpy
import numpy as np
from common import ARGS, import_hand, refused, scenario
from mathutils import Vector

from blender_addon import axes, controls, fingertips, rig, scene_data
from blender_addon.shown import shown_hands


def run():
    root, rigs = import_hand(ARGS[0])
    right, left = rigs["right"], rigs["left"]
    report = {"bones": {s: [b.name for b in r.data.bones] for s, r in rigs.items()}}
    rng = np.random.default_rng(0)
    worst = {"basis": 0.0, "seen": 0.0, "keys": 0.0, "keyed_motion": 0.0, "euler": 0.0}
    scene = bpy.context.scene

    def seen(hand):
        bpy.context.view_layer.update()
        return rig.get_evaluated_theta(hand)

    for hand in (right, left):
        assert controls.limits_on(hand), "joint limits act from the start"
        controls.set_limits(hand, False)
    poses = rng.normal(0, 0.6, (3, 16, 3))
    poses[2, 0] = [2.0, -1.5, 1.0]  # a wrist turned far
    for hand in (right, left):
        for k, theta in enumerate(poses):
            rig.set_theta(hand, theta)
            worst["basis"] = max(worst["basis"], np.abs(rig.get_theta(hand) - theta).max())
            worst["seen"] = max(worst["seen"], np.abs(seen(hand) - theta).max())
            rig.insert_keys(hand, 1 + 10 * k)
        for k, theta in enumerate(poses):
            scene.frame_set(1 + 10 * k)
            worst["keys"] = max(worst["keys"], np.abs(seen(hand) - theta).max())
        hand.animation_data.action = None
        motion = np.cumsum(rng.normal(0, 0.05, (40, 16, 3)), axis=0)
        where = rng.normal(0, 0.05, (40, 3))
        rig.key_motion(hand, motion, where, 1, 30.0, 24.0)
        for t in (0, 4, 20, 36):  # frames that both rates share
            scene.frame_set(int(1 + t * 24 / 30), subframe=(t * 24 / 30) % 1)
            worst["keyed_motion"] = max(worst["keyed_motion"], np.abs(seen(hand) - motion[t]).max())
            assert np.allclose(rig.get_translation(hand), where[t], atol=1e-5)
        hand.animation_data.action = None
        for bone in rig.pose_bones(hand):
            bone.rotation_mode = "YZX"
        rig.set_theta(hand, poses[0])
        worst["euler"] = max(worst["euler"], np.abs(seen(hand) - poses[0]).max())
        for bone in rig.pose_bones(hand):
            bone.rotation_mode = "QUATERNION"
    report["worst"] = {k: float(v) for k, v in worst.items()}

    # the mesh is where the toolkit's own skinning puts it
    for _side, hand in rigs.items():
        hand.location = (0, 0, 0)
        rig.set_theta(hand, poses[0], np.array([0.1, 0.2, 0.3]))
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    out = {h.side: h.vertices @ axes.TO_BLENDER for h in shown_hands(graph)}
    np.savez(ARGS[1], theta=poses[0], **out)

    # sliders bend on top of the keys and leave them alone
    for hand in (right, left):
        rig.set_theta(hand, np.zeros((16, 3)))
        tips = {}
        for curl in (0.0, 1.0):
            hand[controls.curl_name("index")] = curl
            hand.update_tag()
            bpy.context.view_layer.update()
            tips[curl] = np.array(
                hand.pose.bones[axes.bone_name("index3", hand.hand_toolkit.side)].tail
            )
        bent = tips[1.0] - tips[0.0]
        assert bent[1] < -0.01, f"curling bends to the palm, which faces -y: {bent}"
        assert np.abs(rig.get_theta(hand)).max() < 1e-6
        flexed = seen(hand)
        assert np.linalg.norm(flexed[1]) > 1.2 and np.abs(flexed[4:]).max() < 1e-5
        report[f"curl_{hand.hand_toolkit.side}"] = float(np.linalg.norm(flexed[1]))
        hand[controls.curl_name("index")] = 0.0
        hand[controls.spread_name("index")] = 1.0
        hand.update_tag()
        bpy.context.view_layer.update()
        spread = np.array(hand.pose.bones[axes.bone_name("index3", hand.hand_toolkit.side)].tail)
        assert (spread - tips[0.0])[2] > 0.01, "spreading the index moves it to the thumb, at +z"
        controls.reset_sliders(hand)

    # limits: a knuckle bent backwards by 100 degrees stops at the anatomical range
    hand = right
    rest = rig.rest_axes(hand)
    back = np.zeros((16, 3))
    back[2] = -1.75 * rest[2][:, 0]
    rig.set_theta(hand, back)
    assert np.linalg.norm(seen(hand)[2]) > 1.7
    assert bpy.ops.hand_toolkit.toggle_limits(on=True) == {"FINISHED"}
    bpy.context.view_layer.objects.active = hand
    bpy.context.view_layer.update()
    limited = np.degrees(rest[2][:, 0] @ seen(hand)[2])
    report["limited_degrees"] = float(limited)
    allowed = np.zeros((16, 3))
    allowed[2] = 0.9 * rest[2][:, 0]
    allowed[14] = 0.3 * rest[14][:, 0]
    rig.set_theta(hand, allowed)
    report["inside_limits"] = float(np.abs(seen(hand) - allowed).max())
    bpy.ops.hand_toolkit.toggle_limits(on=False)

    # the left hand's limits are the right hand's, mirrored
    for hand in (right, left):
        controls.set_limits(hand, True)
        theta = poses[1] * 1.5
        rig.set_theta(hand, theta if hand == right else axes.mirror_theta(theta))
    mirrored = axes.mirror_theta(seen(right))
    report["mirrored_limits"] = float(np.abs(mirrored - seen(left)).max())
    for hand in (right, left):
        controls.set_limits(hand, False)

    # mirroring a pose
    bpy.context.view_layer.objects.active = right
    rig.set_theta(right, poses[1], np.array([0.05, 0.01, 0.02]))
    assert bpy.ops.hand_toolkit.mirror_pose() == {"FINISHED"}
    assert np.abs(seen(left) - axes.mirror_theta(poses[1])).max() < 1e-5
    assert np.allclose(rig.get_translation(left), [-0.05, 0.01, 0.02], atol=1e-6)

    # presets and motions of the toolkit
    assert bpy.ops.hand_toolkit.rest_pose(both=True) == {"FINISHED"}
    for name in ("fist", "thumbs_up"):
        assert bpy.ops.hand_toolkit.preset_pose(pose=name, both=True) == {"FINISHED"}
        assert np.abs(axes.mirror_theta(seen(right)) - seen(left)).max() < 1e-5
    assert bpy.ops.hand_toolkit.load_motion(name="open-close") == {"FINISHED"}
    assert scene.frame_end >= 50 and rig.action_curves(right) and rig.action_curves(left)
    report["motion_frames"] = scene.frame_end
    assert "unknown motion" in refused(bpy.ops.hand_toolkit.load_motion, name="moonwalk")
    assert "does not exist" in refused(bpy.ops.hand_toolkit.load_motion, filepath="/no/such.npz")
    for hand in (right, left):
        hand.animation_data.action = None

    # fingertip IK reaches its target
    rig.set_theta(right, np.zeros((16, 3)), np.zeros(3))
    for finger in axes.FINGERS:
        assert bpy.ops.hand_toolkit.fingertip_ik(finger=finger) == {"FINISHED"}
    bpy.context.view_layer.update()
    bone = right.pose.bones["index3.R"]
    target = fingertips.target_of(right, "index")
    assert np.allclose(target.head, bone.tail, atol=1e-5), "it starts at the fingertip"
    assert np.abs(seen(right)).max() < 0.01, "and the finger stays where it was"
    shift = np.array([0.02, -0.03, 0.0])
    target.location = target.bone.matrix_local.to_3x3().transposed() @ Vector(shift)
    bpy.context.view_layer.update()
    gap = np.linalg.norm(np.array(right.pose.bones["index3.R"].tail) - np.array(target.head))
    report["ik_gap_mm"] = float(gap * 1e3)
    flexion = [rest[j][:, 0] @ seen(right)[j] for j in (1, 2, 3)]
    assert max(flexion) > 0.2 and min(flexion) > -0.5, f"the finger bends forward: {flexion}"
    # poses, sliders and rest work on while fingers follow targets
    assert bpy.ops.hand_toolkit.preset_pose(pose="fist") == {"FINISHED"}
    fist = rig.get_theta(right)
    report["ik_preset"] = float(np.abs(seen(right) - fist)[1:].max())
    right[fingertips.blend_name("index")] = 0.0
    right[controls.curl_name("index")] = -0.2
    right.update_tag()
    assert np.abs(seen(right) - fist)[1].max() > 0.1, "the slider bends where the blend is 0"
    right[fingertips.blend_name("index")] = 1.0
    assert bpy.ops.hand_toolkit.rest_pose() == {"FINISHED"}
    report["ik_rest"] = float(np.abs(seen(right))[1:].max())
    assert bpy.ops.hand_toolkit.key_pose() == {"FINISHED"}
    keyed = {c.data_path for c in rig.action_curves(right)}
    assert target.path_from_id("location") in keyed and '["index_ik"]' in keyed
    assert bpy.ops.hand_toolkit.load_motion(name="open-close") == {"FINISHED"}
    assert all(right[fingertips.blend_name(f)] == 0 for f in axes.FINGERS)
    right.animation_data.action = None
    left.animation_data.action = None
    for finger in axes.FINGERS:
        bpy.ops.hand_toolkit.fingertip_ik(finger=finger, on=False)
    assert len(right.data.bones) == 16 and "index_ik" not in right
    rig.set_theta(right, np.zeros((16, 3)), np.zeros(3))

    # a motion on few keys: within its tolerance at every frame, and easy to edit
    motion = np.cumsum(np.cumsum(rng.normal(0, 0.002, (60, 16, 3)), axis=0), axis=0)
    rig.key_motion(right, motion, np.zeros((60, 3)), 1, 24.0, 24.0, 0.5)
    curves = [c for c in rig.action_curves(right) if "index1" in c.data_path]
    report["few_keys"] = max(len(c.keyframe_points) for c in curves)
    point = curves[0].keyframe_points[1]
    assert point.interpolation == "BEZIER" and point.handle_left_type == "AUTO_CLAMPED"
    off = 0.0
    for t in range(60):
        scene.frame_set(1 + t)
        turns = axes.rotvec_to_matrix(seen(right)), axes.rotvec_to_matrix(motion[t])
        off = max(off, np.abs(axes.matrix_to_rotvec(np.swapaxes(turns[0], 1, 2) @ turns[1])).max())
    report["few_keys_degrees"] = float(np.degrees(off))
    right.animation_data.action = None

    # another shape: θ and the bones' axes stay, lengths change
    rig.set_theta(right, poses[0])
    before = np.linalg.norm(np.array(right.data.bones["index1.R"].vector))
    surface = scene_data.surface_of(right)
    names = list(surface["hand_shape_names"])
    report["shape_names"] = names
    longer = next(n for n in names if "index" in n and "length" in n)
    assert bpy.ops.hand_toolkit.apply_shape(values=f"{longer}=3") == {"FINISHED"}
    after = np.linalg.norm(np.array(right.data.bones["index1.R"].vector))
    report["index_grew"] = float(after / before)
    assert after > before * 1.01
    other = np.linalg.norm(np.array(left.data.bones["index1.L"].vector))
    assert abs(other - after) < 1e-5, "both hands have the shape"
    assert bpy.ops.hand_toolkit.apply_shape(values=f"{longer}=0", both=False) == {"FINISHED"}
    assert np.linalg.norm(np.array(left.data.bones["index1.L"].vector)) == other
    assert bpy.ops.hand_toolkit.apply_shape(values=f"{longer}=3") == {"FINISHED"}
    root.color = (0.5, 0.6, 0.7, 1.0)
    graph = bpy.context.evaluated_depsgraph_get()
    for hand in (left, right):
        tone = scene_data.surface_of(hand).evaluated_get(graph).color
        assert np.allclose(tone[:3], root.color[:3], atol=1e-6), "one tone for both"
    assert np.abs(rig.rest_axes(right) - rest).max() < 1e-5
    assert np.abs(seen(right) - poses[0]).max() < 1e-4
    assert "no shape parameter" in refused(bpy.ops.hand_toolkit.apply_shape, values="nose=3")

    # whoever hovers over a setting is told what it does
    for name in dir(bpy.ops.hand_toolkit):
        kind = getattr(bpy.ops.hand_toolkit, name).get_rna_type()
        silent = [p.identifier for p in kind.properties if not (p.description or p.is_hidden)]
        assert silent in ([], ["rna_type"]), (name, silent)

    # without a hand selected the operators say what to do
    bpy.context.view_layer.objects.active = None
    assert "Select a hand first" in refused(bpy.ops.hand_toolkit.key_pose)
    assert root.hand_toolkit.kind == "ROOT"
    return report


scenario(run)
