# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that pose and animate the selected avatar."""

from __future__ import annotations

import os

import bpy
import numpy as np

from . import axes, controls, fingertips, forearm, link, pair, rig, scene_data
from .base import HandOperator, NeedsHand, WorkerOperator, active_hand
from .errors import HandError

PRESETS = ("flat", "relaxed", "fist", "pinch", "point", "victory", "thumbs_up")
MOTIONS = ("open-close", "finger-count", "wave", "pinch", "clasp")
FINGER_ITEMS = tuple((f, f.capitalize(), f"The {f}") for f in axes.FINGERS)
PLACES = (
    ("KEEP", "Keep", "Leave the hands where they are, take only rotations"),
    ("CENTER", "Around the avatar", "Move the hands relative to each other, around the avatar"),
    (
        "CAMERA",
        "As seen",
        "Place the hands before the avatar's origin as they are before the camera",
    ),
)
KEYS = (
    ("FEW", "Few", "Smooth curves through few keys, within half a degree of every frame: to edit"),
    ("EVERY", "Every frame", "A key on every frame of the motion, exact"),
)
FEW_KEYS_DEGREES = 0.5
KEYS_HELP = "How many keys are set"
FINGER_JOINTS = tuple(range(1, 16))
BOTH = "Every hand of the avatar, not only the selected one"
PLACE = "What happens to the places of the wrists"


def _both_or_one(context, both):
    """The rigs that an operator works on.

    Args:
        context: of the operator.
        both: every hand of the avatar instead of the selected one.
    """
    chosen = active_hand(context)
    return scene_data.rigs_of(scene_data.root_of(chosen)) if both else [chosen]


def posed(context, hand, joints=None):
    """After a pose was set: IK targets come along, and it is keyed where auto-keying is on."""
    fingertips.place(context, hand)
    if context.scene.tool_settings.use_keyframe_insert_auto:
        rig.insert_keys(hand, context.scene.frame_current, joints)
        fingertips.key(hand, context.scene.frame_current)


