"""The penalty pushes hands apart; the measure agrees with solids of known depth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy, rest_hand
from hand_toolkit.hand_model.collision import (
    ball_penalty,
    closest_points,
    inscribed_balls,
    penetration,
    self_penetration,
    winding_number,
)


def test_winding_number_tells_inside_from_outside() -> None:
    ball = trimesh.creation.icosphere(subdivisions=2, radius=1.0)
    points = np.array([[0, 0, 0], [0.9, 0, 0], [1.1, 0, 0], [0, -3, 0.0]])
    winding = winding_number(points, ball.triangles)
    np.testing.assert_allclose(winding, [1, 1, 0, 0], atol=1e-9)
    flipped = winding_number(points, ball.triangles[:, ::-1])
    np.testing.assert_allclose(flipped, -winding, atol=1e-9)


def test_closest_points_agree_with_trimesh() -> None:
    mesh = trimesh.creation.icosphere(subdivisions=1, radius=0.7)
    points = np.random.default_rng(0).normal(size=(200, 3))
    distance, surface = closest_points(points, mesh.triangles)
    corners = np.repeat(mesh.triangles[None], len(points), 0).reshape(-1, 3, 3)
    expected = trimesh.triangles.closest_point(corners, np.repeat(points, len(mesh.faces), 0))
    gaps = np.linalg.norm(expected.reshape(len(points), -1, 3) - points[:, None], axis=-1)
    np.testing.assert_allclose(distance, gaps.min(1), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(surface - points, axis=1), distance, atol=1e-12)


def test_penetration_of_two_boxes_is_their_overlap() -> None:
    first = trimesh.creation.box((0.02, 0.02, 0.02))
    second = first.copy()
    second.apply_translation([0.017, 0.0005, -0.0005])
    inside, depth, surface = penetration(first.vertices, second.vertices, second.faces)
    assert len(inside) == 1  # of the four corners on that side three miss by the offset
    np.testing.assert_allclose(depth, 0.0005, atol=1e-9)
    apart = second.vertices + np.array([0.01, 0, 0])
    assert len(penetration(first.vertices, apart, second.faces)[0]) == 0
    assert np.abs(surface).max() <= 0.028


@pytest.fixture(scope="module")
def hand() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    model = load_hand_model("default", "right")
    return rest_hand(model)[0], model.faces, np.asarray(model.weights, dtype=float)


def test_balls_lie_inside_the_hand(hand: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    vertices, faces, weights = hand
    balls = inscribed_balls(vertices, faces, weights, count=120)
    assert len(balls.seeds) == 120
    assert (winding_number(balls.centers, vertices[faces]) > 0.5).mean() > 0.97
    gap = np.linalg.norm(vertices[:, None] - balls.centers[None], axis=-1) - balls.radii
    assert gap.min() > -1e-3
    again = inscribed_balls(vertices, faces, weights, seeds=balls.seeds)
    np.testing.assert_array_equal(again.radii, balls.radii)


def test_penalty_falls_along_its_gradient(
    hand: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    vertices, faces, weights = hand
    balls = inscribed_balls(vertices, faces, weights, count=120)
    centers = torch.tensor(balls.centers)[None]
    radii = torch.tensor(balls.radii)
    offset = torch.tensor([0.0, 0.006, 0.0], dtype=torch.float64, requires_grad=True)
    points = torch.tensor(vertices)[None]
    before = ball_penalty(points + offset, centers, radii).sum()
    (gradient,) = torch.autograd.grad(before, offset)
    after = ball_penalty(points + offset - 1e-6 * gradient / gradient.norm(), centers, radii)
    assert before > 0
    assert after.sum() < before


def test_only_a_finger_through_the_palm_counts_as_self_penetration(
    hand: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    rest, faces, weights = hand
    model = load_hand_model("default", "right")
    assert len(self_penetration(rest, faces, weights, rest)[0]) == 0
    theta = np.zeros((16, 3))
    theta[[4, 5, 6], 2] = 1.5, 1.9, 0.9
    curled = pose_hand_numpy(model, theta, np.zeros(len(model.shape_names)), np.zeros(3))[0]
    inside, depth, _ = self_penetration(curled, faces, weights, rest)
    assert len(inside) > 5
    assert 0.001 < depth.max() < 0.02
