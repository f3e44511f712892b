"""The mesh rasterizer against plain torch, finite differences and exact coverage."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from hand_toolkit.core.errors import InputError
from hand_toolkit.core.types import Camera
from hand_toolkit.hand_model import load_hand_model
from hand_toolkit.render import mesh
from hand_toolkit.render.mesh import reference

WIDTH, HEIGHT = 26, 20


def soup(seed: int, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Points in a small picture: an octahedron, or single triangles that overlap."""
    random = np.random.default_rng(seed)
    if not closed:
        points = random.uniform([-3, -3, 0.5], [WIDTH + 3, HEIGHT + 3, 2.0], (15, 3))
        return points, np.arange(15).reshape(5, 3)
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    corners = np.concatenate([np.eye(3), -np.eye(3)]) @ turn
    points = corners * [8, 8, 0.4] + [13.2, 10.1, 1.0]
    faces = [[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]]
    return points, np.array(faces)


def picture(module, points, values, faces):
    fragments = module.rasterize(points, faces, WIDTH, HEIGHT)
    return module.antialias(module.interpolate(values, fragments), fragments)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_values_and_gradients_are_those_of_plain_torch(seed, closed):
    start, faces = soup(seed, closed)
    random = np.random.default_rng(seed + 100)
    colours, seen = random.uniform(size=(len(start), 4)), random.normal(size=(HEIGHT, WIDTH, 4))
    results = []
    for module in (mesh, reference):
        points = torch.tensor(start, requires_grad=True)
        values = torch.tensor(colours, requires_grad=True)
        drawn = picture(module, points, values, faces)
        (drawn * torch.tensor(seen)).sum().backward()
        results.append([t.detach().numpy() for t in (drawn, points.grad, values.grad)])
    assert np.abs(results[0][0]).max() > 0.1
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, atol=1e-7 * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("closed", [True, False])
def test_gradients_are_those_of_finite_differences(closed):
    start, faces = soup(7, closed)
    random = np.random.default_rng(1)
    values = torch.tensor(random.uniform(size=(len(start), 3)))
    seen = torch.tensor(random.normal(size=(HEIGHT, WIDTH, 3)))

    def loss(points):
        return (picture(mesh, points, values, faces) * seen).sum()

    points = torch.tensor(start, requires_grad=True)
    loss(points).backward()
    step, bad = 1e-6, 0
    for index in np.ndindex(start.shape):
        shift = torch.zeros_like(points)
        shift[index] = step
        with torch.no_grad():
            change = float(loss(points + shift) - loss(points - shift)) / (2 * step)
        bad += abs(change - float(points.grad[index])) > 1e-4 * max(1, abs(change))
    assert bad == 0


def test_an_outline_that_moves_by_part_of_a_pixel_covers_as_much_more():
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    for right in (10.0, 10.3, 10.5, 10.9):
        points = torch.tensor([[4.0, 4, 1], [right, 4, 1], [right, 14, 1], [4, 14, 1]])
        points = points.double().requires_grad_()
        covered = picture(mesh, points, torch.ones(4, 1).double(), faces).sum()
        covered.backward()
        # but for the row of a corner at which the pixel inside shows the other triangle
        assert covered.item() == pytest.approx((right - 4) * 10, abs=0.5)
        assert points.grad[1:3, 0].sum().item() == pytest.approx(10, abs=1)


def test_an_outline_is_pulled_to_its_target_from_pixels_away():
    start, faces = soup(3, True)
    with torch.no_grad():
        goal = picture(mesh, torch.tensor(start), torch.ones(len(start), 1).double(), faces)
    shift = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([shift], 0.2)
    wrong = torch.tensor(start + np.array([3.5, -2.5, 0]))
    for _ in range(60):
        optimizer.zero_grad()
        points = wrong + shift * torch.tensor([1.0, 1.0, 0.0])
        drawn = picture(mesh, points, torch.ones(len(start), 1).double(), faces)
        ((drawn - goal) ** 2).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(shift.detach()[:2], [-3.5, 2.5], atol=0.05)


def test_a_hand_is_drawn_fast_and_where_its_camera_shows_it():
    model = load_hand_model("default", "right", 2)
    camera = Camera(900, 900, 256, 256, 512, 512)
    vertices = torch.tensor(model.template + np.array([0, 0.1, 0.6]), dtype=torch.float32)
    vertices.requires_grad_()
    times = []
    for _ in range(4):
        start = time.process_time()
        points = mesh.project(vertices, camera)
        fragments = mesh.rasterize(points, model.faces, 512, 512)
        drawn = mesh.antialias(mesh.interpolate(vertices, fragments), fragments)
        drawn.sum().backward()
        times.append(time.process_time() - start)
    inside = fragments.covered
    assert 10_000 < int(inside.sum()) < 200_000
    rows, columns = np.nonzero(inside.numpy())
    shown = mesh.interpolate(vertices, fragments).detach().numpy()[rows, columns]
    np.testing.assert_allclose(camera.project(shown), np.stack([columns, rows], 1) + 0.5, atol=2e-2)
    assert min(times) < 1.5


def test_what_cannot_be_drawn_is_refused_or_left_out():
    points = torch.zeros(4, 3)
    with pytest.raises(InputError, match=r"\(V, 3\)"):
        mesh.rasterize(points[:, :2], np.zeros((1, 3), int), 8, 8)
    with pytest.raises(InputError, match="there are 4"):
        mesh.rasterize(points, np.array([[0, 1, 4]]), 8, 8)
    with pytest.raises(InputError, match="NaN"):
        mesh.rasterize(points / 0, np.array([[0, 1, 2]]), 8, 8)
    behind = mesh.project(
        torch.tensor([[0.0, 0, -1], [1, 0, -1], [0, 1, 1]]), Camera(9, 9, 4, 4, 8, 8)
    )
    fragments = mesh.rasterize(behind, np.array([[0, 1, 2]]), 8, 8)
    assert not fragments.covered.any()
    assert mesh.antialias(mesh.interpolate(behind, fragments), fragments).sum() == 0
