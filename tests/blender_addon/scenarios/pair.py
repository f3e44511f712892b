"""Both hands in one armature: Blender's own mirroring, and everything that single hands can."""

import collections

import bpy
import numpy as np
from body import body
from common import ARGS, FOLDER, import_hand, refused, scenario
from mathutils import Matrix, Vector

from blender_addon import (
    axes,
    bringing,
    controls,
    exporting,
    fingertips,
    live,
    pair,
    rig,
    scene_data,
)
from blender_addon.base import active_hand
from blender_addon.shown import shown_hands

MIRROR = np.diag([-1.0, 1.0, 1.0])


def seen(hand):
    bpy.context.view_layer.update()
    return rig.get_evaluated_theta(hand)


def select(hand, **options):
    side = pair.side_of(hand)
    assert bpy.ops.hand_toolkit.select_hand(name=hand.name, side=side, **options) == {"FINISHED"}
    assert active_hand(bpy.context) == hand


def hidden_by(root):
    """What the import says of cubes around the hands: none, a new scene's, a room's."""
    said = []
    for size in (None, 2.0, 8.0):
        if size:
            bpy.ops.mesh.primitive_cube_add(size=size)
        told = []
        bringing.warn_if_hidden(bpy.context, root, lambda level, text, told=told: told.append(text))
        said.append(told)
        if size:
            bpy.ops.object.delete()
    root.select_set(True)
    bpy.context.view_layer.objects.active = root
    return said


