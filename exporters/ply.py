"""The 3D Gaussian splatting PLY; a motion gives one numbered file a frame."""

from __future__ import annotations

from pathlib import Path

from hand_toolkit.core.files import atomic_write
from hand_toolkit.export.axes import splats_y_up
from hand_toolkit.export.base import ExportRequest, Option
from hand_toolkit.export.frames import numbered
from hand_toolkit.export.ply import ply_bytes


class PlyExporter:
    """Writes .ply."""

    name = "ply"
    description = "3DGS PLY splats (INRIA layout); a motion gives a numbered sequence (4DGS)"
    suffixes = (".ply",)
    contents = ("splats",)
    animated = True
    options = (
        Option("axes", str, "opencv", "opencv (y down, as splat trainers write) or y-up",
               ("opencv", "y-up")),
    )  # fmt: skip

    def write(self, request: ExportRequest) -> list[Path]:
        """Write one file, or one a frame."""
        scene = request.scene
        paths = []
        comment = f"hand-toolkit; {scene.licence()}"
        for frame, path in numbered(request):
            splats = scene.splats(frame)
            if request.options["axes"] == "y-up":
                splats = splats_y_up(splats)
            atomic_write(path, ply_bytes(splats, comment))
            paths.append(path)
        return paths
