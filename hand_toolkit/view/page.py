"""One self-contained HTML page that shows, poses and animates an avatar without a network.

The page holds the rest mesh, the skinning weights, the splats' surface binding, a baked texture
and the motions, deflated and base64 coded, and a small WebGL 2 program (``page/*.js``) that does
what :func:`hand_toolkit.hand_model.pose_hand` and :func:`hand_toolkit.avatar.place` do.
"""

from __future__ import annotations

import base64
import html
import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..animate import MOTIONS, Motion, avatar_pose, builtin_motion, pose_names
from ..avatar import Avatar, surface
from ..core.conventions import FINGERS, KEYPOINTS, MANO_JOINTS
from ..core.errors import InputError
from ..core.files import atomic_write
from ..export.axes import base_colors
from ..export.bake import encoded
from ..export.lod import simplified
from ..export.scene import ExportScene, build_scene
from ..export.surface_mesh import split_mesh, strongest
from ..geometry.rotations import quat_from_axis_angle
from ..hand_model import pose_drivers

FOLDER = Path(__file__).with_name("page")
MAX_SPLATS = 160_000
"""Splats that a laptop without a graphics card still sorts and draws smoothly."""

TEXTURE_SIZE = 512
PHOTO_SIZE = 1400


def viewer_html(
    avatar: Avatar,
    path: str | Path,
    *,
    photo: str | Path | None = None,
    motions: Sequence[Motion] | None = None,
    max_splats: int = MAX_SPLATS,
) -> Path:
    """Write the page.

    Args:
        avatar: the avatar; merged to fewer splats where it has more than ``max_splats``.
        path: the ``.html`` file.
        photo: a picture to show beside the avatar.
        motions: motions to include; None is every built-in one.
        max_splats: the most splats to include.

    Returns:
        ``path``.

    Raises:
        InputError: a suffix other than .html, or a picture that cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"the page is '{path.name}'; give a name that ends in .html")
    lod = 0
    while len(avatar) > max_splats and lod < 4:
        avatar = simplified(avatar, 1)
        lod += 1
    scene = build_scene(avatar)
    if motions is None:
        motions = [builtin_motion(name) for name in MOTIONS]
    payload = _Payload()
    for side in scene.sides:
        _add_hand(payload, scene, side)
    manifest = _manifest(payload, scene, motions, photo)
    manifest["arrays"] = payload.table
    parts = {
        "TITLE": html.escape(_title(avatar)),
        "STYLE": _text("page.css"),
        "PAYLOAD": base64.b64encode(zlib.compress(payload.bytes(), 9)).decode("ascii"),
        "MANIFEST": json.dumps(manifest, sort_keys=True).replace("<", "\\u003c"),
        "SCRIPT": "\n".join(_text(name) for name in ("pose.js", "draw.js", "ui.js")),
    }
    page = _text("page.html")
    for name, text in parts.items():
        before, after = page.split(f"/*{name}*/")
        page = before + text + after
    atomic_write(path, page)
    return path


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


class _Payload:
    """Arrays one after another, each at a multiple of four bytes."""

    def __init__(self) -> None:
        self.table: dict[str, dict[str, Any]] = {}
        self._chunks: list[bytes] = []
        self._length = 0

    def add(self, name: str, array: np.ndarray, kind: str, scale: float | None = None) -> None:
        """Store ``array / scale`` (rounded) as little-endian ``kind``, e.g. ``u2``."""
        values = np.asarray(array)
        if scale is not None:
            values = np.rint(values.astype(np.float64) / scale)
        data = np.ascontiguousarray(values, dtype="<" + kind)
        blob = data.tobytes()
        entry: dict[str, Any] = {"kind": kind, "start": self._length, "length": int(data.size)}
        if scale is not None:
            entry["scale"] = scale
        self.table[name] = entry
        blob += b"\0" * (-len(blob) % 4)
        self._chunks.append(blob)
        self._length += len(blob)

    def fitted(self, name: str, array: np.ndarray, kind: str) -> None:
        """Store as ``i2`` or ``u2`` with the scale that uses the whole range."""
        top = 32767 if kind == "i2" else 65535
        largest = float(np.abs(array).max()) if np.size(array) else 0.0
        self.add(name, array, kind, max(largest, 1e-9) / top)

    def bytes(self) -> bytes:
        """All arrays."""
        return b"".join(self._chunks)


def _add_hand(payload: _Payload, scene: ExportScene, side: str) -> None:
    hand, data = scene.hand(side), scene.avatar.hand(side)
    model = hand.model
    indices = "u2" if len(hand.vertices) < 65536 else "u4"
    payload.add(f"{side}.rest", hand.vertices, "f4")
    payload.add(f"{side}.faces", model.faces, indices)
    joints, weights = strongest(model.weights, 8)
    payload.add(f"{side}.joints", joints, "u1")
    payload.add(f"{side}.weights", weights, "u2", 1 / 65535)
    drivers = (np.zeros(0), np.zeros(0))
    starts, moved, amounts = [0], [np.zeros(0, np.int64)], [np.zeros((0, 3))]
    if model.pose_dirs is not None:
        drivers = pose_drivers(model)
        for direction in model.pose_dirs:
            moved.append(np.flatnonzero(np.abs(direction).max(1) > 1e-6))
            amounts.append(direction[moved[-1]])
            starts.append(starts[-1] + len(moved[-1]))
    payload.add(f"{side}.driverJoints", drivers[0], "u1")
    payload.add(f"{side}.driverAxes", drivers[1], "f4")
    payload.add(f"{side}.correctiveStarts", np.array(starts), "u4")
    payload.add(f"{side}.correctiveVertices", np.concatenate(moved), indices)
    payload.fitted(f"{side}.correctives", np.concatenate(amounts), "i2")
    payload.add(f"{side}.restJoints", hand.joints, "f4")
    tips = [KEYPOINTS.index(f"{finger}_tip") for finger in FINGERS]
    payload.add(f"{side}.restTips", hand.keypoints[tips], "f4")
    payload.add(f"{side}.tipBones", np.array([MANO_JOINTS.index(f"{f}3") for f in FINGERS]), "u1")
    mesh = split_mesh(hand)
    payload.add(f"{side}.splitVertex", mesh.vertex, indices)
    payload.add(f"{side}.splitUv", mesh.uv, "u2", 1 / 65535)
    payload.add(f"{side}.splitFaces", mesh.faces, "u2" if len(mesh.vertex) < 65536 else "u4")

    order = np.argsort(data.binding.triangle, kind="stable")
    binding = data.binding.take(order)
    faces = surface(scene.avatar.hand_model, side, scene.avatar.level).faces
    payload.add(f"{side}.triangle", binding.triangle, "u2" if len(faces) < 65536 else "u4")
    payload.add(f"{side}.barycentric", np.clip(binding.barycentric[:, :2], 0, 1), "u2", 1 / 65535)
    payload.fitted(f"{side}.offset", binding.offset, "i2")
    payload.add(f"{side}.quat", binding.quat, "i2", 1 / 32767)
    payload.fitted(f"{side}.scale", binding.scale, "u2")
    payload.add(f"{side}.color", np.rint(base_colors(data.color[order]) * 255), "u1")
    payload.add(f"{side}.opacity", np.rint(data.opacity[order] * 255), "u1")
    payload.add(f"{side}.evidence", np.rint(data.evidence[order] * 255), "u1")


def _manifest(
    payload: _Payload, scene: ExportScene, motions: Sequence[Motion], photo: str | Path | None
) -> dict[str, Any]:
    from ..hand_model.limits import HIGHEST, LOWEST, joint_angles, joint_frames

    payload.add("frames", joint_frames(), "f4")
    moves: dict[str, Any] = {}
    for motion in motions:
        payload.fitted(f"motion.{motion.name}.theta", motion.theta, "i2")
        payload.add(f"motion.{motion.name}.trans", motion.translation, "f4")
        moves[motion.name] = {"fps": motion.fps, "frames": len(motion)}
    first = scene.sides[0]
    poses = {
        name: _rounded(joint_angles(avatar_pose(scene.avatar, first, name, solve=False), first))
        for name in pose_names()
    }
    display = {
        hand.side: _rounded(quat_from_axis_angle(hand.bind_theta[0]), 7) for hand in scene.hands
    }
    textures = {}
    for side in scene.sides:
        picture = encoded(scene.textures(side, TEXTURE_SIZE, "albedo").color, "jpg", 85)
        textures[side] = _data_uri(picture, "jpeg")
    center, distance = _framing(scene)
    return {
        "sides": list(scene.sides),
        "display": display,
        "places": {hand.side: _rounded(hand.bind_translation) for hand in scene.hands},
        "poses": poses,
        "fist": poses["fist"],
        "lowest": _rounded(LOWEST),
        "highest": _rounded(HIGHEST),
        "motions": moves,
        "textures": textures,
        "target": _rounded(center),
        "distance": round(distance, 4),
        "photo": None if photo is None else _photo_uri(photo),
        "about": _about(scene),
    }


def _framing(scene: ExportScene) -> tuple[np.ndarray, float]:
    """Centre of the upright hands and a camera distance that shows them."""
    from ..export.axes import points_y_up

    points = points_y_up(np.concatenate([hand.bind_vertices for hand in scene.hands]))
    low, high = points.min(0), points.max(0)
    return (low + high) / 2, float(1.9 * np.linalg.norm(high[:2] - low[:2]) / 1.25)


def _about(scene: ExportScene) -> str:
    lines = [f"{key}: {value}" for key, value in scene.avatar.provenance.items()]
    return "\n".join([*lines, f"licence: {scene.licence()}"])


def _title(avatar: Avatar) -> str:
    return f"Hand avatar: {avatar.provenance.get('photo', avatar.provenance.get('source', ''))}"


def _rounded(values: Any, digits: int = 5) -> list[float]:
    return [round(float(v), digits) for v in np.ravel(values)]


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _photo_uri(photo: str | Path) -> str:
    from PIL import Image

    from ..media import load_photo

    picture = Image.fromarray(load_photo(photo).pixels)
    picture.thumbnail((PHOTO_SIZE, PHOTO_SIZE))
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=85)
    return _data_uri(buffer.getvalue(), "jpeg")