class HAND_TOOLKIT_OT_rest_pose(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.rest_pose"
    bl_label = "Rest Pose"
    bl_description = "Flat hand, upright, all sliders at zero"

    both: bpy.props.BoolProperty(name="Both hands", description=BOTH, default=False)
    wrist: bpy.props.BoolProperty(
        name="Wrist too", description="Off leaves the wrist where it is", default=True
    )

    def run(self, context):
        for hand in _both_or_one(context, self.both):
            theta = np.zeros((16, 3))
            back = bool(scene_data.root_of(hand).get(scene_data.BACK, False))
            theta[0] = axes.display_theta(pair.side_of(hand), back)
            joints = None if self.wrist else FINGER_JOINTS
            rig.set_theta(hand, theta, rig.standing(hand) if self.wrist else None, joints)
            controls.reset_sliders(hand)
            posed(context, hand, joints)


class HAND_TOOLKIT_OT_preset_pose(NeedsHand, WorkerOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.preset_pose"
    bl_label = "Preset Pose"
    bl_description = "Give the fingers a pose of the toolkit; the wrist stays"
    title = "Posing"

    pose: bpy.props.EnumProperty(
        name="Pose",
        description="What the fingers do",
        items=[(n, n.replace("_", " ").capitalize(), f"Fingers as in '{n}'") for n in PRESETS],
    )
    both: bpy.props.BoolProperty(name="Both hands", description=BOTH, default=False)

    def invoke(self, context, event):
        return self.execute(context)  # the answer comes in milliseconds, or was asked for before

    def ask(self, context):
        # with the avatar's own shape the pose ends where skin meets skin
        root = scene_data.root_of(active_hand(context))
        return "motion", {"name": self.pose, "key": link.open_avatar(root)}, None

    def take(self, context, value, arrays):
        for hand in _both_or_one(context, self.both):
            theta = arrays["theta"][0, axes.SIDES.index(pair.side_of(hand))]
            rig.set_theta(hand, theta, None, FINGER_JOINTS)
            posed(context, hand, FINGER_JOINTS)


class HAND_TOOLKIT_OT_mirror_pose(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.mirror_pose"
    bl_label = "Mirror to Other Hand"
    bl_description = "Give the avatar's other hand the mirror image of this hand's pose"

    @classmethod
    def poll(cls, context):
        if not NeedsHand.poll.__func__(cls, context):
            return False
        if rig.other_rig(active_hand(context)) is None:
            cls.poll_message_set("This avatar has one hand only")
            return False
        return True

    def run(self, context):
        source = active_hand(context)
        target = rig.other_rig(source)
        rig.mirror_to(source, target)
        controls.reset_sliders(target)
        posed(context, target)


class HAND_TOOLKIT_OT_key_pose(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.key_pose"
    bl_label = "Key Pose"
    bl_description = "Key all bones and sliders of the hand at the current frame"

    both: bpy.props.BoolProperty(name="Both hands", description=BOTH, default=False)

    def run(self, context):
        frame = context.scene.frame_current
        for hand in _both_or_one(context, self.both):
            rig.insert_keys(hand, frame)
            fingertips.key(hand, frame)
            for finger in axes.FINGERS:
                for name in (controls.curl_name(finger, hand), controls.spread_name(finger, hand)):
                    hand.keyframe_insert(f'["{name}"]', frame=frame, group="Sliders")


class HAND_TOOLKIT_OT_reset_sliders(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.reset_sliders"
    bl_label = "Reset Sliders"
    bl_description = "Curl and spread of all fingers to zero; keyed rotations stay"

    def run(self, context):
        hand = active_hand(context)
        controls.restore(hand)
        controls.reset_sliders(hand)


class HAND_TOOLKIT_OT_restore_controls(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.restore_controls"
    bl_label = "Restore Sliders and Limits"
    bl_description = (
        "Make the sliders and joint limits anew after Bake Action took them off; what was baked "
        "into keys stays there, and the sliders begin at zero"
    )

    def run(self, context):
        controls.restore(active_hand(context))


class HAND_TOOLKIT_OT_hold_forearm(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.hold_forearm"
    bl_label = "Hold Forearm"
    bl_description = "Keep the forearm's direction while the wrist is turned, or let it follow"

    on: bpy.props.BoolProperty(
        name="Hold", description="Off lets it follow the hand again", default=True
    )

    def run(self, context):
        hand = active_hand(context)
        if forearm.bone_of(hand) is None:
            raise HandError(
                "this hand ends at the wrist; fit the picture with the option 'forearm' on"
            )
        forearm.hold(hand, self.on)


class HAND_TOOLKIT_OT_toggle_limits(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.toggle_limits"
    bl_label = "Joint Limits"
    bl_description = "Keep every joint within the range of a human hand"

    on: bpy.props.BoolProperty(name="On", description="Off lets joints turn freely", default=True)

    def run(self, context):
        hand = active_hand(context)
        controls.restore(hand)
        controls.set_limits(hand, self.on)


class HAND_TOOLKIT_OT_fingertip_ik(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.fingertip_ik"
    bl_label = "Fingertip IK"
    bl_description = "Add or remove a target that the fingertip follows"

    finger: bpy.props.EnumProperty(
        name="Finger", description="The finger that follows a target", items=FINGER_ITEMS
    )
    on: bpy.props.BoolProperty(name="On", description="Off removes the target", default=True)

    def run(self, context):
        hand = active_hand(context)
        if self.on:
            fingertips.add(context, hand, self.finger)
        else:
            fingertips.remove(context, hand, self.finger)


class MotionOperator(NeedsHand, WorkerOperator):
    """Keys what the worker answers onto the hands of the avatar."""

    def key(self, context, value, arrays, place, one_frame):
        root = scene_data.root_of(active_hand(context))
        present, theta, where = arrays["present"], arrays["theta"], arrays["translation"]
        start = context.scene.frame_current if one_frame else context.scene.frame_start
        scene_fps = context.scene.render.fps / context.scene.render.fps_base
        last, used, let_go = float(start), [], set()
        first = [where[np.argmax(present[:, k]), k] for k in (0, 1) if present[:, k].any()]
        if not first:
            raise HandError("no hand was found in it; choose another file")
        origin = np.mean(first, axis=0) if place == "CENTER" else np.zeros(3)
        for hand in scene_data.rigs_of(root):
            k = axes.SIDES.index(pair.side_of(hand))
            seen = np.flatnonzero(present[:, k])
            if not len(seen):
                continue
            used.append(pair.side_of(hand))
            turned = theta[:, k]
            if scene_data.attached(hand):  # the body's bone turns the wrist already
                turned = turned.copy()
                turned[:, 0] = rig.get_theta(hand)[0]
            moved = None
            if place != "KEEP":
                moved = where[:, k] - origin if scene_data.at_origin(hand) else None
            if one_frame:
                rig.set_theta(hand, turned[seen[0]], None if moved is None else moved[seen[0]])
                posed(context, hand)
                continue
            let_go |= set(fingertips.let_go(hand, start))
            span = slice(seen[0], seen[-1] + 1)
            begin = start + seen[0] * scene_fps / value["fps"]
            last = max(
                last,
                rig.key_motion(
                    hand,
                    turned[span],
                    None if moved is None else moved[span],
                    begin,
                    value["fps"],
                    scene_fps,
                    self.tolerance() if value["fps"] > 1.0 else None,
                ),
            )
        if not used:
            raise HandError("it shows only a hand that this avatar does not have")
        if not one_frame:
            context.scene.frame_end = max(context.scene.frame_end, int(np.ceil(last)))
            context.scene.frame_set(context.scene.frame_current)
        text = f"{value['name']}: {len(theta)} frames on the {' and '.join(used)} hand"
        if let_go:
            text += f"; the fingertip IK of {', '.join(sorted(let_go))} is at 0 for it"
        self.report({"INFO"}, text)

    def tolerance(self):
        """Degrees that few keys may be off, or None for a key on every frame."""
        return None if self.keys == "EVERY" else FEW_KEYS_DEGREES


def _file_of(path, what):
    full = bpy.path.abspath(path)
    if not os.path.exists(full):
        raise HandError(f"the {what} {full or '(none was chosen)'} does not exist; choose another")
    return full


class HAND_TOOLKIT_OT_load_motion(MotionOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.load_motion"
    bl_label = "Load Motion"
    bl_description = "Key a motion of the toolkit, or a motion file (.npz), onto the hands"
    title = "Loading the motion"

    filepath: bpy.props.StringProperty(
        name="File", description="Motion file (.npz)", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )
    filter_glob: bpy.props.StringProperty(default="*.npz", options={"HIDDEN"})
    name: bpy.props.StringProperty(
        name="Motion",
        description="A motion that comes with the toolkit, instead of a file",
        options={"SKIP_SAVE"},
    )
    place: bpy.props.EnumProperty(name="Place", description=PLACE, items=PLACES, default="KEEP")
    keys: bpy.props.EnumProperty(name="Keys", description=KEYS_HELP, items=KEYS, default="FEW")

    def invoke(self, context, event):
        self.interactive = True
        if self.name or self.filepath:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def ask(self, context):
        if self.name:
            root = scene_data.root_of(active_hand(context))
            return "motion", {"name": self.name, "key": link.open_avatar(root)}, None
        root = scene_data.root_of(active_hand(context))
        params = {"path": _file_of(self.filepath, "motion file"), "key": link.open_avatar(root)}
        return "motion", params, None

    def take(self, context, value, arrays):
        self.key(context, value, arrays, self.place, len(arrays["theta"]) == 1)


class PoseFromFile(MotionOperator):
    """Asks the worker for the θ of a picture or a video."""

    still = True

    def invoke(self, context, event):
        self.interactive = True
        if self.filepath:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def ask(self, context):
        what = "picture" if self.still else "video"
        return "pose", {"path": _file_of(self.filepath, what)}, None

    def take(self, context, value, arrays):
        self.key(context, value, arrays, self.place, self.still)


class HAND_TOOLKIT_OT_pose_from_image(PoseFromFile, bpy.types.Operator):
    bl_idname = "hand_toolkit.pose_from_image"
    bl_label = "Pose from Image"
    bl_description = "Take the pose of the hand in a picture"
    title = "Reading the pose"

    filepath: bpy.props.StringProperty(
        name="Picture",
        description="A picture of a hand",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    filter_glob: bpy.props.StringProperty(
        default="*.jpg;*.jpeg;*.png;*.webp;*.bmp;*.tif;*.tiff", options={"HIDDEN"}
    )
    place: bpy.props.EnumProperty(name="Place", description=PLACE, items=PLACES, default="KEEP")


class HAND_TOOLKIT_OT_pose_from_video(PoseFromFile, bpy.types.Operator):
    bl_idname = "hand_toolkit.pose_from_video"
    bl_label = "Pose from Video"
    bl_description = "Key the motion of the hands in a video, or in a folder of pictures"
    title = "Reading the motion"
    still = False

    filepath: bpy.props.StringProperty(
        name="Video",
        description="A video of hands, or a folder of pictures",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    filter_glob: bpy.props.StringProperty(
        default="*.mp4;*.mov;*.avi;*.mkv;*.webm", options={"HIDDEN"}
    )
    place: bpy.props.EnumProperty(name="Place", description=PLACE, items=PLACES, default="CENTER")
    keys: bpy.props.EnumProperty(name="Keys", description=KEYS_HELP, items=KEYS, default="FEW")


class HAND_TOOLKIT_OT_photo_pose(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.photo_pose"
    bl_label = "Pose as in the Photo"
    bl_description = "The pose of the photo that the avatar was made from, before a camera like its"

    camera: bpy.props.BoolProperty(
        name="Add camera", description="With the photo's field of view and size", default=False
    )

    def run(self, context):
        root = scene_data.root_of(active_hand(context))
        for hand in scene_data.rigs_of(root):
            surface = scene_data.surface_of(hand)
            theta = np.array(surface["hand_source_theta"]).reshape(-1, 3)
            where = (
                np.array(surface["hand_source_translation"]) if scene_data.at_origin(hand) else None
            )
            rig.set_theta(hand, theta, where)
            posed(context, hand)
        if self.camera:
            add_photo_camera(context, root)


def add_photo_camera(context, root):
    """A camera at the avatar's origin with the photo's field of view and centre."""
    import math

    data = bpy.data.cameras.new(f"{root.name} photo")
    ob = bpy.data.objects.new(data.name, data)
    context.collection.objects.link(ob)
    ob.parent = root
    ob.rotation_euler = (math.pi / 2, 0.0, 0.0)  # along +y, z up
    fx, cx, cy, width, height = (root[f"photo_{k}"] for k in ("fx", "cx", "cy", "width", "height"))
    data.sensor_fit = "HORIZONTAL"
    data.sensor_width = 36.0
    data.lens = fx * 36.0 / width
    data.shift_x = (width / 2 - cx) / width
    data.shift_y = (cy - height / 2) / width
    data.clip_start = 0.01
    data.display_size = 0.1
    context.scene.camera = ob
    context.scene.render.resolution_x, context.scene.render.resolution_y = int(width), int(height)
    return ob


CLASSES = (
    HAND_TOOLKIT_OT_rest_pose,
    HAND_TOOLKIT_OT_preset_pose,
    HAND_TOOLKIT_OT_mirror_pose,
    HAND_TOOLKIT_OT_key_pose,
    HAND_TOOLKIT_OT_reset_sliders,
    HAND_TOOLKIT_OT_restore_controls,
    HAND_TOOLKIT_OT_hold_forearm,
    HAND_TOOLKIT_OT_toggle_limits,
    HAND_TOOLKIT_OT_fingertip_ik,
    HAND_TOOLKIT_OT_load_motion,
    HAND_TOOLKIT_OT_pose_from_image,
    HAND_TOOLKIT_OT_pose_from_video,
    HAND_TOOLKIT_OT_photo_pose,
)
