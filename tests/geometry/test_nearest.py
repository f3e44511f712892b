"""Distances along a picture are those of a k-d tree."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from hand_toolkit.geometry.nearest import nearest_distances


@pytest.mark.parametrize("count", [1, 70, 3000])
def test_they_are_a_trees(count: int) -> None:
    rng = np.random.default_rng(count)
    points = rng.normal(size=(count, 5))
    queries = np.cumsum(rng.normal(0, 0.1, (2000, 5)), axis=0)
    found = nearest_distances(points, queries)
    np.testing.assert_allclose(found, cKDTree(points).query(queries)[0], rtol=1e-5, atol=1e-5)


def test_a_query_on_a_point_is_at_no_distance() -> None:
    points = np.random.default_rng(0).normal(size=(500, 3))
    assert nearest_distances(points, points).max() < 1e-6
    assert nearest_distances(points, points[:0]).shape == (0,)
