"""Every metric against a value worked out by hand or by another route."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hand_toolkit.core import metrics
from hand_toolkit.core.errors import InputError


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def test_alignment_undoes_a_similarity(random: np.random.Generator) -> None:
    target = random.normal(size=(5, 21, 3))
    turn = Rotation.random(5, random_state=1).as_matrix()
    moved = 2.5 * target @ turn.swapaxes(1, 2) + random.normal(size=(5, 1, 3))
    np.testing.assert_allclose(metrics.similarity_align(moved, target), target, atol=1e-10)
    np.testing.assert_allclose(metrics.pa_mpjpe_mm(moved, target), 0, atol=1e-7)


def test_alignment_never_reflects(random: np.random.Generator) -> None:
    target = random.normal(size=(21, 3))
    assert metrics.pa_mpjpe_mm(target * [-1, 1, 1], target) > 100


def test_alignment_is_the_best(random: np.random.Generator) -> None:
    points, target = random.normal(size=(2, 21, 3))
    best = ((metrics.similarity_align(points, target) - target) ** 2).sum()
    for _ in range(50):
        turn = Rotation.from_rotvec(random.normal(size=3) * 0.05).as_matrix()
        nudged = metrics.similarity_align(points, target)
        center = target.mean(axis=0)
        nudged = (nudged - center) @ turn.T * (1 + random.normal() * 0.02) + center
        assert ((nudged - target) ** 2).sum() >= best - 1e-9


def test_pa_mpjpe_is_in_millimetres() -> None:
    target = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]])
    points = target.copy()
    points[1, 2] += 0.01
    assert 1 < metrics.pa_mpjpe_mm(points, target) < 10
    assert metrics.mpjpe_mm(points, target) == pytest.approx(2.5)


def test_keypoint_error_counts_visible_only() -> None:
    target = np.zeros((2, 3, 2))
    found = np.array([[[3.0, 4], [0, 0], [100, 0]], [[1, 0], [2, 0], [3, 0]]])
    visible = np.array([[1, 1, 0], [0, 0, 0]])
    result = metrics.keypoint_error_px(found, target, visible)
    assert result[0] == pytest.approx(2.5)
    assert np.isnan(result[1])


def test_silhouette_iou() -> None:
    a = np.zeros((10, 10), bool)
    b = np.zeros((10, 10), bool)
    a[:, :6], b[:, 4:] = True, True
    assert metrics.silhouette_iou(a, b) == pytest.approx(0.2)
    region = np.zeros((10, 10), bool)
    region[:, 4:6] = True
    assert metrics.silhouette_iou(a, b, region) == 1
    assert metrics.silhouette_iou(a & False, b & False) == 1


def test_psnr() -> None:
    assert metrics.psnr(np.full((4, 4, 3), 0.6), np.full((4, 4, 3), 0.5)) == pytest.approx(20)
    assert metrics.psnr(np.ones((2, 2, 3)), np.ones((2, 2, 3))) == metrics.PSNR_CEILING_DB


def test_psnr_mask_sees_only_the_mask() -> None:
    target = np.zeros((8, 8, 3))
    image = np.ones((8, 8, 3))
    image[2:4, 2:4] = 0.1
    mask = np.zeros((8, 8))
    mask[2:4, 2:4] = 1
    assert metrics.psnr_mask(image, target, mask) == pytest.approx(20)


def test_box_metrics_are_black_outside_the_mask(random: np.random.Generator) -> None:
    target = random.random((40, 60, 3))
    mask = np.zeros((40, 60))
    mask[10:30, 20:40] = 1
    image = random.random((40, 60, 3))
    image[10:30, 20:40] = target[10:30, 20:40]
    assert metrics.psnr_box(image, target, mask) == metrics.PSNR_CEILING_DB
    assert metrics.ssim_box(image, target, mask) == pytest.approx(1)
    assert metrics.mask_box(mask) == (slice(8, 32), slice(18, 42))


def test_ssim_matches_its_definition(random: np.random.Generator) -> None:
    """One window in the middle, worked out directly."""
    a, b = random.random((2, 11, 11, 1))
    x = np.arange(-5, 6)
    window = np.exp(-(x**2) / (2 * 1.5**2))
    weights = np.outer(window, window)[..., None]
    weights /= weights.sum()
    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
    var_a, var_b = (weights * a * a).sum() - mean_a**2, (weights * b * b).sum() - mean_b**2
    cov = (weights * a * b).sum() - mean_a * mean_b
    c1, c2 = 1e-4, 9e-4
    expected = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    expected /= (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    assert metrics.ssim(a, b) == pytest.approx(expected, abs=2e-3)


def test_ssim_of_noise_is_low(random: np.random.Generator) -> None:
    a, b = random.random((2, 64, 64, 3))
    assert metrics.ssim(a, b) < 0.1
    assert metrics.ssim(a, a) == pytest.approx(1)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="equal shapes"):
        metrics.psnr(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(InputError, match="mask is empty"):
        metrics.psnr_mask(np.zeros((2, 2, 3)), np.zeros((2, 2, 3)), np.zeros((2, 2)))


def test_boundary_f_counts_outlines_within_the_tolerance() -> None:
    square = np.zeros((40, 40), bool)
    square[10:30, 10:30] = True
    assert metrics.boundary_f(square, square) == 1
    near, far = np.roll(square, 2, 1), np.roll(square, 9, 1)
    assert metrics.boundary_f(near, square) == 1
    assert metrics.boundary_f(near, square, 1.0) < 0.7
    assert metrics.boundary_f(far, square) < 0.7
    assert metrics.boundary_f(square & False, square) == 0
    assert metrics.boundary_f(square & False, square & False) == 1
