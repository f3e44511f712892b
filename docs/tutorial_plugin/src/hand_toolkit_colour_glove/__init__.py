"""A hand-toolkit plugin: reads a glove with coloured markers.

The entry point in ``pyproject.toml`` names this module, so the toolkit looks here for the hooks.
Nothing heavy is imported: the plugin is loaded whenever the toolkit lists what is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hand_toolkit

from .source import ColourGlove

__all__ = ["ColourGlove", "register_pose_sources"]


@hand_toolkit.hookimpl
def register_pose_sources(register: Callable[[Any], None]) -> None:
    """Offer the glove as ``--pose-source colour-glove``."""
    register(ColourGlove())
