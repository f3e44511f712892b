"""Skins of the Godot XR tools' hands (CC0), brought onto the layout bone by bone."""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...avatar import surface
from ...core.conventions import FINGERS, KEYPOINT_TO_MANO
from ...core.errors import InputError
from ...geometry.colour import srgb_to_linear
from ...hand_model.mano_uv import in_proportion
from ..uv_layout import LEVEL, bilinear
from ..uv_observation import DARKEST
from .subjects import layout, without_rips

GODOT_MESH = "Hand_Nails_R.gltf"


@lru_cache(maxsize=1)
def _godot_uv(folder: str) -> np.ndarray:
    """(N, 2) where the layout's texels lie on the Godot hands' pictures, origin upper left."""
    import trimesh
    from scipy.spatial import cKDTree

    position, uv, faces, weights, keypoints = _read_godot(Path(folder) / GODOT_MESH)
    model, texels = surface("default", "right", LEVEL), layout()
    moved = in_proportion(position, weights, keypoints, model.keypoint_template)
    triangles = moved[faces]
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(cross, axis=1)
    keep = area > 1e-9
    triangles, faces, normal = triangles[keep], faces[keep], cross[keep] / area[keep, None]
    own = _rest_normals()
    count = 24
    close = cKDTree(triangles.mean(1)).query(texels.rest, k=count)[1]
    point = np.repeat(texels.rest, count, axis=0)
    on = trimesh.triangles.closest_point(triangles[close.ravel()], point)
    distance = np.linalg.norm(on - point, axis=1).reshape(close.shape)
    # the skin of a neighbouring finger, or of the other side, faces elsewhere
    distance += 0.02 * np.clip(0.6 - np.einsum("nc,nkc->nk", own, normal[close]), 0, None)
    best = distance.argmin(1)
    row = np.arange(len(best))
    face = close[row, best]
    at = on.reshape(len(best), count, 3)[row, best]
    bary = np.clip(trimesh.triangles.points_to_barycentric(triangles[face], at), 0, 1)
    bary /= np.maximum(bary.sum(1, keepdims=True), 1e-9)
    return np.einsum("nk,nkc->nc", bary, uv[faces[face]])


def _rest_normals() -> np.ndarray:
    from ...hand_model import vertex_normals

    model = surface("default", "right", LEVEL)
    normal = layout().at(vertex_normals(model.template, model.faces))
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)


def _read_godot(path: Path) -> tuple[np.ndarray, ...]:
    """Vertices, UVs, faces, weights of MANO's joints and keypoints, in our rest axes."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        blob = base64.b64decode(data["buffers"][0]["uri"].split(",", 1)[1])
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(
            f"cannot read the hand {path.name}: {error}; give the folder of the Godot XR hands"
        ) from None
    kinds = {5126: np.float32, 5123: np.uint16, 5121: np.uint8}
    widths = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}

    def array(number: int) -> np.ndarray:
        accessor = data["accessors"][number]
        start = data["bufferViews"][accessor["bufferView"]].get("byteOffset", 0)
        width = widths[accessor["type"]]
        flat = np.frombuffer(
            blob, kinds[accessor["componentType"]], accessor["count"] * width, start
        )
        return flat.reshape(-1, width)

    primitive, skin = data["meshes"][0]["primitives"][0], data["skins"][0]
    axes = [2, 0, 1]  # the Godot hand points along -z, its back along x, its thumb along y
    names = [data["nodes"][j]["name"].lower() for j in skin["joints"]]
    inverse = array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
    places = np.linalg.inv(inverse.astype(np.float64))[:, :3, 3][:, axes]
    chains = {"thumb": ("metacarpal", "proximal", "distal", "tip")}
    keypoints, joint_of = [places[names.index("wrist_r")]], np.zeros(len(names), int)
    for f, finger in enumerate(FINGERS):
        own = "little" if finger == "pinky" else finger
        for k, part in enumerate(chains.get(finger, ("proximal", "intermediate", "distal", "tip"))):
            bone = names.index(f"{own}_{part}_r")
            keypoints.append(places[bone])
            mano = KEYPOINT_TO_MANO[1 + 4 * f + k]
            joint_of[bone] = mano if mano >= 0 else KEYPOINT_TO_MANO[4 * f + k]
    attributes = primitive["attributes"]
    joints, share = array(attributes["JOINTS_0"]), array(attributes["WEIGHTS_0"])
    weights = np.zeros((len(joints), 16))
    for k in range(4):
        np.add.at(weights, (np.arange(len(joints)), joint_of[joints[:, k]]), share[:, k])
    weights /= weights.sum(1, keepdims=True)
    root = np.array(keypoints[0])
    return (
        array(attributes["POSITION"]).astype(np.float64)[:, axes] - root,
        array(attributes["TEXCOORD_0"]).astype(np.float64),
        array(primitive["indices"]).reshape(-1, 3).astype(np.int64),
        weights,
        np.array(keypoints) - root,
    )


def godot_skin(path: Path) -> np.ndarray:
    """(N, 3) log albedo of a Godot XR hand's picture, by its mesh beside it.

    Raises:
        InputError: the picture or the mesh cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    except OSError as error:
        raise InputError(f"cannot read the skin {path.name}: {error}; give a PNG") from None
    at = _godot_uv(str(path.parent)) * [pixels.shape[1], pixels.shape[0]]
    log_albedo = np.log(np.maximum(srgb_to_linear(bilinear(pixels, at) / 255), DARKEST))
    return without_rips(log_albedo, at)
