"""The points of the prior on a hand model, and where they lie in UV."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...core.errors import InputError
from ...geometry.surfaces import face_normals
from ...hand_model import HandModel, load_hand_model

MAX_LEVEL = 3


@dataclass(frozen=True, eq=False)
class Topology:
    """Points = face centroids of the hand model at one subdivision level.

    Face f of the left model is face f of the right one mirrored, so every array serves
    both hands.

    Attributes:
        hand_model: name.
        level: subdivision level.
        uv: (N, 2) float32 position of each point in the UV square.
        detection: (D,) points on which contact is detected, spread evenly.
        nearest: (N,) index into ``detection`` of the point closest on the flat hand.
        rest_points: (N, 3) metres, flat mean right hand.
        rest_normals: (N, 3) unit normals of the same.
    """

    hand_model: str
    level: int
    uv: np.ndarray
    detection: np.ndarray
    nearest: np.ndarray
    rest_points: np.ndarray
    rest_normals: np.ndarray

    def __len__(self) -> int:
        return len(self.uv)

    def mesh(self, side: str) -> HandModel:
        """The hand model of that side whose face centroids the points are."""
        return load_hand_model(self.hand_model, side, self.level)

    def cells(self, size: int) -> np.ndarray:
        """(N,) index of each point's cell in a size x size grid over UV, row by row."""
        xy = np.clip((self.uv * size).astype(np.int64), 0, size - 1)
        return xy[:, 1] * size + xy[:, 0]


def level_for(hand_model: str, points: int) -> int:
    """The lowest level with at least nine tenths of ``points`` faces.

    Raises:
        InputError: even the finest level has fewer.
    """
    faces = len(load_hand_model(hand_model, "right", 0).faces)
    for level in range(MAX_LEVEL + 1):
        if faces * 4**level >= 0.9 * points:
            return level
    raise InputError(
        f"{points} points per hand are wanted, but hand model '{hand_model}' has "
        f"{faces * 4**MAX_LEVEL} faces at its finest level; ask for fewer"
    )


@lru_cache(maxsize=8)
def topology(hand_model: str, points: int, detection_points: int) -> Topology:
    """The prior's points on that hand model (kept; the same object for the same arguments)."""
    from scipy.spatial import cKDTree

    level = level_for(hand_model, points)
    model = load_hand_model(hand_model, "right", level)
    template = model.template.astype(np.float64)
    centre = template[model.faces].mean(1)
    normal, _ = face_normals(template, model.faces)
    uv = model.uvs[model.uv_faces].mean(1).astype(np.float32)
    detection = spread(centre, min(detection_points, len(centre)))
    nearest = cKDTree(centre[detection]).query(centre)[1]
    return Topology(
        hand_model,
        level,
        np.clip(uv, 0.0, 1.0),
        detection,
        nearest.astype(np.int64),
        centre.astype(np.float32),
        normal.astype(np.float32),
    )


def spread(points: np.ndarray, count: int) -> np.ndarray:
    """(count,) sorted indices of points that cover the set evenly.

    A voxel grid whose cell shrinks until it has enough occupied cells; farthest-point
    sampling would be more even, but costs seconds at the finest level.
    """
    if count >= len(points):
        return np.arange(len(points))
    low = points.min(0)
    cell = float(np.ptp(points, axis=0).max())
    while True:
        keys = ((points - low) / cell).astype(np.int64)
        _, first = np.unique(keys, axis=0, return_index=True)
        if len(first) >= count:
            break
        cell *= 0.9
    order = np.sort(first)
    return order[np.linspace(0, len(order) - 1, count).astype(np.int64)]
