"""The hooks. A hook hands the plugin a ``register`` callback, so the host owns name clashes.

A plugin is a module (or object) named by an entry point of the group ``hand_toolkit`` that
implements any of these functions with ``@hand_toolkit.hookimpl``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

hookspec = pluggy.HookspecMarker("hand_toolkit")
hookimpl = pluggy.HookimplMarker("hand_toolkit")


@hookspec
def register_pose_sources(register: Callable[[Any], None]) -> None:
    """Call ``register(source)`` with each :class:`hand_toolkit.PoseSource` to offer."""


@hookspec
def register_segmenters(register: Callable[[Any], None]) -> None:
    """Call ``register(segmenter)`` with each :class:`hand_toolkit.Segmenter` to offer."""


@hookspec
def register_hand_models(register: Callable[[Any], None]) -> None:
    """Call ``register(provider)`` with each :class:`hand_toolkit.HandModelProvider` to offer."""


@hookspec
def register_methods(register: Callable[[Any], None]) -> None:
    """Call ``register(method)`` with each :class:`hand_toolkit.AvatarMethod` to offer."""


@hookspec
def register_exporters(register: Callable[[Any], None]) -> None:
    """Call ``register(exporter)`` with each :class:`hand_toolkit.Exporter` to offer."""


@hookspec
def register_trainings(register: Callable[[Any], None]) -> None:
    """Call ``register(training)`` with each :class:`hand_toolkit.learn.Training` to offer."""


@hookspec
def register_image_generators(register: Callable[[Any], None]) -> None:
    """Call ``register(generator)`` with each ``hand_toolkit.edit.generator.ImageGenerator``."""
