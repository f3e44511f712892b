"""FBX through Blender's own exporter, in a process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from hand_toolkit.core.errors import HandToolkitError, missing_dependency
from hand_toolkit.core.files import atomic_path
from hand_toolkit.export.base import ExportRequest, Option

_SCRIPT = """
import sys
import bpy
source, target, fps = sys.argv[1], sys.argv[2], float(sys.argv[3])
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.context.scene.render.fps = max(1, round(fps))
bpy.context.scene.render.fps_base = max(1, round(fps)) / fps
bpy.ops.import_scene.gltf(filepath=source, bone_heuristic="BLENDER")
bpy.ops.export_scene.fbx(
    filepath=target, path_mode="COPY", embed_textures=True, add_leaf_bones=False,
    bake_anim=True, bake_anim_simplify_factor=0.0, mesh_smooth_type="FACE",
    object_types={"ARMATURE", "MESH", "EMPTY"},
)
"""
TIMEOUT_SECONDS = 600


class FbxExporter:
    """Writes .fbx: bpy imports our glTF and exports it, so that its own axes rules apply."""

    name = "fbx"
    description = "FBX: skinned textured mesh and animation (needs bpy)"
    suffixes = (".fbx",)
    contents = ("mesh", "skeleton")
    animated = True
    options = (
        Option("texture_size", int, 1024, "side of the baked textures, texels", (), 64, 8192),
        Option("texture", str, "albedo", "colours to bake: albedo or photo", ("albedo", "photo")),
    )

    def write(self, request: ExportRequest) -> list[Path]:
        """Write the file.

        Raises:
            MissingDependencyError: bpy is not installed.
        """
        if importlib.util.find_spec("bpy") is None:
            raise missing_dependency("the format fbx", "bpy", "blender")
        from .glb import GlbExporter

        options = {option.name: option.default for option in GlbExporter.options}
        options.update(request.options)
        with tempfile.TemporaryDirectory() as folder, atomic_path(request.path) as temporary:
            source = Path(folder) / "hands.glb"
            inner = ExportRequest(
                request.scene, source, "mesh", options,
                lambda fraction, text: request.progress(fraction * 0.5, text),
            )  # fmt: skip
            GlbExporter().write(inner)
            request.progress(0.5, "Blender writes FBX")
            command = [sys.executable, "-c", _SCRIPT, str(source), str(temporary)]
            done = subprocess.run(
                [*command, str(request.scene.fps)],
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_SECONDS,
            )
            if done.returncode or not temporary.exists():
                detail = (done.stderr or done.stdout).strip().splitlines()[-1:]
                raise HandToolkitError(
                    f"Blender could not write FBX: {' '.join(detail)[:300]}; export glb instead"
                )
        return [request.path]
