"""Registers the built-in hand models as any plugin would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.hookspecs import hookimpl
from .arm import DefaultArmProvider
from .default import FIRST_DEFAULT_HAND, SECOND_DEFAULT_HAND, DefaultHandProvider
from .mano import ManoProvider


@hookimpl
def register_hand_models(register: Callable[[Any], None]) -> None:
    """The default hand, with a forearm too, its earlier forms for older avatars, and MANO."""
    register(DefaultHandProvider())
    register(DefaultArmProvider())
    register(FIRST_DEFAULT_HAND)
    register(SECOND_DEFAULT_HAND)
    register(ManoProvider())
