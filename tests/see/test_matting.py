"""Matting on a band: against the formula's matrix, and on an edge whose alpha is known."""

from __future__ import annotations

import numpy as np
import pytest

from hand_toolkit.see import matting
from hand_toolkit.see.matting import EPSILON, matte


def _matrix(picture: np.ndarray) -> np.ndarray:
    """Levin et al. 2008, eq. 12, window by window."""
    high, wide = picture.shape[:2]
    total = np.zeros((high * wide, high * wide))
    index = np.arange(high * wide).reshape(high, wide)
    for y in range(1, high - 1):
        for x in range(1, wide - 1):
            rows = index[y - 1 : y + 2, x - 1 : x + 2].ravel()
            colours = picture.reshape(-1, 3)[rows]
            gap = colours - colours.mean(0)
            inverse = np.linalg.inv(gap.T @ gap / 9 + EPSILON / 9 * np.eye(3))
            total[np.ix_(rows, rows)] += np.eye(9) - (1 + gap @ inverse @ gap.T) / 9
    return total


def test_it_solves_the_matting_equation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matting, "ITERATIONS", 200)
    monkeypatch.setattr(matting, "TOLERANCE", 1e-6)
    rng = np.random.default_rng(3)
    picture = rng.random((11, 12, 3)).astype(np.float32)
    prior = rng.random((11, 12)).astype(np.float32)
    unknown = np.zeros((11, 12), bool)
    unknown[3:8, 4:9] = True
    trust, free = 0.2, unknown.ravel()
    laplacian = _matrix(picture.astype(float))
    left = laplacian[np.ix_(free, free)] + trust * np.eye(free.sum())
    right = trust * prior.ravel()[free] - laplacian[np.ix_(free, ~free)] @ prior.ravel()[~free]
    expected = prior.copy()
    expected[unknown] = np.linalg.solve(left, right)
    alpha = matte(picture, prior, unknown, trust)
    np.testing.assert_allclose(alpha, np.clip(expected, 0, 1), atol=1e-3)


def test_a_soft_edge_beside_the_prior_is_found() -> None:
    y, x = np.mgrid[:60, :80] + 0.5
    truth = np.clip((np.hypot(x - 40, y - 30) - 18) / -2.5 + 0.5, 0, 1)
    skin, wall = np.array([0.8, 0.55, 0.45]), np.array([0.2, 0.3, 0.4])
    shade = 1 + 0.1 * np.sin(x / 9)[..., None]
    picture = (truth[..., None] * skin + (1 - truth[..., None]) * wall) * shade
    prior = (np.hypot(x - 42, y - 30) < 18).astype(np.float32)
    unknown = np.abs(np.hypot(x - 42, y - 30) - 18) < 5
    assert np.abs(prior - truth)[unknown].mean() > 0.1
    alpha = matte(picture.astype(np.float32), prior, unknown, 0.005)
    assert np.abs(alpha - truth)[unknown].mean() < 0.03
    assert (alpha[~unknown] == prior[~unknown]).all()


def test_nothing_unknown_changes_nothing() -> None:
    prior = np.full((5, 6), 0.4, np.float32)
    alpha = matte(np.zeros((5, 6, 3), np.float32), prior, np.zeros((5, 6), bool), 0.1)
    np.testing.assert_array_equal(alpha, prior)
