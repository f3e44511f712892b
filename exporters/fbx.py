"""FBX through Blender's own exporter, in a process of its own.

Blender's glTF importer turns seconds to frames with a rate that holds for whole rates only, so the
glTF between is written at ``PLAIN_FPS``, one key a frame, and the scene gets its own rate
afterwards: the FBX exporter places frame k at k / rate.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from hand_toolkit.core.errors import HandToolkitError, missing_dependency
from hand_toolkit.core.files import atomic_path
from hand_toolkit.core.skeletons import SKELETON_OPTION
from hand_toolkit.export.base import ExportRequest, Option

_SCRIPT = """
import sys
import bpy
source, target, fps, plain, frames = sys.argv[1:3] + [float(v) for v in sys.argv[3:]]
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps, scene.render.fps_base = int(plain), 1.0
bpy.ops.import_scene.gltf(filepath=source, bone_heuristic="BLENDER")
scene.frame_start, scene.frame_end = 0, int(frames) - 1
scene.render.fps, scene.render.fps_base = max(1, round(fps)), max(1, round(fps)) / fps
bpy.ops.export_scene.fbx(
    filepath=target, path_mode="COPY", embed_textures=True, add_leaf_bones=False,
    bake_anim=True, bake_anim_simplify_factor=0.0, mesh_smooth_type="FACE",
    object_types={"ARMATURE", "MESH", "EMPTY"},
)
"""
TIMEOUT_SECONDS = 600
PLAIN_FPS = 30.0


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
        SKELETON_OPTION,
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
                dataclasses.replace(request.scene, fps=PLAIN_FPS), source, "mesh", options,
                lambda fraction, text: request.progress(fraction * 0.5, text),
            )  # fmt: skip
            GlbExporter().write(inner)
            request.progress(0.5, "Blender writes FBX")
            command = [sys.executable, "-c", _SCRIPT, source, temporary, request.scene.fps]
            done = subprocess.run(
                [str(part) for part in (*command, PLAIN_FPS, request.scene.frames)],
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
