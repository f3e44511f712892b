"""Which skin a splat is: back, palm or nail, and of which finger."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..avatar import AvatarHand, surface
from ..core.conventions import FINGERS, MANO_JOINTS
from ..export.skin_material import nails_and_palm
from ..geometry.surfaces import at_surface, vertex_normals
from ..hand_model import HandModel, joint_frames, rest_hand
from ..skin.uv_layout import bilinear

MAPPED = ("default", "default_1", "default_2")
"""Hand models that share the layout in which nails and palm are drawn."""

SIZE = 512
SOFTENING = 2
"""Rounds of averaging over neighbours, a few millimetres: the palm's edge is no line."""


@dataclass(frozen=True)
class Zones:
    """Kinds of skin at N places.

    Attributes:
        palm: (N,) 1 on the palm and the fingers' inner sides, 0 on the back, soft between.
        nail: (N,) 1 on nails; zero for hand models without a map of nails.
        finger: (N,) index of the finger, 0 to 4, or -1 on the hand itself.
    """

    palm: np.ndarray
    nail: np.ndarray
    finger: np.ndarray

    @property
    def back(self) -> np.ndarray:
        """(N,) 1 where it is neither palm nor nail."""
        return (1 - self.palm) * (1 - self.nail)


def zones_of(hand_model: str, level: int, hand: AvatarHand) -> Zones:
    """The zones of a hand's splats."""
    binding = hand.binding
    model = surface(hand_model, hand.side, level)
    return zones_at(model, binding.triangle, binding.barycentric)


def zones_at(model: HandModel, triangle: np.ndarray, barycentric: np.ndarray) -> Zones:
    """The zones of places on a hand's surface.

    Args:
        model: the hand.
        triangle: (N,) faces of it.
        barycentric: (N, 3) on them.
    """
    hand_model, level = model.name, model.level
    weights = np.asarray(barycentric, np.float64)
    palm = at_surface(palm_at_vertices(hand_model, level)[:, None], model.faces, triangle, weights)[
        :, 0
    ]
    uv = at_surface(model.uvs, model.uv_faces, triangle, weights)
    nail = np.zeros(len(uv))
    if hand_model in MAPPED:
        pixel = np.stack([uv[:, 0] * SIZE, (1 - uv[:, 1]) * SIZE], axis=1)
        nail = bilinear(nails_and_palm("default", SIZE)[0][..., None], pixel)[:, 0]
    return Zones(np.clip(palm, 0, 1), np.clip(nail, 0, 1), finger_of(model)[triangle])


def finger_of(model: HandModel) -> np.ndarray:
    """(F,) finger that moves each face, 0 to 4, or -1."""
    joint = model.weights[model.faces].sum(axis=1).argmax(axis=1)
    which = [FINGERS.index(name.rstrip("123")) if k else -1 for k, name in enumerate(MANO_JOINTS)]
    return np.array(which)[joint]


@lru_cache(maxsize=8)
def palm_at_vertices(hand_model: str, level: int) -> np.ndarray:
    """(V,) palm at the vertices of either hand."""
    model = surface(hand_model, "right", level)
    if hand_model in MAPPED:
        drawn = nails_and_palm("default", SIZE)[1][..., None]
        uv = model.uvs[model.uv_faces].reshape(-1, 2).astype(np.float64)
        corner = bilinear(drawn, np.stack([uv[:, 0] * SIZE, (1 - uv[:, 1]) * SIZE], axis=1))[:, 0]
        corners = model.faces.ravel()
        palm = np.bincount(corners, corner) / np.maximum(np.bincount(corners), 1)
    else:
        palm = np.clip(0.5 + 2.0 * _palmar(model), 0, 1)
    for _ in range(SOFTENING * (1 + level)):
        palm = _averaged(palm, model.faces)
    return palm


def _palmar(model: HandModel) -> np.ndarray:
    """(V,) how far the rest surface faces to the palm's side, -1 to 1."""
    rest, _, keypoints = rest_hand(model)
    normals = vertex_normals(rest, model.faces)
    part = np.asarray(model.weights).argmax(axis=1)
    facing = -normals[:, 1]
    for f, finger in enumerate(FINGERS):
        first = MANO_JOINTS.index(f"{finger}1")
        along = keypoints[4 + 4 * f] - keypoints[1 + 4 * f]
        inward = np.cross(np.asarray(joint_frames()[first, 0]), along / np.linalg.norm(along))
        own = np.isin(part, [first, first + 1, first + 2])
        facing[own] = normals[own] @ inward
    return facing


def _averaged(values: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Vertex values (V,), each the mean of itself and its neighbours."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    count = len(values)
    total = values + np.bincount(edges[:, 0], values[edges[:, 1]], count)
    total += np.bincount(edges[:, 1], values[edges[:, 0]], count)
    number = 1 + np.bincount(edges.ravel(), minlength=count)
    return total / number
