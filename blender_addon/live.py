# SPDX-License-Identifier: GPL-3.0-or-later
"""A live session: hands before a camera drive an avatar, and become keys where asked.

The worker follows the hands and sends each frame's θ while its request runs; a timer takes what has
come, poses the rig by the newest frame and keeps the others for the keys. Nothing waits: the window
stays free, and a Blender that is busy shows the newest frame next.
"""

from __future__ import annotations

import collections
import time

import bpy
import numpy as np

from . import axes, fingertips, link, pair, rig, scene_data
from .client import Cancelled

TICK_SECONDS = 1.0 / 60.0
FEW_KEYS_DEGREES = 0.5
RATE_FRAMES = 30
"""Frames over which the rate is shown."""

FINGERS_AND_WRIST, FINGERS = tuple(range(16)), tuple(range(1, 16))


class Take:
    """What was recorded of the hands: seconds, θ (16, 3) and places (3,) by side."""

    def __init__(self, frame):
        self.frame = frame
        self.began = None
        self.seen = {side: [] for side in axes.SIDES}

    def add(self, news):
        """Keep one frame's hands."""
        if self.began is None:
            self.began = news["seconds"]
        for side, hand in news["hands"].items():
            row = news["seconds"] - self.began, hand["theta"], hand["translation"]
            self.seen[side].append(row)

    def sampled(self, side, fps):
        """First frame (from 0), θ (T, 16, 3) and places (T, 3) at ``fps``; None where unseen.

        Moments between two pictures, and those in which the hand was away, come from the pictures
        around them.
        """
        rows = self.seen[side]
        if not rows:
            return None
        seconds = np.array([row[0] for row in rows])
        quats = axes.rotvec_to_quat(np.array([row[1] for row in rows]))
        for t in range(1, len(quats)):  # of the two quaternions the one nearer to the last
            flip = np.sum(quats[t] * quats[t - 1], axis=-1) < 0
            quats[t][flip] *= -1
        places = np.array([row[2] for row in rows])
        first = int(np.ceil(seconds[0] * fps - 1e-6))
        last = max(first, int(np.floor(seconds[-1] * fps + 1e-6)))
        at = np.arange(first, last + 1) / fps
        flat = np.concatenate([quats.reshape(len(rows), -1), places], axis=1)
        table = np.stack([np.interp(at, seconds, column) for column in flat.T], axis=1)
        theta = axes.quat_to_rotvec(table[:, :64].reshape(-1, 16, 4))
        return first, theta, table[:, 64:]


