"""Meshes to θ and β: a batched least-squares fit of the hand model, with what it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...hand_model import load_hand_model
from ...hand_model.limits import (
    FREE_AXIS,
    FREE_HIGHEST,
    FREE_JOINT,
    FREE_LOWEST,
    FREE_MEAN,
    FREE_SIGMA,
)
from ...pose.fit import hand_chain, kabsch
from ...pose.kinematics import PALM, HandChain, State
from ...pose.solver import solve
from .pyramid import build_pyramid

JOINT_M, VERTEX_M = 0.002, 0.004
"""Standard deviations of keypoints and vertices of a mesh."""

VERTICES = 160
LIMIT_RAD = 0.03
WEAK_PRIOR = 0.15
"""Of the angles, against the prior of photos: meshes say nearly everything themselves."""

STARTS = (0.2, 1.1)
"""Flexion, radians, of the fingers' joints that the fit begins with."""

JOINT_ITERATIONS, MESH_ITERATIONS = 14, 6
BATCH = 64


@dataclass(frozen=True)
class FittedMeshes:
    """Right hands (or mirrored left ones) that stand for meshes.

    Attributes:
        state: hinge angles, wrist, translation and shape.
        theta: (B, 16, 3) axis-angle.
        residual_m: (B,) mean distance of the vertices from the meshes', metres.
    """

    state: State
    theta: np.ndarray
    residual_m: np.ndarray


class _MeshProblem:
    """Residuals of some vertices and the keypoints, in the form that the solver takes."""

    robust_count = 0

    def __init__(
        self, chain: HandChain, points: np.ndarray, vertices: np.ndarray, rows: np.ndarray
    ) -> None:
        self._chain, self._points, self._vertices = chain, points, vertices
        self._rows = np.repeat(rows[None], len(points), axis=0)
        self._sigmas = chain.model.shape_sigmas.astype(float)

    def residuals(
        self, state: State, derivatives: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        chain, count = self._chain, len(state)
        posed = chain.pose(state, derivatives)
        moved = state.translation[:, None]
        parts = [(posed.points + moved - self._points) / JOINT_M]
        jacobians = [posed.jacobian / JOINT_M] if derivatives else []
        sigmas = [JOINT_M]
        if self._rows.shape[1]:
            found, jacobian = chain.vertices(state, posed, self._rows, derivatives)
            parts.append((found + moved - self._vertices) / VERTEX_M)
            sigmas.append(VERTEX_M)
            if derivatives:
                jacobians.append(jacobian / VERTEX_M)
        over = np.maximum(state.angles - FREE_HIGHEST, 0)
        under = np.maximum(FREE_LOWEST - state.angles, 0)
        residual = np.concatenate(
            [p.reshape(count, -1) for p in parts]
            + [
                (over - under) / LIMIT_RAD,
                WEAK_PRIOR * (state.angles - FREE_MEAN) / FREE_SIGMA,
                state.shape / self._sigmas,
            ],
            axis=1,
        )
        if not derivatives:
            return residual, None
        size = chain.size
        full = []
        for jacobian, sigma in zip(jacobians, sigmas):
            whole = np.zeros((*jacobian.shape[:-1], size))
            whole[..., :3], whole[..., 6:] = jacobian[..., :3], jacobian[..., 3:]
            whole[..., 3:6] = np.eye(3) / sigma
            full.append(whole.reshape(count, -1, size))
        limit, prior = np.zeros((count, 26, size)), np.zeros((count, 26, size))
        hinge = np.arange(26)
        limit[:, hinge, 6 + hinge] = ((over + under) > 0) / LIMIT_RAD
        prior[:, hinge, 6 + hinge] = WEAK_PRIOR / FREE_SIGMA
        shape = np.zeros((count, len(self._sigmas), size))
        number = np.arange(len(self._sigmas))
        shape[:, number, 32 + number] = 1 / self._sigmas
        return residual, np.concatenate([*full, limit, prior, shape], axis=1)


@lru_cache(maxsize=4)
def _rows(hand_model: str) -> np.ndarray:
    """(VERTICES,) spread over the mesh: farthest first, as the pyramid's seeds are."""
    template = load_hand_model(hand_model, "right", 0).template
    chosen = [0]
    apart = np.linalg.norm(template - template[0], axis=1)
    while len(chosen) < VERTICES:
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, np.linalg.norm(template - template[chosen[-1]], axis=1))
    return np.sort(np.array(chosen))


def fit_meshes(vertices: np.ndarray, hand_model: str = "default") -> FittedMeshes:
    """θ, β and translation of right hands' meshes.

    Args:
        vertices: (B, V, 3) metres, the model's vertices in any place and turn.
        hand_model: whose mesh it is.
    """
    parts = [_fit(vertices[k : k + BATCH], hand_model) for k in range(0, len(vertices), BATCH)]
    return FittedMeshes(
        State.stack([p.state for p in parts]),
        np.concatenate([p.theta for p in parts]),
        np.concatenate([p.residual_m for p in parts]),
    )


def _fit(vertices: np.ndarray, hand_model: str) -> FittedMeshes:
    chain = hand_chain(hand_model)
    vertices = np.asarray(vertices, np.float64)
    points = build_pyramid(hand_model, 3, 4).regressor.astype(np.float64) @ vertices
    rotation = np.stack([kabsch(chain.rest[PALM], p[PALM]) for p in points])
    count = len(points)
    tries = []
    few = np.zeros(0, int)
    first: object = _MeshProblem(chain, points, vertices[:, few], few)
    for bend in STARTS:
        angles = np.where((FREE_AXIS == 0) & (FREE_JOINT < 12), bend, FREE_MEAN)
        state = State(
            rotation,
            points[:, 0].copy(),
            np.repeat(np.clip(angles, FREE_LOWEST, FREE_HIGHEST)[None], count, axis=0),
            np.zeros((count, chain.shape_count)),
        )
        tries.append(solve(first, state, JOINT_ITERATIONS, robust=False))  # type: ignore[arg-type]
    costs = [(first.residuals(t, False)[0] ** 2).sum(1) for t in tries]  # type: ignore[attr-defined]
    best = np.argmin(costs, axis=0) * count + np.arange(count)
    state = State.stack(tries).take(best)
    rows = _rows(hand_model)
    second: object = _MeshProblem(chain, points, vertices[:, rows], rows)
    state = solve(second, state, MESH_ITERATIONS, robust=False)  # type: ignore[arg-type]
    every = np.repeat(np.arange(vertices.shape[1])[None], count, axis=0)
    posed = chain.pose(state, derivatives=True)
    found = chain.vertices(state, posed, every, derivatives=False)[0] + state.translation[:, None]
    residual = np.linalg.norm(found - vertices, axis=-1).mean(1)
    return FittedMeshes(state, chain.theta(state), residual)
