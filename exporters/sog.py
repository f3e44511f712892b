"""SOG, PlayCanvas' picture-compressed splats, through the program splat-transform."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from hand_toolkit.core.errors import HandToolkitError, MissingDependencyError
from hand_toolkit.core.files import atomic_path
from hand_toolkit.export.base import ExportRequest
from hand_toolkit.export.frames import numbered
from hand_toolkit.export.ply import ply_bytes

PROGRAM = "splat-transform"


class SogExporter:
    """Writes .sog."""

    name = "sog"
    description = "SOG: splats as pictures, the smallest format (lossy; needs splat-transform)"
    suffixes = (".sog",)
    contents = ("splats",)
    animated = True
    options = ()

    def write(self, request: ExportRequest) -> list[Path]:
        """Write one file, or one a frame.

        Raises:
            MissingDependencyError: splat-transform is not on the PATH.
        """
        program = shutil.which(PROGRAM)
        if program is None:
            raise MissingDependencyError(
                f"the format sog needs the program '{PROGRAM}', which is not installed; run: "
                "npm install -g @playcanvas/splat-transform"
            )
        paths = []
        for frame, path in numbered(request):
            with tempfile.TemporaryDirectory() as folder, atomic_path(path) as temporary:
                source = Path(folder) / "splats.ply"
                source.write_bytes(ply_bytes(request.scene.splats(frame)))
                command = [program, "-q", "-w", "-g", "cpu", str(source), str(temporary)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode or not temporary.exists():
                    detail = (done.stderr or done.stdout).strip().splitlines()[-1:]
                    raise HandToolkitError(
                        f"{PROGRAM} failed with exit code {done.returncode}: {' '.join(detail)}; "
                        "write ply and convert it by hand"
                    )
            paths.append(path)
        return paths
