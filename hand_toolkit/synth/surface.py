"""The surface that is rendered: the posed hand model, quads, forearm, and the skins' atlas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ..core.conventions import SIDES, side_index
from ..geometry.surfaces import vertex_normals
from ..hand_model import default as default_hand
from ..hand_model import load_hand_model, pose_hand_numpy

FOREARM_FILE = default_hand.DATA_FILE.with_name("default_forearm.npz")
BEND_REACH_M = 0.035
"""Length of forearm over which a bend of the wrist spreads; the hand itself stays rigid."""


@dataclass(frozen=True)
class Surface:
    """Quad mesh of one hand with its forearm, rest pose of the mean shape.

    The first ``hand_vertices`` vertices are the hand model's own, in its order.

    Attributes:
        side: "right" or "left".
        rest: (V, 3) metres.
        hand_vertices: how many belong to the hand model.
        quads: (Q, 4) vertex indices.
        hand_quads: how many of the quads belong to the hand model.
        uvs: (T, 2) in the skins' atlas, origin lower left.
        uv_quads: (Q, 4) indices into ``uvs``.
        weights: (V, 16) skinning weights.
        keypoints: (21, 3) rest keypoints, metres.
        flexion_axes: (5, 3, 3) unit axis of positive flexion, per finger and joint.
        shape_dirs: (S, V, 3) displacement per unit of each shape parameter, metres.
        bend: (V,) share of the wrist's bend that each vertex follows; 0 on the hand.
        pivot: (3,) where the bend turns, metres.
    """

    side: str
    rest: np.ndarray
    hand_vertices: int
    quads: np.ndarray
    hand_quads: int
    uvs: np.ndarray
    uv_quads: np.ndarray
    weights: np.ndarray
    keypoints: np.ndarray
    flexion_axes: np.ndarray
    shape_dirs: np.ndarray
    bend: np.ndarray
    pivot: np.ndarray

    @cached_property
    def triangles(self) -> np.ndarray:
        """(2Q, 3) two triangles per quad."""
        return split_quads(self.quads)

    @cached_property
    def normals(self) -> np.ndarray:
        """(V, 3) unit rest normals."""
        return vertex_normals(self.rest, self.triangles)


def split_quads(quads: np.ndarray) -> np.ndarray:
    """(2Q, 3) triangles of (Q, 4) quads, two in a row per quad."""
    return quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


@lru_cache(maxsize=2)
def load_surface(side: str) -> Surface:
    """The default hand with its forearm, which is long enough to leave the picture.

    Raises:
        InputError: an unknown side.
    """
    side_index(side)
    with np.load(FOREARM_FILE, allow_pickle=False) as data:
        rest = data["template"].astype(np.float64)
        quads, uv_quads = data["quads"].astype(np.int64), data["uv_quads"].astype(np.int64)
        uvs, left_uvs = data["uvs"].astype(np.float64), data["left_uvs"].astype(np.float64)
        weights = data["weights"].astype(np.float64)
        shape_dirs = data["shape_dirs"].astype(np.float64)
        keypoints, axes = data["keypoint_template"], data["flexion_axes"]
        keypoints, axes = keypoints.astype(np.float64), axes.astype(np.float64)
    hand_vertices = len(load_hand_model("default", "right").template)
    hand_quads = int((quads < hand_vertices).all(1).sum())
    weights /= weights.sum(1, keepdims=True)
    weights[hand_vertices:] = np.eye(16)[0]
    end = rest[:hand_vertices, 0].max()
    ramp = np.clip((rest[:, 0] - end) / BEND_REACH_M, 0, 1)
    bend = ramp * ramp * (3 - 2 * ramp)
    bend[:hand_vertices] = 0
    rim = rest[:hand_vertices][rest[:hand_vertices, 0] > end - 0.01]
    pivot = rim.mean(0)
    if side == SIDES[1]:
        flip = np.array([-1.0, 1.0, 1.0])
        rest, keypoints, pivot, shape_dirs = (
            rest * flip,
            keypoints * flip,
            pivot * flip,
            shape_dirs * flip,
        )
        axes = axes * np.array([1.0, -1.0, -1.0])
        quads, uv_quads = quads[:, ::-1], uv_quads[:, ::-1]
        # The skins hold the left forearm elsewhere; where it is unknown the right one serves.
        uvs = np.where(np.isfinite(left_uvs), left_uvs, uvs)
    return Surface(
        side=side,
        rest=rest,
        hand_vertices=hand_vertices,
        quads=quads,
        hand_quads=hand_quads,
        uvs=uvs,
        uv_quads=uv_quads,
        weights=weights,
        keypoints=keypoints,
        flexion_axes=axes,
        shape_dirs=shape_dirs,
        bend=bend,
        pivot=pivot,
    )


def pose_surface(
    surface: Surface,
    theta: np.ndarray,
    shape: np.ndarray,
    translation: np.ndarray,
    wrist_bend: np.ndarray,
) -> np.ndarray:
    """(V, 3) posed vertices; the first ``hand_vertices`` are exactly the hand model's.

    Args:
        surface: of the same side.
        theta: (16, 3) axis-angle; shape: (S,); translation: (3,) metres.
        wrist_bend: (3,) axis-angle that turns the forearm against the hand, in rest axes.
    """
    from scipy.spatial.transform import Rotation

    model = load_hand_model("default", surface.side)
    hand, _, _, transforms = pose_hand_numpy(model, theta, shape, translation)
    count = surface.hand_vertices
    arm = surface.rest[count:] + np.tensordot(shape, surface.shape_dirs[:, count:], 1)
    turns = Rotation.from_rotvec(surface.bend[count:, None] * np.asarray(wrist_bend))
    arm = turns.apply(arm - surface.pivot) + surface.pivot
    arm = arm @ transforms[0, :3, :3].T + transforms[0, :3, 3]
    return np.concatenate([hand, arm])
