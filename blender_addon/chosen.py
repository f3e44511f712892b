# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preferences say: which Python has the toolkit, and where to compute."""

from __future__ import annotations

import os

import bpy

from . import setup_environment


def addon_preferences():
    """This extension's preferences, or None while it is used as a plain module."""
    entry = bpy.context.preferences.addons.get(__package__)
    return entry.preferences if entry is not None else None


def toolkit_python():
    """Path of the Python that has the toolkit, "" when there is none.

    ``HAND_TOOLKIT_PYTHON`` in the environment goes before the preferences: tests and render farms
    have no preferences.
    """
    given = os.environ.get("HAND_TOOLKIT_PYTHON", "")
    if given:
        return given
    preferences = addon_preferences()
    chosen = bpy.path.abspath(preferences.python) if preferences and preferences.python else ""
    return chosen or (
        setup_environment.environment_python()
        if os.path.isfile(setup_environment.environment_python())
        else ""
    )


def device():
    """Where to compute: "auto", "cpu" or "cuda"."""
    preferences = addon_preferences()
    return preferences.device.lower() if preferences else "auto"
