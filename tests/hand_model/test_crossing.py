"""Where two hands cross, against the exact measures."""

from __future__ import annotations

import numpy as np
import pytest

from hand_toolkit.geometry.closing import closed_mesh
from hand_toolkit.hand_model import load_hand_model
from hand_toolkit.hand_model.collision import penetration
from hand_toolkit.hand_model.crossing import crossing_volume, find_crossing


def hands(apart_m: float) -> np.ndarray:
    """(2, V, 3): flat hands one above the other, palms down, ``apart_m`` from origin to origin."""
    right, left = (load_hand_model("default", s).template.astype(float) for s in ("right", "left"))
    turned = left * [-1.0, 1.0, -1.0]  # half a turn about the vertical axis
    return np.stack([right, turned + np.array([0.0, apart_m, 0.0])])


def test_depth_is_the_exact_one() -> None:
    vertices = hands(0.022)
    found = find_crossing(vertices)
    exact = 0.0
    for k, side in ((0, "left"), (1, "right")):
        model = load_hand_model("default", side)
        surface, faces = closed_mesh(vertices[1 - k], model.faces)
        inside, depth, _ = penetration(vertices[k], surface, faces)
        rows = (found.hand == k) & (found.gap < 0)
        differ = set(found.vertex[rows].tolist()) ^ set(inside.tolist())
        assert len(differ) <= 0.02 * len(inside) + 1
        exact = max(exact, float(depth.max(initial=0)))
    assert exact > 0.001, "the hands must cross for this to say anything"
    assert found.depth_m == pytest.approx(exact, abs=1e-4)
    assert 1e-7 < crossing_volume(vertices, found) < 1e-4


def test_leaving_along_the_directions_ends_the_crossing() -> None:
    vertices = hands(0.024)
    found = find_crossing(vertices)
    sign = np.where(found.hand == 0, 1.0, -1.0)[:, None] * np.maximum(-found.gap, 0)[:, None]
    way = (sign * found.direction).sum(0)
    way /= np.linalg.norm(way)
    moved = vertices.copy()
    moved[0] += 0.03 * way
    assert find_crossing(moved).depth_m < found.depth_m


def test_hands_apart_have_none() -> None:
    found = find_crossing(hands(0.2))
    assert not len(found) and found.depth_m == 0 and not found.touching()
