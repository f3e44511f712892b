"""A hand-toolkit plugin: reads a glove with coloured markers, and colours hands evenly.

The entry point in ``pyproject.toml`` names this module, so the toolkit looks here for the hooks.
Nothing heavy is imported: the plugin is loaded whenever the toolkit lists what is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hand_toolkit

from .one_colour import OneColour
from .source import ColourGlove

__all__ = ["ColourGlove", "OneColour", "register_methods", "register_pose_sources"]


@hand_toolkit.hookimpl
def register_pose_sources(register: Callable[[Any], None]) -> None:
    """Offer the glove as ``--pose-source colour-glove``."""
    register(ColourGlove())


@hand_toolkit.hookimpl
def register_methods(register: Callable[[Any], None]) -> None:
    """Offer the toy method as ``--method one-colour``."""
    register(OneColour())
