"""The artist's whole way: a picture, an avatar, three keyed poses, frames, save, reopen."""

import glob
import shutil
from itertools import pairwise

import bpy
import numpy as np
from common import ARGS, FOLDER, load_pixels, scenario

from blender_addon import axes, link, rig, scene_data


def run():
    scene = bpy.context.scene
    output = FOLDER / "me.hand"
    create = bpy.ops.hand_toolkit.create_from_image
    assert create(filepath=ARGS[0], output=str(output), quality="draft") == {"FINISHED"}
    assert output.is_file()
    root = scene_data.roots(scene)[0]
    rigs = {r.hand_toolkit.side: r for r in scene_data.rigs_of(root)}
    report = {"sides": sorted(rigs), "info": root.hand_toolkit.info}
    assert bpy.ops.hand_toolkit.test_connection() == {"FINISHED"}
    assert link.offers() is not None, "what was asked is kept"
    report["formats"] = [f["name"] for f in link.offers()["formats"]]
    assert bpy.ops.hand_toolkit.use_engine() == {"FINISHED"}
    scene.render.resolution_x, scene.render.resolution_y = 320, 240

    thetas = {}
    for frame, pose in ((1, "flat"), (5, "pinch"), (9, "fist")):
        scene.frame_set(frame)
        assert bpy.ops.hand_toolkit.preset_pose(pose=pose, both=True) == {"FINISHED"}
        assert bpy.ops.hand_toolkit.key_pose(both=True) == {"FINISHED"}
        thetas[frame] = {side: rig.get_theta(hand) for side, hand in rigs.items()}
    worst = 0.0
    for frame, by_side in thetas.items():
        scene.frame_set(frame)
        for side, hand in rigs.items():
            worst = max(worst, np.abs(rig.get_evaluated_theta(hand) - by_side[side]).max())
    report["keys_worst"] = float(worst)
    scene.frame_start, scene.frame_end, scene.frame_step = 1, 9, 2
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode = "PNG", "RGBA"
    scene.render.filepath = str(FOLDER / "whole_")
    bpy.ops.render.render(animation=True)
    names = sorted(glob.glob(str(FOLDER / "whole_*.png")))
    frames = [load_pixels(name) for name in names]
    report["frames"] = len(frames)
    report["covered"] = [float((f[..., 3] > 0.5).mean()) for f in frames]
    report["changes"] = [float(np.abs(a - b).mean()) for a, b in pairwise(frames)]

    # at rest the hands show the side that the photo shows, which is their back, thumbs inside
    assert bpy.ops.hand_toolkit.rest_pose(both=True) == {"FINISHED"}
    bpy.context.view_layer.update()
    report["front"] = {}
    for side, hand in rigs.items():
        turn = np.array(hand.matrix_world.to_3x3()) @ np.array(hand.pose.bones[0].matrix.to_3x3())
        palm = turn @ rig.rest_axes(hand)[0].T @ axes.PALM
        thumb = hand.matrix_world @ rig.pose_bones(hand)[15].head
        report["front"][side] = [float(palm[1]), float(hand.location.x), float(thumb.x)]

    # the pose and place of the photo, seen by its camera
    bpy.ops.hand_toolkit.select_hand(name=rigs["right"].name)
    assert bpy.ops.hand_toolkit.photo_pose(camera=True) == {"FINISHED"}
    assert bpy.ops.hand_toolkit.key_pose(both=True) == {"FINISHED"}
    surfaces = [scene_data.surface_of(r) for r in rigs.values()]
    report["observed"] = sum(s["hand_observed"] for s in surfaces)
    for surface in surfaces:
        surface.hide_render = not surface["hand_observed"]
    scene.render.filepath = str(FOLDER / "as_photo.png")
    bpy.ops.render.render(write_still=True)
    report["as_photo"] = list(load_pixels(FOLDER / "as_photo.png").shape)

    for surface in surfaces:
        surface.hide_render = False

    # what other programs get
    scene.frame_end = 5
    target = FOLDER / "moving.glb"
    done = bpy.ops.hand_toolkit.export(filepath=str(target), format="glb", what="mesh")
    assert done == {"FINISHED"}
    report["glb"] = target.stat().st_size

    # pose from a picture: that of the photo the avatar was made from
    hand = next(r for r in rigs.values() if scene_data.surface_of(r)["hand_observed"])
    source = np.array(scene_data.surface_of(hand)["hand_source_theta"]).reshape(16, 3)
    rig.set_theta(hand, np.zeros((16, 3)))
    assert bpy.ops.hand_toolkit.pose_from_image(filepath=ARGS[0]) == {"FINISHED"}
    report["from_image"] = float(np.abs(rig.get_theta(hand) - source)[1:].mean())

    blend = FOLDER / "whole.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    root = scene_data.roots(bpy.context.scene)[0]
    report["reopened"] = [r.name for r in scene_data.rigs_of(root)]
    assert root.hand_toolkit.path == "//me.hand"
    hand = scene_data.rigs_of(root)[0]
    bpy.context.scene.frame_set(5)
    back = rig.get_theta(hand)
    report["reopened_worst"] = float(np.abs(back - thetas[5][hand.hand_toolkit.side]).max())

    # a motion from moving pictures: keys on every one of them
    moving = FOLDER / "moving"
    moving.mkdir()
    for k in range(3):
        shutil.copy(ARGS[0], moving / f"frame{k}.jpg")
    hand = next(r for r in scene_data.rigs_of(root) if scene_data.surface_of(r)["hand_observed"])
    hand.animation_data.action = None
    bpy.ops.hand_toolkit.select_hand(name=hand.name)
    assert bpy.ops.hand_toolkit.pose_from_video(filepath=str(moving), keys="EVERY") == {"FINISHED"}
    curve = rig.action_curves(hand)[0]
    report["from_video"] = len(curve.keyframe_points)
    bpy.context.scene.frame_set(2)
    report["video_pose"] = float(np.abs(rig.get_theta(hand) - source)[1:].mean())

    report["joints"] = len(axes.JOINTS)
    return report


scenario(run)
