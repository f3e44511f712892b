# SPDX-License-Identifier: GPL-3.0-or-later
"""θ in and out of the armature: poses, keyframes, mirroring. See axes.py for the map."""

from __future__ import annotations

from itertools import pairwise

import bpy
import numpy as np

from . import axes, forearm, pair, scene_data
from .bones import pose_bones, rest_axes, set_rotation


def set_theta(rig, theta, translation=None, joints=None):
    """Pose the bones.

    Args:
        rig: the armature.
        theta: (16, 3) MANO θ, radians; (17, 3) turns the forearm too.
        translation: (3,) wrist position in the armature's axes, metres; None leaves it.
        joints: indices of the joints to set; None sets all.
    """
    rest = rest_axes(rig)
    theta = np.asarray(theta, np.float64)
    if len(theta) == 17:
        forearm.set_rotation(rig, theta[16])
    local = axes.theta_to_local(theta[:16], rest)
    for joint, bone in enumerate(pose_bones(rig)):
        if joints is not None and joint not in joints:
            continue
        set_rotation(bone, axes.rotvec_to_quat(local[joint]))
    if translation is not None:
        pose_bones(rig)[0].location = rest[0].T @ (np.asarray(translation, float) - home(rig))


def home(rig):
    """(3,) where the wrist rests, in the armature's axes: the origin, or its side of a pair's."""
    return np.array(pose_bones(rig)[0].bone.head_local, np.float64)


def standing(rig):
    """(3,) where *Rest* puts the wrist: of a pair, on the side from which the hand is seen."""
    if not pair.is_pair(rig):
        return home(rig)
    root = scene_data.root_of(rig)
    return home(rig) * (-1.0 if root.get(scene_data.BACK, False) else 1.0)


def get_theta(rig):
    """θ (16, 3) of the keyed bone rotations, without sliders, limits and IK."""
    local = np.array(
        [axes.quat_to_rotvec(np.array(b.matrix_basis.to_quaternion())) for b in pose_bones(rig)]
    )
    return axes.local_to_theta(local, rest_axes(rig))


def get_evaluated_theta(rig):
    """θ (16, 3) of the pose that is seen: sliders, limits and IK included."""
    rest = rest_axes(rig)
    posed = np.array(
        [np.array(b.matrix.to_quaternion().to_matrix(), np.float64) for b in pose_bones(rig)]
    )
    # what the joint did in the hand's axes: pose times inverse rest, relative to its parent
    turned = posed @ np.swapaxes(rest, 1, 2)
    local = turned.copy()
    for joint, parent in enumerate(axes.PARENTS):
        if parent >= 0:
            local[joint] = turned[parent].T @ turned[joint]
    return axes.matrix_to_rotvec(local)


def get_translation(rig):
    """Wrist position (3,) in the rig's axes, metres, that is seen."""
    return np.array(pose_bones(rig)[0].head, np.float64)


def insert_keys(rig, frame, joints=None, location=True):
    """Key the rotations (and the wrist's place) at ``frame``."""
    _own_action(rig)
    for joint, bone in enumerate(pose_bones(rig)):
        if joints is not None and joint not in joints:
            continue
        path = {
            "QUATERNION": "rotation_quaternion",
            "AXIS_ANGLE": "rotation_axis_angle",
        }.get(bone.rotation_mode, "rotation_euler")
        bone.keyframe_insert(path, frame=frame, group=bone.name)
        if joint == 0 and location:
            bone.keyframe_insert("location", frame=frame, group=bone.name)
    arm = forearm.bone_of(rig)
    if arm is not None and joints is None:
        arm.keyframe_insert("rotation_quaternion", frame=frame, group=arm.name)


