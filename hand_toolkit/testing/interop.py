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
from ..export.scene_hand import SceneHand

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
elif source.endswith(".bvh"):
    bpy.ops.import_anim.bvh(filepath=source, global_scale=0.01, axis_up="Y", axis_forward="-Z")
else:
    bpy.ops.import_scene.gltf(filepath=source)
frames = int(sys.argv[4])
out = {}
bones = {o.name: [b.name for b in o.data.bones] for o in bpy.data.objects if o.type == "ARMATURE"}
rigs = [o for o in bpy.data.objects if o.type == "ARMATURE"]
meshes = [o for o in bpy.data.objects if o.type == "MESH" and len(o.data.polygons)
          and o.vertex_groups]
starts = [a.frame_range[0] for a in bpy.data.actions]
start = min(starts) if starts else 0
for frame in range(frames):
    scene.frame_set(int(round(start)) + frame)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    heads = [o.matrix_world @ b.head for o in rigs for b in o.pose.bones]
    out[f"heads.{frame}"] = np.array([tuple(head) for head in heads])
    for o in meshes:
        e = o.evaluated_get(depsgraph)
        co = np.empty(len(e.data.vertices) * 3, np.float32)
        e.data.vertices.foreach_get("co", co)
        m = np.array(e.matrix_world)
        out[f"{o.name}.{frame}"] = co.reshape(-1, 3) @ m[:3, :3].T + m[:3, 3]
        if frame == 0:
            out[f"{o.name}.materials"] = np.array([len(o.data.materials), len(o.data.uv_layers)])
out["joints"] = np.array([b.name for o in rigs for b in o.pose.bones])
np.savez(target, **out, bones=np.array(sorted(n for v in bones.values() for n in v)))
"""


def blender_vertices(
    path: Path, frames: int, fps: float, python: str = sys.executable
) -> dict[str, np.ndarray]:
    """World vertices and joints as Blender imports the file, z up.

    Args:
        path: a glTF, FBX or BVH (centimetres) file.
        frames: how many frames to evaluate.
        fps: their rate.
        python: a Python with bpy.

    Returns:
        ``<object>.<frame>`` (V, 3); ``bones``, the bones' names in order; ``joints`` (J,) the
        bones' names and ``heads.<frame>`` (J, 3) where they begin.

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


def rig_joints(hand: SceneHand, skeleton: str, *, plain: bool = False) -> dict[str, np.ndarray]:
    """Bone -> (T, 3) where it begins over time, y up, as the toolkit has it."""
    from ..export.rig import hand_rig
    from ..geometry.rotations import matrix_from_quat

    rig = hand_rig(hand, skeleton, plain=plain)
    turns, places = matrix_from_quat(rig.quats), np.array(rig.places)
    for j, parent in enumerate(rig.parents):
        if parent >= 0:
            places[:, j] = places[:, parent] + np.einsum(
                "tij,tj->ti", turns[:, parent], places[:, j]
            )
            turns[:, j] = turns[:, parent] @ turns[:, j]
    return {name: places[:, j] for j, name in enumerate(rig.names)}


def blender_joint_error(
    path: Path, scene: ExportScene, skeleton: str, python: str = sys.executable
) -> float:
    """Largest distance in millimetres of a bone's head in Blender from the toolkit's joint.

    Raises:
        HandToolkitError: bpy could not open the file, or bones are missing.
    """
    data = blender_vertices(path, scene.frames, scene.fps, python)
    where = {str(name): k for k, name in enumerate(data["joints"])}
    worst = 0.0
    for hand in scene.hands:
        for name, ours in rig_joints(hand, skeleton, plain=path.suffix == ".bvh").items():
            if name not in where:
                raise HandToolkitError(f"Blender has no bone {name} of {path.name}")
            for frame in np.flatnonzero(hand.present[: scene.frames]):
                theirs = data[f"heads.{frame}"][where[name]][[0, 2, 1]] * [1, 1, -1]
                worst = max(worst, float(np.linalg.norm(theirs - ours[frame])))
    return worst * 1000


def usd_joint_error(path: Path, scene: ExportScene, skeleton: str) -> float:
    """Largest distance in millimetres of a joint of UsdSkel from the toolkit's."""
    from pxr import Usd, UsdSkel

    stage = Usd.Stage.Open(str(path))
    cache = UsdSkel.Cache()
    worst = 0.0
    for hand in scene.hands:
        root = UsdSkel.Root(stage.GetPrimAtPath(f"/Hands/{hand.side}_hand"))
        cache.Populate(root, Usd.PrimDefaultPredicate)
        prim = stage.GetPrimAtPath(f"/Hands/{hand.side}_hand/skeleton")
        query = cache.GetSkelQuery(UsdSkel.Skeleton(prim))
        joints = list(UsdSkel.Skeleton(prim).GetJointsAttr().Get())
        names = UsdSkel.Skeleton(prim).GetJointNamesAttr().Get() or [
            token.rsplit("/", 1)[-1] for token in joints
        ]
        expected = list(rig_joints(hand, skeleton).values())
        if len(names) != len(expected):
            raise HandToolkitError(f"{path.name} has {len(names)} joints, {len(expected)} expected")
        for frame in np.flatnonzero(hand.present[: scene.frames]):
            for matrix, ours in zip(
                query.ComputeJointSkelTransforms(Usd.TimeCode(int(frame))), expected
            ):
                theirs = np.array(matrix.ExtractTranslation())
                worst = max(worst, float(np.linalg.norm(theirs - ours[frame])))
    return worst * 1000


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
