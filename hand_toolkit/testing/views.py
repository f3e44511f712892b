"""Drawn hands of which everything is known, as view sets; for contract checks and tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..animate import finger_pose
from ..avatar import display_theta
from ..avatar.lighting import shade
from ..core.conventions import mirror_theta
from ..core.types import Camera, HandPose, Photo
from ..geometry import rasterize_mesh
from ..geometry.colour import linear_to_srgb
from ..hand_model import load_hand_model
from ..media.viewset import View, ViewSet
from ..pose.estimate import known_hand
from ..skin.observe import pose_surfaces
from ..skin.template import template_log_albedo

LEVEL = 1
WALL = (0.42, 0.5, 0.58)
"""sRGB behind the hands."""


def drawn_views(
    turns_deg: Sequence[float] = (0.0,),
    sides: Sequence[str] = ("right",),
    *,
    pose: str = "relaxed",
    shape: np.ndarray | None = None,
    luminance: float = 0.3,
    size: int = 256,
    hand_model: str = "default",
    exposures: Sequence[float] | None = None,
) -> ViewSet:
    """Pictures of one person's hands from several sides, in front of a plain wall.

    Skin is the population template's, lit from above; masks, labels, poses and cameras are
    exact.

    Args:
        turns_deg: one picture each, of the hands turned about the upright by so much; 0 shows
            palms, 180 backs.
        sides: of the hands, right first.
        pose: a built-in finger pose.
        shape: (S,) parameters; None is the mean hand.
        luminance: mean linear reflectance of the skin.
        size: side of the square pictures, pixels.
        hand_model: name of the hand model.
        exposures: per picture a factor of its light; by default all 1.
    """
    camera = Camera(2.1 * size, 2.1 * size, size / 2, size / 2, size, size)
    views = []
    for k, turn in enumerate(turns_deg):
        hands = tuple(
            _standing(side, len(sides), np.radians(turn), pose, shape, hand_model, camera)
            for side in sides
        )
        exposure = 1.0 if exposures is None else exposures[k]
        pixels, labels = _drawn(hands, camera, luminance, exposure)
        photo = Photo(pixels, focal_px=camera.fx, name=f"drawn_{k}")
        mask = (labels >= 0).astype(np.float32)
        views.append(View(photo.name, lambda shot=photo: shot, camera, hands, mask, labels))  # type: ignore[misc]
    return ViewSet(tuple(views), "drawn")


def _standing(
    side: str,
    count: int,
    turn: float,
    pose: str,
    shape: np.ndarray | None,
    hand_model: str,
    camera: Camera,
) -> HandPose:
    from scipy.spatial.transform import Rotation

    fingers = finger_pose(pose, 5.0)
    theta = display_theta(side, fingers if side == "right" else mirror_theta(fingers)).copy()
    about = Rotation.from_euler("y", turn)
    theta[0] = (about * Rotation.from_rotvec(theta[0])).as_rotvec()
    aside = 0.0 if count == 1 else (-0.06 if side == "right" else 0.06)
    distance = 0.5 if count == 1 else 0.62
    where = about.apply([aside, 0.0, 0.0]) + np.array([0.0, 0.09, distance])
    names = load_hand_model(hand_model, side, 0).shape_names
    values = np.zeros(len(names)) if shape is None else np.asarray(shape, dtype=float)
    return known_hand(side, theta, values, where, hand_model, camera)


def _drawn(
    hands: tuple[HandPose, ...], camera: Camera, luminance: float, exposure: float
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 pixels and (H, W) labels."""
    from scipy.ndimage import gaussian_filter

    light = np.zeros((9, 3))
    light[0], light[1], light[3] = 2.6, 0.6, -0.3  # bands 0 and 1: from above, a little sideways
    rows = np.linspace(0.9, 1.1, camera.height)[:, None, None]
    pixels = np.array(WALL) * rows * np.ones((camera.height, camera.width, 1))
    grain = np.random.default_rng(0).normal(size=pixels.shape[:2])
    pixels += 0.06 * gaussian_filter(grain, 3.0)[..., None] / 0.1
    labels = np.full(pixels.shape[:2], -1, np.int32)
    nearest = np.full(pixels.shape[:2], np.inf)
    for k, posed in enumerate(pose_surfaces(hands, LEVEL)):
        raster = rasterize_mesh(posed.vertices, posed.faces, camera)
        hit = raster.silhouette & (raster.depth < nearest)
        nearest[hit], labels[hit] = raster.depth[hit], k
        model = load_hand_model(hands[k].hand_model, posed.side, LEVEL)
        faces = raster.triangle[hit]
        uv = model.uvs[model.uv_faces[faces]].mean(axis=1)
        normals = posed.normals[posed.faces[faces]].mean(axis=1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        albedo = np.exp(template_log_albedo(uv, luminance))
        pixels[hit] = linear_to_srgb(exposure * albedo * np.maximum(shade(light, normals), 0.02))
    return (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8), labels
