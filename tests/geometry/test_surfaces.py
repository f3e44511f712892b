"""Surface formulas on random meshes: numpy and torch alike, invariant as geometry asks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_toolkit.geometry import surfaces
from hand_toolkit.geometry.rotations import quat_from_matrix

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

SEEDS = st.integers(0, 10_000)


def mesh(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bumpy sheet of 5 x 5 vertices a few centimetres wide, random orientation."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(5.0), np.arange(5.0))
    points = np.stack([x, y, rng.normal(0, 0.4, x.shape)], -1).reshape(-1, 3)
    points[:, :2] += rng.uniform(-0.2, 0.2, (25, 2))
    a = np.arange(25).reshape(5, 5)[:-1, :-1].ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + 6], 1), np.stack([a, a + 6, a + 5], 1)])
    turn = Rotation.random(random_state=seed).as_matrix()
    return points @ turn.T * 0.01, faces.astype(np.int32)


@QUICK
@given(SEEDS)
def test_frames_are_rotations_and_equal_in_torch(seed: int) -> None:
    vertices, faces = mesh(seed)
    frames, area = surfaces.triangle_frames(vertices, faces)
    assert np.allclose(frames.transpose(0, 2, 1) @ frames, np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(frames), 1)
    normals, other_area = surfaces.face_normals(vertices, faces)
    assert np.allclose(frames[:, :, 2], normals) and np.allclose(area, other_area)
    edge = vertices[faces[:, 1]] - vertices[faces[:, 0]]
    assert np.allclose(np.einsum("fij,fi->fj", frames, edge)[:, 1:], 0, atol=1e-12)
    theirs, their_area = surfaces.triangle_frames(torch.tensor(vertices), torch.tensor(faces))
    assert np.allclose(theirs.numpy(), frames, atol=1e-12)
    assert np.allclose(their_area.numpy(), area, atol=1e-16)


@QUICK
@given(SEEDS)
def test_normals_turn_with_the_mesh_and_equal_in_torch(seed: int) -> None:
    vertices, faces = mesh(seed)
    normals = surfaces.vertex_normals(vertices, faces)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1)
    turn = Rotation.random(random_state=seed + 1).as_matrix()
    turned = surfaces.vertex_normals(vertices @ turn.T + 1.0, faces)
    assert np.allclose(turned, normals @ turn.T, atol=1e-9)
    batch = torch.tensor(np.stack([vertices, vertices @ turn.T]))
    theirs = surfaces.vertex_normals(batch, faces).numpy()
    assert np.allclose(theirs[0], normals) and np.allclose(theirs[1], turned)


def test_degenerate_triangles_stand_still_in_both() -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 0.01, 0]])
    faces = np.array([[0, 1, 2], [3, 3, 3], [0, 1, 3]])
    frames, area = surfaces.triangle_frames(vertices, faces)
    tensor = torch.tensor(vertices, requires_grad=True)
    theirs, their_area = surfaces.triangle_frames(tensor, faces)
    for found in (frames, theirs.detach().numpy()):
        assert np.array_equal(found[:2], np.stack([np.eye(3)] * 2))
        assert np.allclose(found[2], np.eye(3))
    assert area[:2].max() < 1e-12 and area[2] == pytest.approx(0.005)
    assert np.allclose(their_area.detach().numpy(), area, atol=1e-15)
    (theirs.sum() + their_area.sqrt().sum()).backward()
    assert torch.isfinite(tensor.grad).all()


@QUICK
@given(SEEDS)
def test_what_is_bound_follows_a_rigid_move_and_grows_with_the_skin(seed: int) -> None:
    vertices, faces = mesh(seed)
    rng = np.random.default_rng(seed)
    triangle = rng.integers(0, len(faces), 12)
    weights = rng.dirichlet([1, 1, 1], 12)
    offset, scale = rng.normal(0, 1e-3, (12, 3)), rng.uniform(1e-3, 2e-3, (12, 3))
    quat = np.roll(Rotation.random(12, random_state=seed).as_quat(), 1, axis=1)
    rest = surfaces.triangle_frames(vertices, faces)[1]

    def placed(points: np.ndarray, kind: type = np.ndarray) -> list[np.ndarray]:
        frames, area = surfaces.triangle_frames(points, faces)
        frame = frames[triangle]
        arguments = (
            surfaces.at_surface(points, faces, triangle, weights),
            frame,
            quat_from_matrix(frame),
            np.sqrt(area / rest)[triangle],
            offset,
            quat,
            scale,
        )
        if kind is torch.Tensor:
            arguments = tuple(torch.tensor(a) for a in arguments)
        return [np.asarray(part) for part in surfaces.carried(*arguments)]

    means, quats, scales = placed(vertices)
    for ours, theirs in zip((means, quats, scales), placed(vertices, torch.Tensor)):
        assert np.allclose(ours, theirs, atol=1e-15)
    turn, shift = Rotation.random(random_state=seed + 1), np.array([0.1, -0.2, 0.3])
    moved, turned, same = placed(1.5 * turn.apply(vertices) + shift)
    assert np.allclose(moved, 1.5 * turn.apply(means) + shift, atol=1e-9)
    assert np.allclose(same, 1.5 * scales)
    before, after = (Rotation.from_quat(np.roll(q, -1, axis=1)) for q in (quats, turned))
    assert ((turn * before).inv() * after).magnitude().max() < 1e-6


@QUICK
@given(SEEDS)
def test_a_linear_field_is_met_exactly(seed: int) -> None:
    vertices, faces = mesh(seed)
    rng = np.random.default_rng(seed)
    triangle, weights = rng.integers(0, len(faces), 9), rng.dirichlet([1, 1, 1], 9)
    points = surfaces.at_surface(vertices, faces, triangle, weights)
    slope = rng.normal(size=3)
    field = surfaces.at_surface(vertices @ slope, faces, triangle, weights)
    assert field.shape == (9,) and np.allclose(field, points @ slope)


@QUICK
@given(SEEDS)
def test_uv_gradients_reproduce_the_edges(seed: int) -> None:
    vertices, faces = mesh(seed)
    uv = np.random.default_rng(seed).uniform(size=(25, 2))
    corners, texture = vertices[faces], uv[faces]
    along_u, along_v, doubled = surfaces.uv_gradients(corners, texture)
    for k in (1, 2):
        step = texture[:, k] - texture[:, 0]
        edge = along_u * step[:, :1] + along_v * step[:, 1:]
        assert np.allclose(edge, (corners[:, k] - corners[:, 0]) * doubled[:, None], atol=1e-12)
