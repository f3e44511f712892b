# SPDX-License-Identifier: GPL-3.0-or-later
"""Live: a camera, or a video played as one, drives the selected avatar; start, record, stop."""

from __future__ import annotations

import os
import time

import bpy

from . import link, live, scene_data
from .base import HandOperator, NeedsHand, active_hand
from .errors import HandError
from .pose_operators import PLACE, PLACES


class HAND_TOOLKIT_OT_live(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.live"
    bl_label = "Live"
    bl_description = (
        "Let the hands before a camera, or in a video that is played as one, drive this avatar"
    )

    source: bpy.props.StringProperty(
        name="Source", description="A camera's number (0 is the first) or a video", default="0"
    )
    mirrored: bpy.props.BoolProperty(
        name="Mirrored", description="The camera gives a mirror image", default=False
    )
    place: bpy.props.EnumProperty(name="Place", description=PLACE, items=PLACES, default="CENTER")
    wrist: bpy.props.BoolProperty(
        name="Wrist too", description="Off takes the fingers alone, e.g. on a body", default=True
    )
    record: bpy.props.BoolProperty(
        name="Record", description="Make keys of it from the current frame on", default=False
    )
    seconds: bpy.props.FloatProperty(
        name="Seconds", description="Without a window: end after so long; 0 never", min=0.0
    )
    every_frame: bpy.props.BoolProperty(
        name="Every frame",
        description="Of a video: take every frame, however long that takes",
        default=False,
    )

    def run(self, context):
        if live.running():
            raise HandError("a live session runs already; stop it first")
        source = self.source.strip()
        if not source.isdigit():
            source = bpy.path.abspath(source)
            if not os.path.isfile(source):
                raise HandError(
                    f"there is no video {source or '(none was chosen)'}; give a camera's number, "
                    "0 for the first, or a video file"
                )
        root = scene_data.root_of(active_hand(context))
        params = {
            "source": source,
            "hands": len(scene_data.rigs_of(root)),
            "mirrored": self.mirrored,
            "every_frame": self.every_frame,
        }
        session = live.Session(root, link.worker().submit("live", params), self.place, self.wrist)
        session.record(context, self.record)
        live.begin(session)
        if bpy.app.background:
            return self._wait(context, session)
        return {"FINISHED"}

    def _wait(self, context, session):
        """A script has no timers: serve the session here until it ends."""
        first = None
        while session.step(context):
            time.sleep(0.002)
            first = first or (time.monotonic() if session.frames else None)
            if self.seconds and first and time.monotonic() - first > self.seconds:
                session.stop(context)
        if session.error:
            raise HandError(session.error)
        self.report({"INFO"}, "; ".join(t for t in (session.message, session.keyed) if t))
        return {"FINISHED"}


class HAND_TOOLKIT_OT_live_record(HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.live_record"
    bl_label = "Record"
    bl_description = "Record what the hands do from the current frame on, or make keys of it"

    on: bpy.props.BoolProperty(name="On", description="Off makes keys of it", default=True)

    @classmethod
    def poll(cls, context):
        if not live.running():
            cls.poll_message_set("Start Live first")
            return False
        return True

    def run(self, context):
        live.session.record(context, self.on)
        if not self.on:
            self.report({"INFO"}, live.session.keyed)


class HAND_TOOLKIT_OT_live_stop(HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.live_stop"
    bl_label = "Stop"
    bl_description = "Let the camera go; what was recorded becomes keys"

    @classmethod
    def poll(cls, context):
        if not live.running():
            cls.poll_message_set("No live session runs")
            return False
        return True

    def run(self, context):
        live.session.stop(context)
        self.report({"INFO"}, live.session.keyed or live.session.message)


class HAND_TOOLKIT_PT_live(bpy.types.Panel):
    bl_label = "Live"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Hand"
    bl_parent_id = "HAND_TOOLKIT_PT_motion"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout = self.layout
        settings = context.scene.hand_toolkit
        session = live.session
        if live.running():
            layout.label(text=session.message or "Starting", icon="OUTLINER_OB_CAMERA")
            row = layout.row(align=True)
            taking = session.take is not None
            toggle = row.operator(
                "hand_toolkit.live_record", icon="REC", depress=taking, text="Record"
            )
            toggle.on = not taking
            row.operator("hand_toolkit.live_stop", icon="SNAP_FACE")
        else:
            column = layout.column(align=True)
            column.prop(settings, "live_source", text="Camera or Video")
            row = column.row(align=True)
            row.prop(settings, "live_mirrored", toggle=True)
            row.prop(settings, "live_wrist", toggle=True)
            column.prop(settings, "live_place", text="")
            start = column.operator("hand_toolkit.live", text="Start", icon="PLAY")
            start.source, start.mirrored = settings.live_source, settings.live_mirrored
            start.place, start.wrist = settings.live_place, settings.live_wrist
            if session is not None and (session.error or session.message):
                icon = "ERROR" if session.error else "INFO"
                _wrapped(layout, session.error or session.message, icon)
        if session is not None and session.keyed:
            layout.label(text=session.keyed, icon="KEYFRAME_HLT")


LINE = 44
"""Letters of a sidebar's line."""


def _wrapped(layout, text, icon):
    """A sentence over as many lines as it takes."""
    column, line = layout.column(align=True), ""
    for word in text.split():
        if line and len(line) + len(word) >= LINE:
            column.label(text=line, icon=icon)
            icon, line = "BLANK1", ""
        line = f"{line} {word}".strip()
    column.label(text=line, icon=icon)


CLASSES = (
    HAND_TOOLKIT_OT_live,
    HAND_TOOLKIT_OT_live_record,
    HAND_TOOLKIT_OT_live_stop,
)
