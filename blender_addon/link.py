# SPDX-License-Identifier: GPL-3.0-or-later
"""The one worker of this Blender, the job that the panel shows, and opening avatars in it."""

from __future__ import annotations

import os

import bpy
import numpy as np

from .client import Worker, WorkerError

_worker = None
capabilities = None
"""What the toolkit offers (pose sources, formats, motions), once it was asked."""


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
    from .preferences import toolkit_python

    python = toolkit_python()
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


def stop():
    """End the worker, e.g. because the preferences name another Python."""
    global _worker
    job.clear()
    if _worker is not None:
        _worker.stop()
        _worker = None


def open_avatar(root, describe=False):
    """Make sure that the worker has the avatar of ``root``; its key.

    Raises:
        WorkerError: the file is gone and was not packed.
    """
    from . import scene_data

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
