# SPDX-License-Identifier: GPL-3.0-or-later
"""What every operator of the extension shares: errors as reports, poll messages, worker jobs."""

from __future__ import annotations

import traceback

import bpy

from . import link, scene_data
from .client import Cancelled, WorkerError
from .errors import HandError

PREFIX = "hand_toolkit"


class HandOperator:
    """Turns every exception into an error report. Subclasses implement ``run(context)``."""

    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        return self.guard(self.run, context)

    def guard(self, function, *args):
        """Call ``function``; errors become reports, so Blender never shows a traceback."""
        try:
            return function(*args) or {"FINISHED"}
        except Cancelled:
            self.report({"WARNING"}, "Stopped; nothing was changed")
        except (HandError, WorkerError) as error:
            self.report({"ERROR"}, str(error))
        except Exception as error:
            traceback.print_exc()
            first = (str(error).splitlines() or [""])[0]
            self.report(
                {"ERROR"},
                f"A fault of the Hand Toolkit extension ({type(error).__name__}: {first}); "
                "the system console has the details",
            )
        return {"CANCELLED"}


class WorkerOperator(HandOperator):
    """An operator that asks the worker.

    From Python (``execute``) it waits; from the interface it is modal, shows progress in the
    panel and stops on the panel's Cancel or Esc. Subclasses implement ``ask(context)``, which
    returns ``(method, params, arrays)``, and ``take(context, value, arrays)``.
    """

    title = "Working"
    interactive = False

    def run(self, context):
        method, params, arrays = self.ask(context)
        if not self.interactive or bpy.app.background:
            value, results = link.worker().call(method, params, arrays)
            return self.take(context, value, results)
        if link.job.request is not None:
            raise HandError(f"{link.job.title} is still running; wait for it, or press Cancel")
        link.job.start(self.title, link.worker().submit(method, params, arrays))
        self._timer = context.window_manager.event_timer_add(0.1, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def invoke(self, context, event):
        self.interactive = True
        return self.execute(context)

    def modal(self, context, event):
        request = link.job.request
        if request is None:  # another file was opened meanwhile
            return self._leave(context, {"CANCELLED"})
        if event.type == "ESC" and event.value == "PRESS":
            link.job.cancel()
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        link.redraw(context)
        if not request.done:
            return {"PASS_THROUGH"}
        link.job.clear()
        return self._leave(context, self.guard(self._finish, context, request))

    def _finish(self, context, request):
        value, arrays = request.result()
        return self.take(context, value, arrays)

    def _leave(self, context, result):
        context.window_manager.event_timer_remove(self._timer)
        link.redraw(context)
        return result


def active_hand(context):
    """The hand that the selection means: an armature made by this extension, or None."""
    return scene_data.armature_of(context.object) if context.object else None


class NeedsHand:
    """Poll of operators that work on the selected hand."""

    @classmethod
    def poll(cls, context):
        hand = active_hand(context)
        if hand is None:
            cls.poll_message_set("Select a hand first: its rig, its mesh, or its avatar")
            return False
        if hand.library is not None:
            cls.poll_message_set(
                "This hand is linked from another file; make a library override of it first"
            )
            return False
        return True
