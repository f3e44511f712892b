"""Levenberg-Marquardt over hinge angles, wrist, shape and translation of a batch of hands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from ..hand_model.limits import (
    DIP_PER_PIP,
    DIP_SIGMA,
    FREE_AXIS,
    FREE_HIGHEST,
    FREE_JOINT,
    FREE_LOWEST,
    FREE_MEAN,
    FREE_SIGMA,
)
from .kinematics import PALM, HandChain, State


@dataclass(frozen=True)
class FitWeights:
    """Standard deviations of everything that pulls at the fit.

    Attributes:
        image_m: 2D keypoints, metres at the hand's distance.
        world_m: 3D keypoints about the palm's centre, metres.
        world_along: weight of their part along the ray to the palm, against that across it.
        depth_m: image depth along the ray to the palm, metres.
        limit: past a joint limit, radians.
        coupling: DIP flexion about ``coupling_ratio`` times PIP flexion, radians.
        coupling_ratio: see above.
        angle_prior: weight of the angle prior (1 as measured, 0 none).
        shape_prior: weight of the shape prior.
        outline_m: distance from the outline, metres at the hand's distance.
        huber: residuals beyond so many sigmas count linearly.
    """

    image_m: float = 0.0022
    world_m: float = 0.0088
    world_along: float = 0.6
    depth_m: float = 0.0088
    limit: float = 0.05
    coupling: float = DIP_SIGMA
    coupling_ratio: float = DIP_PER_PIP
    angle_prior: float = 1.0
    shape_prior: float = 2.0
    outline_m: float = 0.0035
    huber: float = 2.0


@dataclass(frozen=True)
class Outline:
    """Pairs of a vertex and a point of the mask's outline, per hand.

    Attributes:
        rows: (B, N) vertices.
        points: (B, N, 2) outline points, image plane at distance 1.
        normals: (B, N, 2) unit outward.
        weights: (B, N) 0 where unused.
    """

    rows: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Targets:
    """What a batch of hands is fitted to; mirrored where the hand is a left one.

    Attributes:
        image: (B, 21, 2) keypoints in the image plane at distance 1.
        image_weights: (B, 21).
        world: (B, 21, 3) metres about the palm's centre, model scale.
        world_weights: (B, 21), 0 where the source gives none.
        depth: (B, 21) image depth about the palm's centre, in units of the distance.
        depth_weights: (B, 21).
        ray: (B, 3) unit, camera to palm.
        distance: (B,) metres, where the hand roughly is.
        angle_mean, angle_sigma: (B, 26) prior.
        shape_mean, shape_sigma: (B, S) prior.
        outline: pairs on the outline, or None.
    """

    image: np.ndarray
    image_weights: np.ndarray
    world: np.ndarray
    world_weights: np.ndarray
    depth: np.ndarray
    depth_weights: np.ndarray
    ray: np.ndarray
    distance: np.ndarray
    angle_mean: np.ndarray
    angle_sigma: np.ndarray
    shape_mean: np.ndarray
    shape_sigma: np.ndarray
    outline: Outline | None = field(default=None)

    def repeat(self, times: int) -> Targets:
        """The batch ``times`` over, for as many starts."""
        return self._map(lambda a: np.concatenate([a] * times))

    @staticmethod
    def stack(parts: Sequence[Targets]) -> Targets:
        """One batch of several, none of which has an outline."""
        names = [field_.name for field_ in fields(Targets) if field_.name != "outline"]
        return Targets(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})

    def take(self, rows: np.ndarray) -> Targets:
        """Some of the batch."""
        return self._map(lambda a: a[rows])

    def _map(self, function) -> Targets:  # type: ignore[no-untyped-def]
        values = {n: function(getattr(self, n)) for n in self.__dict__ if n != "outline"}
        o = self.outline
        outline = o and Outline(*(function(a) for a in (o.rows, o.points, o.normals, o.weights)))
        return Targets(**values, outline=outline)


_FINGER_FLEXION = (FREE_AXIS == 0) & (FREE_JOINT < 12)
_PIP = np.flatnonzero(_FINGER_FLEXION & (FREE_JOINT % 3 == 1))
_DIP = np.flatnonzero(_FINGER_FLEXION & (FREE_JOINT % 3 == 2))


class Problem:
    """Residuals and their analytic Jacobian."""

    def __init__(self, chain: HandChain, targets: Targets, weights: FitWeights) -> None:
        self.chain = chain
        self.targets = targets
        self.weights = weights
        self.robust_count = 21 * 6

    def residuals(
        self, state: State, derivatives: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(B, R) residuals in sigmas and (B, R, P) derivatives.

        The first 42 are the 2D keypoints, then 63 world, then 21 depth; they are robust.
        """
        t, w, chain = self.targets, self.weights, self.chain
        batch = len(state)
        posed = chain.pose(state, derivatives)
        size = chain.size
        points = posed.points
        placed = points + state.translation[:, None]
        # Full derivative of the placed points: translation in columns 3..6.
        full = None
        if derivatives:
            full = np.zeros((batch, 21, 3, size))
            full[..., :3] = posed.jacobian[..., :3]
            full[..., 3:6] = np.eye(3)
            full[..., 6:] = posed.jacobian[..., 3:]

        flat, flat_jacobian = _project(placed, full)
        scale = (t.distance[:, None] / w.image_m * t.image_weights)[..., None]
        parts = [((flat - t.image) * scale).reshape(batch, 42)]
        jacobians = []
        if full is not None and flat_jacobian is not None:
            jacobians.append((flat_jacobian * scale[..., None]).reshape(batch, 42, size))

        centred = points - points[:, PALM].mean(axis=1, keepdims=True)
        scale = (t.world_weights / w.world_m)[..., None]
        # Detectors know the picture's plane better than the depth: less weight along the ray.
        flatten = np.eye(3) + (w.world_along - 1) * t.ray[:, :, None] * t.ray[:, None, :]
        parts.append((((centred - t.world) @ flatten) * scale).reshape(batch, 63))
        along = np.einsum("bki,bi->bk", centred, t.ray)
        scale_depth = t.depth_weights / w.depth_m
        parts.append((along - t.depth * state.translation[:, 2:]) * scale_depth)
        if full is not None:
            turned = full.copy()
            turned[..., 3:6] = 0
            turned -= turned[:, PALM].mean(axis=1, keepdims=True)
            flat_turned = flatten[:, None] @ turned
            jacobians.append((flat_turned * scale[..., None]).reshape(batch, 63, size))
            by_depth = (t.ray[:, None, None] @ turned)[:, :, 0]
            by_depth[..., 5] -= t.depth
            jacobians.append(by_depth * scale_depth[..., None])

        angles = state.angles
        low, high = FREE_LOWEST, FREE_HIGHEST
        parts.append((np.maximum(angles - high, 0) - np.maximum(low - angles, 0)) / w.limit)
        pull = w.angle_prior / t.angle_sigma
        parts.append((angles - t.angle_mean) * pull)
        parts.append((angles[:, _DIP] - w.coupling_ratio * angles[:, _PIP]) / w.coupling)
        shape_pull = w.shape_prior / t.shape_sigma
        parts.append((state.shape - t.shape_mean) * shape_pull)
        if full is not None:
            shapes = chain.shape_count
            fixed = np.zeros((batch, 56 + shapes, size))
            index = np.arange(26)
            fixed[:, index, 6 + index] = ((angles > high) | (angles < low)) / w.limit
            fixed[:, 26 + index, 6 + index] = pull
            index = np.arange(4)
            fixed[:, 52 + index, 6 + _DIP] = 1 / w.coupling
            fixed[:, 52 + index, 6 + _PIP] = -w.coupling_ratio / w.coupling
            index = np.arange(shapes)
            fixed[:, 56 + index, 32 + index] = shape_pull
            jacobians.append(fixed)

        if t.outline is not None:
            o = t.outline
            vertices, by_vertex = chain.vertices(state, posed, o.rows, derivatives)
            full_vertex = None
            if derivatives:
                full_vertex = np.zeros((*vertices.shape, size))
                full_vertex[..., :3] = by_vertex[..., :3]
                full_vertex[..., 3:6] = np.eye(3)
                full_vertex[..., 6:] = by_vertex[..., 3:]
            flat, flat_jacobian = _project(vertices + state.translation[:, None], full_vertex)
            scale_outline = t.distance[:, None] / w.outline_m * o.weights
            parts.append(((flat - o.points) * o.normals).sum(axis=-1) * scale_outline)
            if full is not None and flat_jacobian is not None:
                moved = (o.normals[..., None, :] @ flat_jacobian)[..., 0, :]
                jacobians.append(moved * scale_outline[..., None])
        residual = np.concatenate(parts, axis=1)
        return residual, np.concatenate(jacobians, axis=1) if jacobians else None

    def robust_weights(self, residual: np.ndarray) -> np.ndarray:
        """(B, 126) square roots of Huber's weights, one per keypoint and kind."""
        sizes = _keypoint_sizes(residual)
        roots = np.sqrt(np.minimum(1.0, self.weights.huber / np.maximum(sizes, 1e-9)))
        return np.concatenate(
            [
                np.repeat(roots[:, :21], 2, axis=1),
                np.repeat(roots[:, 21:42], 3, axis=1),
                roots[:, 42:],
            ],
            axis=1,
        )

    def cost(self, state: State) -> np.ndarray:
        """(B,) robust cost, to choose between starts."""
        residual, _ = self.residuals(state, derivatives=False)
        sizes, h = _keypoint_sizes(residual), self.weights.huber
        robust = np.where(sizes < h, sizes**2, 2 * h * sizes - h * h).sum(axis=1)
        return robust + (residual[:, self.robust_count :] ** 2).sum(axis=1)


