"""What a host needs to build a hand of its own: rest surface, skeleton, binding, colours."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..animate.presets import avatar_curl_limits
from ..avatar import Avatar, surface
from ..core.conventions import KEYPOINT_TO_MANO, SIDES
from ..core.errors import InputError
from ..export.axes import base_colors
from ..hand_model import HandModel, pose_drivers, rest_hand
from ..hand_model.arm import elbow_points, has_forearm, skin_weights
from ..hand_model.limits import HIGHEST, LOWEST, joint_frames


def describe_hand(avatar: Avatar, side: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """All arrays of one hand.

    Returns:
        Facts (shape parameter names, licence) and arrays: ``vertices`` (V, 3) rest surface of
        the avatar's shape, ``faces`` (F, 3), ``uvs`` (F, 3, 2) per corner, ``weights`` (V, 16),
        or (V, 19) with a forearm's bones, which rest at ``forearm_points`` (3, 3),
        ``joints`` (16, 3), ``keypoints`` (21, 3), ``shape`` (S,), ``shape_sigmas`` (S,),
        ``triangle`` (N,), ``barycentric`` (N, 3), ``offset`` (N, 3), ``quat`` (N, 4),
        ``scale`` (N, 3), ``opacity`` (N,), ``color`` (N, 3) sRGB, ``albedo`` (N, 3) sRGB,
        ``evidence`` (N,), ``source_theta`` (16, 3) or (17, 3), ``source_translation`` (3,),
        ``limits`` (16, 3, 2) rad (:func:`joint_limits`), ``curl_limits`` (5,) highest curl of each
        finger, ``axes`` (16, 3, 3)
        (:func:`bone_axes`), and where the model has pose correctives ``pose_dirs`` (K, V, 3),
        ``pose_joints`` (K,) and ``pose_axes`` (K, 3, 3).
    """
    hand = avatar.hand(side)
    model = surface(avatar.hand_model, side, avatar.level)
    arrays = reshape_hand(avatar, side, hand.shape)
    binding = hand.binding
    arrays |= {
        "faces": model.faces.astype(np.int32),
        "uvs": model.uvs[model.uv_faces].astype(np.float32),
        "weights": skin_weights(model).astype(np.float32),
        "shape": hand.shape,
        "shape_sigmas": model.shape_sigmas,
        "triangle": binding.triangle,
        "barycentric": binding.barycentric,
        "offset": binding.offset,
        "quat": binding.quat,
        "scale": binding.scale,
        "opacity": hand.opacity,
        "color": base_colors(hand.color),
        "albedo": hand.albedo,
        "evidence": hand.evidence,
        "source_theta": hand.source_theta,
        "source_translation": hand.source_translation,
        "limits": joint_limits(),
        "curl_limits": avatar_curl_limits(avatar, side, solve=False),
        "axes": bone_axes(side, arrays["keypoints"]),
    }
    if model.pose_dirs is not None:
        joints, matrices = pose_drivers(model)
        arrays["pose_dirs"] = model.pose_dirs.astype(np.float32)
        arrays["pose_joints"] = joints.astype(np.int32)
        arrays["pose_axes"] = matrices.astype(np.float32)
    return {"shape_names": list(model.shape_names), "licence": model.licence}, arrays


def reshape_hand(avatar: Avatar, side: str, shape: np.ndarray) -> dict[str, np.ndarray]:
    """``vertices``, ``joints`` and ``keypoints`` of the flat hand of another shape.

    Raises:
        InputError: ``shape`` has another length than the hand model's.
    """
    if side not in SIDES:
        raise InputError(f"unknown side {side!r}; give 'right' or 'left'")
    model: HandModel = surface(avatar.hand_model, side, avatar.level)
    vertices, joints, keypoints = rest_hand(model, shape)
    arrays: dict[str, np.ndarray] = {
        "vertices": vertices.astype(np.float32),
        "joints": np.asarray(joints, np.float64),
        "keypoints": np.asarray(keypoints, np.float64),
    }
    if has_forearm(model):
        arrays["forearm_points"] = elbow_points(vertices, side)
    return arrays


def bone_axes(side: str, keypoints: np.ndarray) -> np.ndarray:
    """(16, 3, 3) right-handed axes of each joint's bone in the hand's rest axes, in columns.

    x is the axis of flexion (positive bends to the palm), y points along the bone to the next
    keypoint, z is their cross product. On the right hand abduction is -z and twist y; on the
    left hand, whose axes are the mirror image, abduction is z and twist -y. The wrist's y
    points along the fingers.
    """
    mirror = np.array([-1.0, 1.0, 1.0])
    axes = np.zeros((16, 3, 3))
    points = keypoints if side == "right" else keypoints * mirror
    axes[0] = np.stack([[0, 0, 1.0], [-1.0, 0, 0], [0, -1.0, 0]], axis=1)
    joint_keypoint = {int(j): k for k, j in enumerate(KEYPOINT_TO_MANO) if j >= 0}
    for joint in range(1, 16):
        at = joint_keypoint[joint]
        along = points[at + 1] - points[at]
        along = along / np.linalg.norm(along)
        flexion = joint_frames()[joint - 1, 0]
        flexion = flexion - along * (along @ flexion)
        flexion = flexion / np.linalg.norm(flexion)
        axes[joint] = np.stack([flexion, along, np.cross(flexion, along)], axis=1)
    if side == "left":
        # Mirrored rotations turn about (x, -y, -z); the bone itself mirrors to (-x, y, z).
        x, y = -mirror * axes[:, :, 0], mirror * axes[:, :, 1]
        axes = np.stack([x, y, np.cross(x, y)], axis=2)
    return axes


def joint_limits() -> np.ndarray:
    """(16, 3, 2) lowest and highest flexion, abduction and twist, radians; the wrist is free."""
    limits = np.zeros((16, 3, 2))
    limits[0] = [-np.pi, np.pi]
    limits[1:] = np.stack([LOWEST, HIGHEST], axis=-1)
    return limits


def bake(avatar: Avatar, side: str, size: int) -> np.ndarray:
    """Reflectance of ``side`` baked into the model's UVs, (size, size, 4) uint8 sRGB."""
    from ..export.bake import bake_color
    from ..export.scene import build_scene

    scene = build_scene(avatar, sides=(side,))
    hand = next(h for h in scene.hands if h.side == side)
    color = bake_color(avatar, hand, size)
    return np.concatenate([color, np.full((*color.shape[:2], 1), 255, np.uint8)], axis=2)


def bake_material(avatar: Avatar, side: str, size: int) -> dict[str, np.ndarray]:
    """``texture`` as :func:`bake` gives it, and ``relief``: normals with roughness as alpha."""
    from ..export.bake import bake_textures
    from ..export.scene import build_scene

    scene = build_scene(avatar, sides=(side,))
    hand = next(h for h in scene.hands if h.side == side)
    baked = bake_textures(avatar, hand, size)
    opaque = np.full((size, size, 1), 255, np.uint8)
    return {
        "texture": np.concatenate([baked.color, opaque], axis=2),
        "relief": np.concatenate([baked.normal, baked.roughness[..., None]], axis=2),
    }
