"""Hands of 2D skeletons by PCA of poses, which ``benchmarks/hhmr.py`` compares diffusion with."""

from __future__ import annotations

from typing import Any

import numpy as np

from hand_toolkit.core.types import Camera, HandObservation
from hand_toolkit.pose.fit import HandFit, fit_hand, hand_chain, make_starts
from hand_toolkit.pose.kinematics import State
from hand_toolkit.pose.solver import FitWeights, solve


class _PcaProblem:
    """A 2D skeleton with the angles' Gaussian of the training poses as the prior."""

    robust_count = 0

    def __init__(self, flat: np.ndarray, distance: float, prior: tuple[np.ndarray, np.ndarray]):
        self._chain = hand_chain("default")
        self._flat, self._distance = flat, distance
        self._mean = prior[0]
        self._white = np.linalg.inv(np.linalg.cholesky(prior[1] + 1e-5 * np.eye(26)))
        self._sigmas = self._chain.model.shape_sigmas.astype(float)

    def residuals(
        self, state: State, derivatives: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        chain, count, scale = self._chain, len(state), self._distance / 0.0035
        posed = chain.pose(state, derivatives)
        points = posed.points + state.translation[:, None]
        depth = np.maximum(points[..., 2:], 0.02)
        flat = points[..., :2] / depth
        image = ((flat - self._flat) * scale).reshape(count, -1)
        prior = (state.angles - self._mean) @ self._white.T
        residual = np.concatenate([image, prior, state.shape / self._sigmas], 1)
        if not derivatives:
            return residual, None
        whole = np.zeros((count, 21, 3, chain.size))
        whole[..., :3], whole[..., 6:] = posed.jacobian[..., :3], posed.jacobian[..., 3:]
        whole[..., 3:6] = np.eye(3)
        moved = (whole[..., :2, :] - flat[..., None] * whole[..., 2:, :]) / depth[..., None]
        image_part = scale * moved.reshape(count, -1, chain.size)
        prior_part = np.zeros((count, 26, chain.size))
        prior_part[:, :, 6:32] = self._white
        shape_part = np.zeros((count, len(self._sigmas), chain.size))
        number = np.arange(len(self._sigmas))
        shape_part[:, number, 32 + number] = 1 / self._sigmas
        return residual, np.concatenate([image_part, prior_part, shape_part], 1)


def fit_pca(flat: np.ndarray, prior: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(21, 3) keypoints of a hand fitted to a 2D skeleton (21, 2) at distance one by PCA."""
    camera, observation = seen_hand(flat)
    start = fit_hand(observation, camera)
    chain = hand_chain("default")
    starts = make_starts(observation, start.targets, chain, FitWeights())
    problem: Any = _PcaProblem(flat, float(start.targets.distance[0]), prior)
    state = solve(problem, starts, 20, robust=False)
    best = int((problem.residuals(state, False)[0] ** 2).sum(1).argmin())
    return np.asarray(chain.pose(state.take(np.array([best])), derivatives=False).points[0])


def seen_hand(flat: np.ndarray, **more: Any) -> tuple[Camera, HandObservation]:
    """A camera, and the 2D skeleton (21, 2) at distance one as it sees it."""
    camera = Camera(1000.0, 1000.0, 500.0, 500.0, 1000, 1000)
    return camera, HandObservation("right", 1.0, 1000.0 * flat + 500.0, **more)


def solved(fit: HandFit) -> np.ndarray:
    """(21, 3) keypoints of a fit, relative to the wrist, metres."""
    return np.asarray(hand_chain("default").pose(fit.state, derivatives=False).points[0])
