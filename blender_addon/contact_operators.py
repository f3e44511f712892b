# SPDX-License-Identifier: GPL-3.0-or-later
"""Repairing two hands that go through each other over keyed frames."""

from __future__ import annotations

import bpy
import numpy as np

from . import axes, link, pair, rig, scene_data
from .base import NeedsHand, WorkerOperator, active_hand
from .errors import HandError
from .look_operators import shape_of


class HAND_TOOLKIT_OT_repair_contact(NeedsHand, WorkerOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.repair_contact"
    bl_label = "Repair Contact"
    bl_description = (
        "Part both hands where they go through each other between the first and the last frame; "
        "what touches still touches, and the change comes and goes smoothly"
    )
    title = "Parting the hands"

    first: bpy.props.IntProperty(
        name="First", description="First frame; 0 with Last 0 takes the scene's range", min=0
    )
    last: bpy.props.IntProperty(name="Last", description="Last frame", min=0)

    def ask(self, context):
        root = scene_data.root_of(active_hand(context))
        self.hands = {pair.side_of(hand): hand for hand in scene_data.rigs_of(root)}
        if set(self.hands) != set(axes.SIDES):
            raise HandError("this avatar has one hand; contact is repaired between two")
        scene = context.scene
        span = (self.first, self.last)
        if span == (0, 0):
            span = (scene.frame_start, scene.frame_end)
        if span[1] < span[0]:
            raise HandError(f"the last frame {span[1]} is before the first {span[0]}")
        self.start = span[0]
        count = span[1] - span[0] + 1
        theta, places = np.zeros((count, 2, 16, 3)), np.zeros((count, 2, 3))
        self.frames = np.zeros((count, 2, 4, 4))
        before = scene.frame_current
        try:
            for t in range(count):
                scene.frame_set(span[0] + t)
                for k, side in enumerate(axes.SIDES):
                    hand = self.hands[side]
                    theta[t, k] = rig.get_evaluated_theta(hand)
                    places[t, k] = rig.get_translation(hand)
                    self.frames[t, k] = np.array(root.matrix_world.inverted() @ hand.matrix_world)
        finally:
            scene.frame_set(before)
        turns, shifts = _rigid(self.frames)
        theta[:, :, 0] = _turned(turns, theta[:, :, 0])
        places = np.einsum("tkij,tkj->tki", turns, places) + shifts
        self.before = theta.copy(), places.copy()
        arrays = {"theta": theta, "translation": places}
        for side in axes.SIDES:
            arrays[f"shape_{side}"] = shape_of(scene_data.surface_of(self.hands[side]))
        fps = scene.render.fps / scene.render.fps_base
        return "repair_contact", {"key": link.open_avatar(root), "fps": fps}, arrays

    def take(self, context, value, arrays):
        if not value["changed"]:
            self.report({"INFO"}, "The hands do not go through each other; nothing was changed")
            return
        turns, shifts = _rigid(self.frames)
        back = np.swapaxes(turns, 2, 3)
        theta = np.array(arrays["theta"])
        places = np.einsum("tkij,tkj->tki", back, np.array(arrays["translation"]) - shifts)
        theta[:, :, 0] = _turned(back, theta[:, :, 0])
        same = np.isclose(arrays["theta"], self.before[0]).all((1, 2, 3))
        same &= np.isclose(arrays["translation"], self.before[1]).all((1, 2))
        changed = np.flatnonzero(~same)
        span = slice(changed[0], changed[-1] + 1)
        fps = context.scene.render.fps / context.scene.render.fps_base
        for k, side in enumerate(axes.SIDES):
            rig.key_motion(
                self.hands[side], theta[span, k], places[span, k], self.start + changed[0], fps, fps
            )
        context.scene.frame_set(context.scene.frame_current)
        before, after = value["depth_mm"]
        self.report(
            {"INFO"},
            f"{len(changed)} frames keyed; deepest skin inside the other hand {before:.1f} mm "
            f"before, {after:.1f} mm now",
        )


def _rigid(matrices):
    """Turns (T, 2, 3, 3) and shifts (T, 2, 3) of matrices that have no scale of their own."""
    linear = matrices[..., :3, :3]
    if not np.allclose(linear @ np.swapaxes(linear, 2, 3), np.eye(3), atol=1e-3):
        raise HandError("a hand is scaled by itself; scale the avatar instead, then repair")
    return linear, matrices[..., :3, 3]


def _turned(turns, rotvecs):
    """Rotation vectors (T, 2, 3) turned on the left by (T, 2, 3, 3)."""
    return axes.matrix_to_rotvec(turns @ axes.rotvec_to_matrix(rotvecs))


CLASSES = (HAND_TOOLKIT_OT_repair_contact,)