def run():
    ops, report, scene = bpy.ops.hand_toolkit, {}, bpy.context.scene
    assert ops.import_avatar(filepath=ARGS[0], one_armature=True) == {"FINISHED"}
    root = scene_data.roots(scene)[0]
    right, left = scene_data.rigs_of(root)
    report["hidden by"] = hidden_by(root)
    armature = pair.armature_of(right)
    assert armature == pair.armature_of(left) and len(armature.data.bones) == 2 * len(
        rig.pose_bones(right)
    ) + int(ARGS[2])
    report["standing"] = [rig.get_translation(h)[0] for h in (right, left)]
    for hand in (right, left):
        assert controls.limits_on(hand)
        controls.set_limits(hand, False)

    # at rest the hands are each other's mirror image, bone axes too
    off = 0.0
    for a, b in zip(rig.pose_bones(right), rig.pose_bones(left)):
        one, other = np.array(a.bone.matrix_local), np.array(b.bone.matrix_local)
        off = max(off, np.abs(MIRROR @ one[:3, :3] @ MIRROR - other[:3, :3]).max())
        off = max(off, np.abs(MIRROR @ one[:3, 3] - other[:3, 3]).max())
    report["mirrored rest"] = float(off)

    # θ in and out, skin where the toolkit puts it, keys
    rng = np.random.default_rng(0)
    poses = rng.normal(0, 0.4, (2, 16, 3))
    place = np.array([0.1, 0.2, 0.3])
    for k, hand in enumerate((right, left)):
        rig.set_theta(hand, poses[k], place)
    off = [np.abs(seen(h) - poses[k]).max() for k, h in enumerate((right, left))]
    off += [np.abs(rig.get_theta(h) - poses[k]).max() for k, h in enumerate((right, left))]
    off += [np.abs(rig.get_translation(h) - place).max() for h in (right, left)]
    report["theta"] = float(max(off))
    graph = bpy.context.evaluated_depsgraph_get()
    out = {h.side: h.vertices @ axes.TO_BLENDER for h in shown_hands(graph)}
    np.savez(ARGS[1], right_theta=poses[0], left_theta=poses[1], **out)
    motion = np.cumsum(rng.normal(0, 0.05, (2, 24, 16, 3)), axis=1)
    where = rng.normal(0, 0.05, (2, 24, 3))
    for k, hand in enumerate((right, left)):
        rig.key_motion(hand, motion[k], where[k], 1, 24.0, 24.0)
    scene.frame_set(17)
    report["keyed"] = float(max(np.abs(seen(h) - motion[k, 16]).max()
                                for k, h in enumerate((right, left))))  # fmt: skip
    scene.frame_start, scene.frame_end = 1, 24
    sampled = exporting.sample_motion(bpy.context, root)
    report["exported"] = float(np.abs(sampled["theta"][:, :, 1:16] - motion[:, :, 1:].transpose(
        1, 0, 2, 3)).max())  # fmt: skip
    assert sampled["present"].all()
    assert ops.export(filepath=str(FOLDER / "pair.glb"), format="glb") == {"FINISHED"}

    # another avatar in its place: still one armature, the same keys
    assert ops.replace_avatar(filepath=ARGS[0]) == {"FINISHED"}
    root = scene_data.roots(scene)[0]
    right, left = scene_data.rigs_of(root)
    armature = pair.armature_of(right)
    for hand in (right, left):
        controls.set_limits(hand, False)
    scene.frame_set(17)
    report["replaced"] = float(max(np.abs(seen(h) - motion[k, 16]).max()
                                   for k, h in enumerate((right, left))))  # fmt: skip
    armature.animation_data.action = None

    # Blender's own Paste Flipped
    rig.set_theta(right, poses[0], place)
    select(right, pose_mode=True)
    bpy.ops.pose.select_all(action="SELECT")
    bpy.ops.pose.copy()
    bpy.ops.pose.paste(flipped=True)
    report["flipped"] = float(np.abs(seen(left) - axes.mirror_theta(poses[0])).max())
    report["flipped place"] = float(np.abs(rig.get_translation(left) - MIRROR @ place).max())
    # in pose mode the active bone says which hand is meant
    armature.data.bones.active = rig.pose_bones(left)[2].bone
    assert active_hand(bpy.context) == left
    bpy.ops.object.mode_set(mode="OBJECT")
    assert scene_data.armature_of(scene_data.surface_of(left)) == left
    assert scene_data.splats_of(right) != scene_data.splats_of(left)

    # sliders, limits, presets, mirror, random: of the one hand, or of both
    for hand in (right, left):
        rig.set_theta(hand, np.zeros((16, 3)), rig.standing(hand))
    armature[controls.curl_name("index", right)] = 1.0
    armature.update_tag()
    bent = [float(np.linalg.norm(seen(h)[1])) for h in (right, left)]
    assert bent[0] > 1.2 and bent[1] < 1e-5, bent
    select(right)
    assert ops.reset_sliders() == {"FINISHED"}
    assert ops.toggle_limits(on=True) == {"FINISHED"}
    assert controls.limits_on(right) and not controls.limits_on(left)
    assert ops.toggle_limits(on=False) == {"FINISHED"}
    assert ops.preset_pose(pose="fist", both=True) == {"FINISHED"}
    report["fists"] = float(np.abs(axes.mirror_theta(seen(right)) - seen(left)).max())
    select(left)
    assert ops.preset_pose(pose="flat") == {"FINISHED"}
    assert np.abs(seen(right)[1:]).max() > 0.5, "the other hand keeps its fist"
    assert ops.mirror_pose() == {"FINISHED"}
    assert np.abs(axes.mirror_theta(seen(left)) - seen(right)).max() < 1e-5
    assert ops.random_pose(seed=1) == {"FINISHED"} and ops.rest_pose(both=True) == {"FINISHED"}
    report["rested"] = [rig.get_translation(h)[0] for h in (right, left)]

    # fingertip IK on both
    for hand in (right, left):
        select(hand)
        assert ops.fingertip_ik(finger="index") == {"FINISHED"}
    gaps = []
    for hand in (right, left):
        target = fingertips.target_of(hand, "index")
        turn = target.bone.matrix_local.to_3x3().transposed()
        back = 0.02 if pair.side_of(hand) == "right" else -0.02
        target.location = turn @ Vector((back, -0.03, 0.0))
        bpy.context.view_layer.update()
        tip = rig.pose_bones(hand)[3].tail
        gaps.append(float(np.linalg.norm(np.array(tip) - np.array(target.head)) * 1e3))
    report["ik_mm"] = gaps
    assert ops.key_pose(both=True) == {"FINISHED"}
    keyed = {c.data_path for c in rig.action_curves(armature)}
    assert {'["index_ik.R"]', '["index_ik.L"]', '["thumb_curl.R"]'} <= keyed
    armature.animation_data.action = None
    for hand in (right, left):
        select(hand)
        assert ops.fingertip_ik(finger="index", on=False) == {"FINISHED"}
    assert not [b for b in armature.data.bones if "_ik" in b.name]

    # baking takes controls off both; each hand gets its own again
    select(right)
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.pose.select_all(action="SELECT")
    bpy.ops.nla.bake(
        frame_start=1, frame_end=2, visual_keying=True, clear_constraints=True, bake_types={"POSE"}
    )
    bpy.ops.object.mode_set(mode="OBJECT")
    assert not controls.complete(right) and not controls.complete(left)
    assert ops.restore_controls() == {"FINISHED"}
    assert controls.complete(right) and not controls.complete(left)
    select(left)
    assert ops.restore_controls() == {"FINISHED"} and controls.complete(left)
    armature.animation_data.action = None
    assert ops.load_motion(name="wave") == {"FINISHED"}
    assert len(rig.action_curves(armature)) >= 2 * 64
    armature.animation_data.action = None

    # another shape: both hands, still mirrored
    names = list(scene_data.surface_of(right)["hand_shape_names"])
    longer = next(n for n in names if "index" in n and "length" in n)
    for hand in (right, left):
        rig.set_theta(hand, np.zeros((16, 3)), rig.standing(hand))
    before = rig.pose_bones(left)[1].bone.length
    assert ops.apply_shape(values=f"{longer}=3") == {"FINISHED"}
    report["grew"] = rig.pose_bones(left)[1].bone.length / before
    heads = [np.array(rig.pose_bones(h)[3].bone.head_local) for h in (right, left)]
    report["shaped"] = float(np.abs(MIRROR @ heads[0] - heads[1]).max())

    # on a body, and off again
    select(right)
    one = body(1.0, True)
    select(right)
    assert ops.attach(both=True) == {"FINISHED"}
    pose = one.pose.bones["forearm.R"]
    pose.rotation_mode = "XYZ"
    for turn in (0.0, 0.7):
        pose.rotation_euler = (0.0, 0.0, turn)
        bpy.context.view_layer.update()
        off = []
        for hand, name in ((right, "hand.R"), (left, "hand.L")):
            bones = rig.pose_bones(hand)
            wrist = np.array(armature.matrix_world @ bones[0].head)
            knuckle = np.array(armature.matrix_world @ bones[4].head)
            there = one.pose.bones[name]
            middle = one.pose.bones[f"f_middle.01{name[-2:]}"]
            off += [np.linalg.norm(wrist - np.array(one.matrix_world @ there.head))]
            off += [np.linalg.norm(knuckle - np.array(one.matrix_world @ middle.head))]
        report[f"on the body {turn}"] = float(max(off))
    assert scene_data.attached(right) and scene_data.attached(left)
    before = np.array(armature.matrix_world @ rig.pose_bones(right)[0].matrix)
    select(right)
    assert ops.detach() == {"FINISHED"}
    bpy.context.view_layer.update()
    after = np.array(armature.matrix_world @ rig.pose_bones(right)[0].matrix)
    report["detached"] = float(np.abs(before - after).max())
    assert not scene_data.attached(right) and scene_data.attached(left)
    select(left)
    assert ops.detach() == {"FINISHED"} and not pair.follows(left)
    assert "is on no body" in refused(ops.detach)

    # around a cup, and live
    bpy.data.objects.remove(one)
    armature.matrix_world = root.matrix_world @ Matrix(axes.TO_BLENDER.tolist()).to_4x4()
    for hand in (right, left):
        rig.set_theta(hand, np.zeros((16, 3)), rig.home(hand))
    bpy.context.view_layer.update()
    bpy.ops.mesh.primitive_cylinder_add(radius=0.033, depth=0.12)
    cup = bpy.context.object
    shift = rig.home(left) + np.array([0.085, -0.062, 0.0])
    cup.matrix_world = armature.matrix_world @ Matrix.Translation(shift.tolist())
    select(left)
    assert ops.grasp(target=cup.name) == {"FINISHED"}
    assert np.abs(seen(left)[1:]).max() > 0.4 and np.abs(seen(right)).max() < 1e-5
    theta = poses[1].tolist()
    frame = {"seconds": 0.0, "hands": {"left": {"theta": theta, "translation": [0, 0, 0.5]}}}
    session = live.Session(root, Waiting(), "CAMERA")
    session._request.news.append((0.0, frame))
    session.step(bpy.context)
    report["live"] = float(np.abs(rig.get_theta(left) - poses[1]).max())
    bpy.context.view_layer.update()
    assert np.allclose(rig.get_translation(left), [0, 0, 0.5], atol=1e-6)
    live.forget()

    # without the option nothing changes; hands of one side have nothing to share
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "pair.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(FOLDER / "pair.blend"))
    root = scene_data.roots(bpy.context.scene)[0]
    assert [pair.side_of(h) for h in scene_data.rigs_of(root)] == ["right", "left"]
    select(scene_data.rigs_of(root)[1])
    assert ops.remove_avatar() == {"FINISHED"} and not bpy.data.armatures
    import_hand(ARGS[0])
    assert not any(pair.is_pair(r) for r in bpy.data.objects)
    return report


class Waiting:
    """A request that still runs."""

    def __init__(self):
        self.news, self.done, self.message = collections.deque(), False, ""

    def cancel(self):
        self.done = True


if __name__ == "__main__":
    scenario(run)
