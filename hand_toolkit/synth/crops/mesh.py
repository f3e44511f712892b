"""The hand that crops show: the default hand with its forearm, smooth, with baked-skin UVs."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...core.conventions import SIDES, mirror_theta
from ...geometry.surfaces import vertex_normals
from ...hand_model import HandModel, pose_hand_numpy
from ...hand_model.default import load_default_forearm
from ...hand_model.subdivision import subdivide
from ..surface import BEND_REACH_M, load_surface
from ..texels import TexelMap, build_texel_map

LEVEL = 1
TEXEL_SCALE = 0.45
"""Baked skins are this large relative to those of path-traced pictures; crops are small."""

FLIP = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class CropMesh:
    """A right hand with its forearm.

    Attributes:
        model: level ``LEVEL``; its UVs lie in the baked skins.
        coarse_vertices: how many of the vertices, the first, belong to level 0.
        coarse_faces: (F0, 3) the level-0 faces, for shadows.
        corner_uvs: (F, 3, 2) texture coordinates of the faces' corners, origin lower left.
        is_arm: (F,) bool, the face lies on the forearm.
        reach: (F,) metres of the face's centre along the forearm from the wrist joint.
        bend: (V,) share of the wrist's bend that a vertex follows.
        pivot: (3,) metres, where the bend turns.
        normals: (V, 3) unit rest normals.
        texels: of the baked skins.
    """

    model: HandModel
    coarse_vertices: int
    coarse_faces: np.ndarray
    corner_uvs: np.ndarray
    is_arm: np.ndarray
    reach: np.ndarray
    bend: np.ndarray
    pivot: np.ndarray
    normals: np.ndarray
    texels: TexelMap


@dataclass(frozen=True)
class Sleeve:
    """Cloth over the forearm, or a watch's or bracelet's band.

    Attributes:
        start_m: where it begins, along the forearm from the wrist joint.
        thickness_m: how far it stands off the skin.
        end_m: where it ends; a sleeve's end is out of sight.
    """

    start_m: float
    thickness_m: float
    end_m: float = math.inf

    def covers(self, along_m: np.ndarray) -> np.ndarray:
        """Whether it lies over places along the forearm, metres; bool of the same shape."""
        return np.asarray((along_m > self.start_m) & (along_m < self.end_m))


@dataclass(frozen=True)
class PlacedHand:
    """One hand of a scene.

    Attributes:
        side: "right" or "left".
        theta: (16, 3) axis-angle, toolkit convention of the side; row 0 in scene axes.
        translation: (3,) wrist, metres, scene axes.
        bend: (3,) axis-angle of the forearm against the hand, rest axes of the side.
    """

    side: str
    theta: np.ndarray
    translation: np.ndarray
    bend: np.ndarray


@dataclass(frozen=True)
class PosedMesh:
    """A placed hand's surface.

    Attributes:
        vertices: (V, 3) metres, scene axes.
        keypoints: (21, 3).
        mirrored: True for a left hand, whose faces have two corners swapped.
    """

    vertices: np.ndarray
    keypoints: np.ndarray
    mirrored: bool


@lru_cache(maxsize=1)
def load_crop_mesh() -> CropMesh:
    """Build the mesh; takes some seconds once."""
    surface = load_surface("right")
    texels = build_texel_map(surface, TEXEL_SCALE)
    coarse = load_default_forearm("right")
    coarse = dataclasses.replace(coarse, uvs=texels.uvs.astype(np.float32))
    fine = subdivide(coarse, LEVEL)
    rest = fine.template.astype(float)
    on_arm = (coarse.faces >= surface.hand_vertices).any(1)
    # a quad is two triangles, and each level cuts it in four
    is_arm = np.repeat(on_arm.reshape(-1, 2).any(1), 2 * 4**LEVEL)
    end = surface.rest[: surface.hand_vertices, 0].max()
    ramp = np.clip((rest[:, 0] - end) / BEND_REACH_M, 0, 1)
    weights = fine.weights.copy()
    weights[rest[:, 0] > end] = np.eye(16)[0]
    faces = fine.faces
    return CropMesh(
        model=dataclasses.replace(fine, weights=weights),
        coarse_vertices=len(coarse.template),
        coarse_faces=coarse.faces,
        corner_uvs=np.ascontiguousarray(fine.uvs[fine.uv_faces], dtype=np.float32),
        is_arm=is_arm,
        reach=rest[faces, 0].mean(1),
        bend=ramp * ramp * (3 - 2 * ramp),
        pivot=surface.pivot,
        normals=vertex_normals(rest, faces),
        texels=texels,
    )


def pose_crop_mesh(
    mesh: CropMesh, hand: PlacedHand, shape: np.ndarray, sleeve: Sleeve | None
) -> PosedMesh:
    """Pose one hand.

    Args:
        mesh: from :func:`load_crop_mesh`.
        hand: where and how.
        shape: (S,) shape parameters of both hands.
        sleeve: None for a bare arm.
    """
    from scipy.spatial.transform import Rotation

    left = hand.side == SIDES[1]
    theta, bend = hand.theta, hand.bend
    if left:
        theta, bend = mirror_theta(theta), mirror_theta(bend)
    rest = mesh.model.template.astype(float)
    if sleeve is not None:
        covered = sleeve.covers(rest[:, 0])[:, None]
        rest = rest + sleeve.thickness_m * mesh.normals * covered
    arm = mesh.bend > 0
    turns = Rotation.from_rotvec(mesh.bend[arm, None] * bend)
    rest[arm] = turns.apply(rest[arm] - mesh.pivot) + mesh.pivot
    model = dataclasses.replace(mesh.model, template=rest.astype(np.float32))
    vertices, _, keypoints, _ = pose_hand_numpy(model, theta, shape, np.zeros(3))
    if left:
        vertices, keypoints = vertices * FLIP, keypoints * FLIP
    return PosedMesh(vertices + hand.translation, keypoints + hand.translation, left)
