# SPDX-License-Identifier: GPL-3.0-or-later
"""Preferences: which Python has the toolkit, testing it, and setting it up."""

from __future__ import annotations

import bpy

from . import link, setup_environment
from .base import HandOperator
from .chosen import addon_preferences
from .client import WorkerError
from .errors import HandError


class HandToolkitPreferences(bpy.types.AddonPreferences):
    bl_idname = __package__

    python: bpy.props.StringProperty(
        name="Toolkit's Python",
        description="A Python program that has hand-toolkit installed; empty uses the environment "
        "that 'Set up for me' makes",
        subtype="FILE_PATH",
        update=lambda self, context: link.stop(),
    )
    source: bpy.props.StringProperty(
        name="Install from",
        description="What 'Set up for me' installs: the package's name, or the path of a wheel or "
        "of a checkout",
        default="hand-toolkit",
    )
    device: bpy.props.EnumProperty(
        name="Device",
        description="Where hands are fitted",
        items=(
            ("AUTO", "Automatic", "The graphics card where it can be used, else the processor"),
            ("CPU", "Processor", "Works on every machine"),
            ("CUDA", "NVIDIA GPU", "Needs gsplat in the toolkit's environment"),
        ),
        default="AUTO",
    )
    status: bpy.props.StringProperty(options={"SKIP_SAVE"})

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "python")
        layout.prop(self, "device")
        row = layout.row(align=True)
        row.operator("hand_toolkit.test_connection", icon="CHECKMARK")
        if self.status:
            box = layout.box()
            for line in _wrap(self.status, 90):
                box.label(text=line)
        layout.separator()
        layout.prop(self, "source")
        state = setup_environment.state
        row = layout.row(align=True)
        if state.running:
            row.operator("hand_toolkit.cancel_setup", icon="CANCEL")
        else:
            row.operator("hand_toolkit.set_up", icon="IMPORT")
        if state.lines:
            box = layout.box()
            column = box.column(align=True)
            for line in list(state.lines)[-12:]:
                column.label(text=line[:110])


def _wrap(text, width):
    import textwrap

    return textwrap.wrap(text, width) or [""]


class HAND_TOOLKIT_OT_test_connection(HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.test_connection"
    bl_label = "Test Connection"
    bl_description = "Start the toolkit and ask what it can do"
    bl_options = {"REGISTER"}

    def run(self, context):
        preferences = addon_preferences()
        try:
            value = link.need_offers(again=True)
        except WorkerError as error:
            if preferences:
                preferences.status = str(error)
            raise
        hello = link.worker().hello
        failed = [p["name"] for p in value["plugins"] if p["error"]]
        text = (
            f"Works: hand-toolkit {hello['toolkit']} on Python {hello['python']}; pose sources: "
            f"{', '.join(value['pose_sources']) or 'none'}; methods: "
            f"{', '.join(m['name'] for m in value.get('methods', [])) or 'none'}; exports: "
            f"{', '.join(f['name'] for f in value['formats']) or 'none'}"
        )
        if failed:
            text += f"; plugins that failed: {', '.join(failed)}"
        if preferences:
            preferences.status = text
        self.report({"INFO"}, text)


class HAND_TOOLKIT_OT_set_up(HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.set_up"
    bl_label = "Set Up for Me"
    bl_description = (
        "Make a Python environment for the toolkit and install it there; downloads about 1 GB. "
        "Can be cancelled, and repeated to update"
    )
    bl_options = {"REGISTER"}

    source: bpy.props.StringProperty(
        name="Install from", description="Empty takes the preferences' value", options={"SKIP_SAVE"}
    )
    wait: bpy.props.BoolProperty(
        name="Wait", description="Return only when it is done (for scripts)", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context):
        if setup_environment.state.running:
            cls.poll_message_set("The set-up is running")
            return False
        return True

    def run(self, context):
        if not bpy.app.online_access and not self.source:
            raise HandError(
                "Blender is set to stay offline; allow online access in Preferences > System, or "
                "give the toolkit's Python yourself"
            )
        preferences = addon_preferences()
        source = self.source or (preferences.source if preferences else "") or "hand-toolkit"
        link.stop()
        thread = setup_environment.start(source)
        if self.wait or bpy.app.background:
            thread.join()
            if setup_environment.state.error:
                raise HandError(setup_environment.state.error)
        else:
            bpy.app.timers.register(_watch_setup, first_interval=0.3)


def _watch_setup():
    link.redraw(bpy.context)
    return 0.3 if setup_environment.state.running else None


class HAND_TOOLKIT_OT_cancel_setup(HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.cancel_setup"
    bl_label = "Cancel Set-up"
    bl_description = "Stop installing; what was downloaded is kept for the next try"
    bl_options = {"REGISTER"}

    def run(self, context):
        setup_environment.cancel()


class HAND_TOOLKIT_OT_show_preferences(HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.show_preferences"
    bl_label = "Open Preferences"
    bl_description = "Show the preferences of this extension, where the toolkit is set up"
    bl_options = {"REGISTER"}

    def run(self, context):
        bpy.ops.preferences.addon_show(module=__package__)


CLASSES = (
    HandToolkitPreferences,
    HAND_TOOLKIT_OT_show_preferences,
    HAND_TOOLKIT_OT_test_connection,
    HAND_TOOLKIT_OT_set_up,
    HAND_TOOLKIT_OT_cancel_setup,
)
