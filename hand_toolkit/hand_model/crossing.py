"""Two hands against each other: where they cross, how deep, how much, and what they touch.

Both hands of a posed pair are measured at once, part against part, as those who part them need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..core.conventions import SIDES
from ..geometry.closing import closed_mesh
from ..geometry.surfaces import vertex_normals
from .base import HandModel
from .loading import load_hand_model

NEAR_M = 0.004
"""Skin nearer than this to the other hand is watched."""

CANDIDATES = 12
"""Triangles by their middles among which the nearest is sought."""

TOUCH_M = 0.002
"""Parts whose skins are nearer than this touch."""


@dataclass(frozen=True)
class Crossing:
    """Skin of one hand near or inside the other.

    Attributes:
        hand: (N,) whose vertices they are, 0 right and 1 left.
        vertex: (N,) of that hand.
        partner: (N,) the other hand's vertex nearest to ``surface``.
        surface: (N, 3) the other's nearest surface point, metres.
        gap: (N,) signed distance from the other's surface, negative inside, metres.
        direction: (N, 3) unit, along which the vertex leaves the other hand.
        parts: (N, 2) MANO joints that move the vertex and its partner most.
    """

    hand: np.ndarray
    vertex: np.ndarray
    partner: np.ndarray
    surface: np.ndarray
    gap: np.ndarray
    direction: np.ndarray
    parts: np.ndarray

    def __len__(self) -> int:
        return len(self.vertex)

    @property
    def depth_m(self) -> float:
        """How deep the deepest vertex is inside."""
        return float(max(0.0, -self.gap.min(initial=0.0)))

    def touching(self) -> set[tuple[int, int]]:
        """Parts of the right and the left hand that touch or cross."""
        return {pair for pair, gap in self.nearest().items() if gap < TOUCH_M}

    def nearest(self) -> dict[tuple[int, int], float]:
        """The smallest gap of each two parts, right and left, metres."""
        right = np.where(self.hand == 0, self.parts[:, 0], self.parts[:, 1])
        left = np.where(self.hand == 0, self.parts[:, 1], self.parts[:, 0])
        found: dict[tuple[int, int], float] = {}
        for a, b, gap in zip(right.tolist(), left.tolist(), self.gap.tolist()):
            found[a, b] = min(gap, found.get((a, b), np.inf))
        return found


@lru_cache(maxsize=8)
def _models(hand_model: str) -> tuple[HandModel, HandModel]:
    right, left = (load_hand_model(hand_model, side) for side in SIDES)
    return right, left


def find_crossing(
    vertices: np.ndarray, hand_model: str = "default", near_m: float = NEAR_M
) -> Crossing:
    """Skin of two posed hands that is near or inside the other hand, which is closed at the wrist.

    Args:
        vertices: (2, V, 3) level-0 vertices of the right and the left hand, metres.
        hand_model: whose they are.
        near_m: skin outside is told of up to this distance.
    """
    from scipy.spatial import cKDTree

    models = _models(hand_model)
    rows: dict[str, list[np.ndarray]] = {name: [] for name in Crossing.__dataclass_fields__}
    for k in range(2):
        own, other = vertices[k], vertices[1 - k]
        low, high = other.min(0) - near_m, other.max(0) + near_m
        boxed = np.flatnonzero(((own > low) & (own < high)).all(1))
        if not len(boxed):
            continue
        tree = cKDTree(other)
        # a vertex inside is no farther from the other's vertices than the palm is thick
        boxed = boxed[tree.query(own[boxed])[0] < 0.02]
        if not len(boxed):
            continue
        closed, faces = closed_mesh(other, models[1 - k].faces)
        surface, signed = _signed_distance(own[boxed], closed, faces)
        watched = signed < near_m
        index, signed, surface = boxed[watched], signed[watched], surface[watched]
        partner = tree.query(surface)[1] if len(index) else np.zeros(0, int)
        normals = vertex_normals(other, models[1 - k].faces)[partner]
        away = np.where(signed < 0, -1.0, 1.0)[:, None] * (own[index] - surface)
        size = np.linalg.norm(away, axis=1, keepdims=True)
        direction = np.where(size > 2e-4, away / np.maximum(size, 1e-9), normals)
        weights = (models[k].weights, models[1 - k].weights)
        rows["hand"].append(np.full(len(index), k))
        rows["vertex"].append(index)
        rows["partner"].append(partner)
        rows["surface"].append(surface)
        rows["gap"].append(signed)
        rows["direction"].append(direction)
        parts = [weights[0][index].argmax(1), weights[1][partner].argmax(1)]
        rows["parts"].append(np.stack(parts, 1))
    if not rows["gap"]:
        none = np.zeros(0)
        return Crossing(
            none.astype(int), none.astype(int), none.astype(int), np.zeros((0, 3)), none,
            np.zeros((0, 3)), np.zeros((0, 2), int),
        )  # fmt: skip
    return Crossing(**{name: np.concatenate(values) for name, values in rows.items()})


def _signed_distance(
    points: np.ndarray, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest points (P, 3) of a closed mesh and signed distances (P,), negative inside.

    The nearest triangle is among those with the nearest middles, and the sign is that of its
    smooth normal: a tenth of the time of :mod:`.collision`'s exact measures.
    """
    from scipy.spatial import cKDTree
    from trimesh.triangles import closest_point, points_to_barycentric

    corners = vertices[faces]
    count = min(CANDIDATES, len(faces))
    _, candidates = cKDTree(corners.mean(1)).query(points, k=count)
    flat = candidates.ravel()
    spots = closest_point(corners[flat], np.repeat(points, count, axis=0))
    spots = spots.reshape(len(points), count, 3)
    gaps = np.linalg.norm(spots - points[:, None], axis=2)
    best = gaps.argmin(1)
    rows = np.arange(len(points))
    surface, face = spots[rows, best], candidates[rows, best]
    shares = points_to_barycentric(corners[face], surface)
    normals = (vertex_normals(vertices, faces)[faces[face]] * shares[..., None]).sum(1)
    inside = ((points - surface) * normals).sum(1) < 0
    return surface, np.where(inside, -1.0, 1.0) * gaps[rows, best]


def crossing_volume(vertices: np.ndarray, crossing: Crossing, hand_model: str = "default") -> float:
    """Cubic metres that both hands claim: skin inside the other times its depth.

    The mean of what both hands' skins say; exact for shallow crossings.
    """
    models, total = _models(hand_model), 0.0
    for k in range(2):
        rows = (crossing.hand == k) & (crossing.gap < 0)
        corners = vertices[k][models[k].faces]
        doubled = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.zeros(len(vertices[k]))
        for corner in range(3):
            np.add.at(area, models[k].faces[:, corner], np.linalg.norm(doubled, axis=1) / 6)
        total += float((area[crossing.vertex[rows]] * -crossing.gap[rows]).sum())
    return total / 2
