"""Views, their mapping back, and merging detections."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hand_toolkit.see.views import (
    Detection,
    View,
    build_pyramid,
    cluster,
    consensus,
    distance,
    hand_views,
    tile_views,
    whole_views,
)


def detection(x: float = 50, y: float = 40, left: bool = False, score: float = 0.9) -> Detection:
    random = np.random.default_rng(5)
    shape = random.normal(size=(21, 2)) * 12
    return Detection(
        shape + np.array([x, y]),
        random.normal(size=21),
        random.normal(size=(21, 3)) * 0.05,
        left,
        score,
    )


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("angle", [0.0, 15.0, -90.0])
def test_a_view_shows_what_its_matrix_says(angle: float, mirror: bool) -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[120:124, 180:184] = 255
    view = View((170, 110), 90, math.radians(angle), mirror, 256)
    cut = view.cut(build_pyramid(picture))
    rows, columns = np.nonzero(cut[..., 0] > 128)
    found = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    expected = (view.matrix() @ [182, 122, 1])[:2]
    np.testing.assert_allclose(found, expected, atol=0.6)


def test_reduced_views_line_up() -> None:
    picture = np.zeros((2000, 3000, 3), np.uint8)
    picture[1200:1300, 1800:1900] = 255
    view = View((1500, 1000), 3000, size=256)
    cut = view.cut(build_pyramid(picture)).astype(float)[..., 0]
    weight = cut / cut.sum()
    columns = (weight.sum(0) * (np.arange(256) + 0.5)).sum()
    expected = (view.matrix() @ [1850, 1250, 1])[:2]
    assert columns == pytest.approx(expected[0], abs=0.1)


@pytest.mark.parametrize("mirror", [False, True])
def test_back_from_undoes_a_view(mirror: bool) -> None:
    truth = detection()
    view = View((60, 50), 80, math.radians(25), mirror, 300)
    matrix = view.matrix()
    linear = matrix[:2, :2]
    scale = math.sqrt(abs(np.linalg.det(linear)))
    world = truth.world.copy()
    world[:, :2] = world[:, :2] @ (linear / scale).T
    seen = Detection(
        truth.keypoints @ linear.T + matrix[:2, 2],
        truth.depth * scale,
        world,
        truth.left != mirror,
        truth.score,
    )
    back = seen.back_from(view)
    np.testing.assert_allclose(back.keypoints, truth.keypoints, atol=1e-9)
    np.testing.assert_allclose(back.world, truth.world, atol=1e-12)
    np.testing.assert_allclose(back.depth, truth.depth, atol=1e-9)
    assert back.left == truth.left


def test_duplicates_are_one_cluster_and_crossing_hands_two() -> None:
    crossing = detection(x=62, left=True)
    groups = cluster([detection(), detection(52, 41), crossing, detection(49, 40)])
    assert sorted(len(g) for g in groups) == [1, 3]


def test_the_minority_side_is_dropped() -> None:
    odd = detection(58, 40, left=True, score=0.99)
    result = consensus([detection(), detection(51), detection(49), odd])
    assert not result.left
    np.testing.assert_allclose(result.keypoints, detection().keypoints, atol=1e-9)
    assert result.score == pytest.approx(0.9 * 3 / 4)


def test_an_outlier_is_left_out_of_the_mean() -> None:
    result = consensus([detection(), detection(50.5), detection(49.5), detection(64)])
    assert distance(result, detection()) < 0.02


def test_views_cover_the_picture() -> None:
    for size in ((640, 480), (300, 900), (4000, 3000), (32, 32)):
        covered = np.zeros((20, 20), bool)
        for view in tile_views(size, 3):
            matrix = view.matrix()
            for i in range(20):
                for j in range(20):
                    point = [size[0] * (j + 0.5) / 20, size[1] * (i + 0.5) / 20, 1]
                    u, v = (matrix @ point)[:2]
                    covered[i, j] |= bool(0 <= u < view.size and 0 <= v < view.size)
        assert covered.all()
        assert len(tile_views(size, 3)) <= 9
    assert len(whole_views((640, 480))) == 3
    assert len(hand_views(detection())) == 4
