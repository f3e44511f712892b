"""A chosen pose as depth, normal and edge pictures, for programs that make pictures from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..animate import finger_pose, pose_names
from ..avatar import Avatar, display_theta, surface
from ..core.cameras import orbit_camera
from ..core.conventions import SIDES, UPRIGHT_WRISTS_M, mirror_theta
from ..core.errors import InputError
from ..core.types import Camera, HandPose, Photo, PoseEstimate
from ..geometry.raster import rasterize_mesh
from ..geometry.rotations import axis_angle_from_quat, matrix_from_axis_angle, quat_from_matrix
from ..geometry.surfaces import face_normals
from ..hand_model import HandModel, load_default_forearm, pose_hand_numpy, subdivide

KINDS = ("depth", "normal", "canny")
VIEWS = {"palm": 0.0, "back": 180.0}
SAMPLES = 2
LEVEL = 2
SMALLEST, LARGEST = 64, 4096
FARTHEST = 0.25
"""Brightness of the farthest skin; what lies behind is 0. Nearest is 1."""

RIM_M = 0.002
"""By how much a forearm lies behind a hand's rim, where both are drawn."""

FOREARM_MODELS = ("default", "default_2")


@dataclass(frozen=True)
class Guides:
    """One pose as pictures, rows from the top.

    Attributes:
        estimate: hands and camera, camera axes.
        depth: (H, W) uint8 inverse depth, nearest 255, 0 where nothing is.
        normal: (H, W, 3) uint8, x right, y up, z to the camera; mid grey-blue where nothing is.
        canny: (H, W) uint8 edges, 255 on an edge.
        mask: (H, W) bool, hands without forearms.
    """

    estimate: PoseEstimate
    depth: np.ndarray
    normal: np.ndarray
    canny: np.ndarray
    mask: np.ndarray

    def picture(self, kind: str) -> np.ndarray:
        """One of :data:`KINDS`.

        Raises:
            InputError: another word.
        """
        if kind not in KINDS:
            raise InputError(f"unknown guide {kind!r}; accepted are: {', '.join(KINDS)}")
        return np.asarray(getattr(self, kind))


def placed_hands(
    pose: str | Mapping[str, np.ndarray],
    *,
    side: str = "right",
    view: str = "palm",
    size: tuple[int, int] = (768, 768),
    hand_model: str = "default",
    avatar: Avatar | None = None,
    translation: Mapping[str, np.ndarray] | None = None,
) -> PoseEstimate:
    """Hands in a pose before a camera.

    Args:
        pose: a built-in pose's name, or side to θ (16, 3).
        side: "right", "left" or "both", for a named pose.
        view: "palm", "back", or degrees that the camera is turned around upright hands.
        size: (width, height).
        hand_model: of the mean hand.
        avatar: whose shape and hand model are taken instead.
        translation: side to wrist (3,), where θ are not upright hands side by side.

    Raises:
        InputError: an unknown pose or view, or a size out of range.
    """
    if not all(SMALLEST <= n <= LARGEST for n in size):
        raise InputError(f"{size[0]}x{size[1]} pixels; accepted is {SMALLEST} to {LARGEST} a side")
    if isinstance(pose, str):
        if pose not in pose_names():
            raise InputError(f"unknown pose {pose!r}; accepted are: {', '.join(pose_names())}")
        right = finger_pose(pose, 4.0)
        sides = SIDES if side == "both" else (side,)
        theta = {s: display_theta(s, right if s == "right" else mirror_theta(right)) for s in sides}
    else:
        theta = {s: np.asarray(t, np.float64) for s, t in pose.items()}
    pair = len(theta) > 1
    where = translation or {s: UPRIGHT_WRISTS_M[SIDES.index(s)] * pair for s in theta}
    name = hand_model if avatar is None else avatar.hand_model
    shapes = {s: _shape(name, s, avatar) for s in theta}
    points = np.concatenate(
        [pose_hand_numpy(surface(name, s, 0), theta[s], shapes[s], where[s])[0] for s in theta]
    )
    camera = orbit_camera(points, *size, np.radians(_degrees(view)))
    turn, shift = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    own = Camera(camera.fx, camera.fy, camera.cx, camera.cy, *size)
    hands = []
    for s, t in theta.items():
        local = np.array(t)
        local[0] = axis_angle_from_quat(quat_from_matrix(turn @ matrix_from_axis_angle(t[0])))
        at = turn @ np.asarray(where[s], np.float64) + shift
        keys = pose_hand_numpy(surface(name, s, 0), local, shapes[s], at)[2]
        hands.append(HandPose(s, local, shapes[s], at, name, 1.0, own.project(keys), keys))
    return PoseEstimate(tuple(hands), own)


