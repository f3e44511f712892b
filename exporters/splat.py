"""The .splat file of web viewers: 32 bytes a splat, sorted by importance.

Position and scale as float32, colour and opacity as bytes, rotation wxyz as bytes
``q * 128 + 128`` (antimatter15/splat, which has no separate specification).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.types import Splats
from hand_toolkit.export.axes import base_colors
from hand_toolkit.export.base import ExportRequest
from hand_toolkit.export.frames import numbered
from hand_toolkit.geometry.rotations import normalized_quats

RECORD = np.dtype(
    [("position", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)]
)


class SplatExporter:
    """Writes .splat."""

    name = "splat"
    description = ".splat of web viewers: 32 bytes a splat, no spherical harmonics"
    suffixes = (".splat",)
    contents = ("splats",)
    animated = True
    options = ()

    def write(self, request: ExportRequest) -> list[Path]:
        """Write one file, or one a frame."""
        paths = []
        for frame, path in numbered(request):
            atomic_write(path, splat_bytes(request.scene.splats(frame)))
            paths.append(path)
        return paths


def splat_bytes(splats: Splats) -> bytes:
    """The splats as a file's bytes, the most visible first."""
    scales = np.asarray(splats.scales, np.float64)
    opacity = np.asarray(splats.opacities, np.float64)
    order = np.argsort(-scales.prod(1) * opacity, kind="stable")
    table = np.zeros(len(splats), RECORD)
    rgba = np.concatenate([base_colors(splats.colors), opacity[:, None]], axis=1)
    table["position"] = splats.means
    table["scale"] = scales
    table["rgba"] = np.clip(rgba * 255 + 0.5, 0, 255).astype(np.uint8)
    table["quat"] = np.clip(normalized_quats(splats.quats) * 128 + 128.5, 0, 255).astype(np.uint8)
    return table[order].tobytes()
