"""Rotation formulas: scipy's, in numpy and torch, at small and large angles."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from hand_toolkit.geometry import rotations

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

SCALES = st.sampled_from([0.0, 1e-9, 1e-5, 1e-2, 1.0, np.pi])


@st.composite
def axis_angles(draw: st.DrawFn) -> np.ndarray:
    """(N, 3) of every size from nothing to a whole turn."""
    unit = draw(arrays(float, (draw(st.integers(1, 6)), 3), elements=st.floats(-1, 1, width=32)))
    return unit * draw(SCALES)


def same_turn(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of two arrays of quaternions, up to sign."""
    return float(np.minimum(np.abs(a - b).max(-1), np.abs(a + b).max(-1)).max())


@QUICK
@given(axis_angles())
def test_matrices_of_axis_angles(vectors: np.ndarray) -> None:
    want = Rotation.from_rotvec(vectors).as_matrix()
    ours = rotations.matrix_from_axis_angle(vectors)
    assert np.abs(ours - want).max() < 1e-12
    for dtype, tolerance in ((torch.float64, 1e-14), (torch.float32, 2e-6)):
        theirs = rotations.matrix_from_axis_angle(torch.tensor(vectors, dtype=dtype))
        assert theirs.dtype == dtype
        assert np.abs(theirs.numpy() - ours).max() < tolerance


@QUICK
@given(axis_angles())
def test_quaternions_there_and_back(vectors: np.ndarray) -> None:
    turns = Rotation.from_rotvec(vectors)
    want = np.roll(turns.as_quat(), 1, axis=-1)
    matrices = turns.as_matrix()
    assert same_turn(rotations.quat_from_axis_angle(vectors), want) < 1e-12
    ours = rotations.quat_from_matrix(matrices)
    assert same_turn(ours, want) < 1e-9
    assert np.allclose(rotations.quat_from_matrix(torch.tensor(matrices)).numpy(), ours, atol=1e-12)
    assert np.allclose(rotations.matrix_from_quat(ours), matrices, atol=1e-12)
    theirs = rotations.matrix_from_quat(torch.tensor(ours)).numpy()
    assert np.allclose(theirs, matrices, atol=1e-12)
    back = Rotation.from_rotvec(rotations.axis_angle_from_quat(ours))
    assert (back.inv() * turns).magnitude().max() < 1e-8


@QUICK
@given(axis_angles(), axis_angles())
def test_products_turn_by_the_right_factor_first(first: np.ndarray, second: np.ndarray) -> None:
    count = min(len(first), len(second))
    a, b = (rotations.quat_from_axis_angle(v[:count]) for v in (second, first))
    product = rotations.quat_multiply(a, b)
    want = rotations.matrix_from_quat(a) @ rotations.matrix_from_quat(b)
    assert np.allclose(rotations.matrix_from_quat(product), want, atol=1e-12)
    theirs = rotations.quat_multiply(torch.tensor(a), torch.tensor(b)).numpy()
    assert np.array_equal(theirs, product)


def test_the_gradient_lives_at_no_turn() -> None:
    vector = torch.zeros(1, 3, requires_grad=True)
    rotations.matrix_from_axis_angle(vector)[0, 2, 1].backward()
    assert torch.equal(vector.grad, torch.tensor([[1.0, 0.0, 0.0]]))


@QUICK
@given(axis_angles())
def test_shapes_go_through(vectors: np.ndarray) -> None:
    block = np.broadcast_to(vectors, (2, *vectors.shape))
    matrices = rotations.matrix_from_axis_angle(block)
    quats = rotations.quat_from_matrix(matrices)
    assert matrices.shape == (*block.shape, 3) and quats.shape == (*block.shape[:-1], 4)
    assert rotations.axis_angle_from_quat(quats).shape == block.shape
    assert rotations.quat_from_matrix(matrices[0, 0]).shape == (4,)
    assert rotations.quat_from_matrix(torch.tensor(matrices)).shape == quats.shape


@QUICK
@given(axis_angles())
def test_cross_matrices(vectors: np.ndarray) -> None:
    other = np.array([0.3, -2.0, 1.1])
    want = np.cross(vectors, other)
    assert np.allclose(rotations.cross_matrix(vectors) @ other, want, atol=1e-12)
    theirs = rotations.cross_matrix(torch.tensor(vectors)).numpy()
    assert np.array_equal(theirs, rotations.cross_matrix(vectors))


@QUICK
@given(axis_angles())
def test_covariances_hold_the_scales(vectors: np.ndarray) -> None:
    scales = np.abs(vectors) + np.array([0.1, 0.2, 0.3])
    full = rotations.covariances(rotations.quat_from_axis_angle(vectors), scales)
    values = np.sqrt(np.linalg.eigvalsh(full))
    assert np.allclose(values, np.sort(scales, axis=1), atol=1e-9)


def test_signs_follow_the_frame_before() -> None:
    angles = np.linspace(0, 4 * np.pi, 50)[:, None] * [0.0, 0.0, 1.0]
    quats = rotations.quat_from_axis_angle(angles) * np.where(np.arange(50) % 3, 1, -1)[:, None]
    smooth = rotations.continuous_quats(quats)
    assert (smooth[1:] * smooth[:-1]).sum(1).min() > 0.9


def test_a_zero_quaternion_becomes_the_identity() -> None:
    unit = rotations.normalized_quats([[0, 0, 0, 0], [0, 0, 2, 0]])
    assert np.array_equal(unit, [[1, 0, 0, 0], [0, 0, 1, 0]])


def test_shortest_rotation() -> None:
    rng = np.random.default_rng(1)
    for a, b in rng.normal(size=(20, 2, 3)):
        turn = rotations.shortest_rotation(a, b)
        assert np.allclose(turn @ a / np.linalg.norm(a), b / np.linalg.norm(b), atol=1e-12)
        assert np.allclose(turn @ np.cross(a, b), np.cross(a, b), atol=1e-9)
    assert np.array_equal(rotations.shortest_rotation(np.eye(3)[0], np.eye(3)[0]), np.eye(3))
    back = rotations.shortest_rotation(np.eye(3)[2], -np.eye(3)[2])
    assert np.allclose(back @ np.eye(3)[2], -np.eye(3)[2]) and np.isclose(np.linalg.det(back), 1)
