"""Registers what the systems offer as any plugin would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.hookspecs import hookimpl


@hookimpl
def register_trainings(register: Callable[[Any], None]) -> None:
    """IGSN's prior, the eyes' class network, the diffusion of meshes, two hands' occupancy."""
    from ..see.eyes_training import EyesTraining
    from .hhmr.train import HhmrTraining
    from .igsn.train import IgsnTraining
    from .im2hands.train import Im2HandsTraining

    register(IgsnTraining())
    register(EyesTraining())
    register(HhmrTraining())
    register(Im2HandsTraining())


@hookimpl
def register_pose_sources(register: Callable[[Any], None]) -> None:
    """The diffusion of hand meshes."""
    from .hhmr.source import HhmrSource

    register(HhmrSource())


@hookimpl
def register_methods(register: Callable[[Any], None]) -> None:
    """The learned prior, the photo's texture, and the personal hand of many views."""
    from .igsn.method import IgsnMethod
    from .texture.method import TextureMethod
    from .xhand.method import XHandMethod

    register(IgsnMethod())
    register(TextureMethod())
    register(XHandMethod())