def solve(problem: Problem, state: State, iterations: int, robust: bool = True) -> State:
    """Levenberg-Marquardt, every hand of the batch with its own damping.

    Nocedal and Wright, Numerical Optimization, section 10.3; Huber's weights are held
    during a step (iteratively reweighted least squares).
    """
    batch = len(state)
    damping = np.full(batch, 1e-2)
    for _ in range(iterations):
        residual, jacobian = problem.residuals(state)
        if jacobian is None:
            break
        roots = np.ones_like(residual)
        if robust:
            roots[:, : problem.robust_count] = problem.robust_weights(residual)
        residual = residual * roots
        jacobian = jacobian * roots[..., None]
        normal = jacobian.swapaxes(-1, -2) @ jacobian
        gradient = (jacobian.swapaxes(-1, -2) @ residual[..., None])[..., 0]
        cost = (residual**2).sum(axis=1)
        diagonal = np.einsum("bii->bi", normal)
        damped = normal + np.einsum(
            "bi,ij->bij", damping[:, None] * diagonal + 1e-9, np.eye(normal.shape[-1])
        )
        step = -np.linalg.solve(damped, gradient[..., None])[..., 0]
        # A radian per step is more than any linearisation of a hinge is good for.
        step *= np.minimum(1.0, 1.0 / np.maximum(np.abs(step[:, :32]).max(axis=1), 1e-9))[:, None]
        trial = state.moved(step)
        after, _ = problem.residuals(trial, derivatives=False)
        trial_cost = ((after * roots) ** 2).sum(axis=1)
        better = np.isfinite(trial_cost) & (trial_cost < cost)
        state = _choose(better, trial, state)
        damping = np.clip(np.where(better, damping * 0.3, damping * 5), 1e-6, 1e6)
    return state


