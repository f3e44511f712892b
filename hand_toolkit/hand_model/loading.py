"""Finds a hand model by name through the plugin registry and keeps it."""

from __future__ import annotations

from functools import lru_cache

from .base import HandModel
from .subdivision import subdivide


@lru_cache(maxsize=16)
def load_hand_model(name: str = "default", side: str = "right", level: int = 0) -> HandModel:
    """A hand model, subdivided; every call with the same arguments returns the same object.

    Args:
        name: "default", "mano" or what a plugin registers.
        side: "right" or "left".
        level: subdivisions, 0 to 3; each quadruples the faces.

    Raises:
        InputError: no such model, side or level.
        MissingDependencyError: the model's files must be imported first.
    """
    from ..core.registry import registry

    if level:
        return subdivide(load_hand_model(name, side, 0), level)
    model: HandModel = registry().get("hand_models", name).load(side)
    return model
