"""Built-in exporters. They register through the same hook as anybody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hand_toolkit.core.hookspecs import hookimpl


@hookimpl
def register_exporters(register: Callable[[Any], None]) -> None:
    """Offer every built-in format; each module imports its library only when it writes."""
    from .bvh import BvhExporter
    from .fbx import FbxExporter
    from .glb import GlbExporter
    from .npz import NpzExporter
    from .obj import ObjExporter
    from .ply import PlyExporter
    from .sog import SogExporter
    from .splat import SplatExporter
    from .spz import SpzExporter
    from .usd import UsdExporter
    from .vrm import VrmExporter

    for exporter in (
        GlbExporter,
        PlyExporter,
        UsdExporter,
        SpzExporter,
        SplatExporter,
        SogExporter,
        ObjExporter,
        FbxExporter,
        BvhExporter,
        NpzExporter,
        VrmExporter,
    ):
        register(exporter())
