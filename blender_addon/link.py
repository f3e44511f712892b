# SPDX-License-Identifier: GPL-3.0-or-later
"""The one worker of this Blender, the job that the panel shows, and opening avatars in it."""

from __future__ import annotations

import os

import bpy
import numpy as np

from . import chosen, scene_data
from .client import Worker, WorkerError

_worker = None
_offers = None
_asked = None


class Job:
    """The long request that the interface waits for."""

    def __init__(self):
        self.title = ""
        self.request = None
        self.cancelling = False

    def start(self, title, request):
        """Show ``request`` in the panel."""
        self.title, self.request, self.cancelling = title, request, False

    def cancel(self):
        """Ask the worker to stop."""
        self.cancelling = True
        if self.request is not None:
            self.request.cancel()

    def clear(self):
        """Nothing runs."""
        self.title, self.request, self.cancelling = "", None, False


job = Job()


def worker():
    """The worker; started on its first request."""
    global _worker
    if _worker is None:
        _worker = Worker(worker_command)
    return _worker


def worker_command():
    """Command line of the worker, from the preferences or ``HAND_TOOLKIT_PYTHON``."""
    python = chosen.toolkit_python()
    if not python:
        raise WorkerError(
            "the toolkit is not set up yet; press 'Set up for me' in the preferences of the Hand "
            "Toolkit extension, or give the path of a Python that has hand-toolkit installed"
        )
    if not os.path.isfile(python):
        raise WorkerError(
            f"the toolkit's Python {python} does not exist; correct its path in the preferences "
            "of the Hand Toolkit extension"
        )
    return [python, "-I", "-m", "hand_toolkit.worker"]


def offers():
    """What the toolkit offers (pose sources, formats, motions), or None while it has not said.

    Never waits: panels and menus call it on every draw.
    """
    global _offers, _asked
    if _asked is not None and _asked.done:
        if _asked.error is None:
            _offers = _asked.value
        _asked = None
    return _offers


def ask_offers():
    """Ask what the toolkit offers, in the background, so that menus are filled when they open."""
    global _asked
    if offers() is None and _asked is None:
        _asked = worker().submit("capabilities")
        if not bpy.app.background:
            bpy.app.timers.register(_await_offers, first_interval=0.5)


def _await_offers():
    if offers() is None and _asked is not None:
        return 0.5
    redraw(bpy.context)
    return None


def need_offers(again=False):
    """What the toolkit offers; waits for the answer.

    Args:
        again: ask even where it has answered before.

    Raises:
        WorkerError: the toolkit cannot be started.
    """
    global _offers, _asked
    if again or offers() is None:
        _offers, _ = worker().call("capabilities", timeout=180.0)
        _asked = None
    return _offers


def stop():
    """End the worker, e.g. because the preferences name another Python."""
    global _worker, _offers, _asked
    job.clear()
    _offers = _asked = None
    if _worker is not None:
        _worker.stop()
        _worker = None


def open_avatar(root, describe=False):
    """Make sure that the worker has the avatar of ``root``; its key.

    Raises:
        WorkerError: the file is gone and was not packed.
    """
    held = worker()
    key = root.hand_toolkit.key
    if key in held.opened and not describe:
        return key
    data = scene_data.avatar_bytes(root)
    if data is not None:
        params, arrays = {"describe": describe}, {"file": np.frombuffer(data, np.uint8)}
    else:
        path = scene_data.avatar_path(root)
        if not os.path.isfile(path):
            raise WorkerError(
                f"the avatar file {path} is missing; put it back, or choose it with Replace in "
                "the panel 'Avatar'"
            )
        params, arrays = {"describe": describe, "path": path}, None
    value, _ = held.call("open_avatar", params, arrays)
    if value["key"] != key and key:
        raise WorkerError(
            f"the file of the avatar '{root.name}' has changed since it was imported; use Replace "
            "in the panel 'Avatar' to take the new one"
        )
    held.opened.add(value["key"])
    return value["key"]


def redraw(context):
    """Redraw the sidebars that show progress."""
    manager = context.window_manager or bpy.context.window_manager
    for window in manager.windows:
        for area in window.screen.areas:
            if area.type in {"VIEW_3D", "PREFERENCES"}:
                area.tag_redraw()