def key_motion(rig, theta, translation, start, fps, scene_fps, tolerance=None):
    """Key a whole motion, several thousand frames in a moment.

    Args:
        rig: the armature.
        theta: (T, 16, 3), (T, 17, 3) with the forearm's.
        translation: (T, 3) or None.
        start: first frame.
        fps: of the motion.
        scene_fps: of the scene; keys land between whole frames where the rates differ.
        tolerance: degrees that few keys with auto-clamped handles may be off; None sets a key on
            every frame, joined by straight lines.

    Returns:
        The last frame.
    """
    rest = rest_axes(rig)
    frames = start + np.arange(len(theta)) * (scene_fps / fps)
    quats = axes.rotvec_to_quat(axes.theta_to_local(theta[:, :16], rest))
    arm = forearm.bone_of(rig) if theta.shape[1] == 17 else None
    bones = pose_bones(rig)
    if arm is not None:
        turned = axes.rotvec_to_quat(forearm.to_local(rig, theta[:, 16]))
        quats, bones = np.concatenate([quats, turned[:, None]], axis=1), [*bones, arm]
    for t in range(1, len(quats)):  # neighbours on one hemisphere, or keys take the long way
        flip = np.sum(quats[t] * quats[t - 1], axis=-1) < 0
        quats[t][flip] *= -1
    set_theta(rig, theta[0], None if translation is None else translation[0])
    # One key each through Blender's own API makes the action, its slot and its layers in every
    # version; the rest of the keys is filled in bulk.
    for bone in pose_bones(rig):
        bone.rotation_mode = "QUATERNION"
    insert_keys(rig, float(frames[0]), location=translation is not None)
    curves = {(c.data_path, c.array_index): c for c in action_curves(rig)}
    for joint, bone in enumerate(bones):
        path = bone.path_from_id("rotation_quaternion")
        parts = [curves[path, k] for k in range(4)]
        _fill(parts, frames, quats[:, joint], tolerance and np.radians(tolerance) / 2)
    if translation is not None:
        where = (np.asarray(translation) - home(rig)) @ rest[0]
        path = pose_bones(rig)[0].path_from_id("location")
        _fill([curves[path, k] for k in range(3)], frames, where, tolerance and FEW_KEYS_METRES)
    return float(frames[-1])


def action_curves(rig):
    """The F-curves of the rig's action, in layered actions too."""
    return [curve for holder in _curve_holders(rig) for curve in holder]


def remove_curves(rig, paths):
    """Take the F-curves of data paths out of the rig's action."""
    for holder in _curve_holders(rig):
        for curve in [c for c in holder if c.data_path in paths]:
            holder.remove(curve)


def _curve_holders(rig):
    """The collections of F-curves that animate the rig."""
    animation = rig.animation_data
    if animation is None or animation.action is None:
        return []
    action = animation.action
    if not hasattr(action, "layers"):
        return [action.fcurves]
    slot = animation.action_slot
    bags = [strip.channelbag(slot) for layer in action.layers for strip in layer.strips]
    return [bag.fcurves for bag in bags if bag is not None]


FEW_KEYS_METRES = 0.0005
"""How far the wrist may be off its place under few keys."""


def _fill(curves, frames, values, tolerance):
    """Replace the keys within the span of ``frames``; keys outside stay.

    Args:
        curves: C curves of one property.
        frames: (T,).
        values: (T, C).
        tolerance: greatest length of the difference at any frame, or None for all frames.
    """
    if tolerance is None:
        for curve, column in zip(curves, values.T):
            _set_keys(curve, frames, column, "LINEAR")
        return
    keep = _corners(frames, values, 4 * tolerance)
    while True:
        for curve, column in zip(curves, values.T):
            _set_keys(curve, frames[keep], column[keep], "BEZIER")
        found = np.array([[curve.evaluate(f) for curve in curves] for f in frames])
        error = np.linalg.norm(found - values, axis=1)
        error[keep] = 0.0
        worst = _peaks(error, keep, tolerance)
        if not len(worst):
            return
        keep = np.union1d(keep, worst)


def _corners(frames, values, tolerance):
    """Indices of the frames that straight lines need: Ramer, Douglas and Peucker's."""
    keep, spans = {0, len(frames) - 1}, [(0, len(frames) - 1)]
    while spans:
        low, high = spans.pop()
        if high - low < 2:
            continue
        t = ((frames[low : high + 1] - frames[low]) / (frames[high] - frames[low]))[:, None]
        line = values[low] + t * (values[high] - values[low])
        error = np.linalg.norm(values[low : high + 1] - line, axis=1)
        worst = int(np.argmax(error))
        if error[worst] > tolerance:
            keep.add(low + worst)
            spans += [(low, low + worst), (low + worst, high)]
    return np.array(sorted(keep))


def _peaks(error, keep, tolerance):
    """The worst frame between each two keys where it is beyond ``tolerance``."""
    found = []
    for low, high in pairwise(keep):
        if high - low > 1:
            worst = low + 1 + int(np.argmax(error[low + 1 : high]))
            if error[worst] > tolerance:
                found.append(worst)
    return np.array(found, int)


