"""Registers what the systems offer as any plugin would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.hookspecs import hookimpl


@hookimpl
def register_trainings(register: Callable[[Any], None]) -> None:
    """The prior of IGSN, the class network of the eyes, and the diffusion of hand meshes."""
    from ..see.eyes_training import EyesTraining
    from .hhmr.train import HhmrTraining
    from .igsn.train import IgsnTraining

    register(IgsnTraining())
    register(EyesTraining())
    register(HhmrTraining())


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
