"""Registers what the systems offer as any plugin would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.hookspecs import hookimpl


@hookimpl
def register_trainings(register: Callable[[Any], None]) -> None:
    """The prior of IGSN."""
    from .igsn.train import IgsnTraining

    register(IgsnTraining())