def _set_keys(curve, frames, values, interpolation):
    points = curve.keyframe_points
    old = np.empty(2 * len(points), np.float32)
    points.foreach_get("co", old)
    old = old.reshape(-1, 2)
    keep = old[(old[:, 0] < frames[0] - 1e-4) | (old[:, 0] > frames[-1] + 1e-4)]
    new = np.column_stack([frames, values]).astype(np.float32)
    table = np.concatenate([keep, new])
    table = table[np.argsort(table[:, 0], kind="stable")]
    points.clear()
    points.add(len(table))
    points.foreach_set("co", table.ravel())
    kinds = bpy.types.Keyframe.bl_rna.properties
    wanted = {"interpolation": interpolation}
    wanted |= {f"handle_{side}_type": "AUTO_CLAMPED" for side in ("left", "right")}
    for name, value in wanted.items():
        number = kinds[name].enum_items[value].value
        points.foreach_set(name, np.full(len(table), number, np.int32))
    curve.update()


def mirror_to(source, target):
    """Give ``target`` (the other hand) the mirrored pose of ``source``."""
    theta = axes.mirror_theta(get_evaluated_theta(source))
    place = get_translation(source) * np.array([-1.0, 1.0, 1.0])
    arm = forearm.rotation(source)
    if arm is not None:
        theta = np.concatenate([theta, axes.mirror_theta(arm)[None]])
    set_theta(target, theta, place)


def other_rig(rig):
    """The other hand of the same avatar, or None."""
    root = scene_data.root_of(rig)
    side = pair.side_of(rig)
    others = [r for r in scene_data.rigs_of(root) if pair.side_of(r) != side] if root else []
    return others[0] if others else None


def take_over(before, after):
    """Give the rig ``after`` the place, pose, action and sliders of ``before``.

    Bone axes differ a little between avatars, so keys are rewritten through θ.
    """
    if before.parent is not None and before.parent != before.hand_toolkit.root:
        after.parent, after.parent_type = before.parent, before.parent_type
        after.parent_bone = before.parent_bone
        after.matrix_parent_inverse = before.matrix_parent_inverse.copy()
    after.matrix_basis = before.matrix_basis.copy()
    for old, new in zip(pose_bones(before), pose_bones(after)):
        if old.name != new.name:  # keys know bones by their names
            new.name = old.name
    own = pair.own_name(before, "")
    for name in before.keys():  # noqa: SIM118 (ID properties are not iterable as a dict)
        if name in after and name.removesuffix(own).endswith(("_curl", "_spread")):
            after[name] = before[name]
    set_theta(after, get_theta(before))
    pose_bones(after)[0].location = pose_bones(before)[0].location
    animation = before.animation_data
    if animation is None or animation.action is None:
        return
    if after.animation_data is None or after.animation_data.action is None:
        _copy_action(after, animation.action)  # of a pair, once for both
    _rewrite_keys(before, after)


def _copy_action(rig, action):
    """Animate ``rig`` by a copy of ``action``."""
    made = rig.animation_data_create()
    made.action = action.copy()
    if hasattr(made, "action_slot") and made.action_slot is None:
        made.action_slot = next(iter(made.action_suitable_slots), None)


def _own_action(rig):
    """Copy the action of a library, which an overridden rig plays and Blender sets no keys on."""
    animation = rig.animation_data
    if animation is not None and animation.action is not None and animation.action.library:
        _copy_action(rig, animation.action)


def _rewrite_keys(before, after):
    """Turn quaternion keys about the old bones' axes into the same θ about the new ones'."""
    old, new = rest_axes(before), rest_axes(after)
    curves = {(c.data_path, c.array_index): c for c in action_curves(after)}
    for joint, bone in enumerate(pose_bones(after)):
        path = bone.path_from_id("rotation_quaternion")
        parts = [curves.get((path, k)) for k in range(4)]
        if any(c is None for c in parts) or len({len(c.keyframe_points) for c in parts}) != 1:
            continue
        co = [np.empty(2 * len(c.keyframe_points), np.float32) for c in parts]
        for curve, values in zip(parts, co):
            curve.keyframe_points.foreach_get("co", values)
        quats = np.stack([values[1::2] for values in co], axis=-1).astype(np.float64)
        # a change of axes turns only the vector part, so signs and lengths stay as keyed
        quats[:, 1:] = quats[:, 1:] @ (new[joint].T @ old[joint]).T
        for k, (curve, values) in enumerate(zip(parts, co)):
            values[1::2] = quats[:, k]
            curve.keyframe_points.foreach_set("co", values)
            curve.update()
