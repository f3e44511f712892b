"""One folder for each avatar method, under its own name, and the hook that offers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.hookspecs import hookimpl
from .method import AvatarMethod, MethodConfig

__all__ = ["AvatarMethod", "MethodConfig", "register_methods"]


@hookimpl
def register_methods(register: Callable[[Any], None]) -> None:
    """The learned prior, and the photo's texture."""
    from .igsn.method import IgsnMethod
    from .texture.method import TextureMethod

    register(IgsnMethod())
    register(TextureMethod())