class Session:
    """One run of the camera.

    Attributes:
        message: for the panel.
        error: why it ended, or "".
        take: what is recorded now, or None.
    """

    def __init__(self, root, request, place="KEEP", wrist=True):
        """``place`` is of ``pose_operators.PLACES``; ``wrist`` off leaves the wrists alone."""
        self._root_uid = root.session_uid
        self._request = request
        self._place, self._joints = place, FINGERS_AND_WRIST if wrist else FINGERS
        self._origin = None
        self._came = collections.deque(maxlen=RATE_FRAMES)
        self._waited = collections.deque(maxlen=10 * RATE_FRAMES)
        self.frames = 0
        self.message, self.error = "", ""
        self.keyed = ""
        self.take = None
        self.running = True

    @property
    def root(self):
        """The avatar, or None when it was deleted; names change and undo makes objects anew."""
        return next((o for o in bpy.data.objects if o.session_uid == self._root_uid), None)

    @property
    def wait_ms(self):
        """Milliseconds from a frame's arrival in this process to the rig, median."""
        return 1e3 * float(np.median(self._waited)) if self._waited else 0.0

    def step(self, context):
        """Take what has come; whether the session goes on."""
        if not self.running:
            return False
        root = self.root
        if root is None:
            return self._end(context, "the avatar was removed")
        newest = None
        while self._request.news:
            newest = self._request.news.popleft()
            self.frames += 1
            self._came.append(newest[1]["seconds"])
            if self.take is not None:
                self.take.add(newest[1])
        if newest is not None:
            self._show(context, root, newest[1]["hands"])
            self._waited.append(time.monotonic() - newest[0])
        self.message = self._state(newest)
        if self._request.done and not self._request.news:
            return self._end(context)
        return True

    def stop(self, context):
        """Let the camera go; what was recorded becomes keys."""
        self._request.cancel()
        self._end(context)

    def record(self, context, on):
        """Begin a take at the scene's frame, or make keys of the one that runs."""
        if on and self.take is None:
            self.take = Take(context.scene.frame_current)
        elif not on and self.take is not None:
            take, self.take = self.take, None
            self.keyed = self._key(context, take)

    def _state(self, newest):
        if newest is None:
            return self.message if self.frames else self._request.message.capitalize()
        span = self._came[-1] - self._came[0]
        rate = (len(self._came) - 1) / span if span > 0 else 0.0
        sides = " and ".join(s for s in axes.SIDES if s in newest[1]["hands"]) or "no hand"
        return f"{sides.capitalize()}, {rate:.0f} a second"

    def _show(self, context, root, hands):
        """Pose the rigs by one frame."""
        if self._origin is None and hands:
            centre = np.mean([h["translation"] for h in hands.values()], axis=0)
            self._origin = centre if self._place == "CENTER" else np.zeros(3)
        for hand in scene_data.rigs_of(root):
            seen = hands.get(pair.side_of(hand))
            if seen is None:
                continue
            place = self._placed(hand, np.array(seen["translation"]))
            rig.set_theta(hand, seen["theta"], place, self._joints)
            if fingertips.fingers_of(hand):
                fingertips.place(context, hand)
        if not bpy.app.background:
            link.redraw(context)

    def _placed(self, hand, places):
        """Places of the wrist in the rig's axes, or None where it stays."""
        if self._place == "KEEP" or 0 not in self._joints or not scene_data.at_origin(hand):
            return None
        return places - self._origin

    def _key(self, context, take):
        """Set the keys of a take; a sentence about them."""
        scene = context.scene
        fps = scene.render.fps / scene.render.fps_base
        last, keyed = take.frame, []
        for hand in scene_data.rigs_of(self.root):
            side = pair.side_of(hand)
            found = take.sampled(side, fps)
            if found is None:
                continue
            first, theta, places = found
            start = take.frame + first
            if 0 not in self._joints:  # the wrist keeps what it has
                theta[:, 0] = rig.get_theta(hand)[0]
            places = self._placed(hand, places)
            fingertips.let_go(hand, start)
            end = rig.key_motion(hand, theta, places, start, fps, fps, FEW_KEYS_DEGREES)
            last = max(last, end)
            keyed.append(side)
        if not keyed:
            return "No hand was seen while recording"
        scene.frame_end = max(scene.frame_end, int(np.ceil(last)))
        remember("Live recording")
        return f"Frames {take.frame} to {int(last)} keyed on the {' and '.join(keyed)} hand"

    def _end(self, context, error=""):
        self.running = False
        self._request.cancel()
        if self.take is not None and self.root is not None:
            self.record(context, False)
        fault = self._request.error
        if error or (fault is not None and not isinstance(fault, Cancelled)):
            self.error = error or str(fault)
        elif self._request.value:
            self.message = self._request.value["sentence"].capitalize()
        elif self.frames:
            self.message = f"Stopped after {self.frames} frames"
        return False


def remember(what):
    """A step for undo, which timers leave out."""
    windows = bpy.context.window_manager.windows
    if bpy.app.background or not windows:
        return
    with bpy.context.temp_override(window=windows[0]):
        bpy.ops.ed.undo_push(message=what)


session = None
"""The session that runs or ran last, or None."""


def begin(made):
    """Let the timer serve a session."""
    global session
    session = made
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS)


def running():
    """Whether a session runs."""
    return session is not None and session.running


def forget():
    """Another file was opened, or the extension goes: let the camera go, key nothing."""
    global session
    if running():
        session.running = False
        session._request.cancel()
    session = None


def _tick():
    """The timer: short, and never twice at once."""
    if session is None:
        return None
    goes_on = session.step(bpy.context)
    if not goes_on:
        link.redraw(bpy.context)
    return TICK_SECONDS if goes_on else None
