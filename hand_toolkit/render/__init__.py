"""Splats and a camera to a picture: ``render()`` on every backend.

``render`` takes numpy splats and gives numpy pictures without importing torch, or torch
splats and gives torch pictures with gradients. The backends are ``cpu`` (numba with
explicit SIMD), ``cuda`` (gsplat) and ``reference`` (plain torch, the definition that the
others are held to). ``AvatarRenderer`` goes from a hand pose to pixels in one call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .api import BACKENDS, render

if TYPE_CHECKING:
    from .avatar_renderer import AvatarRenderer
    from .cpu import CpuRasterizer
    from .parallel import get_threads, set_threads

__all__ = [
    "BACKENDS",
    "AvatarRenderer",
    "CpuRasterizer",
    "get_threads",
    "render",
    "set_threads",
]

_LAZY = {
    "AvatarRenderer": "avatar_renderer",
    "CpuRasterizer": "cpu",
    "get_threads": "parallel",
    "set_threads": "parallel",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
