"""SPZ, Niantic's compressed splats, through the library gsply."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hand_toolkit.core.errors import missing_dependency
from hand_toolkit.core.files import atomic_path
from hand_toolkit.export.axes import sh_coefficients
from hand_toolkit.export.base import ExportRequest, Option
from hand_toolkit.export.frames import numbered
from hand_toolkit.geometry.rotations import normalized_quats


class SpzExporter:
    """Writes .spz."""

    name = "spz"
    description = "SPZ: splats in about a tenth of the PLY's size (lossy)"
    suffixes = (".spz",)
    contents = ("splats",)
    animated = True
    options = (Option("version", int, 3, "SPZ format version; 3 is the widest read", (), 3, 4),)

    def write(self, request: ExportRequest) -> list[Path]:
        """Write one file, or one a frame.

        Raises:
            MissingDependencyError: gsply is not installed.
        """
        try:
            import gsply
        except ImportError as error:
            raise missing_dependency("the format spz", "gsply", "spz") from error
        paths = []
        for frame, path in numbered(request):
            splats = request.scene.splats(frame)
            sh = sh_coefficients(splats.colors)
            opacity = np.clip(np.asarray(splats.opacities, np.float64), 1e-6, 1 - 1e-6)
            data = gsply.GSData.from_arrays(
                means=np.asarray(splats.means, np.float32),
                scales=np.log(np.maximum(splats.scales, 1e-9)).astype(np.float32),
                quats=normalized_quats(splats.quats),
                opacities=np.log(opacity / (1 - opacity)).astype(np.float32),
                sh0=np.ascontiguousarray(sh[:, 0]),
                shN=np.ascontiguousarray(sh[:, 1:]) if sh.shape[1] > 1 else None,
            )
            with atomic_path(path) as temporary:
                gsply.write_spz(str(temporary), data, version=int(request.options["version"]))
            paths.append(path)
        return paths
