"""Truth to train and test with: closed hands, signed distances, hands pushed out of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.conventions import SIDES
from ...core.errors import missing_dependency
from ...geometry.closing import closed_mesh
from ...hand_model import load_hand_model, pose_hand_numpy

DEEP_M = 0.001
"""Hands that cannot be parted to this depth are no truth."""

PUSHES = 14
NEAR_SIGMAS_M = (0.0015, 0.005)
"""How far from the surface most places lie."""

SHARES = (0.45, 0.3)
"""Of the places at each of them; the others lie in the hand's box."""

BOX_MARGIN_M = 0.02


@dataclass(frozen=True)
class PosedPair:
    """A right and a left hand, closed at the wrist.

    Attributes:
        vertices: two arrays (V, 3), metres, camera axes.
        faces: two arrays (F, 3), outside counter-clockwise.
        keypoints: (2, 21, 3).
    """

    vertices: tuple[np.ndarray, np.ndarray]
    faces: tuple[np.ndarray, np.ndarray]
    keypoints: np.ndarray


def posed_pair(
    theta: np.ndarray, shape: np.ndarray, translation: np.ndarray, hand_model: str = "default",
    level: int = 0,
) -> PosedPair:  # fmt: skip
    """Both hands of a pose.

    Args:
        theta: (2, 16, 3), right and left.
        shape: (S,) of both.
        translation: (2, 3) metres.
        hand_model: its name.
        level: of subdivision.
    """
    vertices, faces, points = [], [], []
    for k, side in enumerate(SIDES):
        model = load_hand_model(hand_model, side, level)
        skin, _, keypoints, _ = pose_hand_numpy(model, theta[k], shape, translation[k])
        v, f = closed_mesh(skin, model.faces)
        vertices.append(v)
        faces.append(f.astype(np.int64))
        points.append(keypoints)
    return PosedPair((vertices[0], vertices[1]), (faces[0], faces[1]), np.stack(points))


def signed_distance(
    places: np.ndarray, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (P,) of places from a closed mesh, negative inside, and nearest points (P, 3).

    The sign is that of the generalized winding number (Jacobson et al. 2013), by libigl.

    Raises:
        MissingDependencyError: libigl is not installed.
    """
    igl = _igl()
    found = igl.signed_distance(
        np.ascontiguousarray(places, np.float64),
        np.ascontiguousarray(vertices, np.float64),
        np.ascontiguousarray(faces, np.int64),
        igl.SignedDistanceType.SIGNED_DISTANCE_TYPE_FAST_WINDING_NUMBER,
    )
    return np.asarray(found[0]), np.asarray(found[2])


def _igl() -> Any:
    try:
        import igl
    except ImportError as error:
        raise missing_dependency("the truth of occupancy", "libigl", "train") from error
    return igl


def parted(pair: PosedPair) -> np.ndarray | None:
    """(3,) metres by which the left hand has to move until the hands do not cross.

    None where no small move parts them, as with fingers that are stuck in each other.
    """
    moved = np.zeros(3)
    right, left = pair.vertices
    for _ in range(PUSHES):
        a, at_a = signed_distance(left + moved, right, pair.faces[0])
        b, at_b = signed_distance(right - moved, left, pair.faces[1])
        deepest = -min(a.min(), b.min())
        if deepest < 0.3 * DEEP_M:
            return moved
        # where the left hand is inside it goes out, where the right one is, the left gives way
        out = (at_a - left - moved)[a < 0].sum(0) - (at_b - right + moved)[b < 0].sum(0)
        moved = moved + 0.7 * deepest * out / (np.linalg.norm(out) + 1e-12)
    return moved if deepest < DEEP_M else None


def sample_places(
    rng: np.random.Generator, vertices: np.ndarray, faces: np.ndarray, count: int
) -> np.ndarray:
    """(count, 3) places about a hand: near its surface, and in its box."""
    corners = vertices[faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    places = []
    for share, sigma in zip(SHARES, NEAR_SIGMAS_M):
        n = int(share * count)
        chosen = corners[rng.choice(len(faces), n, p=area / area.sum())]
        mix = rng.dirichlet((1, 1, 1), n)
        on = (mix[..., None] * chosen).sum(1)
        places.append(on + rng.normal(size=(n, 3)) * sigma)
    low, high = vertices.min(0) - BOX_MARGIN_M, vertices.max(0) + BOX_MARGIN_M
    places.append(rng.uniform(low, high, (count - sum(map(len, places)), 3)))
    return np.concatenate(places)