def guides(estimate: PoseEstimate, forearm: bool = True) -> Guides:
    """The pictures of hands before their camera.

    Args:
        estimate: hands and camera.
        forearm: draw the default hand's forearms, which a picture of a hand has.
    """
    import cv2

    view = estimate.camera.resized(
        estimate.camera.width * SAMPLES, estimate.camera.height * SAMPLES
    )
    parts, own = [], []
    for hand in estimate.hands:
        model = surface(hand.hand_model, hand.side, LEVEL)
        parts.append(
            (pose_hand_numpy(model, hand.theta, hand.shape, hand.translation)[0], model.faces)
        )
        own.append(True)
        if forearm and hand.hand_model in FOREARM_MODELS:
            arm = _arm(hand.side)
            still = np.zeros((16, 3))
            still[0] = hand.theta[0]
            known = arm.shape_names == surface(hand.hand_model, hand.side, 0).shape_names
            shape = hand.shape if known else np.zeros(len(arm.shape_names))
            vertices = pose_hand_numpy(arm, still, shape, hand.translation)[0]
            parts.append((vertices, arm.faces[_beyond_wrist(hand.side)]))
            own.append(False)
    depth = np.full((view.height, view.width), np.inf)
    normal = np.zeros((view.height, view.width, 3))
    mask = np.zeros(depth.shape, bool)
    for (vertices, faces), is_hand in zip(parts, own):
        raster = rasterize_mesh(vertices, faces, view)
        nearer = raster.silhouette & (raster.depth + (0.0 if is_hand else RIM_M) < depth)
        depth[nearer] = raster.depth[nearer]
        normal[nearer] = face_normals(vertices, faces)[0][raster.triangle[nearer]]
        mask[nearer] = is_hand
    there = np.isfinite(depth)
    if not there.any():
        raise InputError("no hand is in the picture; choose another view")
    near, far = 1 / depth[there].min(), 1 / depth[there].max()
    inverse = np.where(there, 1 / depth, far)
    bright = FARTHEST + (1 - FARTHEST) * (inverse - far) / max(near - far, 1e-9)
    bright = np.where(there, bright, 0)
    shown = np.where(there[..., None], normal * [0.5, -0.5, -0.5] + 0.5, [0.5, 0.5, 1.0])
    light = (255 * np.where(there, 0.35 + 0.6 * bright * -normal[..., 2].clip(-1, 0), 0)).astype(
        np.uint8
    )
    size = (estimate.camera.width, estimate.camera.height)
    reduced = cv2.resize(cv2.GaussianBlur(light, (0, 0), 1.2), size, interpolation=cv2.INTER_AREA)
    return Guides(
        estimate,
        _small(bright, size),
        _small(cv2.GaussianBlur(shown, (0, 0), 1.0), size),
        cv2.Canny(reduced, 30, 80),
        _small(mask.astype(np.float64), size) > 127,
    )


@lru_cache(maxsize=2)
def _arm(side: str) -> HandModel:
    return subdivide(load_default_forearm(side), 1)


@lru_cache(maxsize=2)
def _beyond_wrist(side: str) -> np.ndarray:
    """(F,) bool: faces of the forearm's mesh that are not the hand's."""
    from scipy.spatial import cKDTree

    coarse, fine = load_default_forearm(side), _arm(side)
    outside = (coarse.faces >= len(surface("default", side, 0).template)).any(axis=1)
    # and those that meet them, under the hand's rim
    outside = np.isin(coarse.faces, coarse.faces[outside]).any(axis=1)
    centres = [m.template[m.faces].mean(axis=1) for m in (coarse, fine)]
    return np.asarray(outside[cKDTree(centres[0]).query(centres[1])[1]])


def _small(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    reduced = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return (reduced.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _shape(hand_model: str, side: str, avatar: Avatar | None) -> np.ndarray:
    if avatar is not None:
        return avatar.hand(side).shape
    return np.zeros(len(surface(hand_model, side, 0).shape_names))


def _degrees(view: str) -> float:
    if view in VIEWS:
        return VIEWS[view]
    try:
        value = float(view)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"unknown view {view!r}; give {', '.join(VIEWS)} or degrees")
    return value


def save_pose(path: str | Path, estimate: PoseEstimate) -> None:
    """Write hands and camera as ``hand-toolkit pose`` does; ``fit --pose`` takes them as given."""
    from ..media.viewset import View, ViewSet
    from ..pose.views import write_poses

    path = Path(path)

    def unread() -> Photo:
        raise InputError("a chosen pose has no picture")

    view = View(path.stem, unread, estimate.camera, estimate.hands)
    write_poses(path, ViewSet((view,), path.stem))
