"""Measures exported files with Blender's and USD's own readers, for tests and ``make interop``."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import HandToolkitError
from ..export.scene import ExportScene

FBX_TICKS_A_SECOND = 46186158000

_BLENDER = """
import sys
import bpy
import numpy as np
source, target, fps = sys.argv[1], sys.argv[2], float(sys.argv[3])
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps, scene.render.fps_base = max(1, round(fps)), max(1, round(fps)) / fps
if source.endswith(".fbx"):
    bpy.ops.import_scene.fbx(filepath=source)
else:
    bpy.ops.import_scene.gltf(filepath=source)
frames = int(sys.argv[4])
out = {}
bones = {o.name: [b.name for b in o.data.bones] for o in bpy.data.objects if o.type == "ARMATURE"}
meshes = [o for o in bpy.data.objects if o.type == "MESH" and len(o.data.polygons)
          and o.vertex_groups]
starts = [a.frame_range[0] for a in bpy.data.actions]
start = min(starts) if starts else 0
for frame in range(frames):
    scene.frame_set(int(round(start)) + frame)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    for o in meshes:
        e = o.evaluated_get(depsgraph)
        co = np.empty(len(e.data.vertices) * 3, np.float32)
        e.data.vertices.foreach_get("co", co)
        m = np.array(e.matrix_world)
        out[f"{o.name}.{frame}"] = co.reshape(-1, 3) @ m[:3, :3].T + m[:3, 3]
        if frame == 0:
            out[f"{o.name}.materials"] = np.array([len(o.data.materials), len(o.data.uv_layers)])
np.savez(target, **out, bones=np.array(sorted(n for v in bones.values() for n in v)))
"""


def blender_vertices(
    path: Path, frames: int, fps: float, python: str = sys.executable
) -> dict[str, np.ndarray]:
    """World vertices of every skinned mesh as Blender imports the file, z up.

    Args:
        path: a glTF or FBX file.
        frames: how many frames to evaluate.
        fps: their rate.
        python: a Python with bpy.

    Returns:
        ``<object>.<frame>`` (V, 3) and ``bones``, the bones' names.

    Raises:
        HandToolkitError: bpy could not open it.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "vertices.npz"
        done = subprocess.run(
            [python, "-c", _BLENDER, str(path), str(target), str(fps), str(frames)],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if not target.exists():
            raise HandToolkitError(f"bpy could not open {path.name}: {done.stderr[-400:]}")
        with np.load(target, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}


def blender_errors(path: Path, scene: ExportScene, python: str = sys.executable) -> dict[str, Any]:
    """Largest distance between Blender's vertices and the toolkit's, over all frames.

    Every vertex of Blender's is matched to the toolkit's vertex that it is in the first frame
    (seam copies may have been merged or not), and followed from there.
    """
    from scipy.spatial import cKDTree

    data = blender_vertices(path, scene.frames, scene.fps, python)
    worst = 0.0
    for hand in scene.hands:
        name = next(n.rsplit(".", 1)[0] for n in data if n.startswith(f"{hand.side}_hand"))
        match = None
        for frame in range(scene.frames):
            theirs = data[f"{name}.{frame}"][:, [0, 2, 1]] * [1, 1, -1]  # z up to y up
            ours = hand.posed_vertices(frame)
            if match is None:
                match = cKDTree(ours).query(theirs)[1]
            if hand.present[frame]:
                worst = max(worst, float(np.linalg.norm(ours[match] - theirs, axis=1).max()))
    return {"error_mm": worst * 1000, "bones": len(data["bones"]), "names": list(data["bones"])}


def fbx_key_times(path: Path) -> list[np.ndarray]:
    """(K,) seconds of the keys of every animation curve of a binary FBX file.

    Only ``KeyTime`` is read: an array property of 64-bit numbers, whose unit is the FBX SDK's.
    """
    data = path.read_bytes()
    found = []
    for match in re.finditer(b"KeyTimel", data):
        count, packed, size = struct.unpack_from("<III", data, match.end())
        raw = data[match.end() + 12 :][:size]
        ticks = np.frombuffer(zlib.decompress(raw) if packed else raw, "<i8", count)
        found.append(ticks / FBX_TICKS_A_SECOND)
    return found


def usd_errors(path: Path, scene: ExportScene) -> float:
    """Largest distance in millimetres between UsdSkel's skinned points and the toolkit's."""
    from pxr import Usd, UsdSkel, Vt

    stage = Usd.Stage.Open(str(path))
    cache = UsdSkel.Cache()
    worst = 0.0
    for hand in scene.hands:
        root = UsdSkel.Root(stage.GetPrimAtPath(f"/Hands/{hand.side}_hand"))
        cache.Populate(root, Usd.PrimDefaultPredicate)
        mesh = stage.GetPrimAtPath(f"/Hands/{hand.side}_hand/mesh")
        query = cache.GetSkinningQuery(mesh)
        skeleton = cache.GetSkelQuery(
            UsdSkel.Skeleton(stage.GetPrimAtPath(f"/Hands/{hand.side}_hand/skeleton"))
        )
        rest = np.array(mesh.GetAttribute("points").Get())
        targets = UsdSkel.BindingAPI(mesh).GetBlendShapeTargetsRel().GetTargets()
        blends = [UsdSkel.BlendShape(stage.GetPrimAtPath(target)) for target in targets]
        shapes = [
            (np.array(b.GetPointIndicesAttr().Get()), np.array(b.GetOffsetsAttr().Get()))
            for b in blends
        ]
        for frame in range(scene.frames):
            transforms = skeleton.ComputeSkinningTransforms(Usd.TimeCode(frame))
            bent = rest.copy()
            weights = skeleton.GetAnimQuery().ComputeBlendShapeWeights(Usd.TimeCode(frame))
            for shape, weight in zip(shapes, weights or ()):
                bent[shape[0]] += weight * shape[1]
            points = Vt.Vec3fArray.FromNumpy(bent)
            if not query.ComputeSkinnedPoints(transforms, points, Usd.TimeCode(frame)):
                raise HandToolkitError(f"UsdSkel could not skin {mesh.GetPath()}")
            if hand.present[frame]:
                delta = np.array(points) - hand.posed_vertices(frame)
                worst = max(worst, float(np.linalg.norm(delta, axis=1).max()))
    return worst * 1000


def usd_problems(path: Path) -> list[str]:
    """What every registered USD validator says against the file, one line each."""
    from pxr import Usd, UsdValidation

    registry = UsdValidation.ValidationRegistry()
    context = UsdValidation.ValidationContext(registry.GetOrLoadAllValidators())
    found = context.Validate(Usd.Stage.Open(str(path)))
    return [f"{error.GetName()}: {error.GetMessage()}" for error in found]