def angle_prior(batch: int) -> tuple[np.ndarray, np.ndarray]:
    """(B, 26) mean and sigma of the hinge angles, radians."""
    mean = np.repeat(FREE_MEAN[None], batch, axis=0)
    return mean, np.repeat(FREE_SIGMA[None], batch, axis=0)


def _choose(better: np.ndarray, new: State, old: State) -> State:
    return State(
        np.where(better[:, None, None], new.rotation, old.rotation),
        np.where(better[:, None], new.translation, old.translation),
        np.where(better[:, None], new.angles, old.angles),
        np.where(better[:, None], new.shape, old.shape),
    )


def _project(
    points: np.ndarray, jacobian: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Points (..., 3) on the plane at distance 1 and the derivative (..., 2, P)."""
    depth = np.maximum(points[..., 2:], 0.02)
    flat = points[..., :2] / depth
    if jacobian is None:
        return flat, None
    moved = (jacobian[..., :2, :] - flat[..., None] * jacobian[..., 2:, :]) / depth[..., None]
    return flat, moved


def _keypoint_sizes(residual: np.ndarray) -> np.ndarray:
    """(B, 63) lengths of the 2D, world and depth residuals per keypoint."""
    batch = len(residual)
    image = np.linalg.norm(residual[:, :42].reshape(batch, 21, 2), axis=-1)
    world = np.linalg.norm(residual[:, 42:105].reshape(batch, 21, 3), axis=-1)
    return np.concatenate([image, world, np.abs(residual[:, 105:126])], axis=1)


__all__ = [
    "FitWeights",
    "Outline",
    "Problem",
    "Targets",
    "angle_prior",
    "replace",
    "solve",
]
