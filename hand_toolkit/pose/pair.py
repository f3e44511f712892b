"""Two hands that touch, fitted together: each keeps its keypoints and outline, neither enters the
other, and where both lie on a pixel the one that is seen there is in front."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..core.types import Camera
from ..geometry.silhouette import MeshRaster, rasterize_mesh
from ..geometry.surfaces import vertex_normals
from .kinematics import HandChain, State
from .outline import MaskView, mask_outline, pair_outlines
from .solver import FitWeights, Outline, Problem, Targets

WORK_EXTENT = 190.0
"""Both hands' box is so many pixels long where their order is compared."""

ROUNDS = 4
WHOLE_ROUNDS = 2
ITERATIONS = 4
MAX_ROWS = 160
"""Vertices of a kind that push the hands apart; more slow the fit and change little."""

ENOUGH_ROWS = 20
PENETRATION_SIGMA_M = 0.003
REACH_M = 0.015
"""A vertex deeper than this inside the other hand is left to the order of the hands: the nearest
surface may be the wrong one (as ``synth.collision`` says)."""

ORDER_SIGMA_M = 0.006
THICKNESS_M = 0.010
"""The front of a hand lies so far before what it hides, a slim finger's thickness."""

NEAR_M = 0.02
"""Hands with vertices closer than this are fitted together."""


@dataclass(frozen=True)
class OwnerView:
    """Who is seen where, around two hands.

    Attributes:
        owner: (h, w) int8 index of the hand, -1 where neither or nobody knows.
        camera: whose picture it is.
    """

    owner: np.ndarray
    camera: Camera


@dataclass(frozen=True)
class Apart:
    """Pairs of vertices that should lie apart along a direction, hands 0 and 1.

    Attributes:
        first, second: (K,) vertices.
        direction: (K, 3) unit, camera axes; ``(v0 - v1) . direction`` is the distance.
        least: (K,) metres.
        sigma: (K,) metres.
    """

    first: np.ndarray
    second: np.ndarray
    direction: np.ndarray
    least: np.ndarray
    sigma: np.ndarray


def owner_view(shares: np.ndarray, camera: Camera, points: np.ndarray) -> OwnerView:
    """Cut the surroundings of two hands out of their masks.

    Args:
        shares: (2, H, W) in [0, 1], the pixels of each hand.
        camera: of the photo.
        points: (N, 2) pixels of both hands.
    """
    import cv2

    low, high = points.min(axis=0), points.max(axis=0)
    extent = float(max(high - low))
    scale, pad = WORK_EXTENT / extent, 0.1 * extent
    x0, y0 = np.floor(low - pad)
    wide, tall = np.ceil((high - low + 2 * pad) * scale).astype(int)
    matrix = np.array([[scale, 0, -x0 * scale], [0, scale, -y0 * scale]])
    matrix[:, 2] += scale * 0.5 - 0.5
    small = []
    for share in shares:
        values = share.astype(np.float32)
        if scale < 0.7:
            values = np.asarray(cv2.blur(values, (2 * round(0.5 / scale) + 1,) * 2))
        small.append(cv2.warpAffine(values, matrix, (int(wide), int(tall))))
    both = np.stack(small)
    owner = np.where(both.max(axis=0) > 0.5, both.argmax(axis=0), -1)
    owner[np.abs(both[0] - both[1]) < 0.2] = -1
    view = Camera(
        camera.fx * scale, camera.fy * scale, (camera.cx - x0) * scale, (camera.cy - y0) * scale,
        int(wide), int(tall),
    )  # fmt: skip
    return OwnerView(owner.astype(np.int8), view)


def refine_pair(
    chain: HandChain,
    states: tuple[State, State],
    targets: tuple[Targets, Targets],
    mirrors: np.ndarray,
    views: tuple[MaskView, MaskView],
    owner: OwnerView,
    weights: FitWeights,
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
) -> tuple[State, State]:
    """Alternate between pairing surfaces and outlines and fitting both hands at once.

    Args:
        chain: the right-hand model.
        states: one hand each, mirrored where it is a left one.
        targets: what each was fitted to, without an outline.
        mirrors: (2, 3) of ones, or (-1, 1, 1) for a left hand.
        views: each hand's own mask.
        owner: who is seen where.
        weights: as for one hand.
        seed: of the choice among too many pairs.
        rounds: how often the pairs are made anew.

    Returns:
        Both hands.
    """
    random = np.random.default_rng(seed)
    contours = [mask_outline(view) for view in views]
    state = State.stack(list(states))
    for number in range(rounds):
        meshes = _meshes(chain, state, mirrors)
        if meshes[..., 2].min() < 0.02:
            break
        apart = _hidden(meshes, chain.model.faces, owner, random)
        if number >= WHOLE_ROUNDS:
            apart = _joined(apart, _inside(meshes, chain.model.faces, random))
        outlines = []
        for k, (view, contour) in enumerate(zip(views, contours)):
            one = state.take(np.array([k]))
            few = len(contour[0]) < 20
            outlines.append(None if few else pair_outlines(chain, one, view, contour, random))
        both = _stacked(targets, outlines)
        state = _solve(Problem(chain, both, weights), state, apart, mirrors)
    return state.take(np.array([0])), state.take(np.array([1]))


def hands_meet(chain: HandChain, states: tuple[State, State], mirrors: np.ndarray) -> bool:
    """Whether some vertices of two hands come closer than ``NEAR_M``."""
    from scipy.spatial import cKDTree

    meshes = _meshes(chain, State.stack(list(states)), mirrors)
    gap, _ = cKDTree(meshes[0]).query(meshes[1], distance_upper_bound=NEAR_M)
    return bool(np.isfinite(gap).any())


def _meshes(chain: HandChain, state: State, mirrors: np.ndarray) -> np.ndarray:
    """(2, V, 3) vertices, camera axes, metres."""
    rows = np.repeat(np.arange(len(chain.model.template))[None], len(state), axis=0)
    posed = chain.pose(state, derivatives=False)
    vertices = chain.vertices(state, posed, rows, derivatives=False)[0]
    return np.asarray((vertices + state.translation[:, None]) * mirrors[:, None])


def _inside(meshes: np.ndarray, faces: np.ndarray, random: np.random.Generator) -> Apart:
    """Vertices of each hand that lie a little inside the other, by its nearest vertex's normal."""
    from scipy.spatial import cKDTree

    parts = []
    for k in range(2):
        vertices, surface = meshes[k], meshes[1 - k]
        # a left hand's mesh is mirrored, so its triangles turn the other way
        normals = _outward(surface, faces)
        gap, nearest = cKDTree(surface).query(vertices, distance_upper_bound=REACH_M)
        rows = np.flatnonzero(np.isfinite(gap))
        away = vertices[rows] - surface[nearest[rows]]
        rows = rows[(away * normals[nearest[rows]]).sum(axis=1) < 0]
        rows = random.permutation(rows)[:MAX_ROWS]
        direction = normals[nearest[rows]]
        pair = (rows, nearest[rows])
        first, second = pair if k == 0 else pair[::-1]
        parts.append(
            Apart(
                first, second, direction if k == 0 else -direction,
                np.zeros(len(rows)), _sigmas(PENETRATION_SIGMA_M, len(rows)),
            )
        )  # fmt: skip
    return _joined(*parts)


def _outward(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) normals, outward also where the mesh is a mirror image."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    volume = float((a * np.cross(b, c)).sum())
    middle = vertices.mean(axis=0)
    a, b, c = a - middle, b - middle, c - middle
    volume = float((a * np.cross(b, c)).sum())
    normals = vertex_normals(vertices, faces)
    return np.asarray(normals if volume > 0 else -normals)


def _hidden(
    meshes: np.ndarray, faces: np.ndarray, owner: OwnerView, random: np.random.Generator
) -> Apart:
    """Front vertices of the hand that is seen, against those of the hand that it hides."""
    rasters: list[MeshRaster] = [rasterize_mesh(m, faces, owner.camera) for m in meshes]
    both = rasters[0].silhouette & rasters[1].silhouette & (owner.owner >= 0)
    seen = owner.owner
    front = np.where(seen == 0, rasters[0].depth, rasters[1].depth)
    back = np.where(seen == 0, rasters[1].depth, rasters[0].depth)
    with np.errstate(invalid="ignore"):
        wrong = both & (front > back - THICKNESS_M)
    pixels = np.argwhere(wrong)
    pixels = pixels[random.permutation(len(pixels))[:MAX_ROWS]]
    y, x = pixels.T
    first = faces[rasters[0].triangle[y, x], 0]
    second = faces[rasters[1].triangle[y, x], 0]
    sign = np.where(seen[y, x] == 0, -1.0, 1.0)
    direction = np.zeros((len(pixels), 3))
    direction[:, 2] = sign
    least = np.full(len(pixels), THICKNESS_M)
    sigma = _sigmas(ORDER_SIGMA_M, len(pixels))
    return Apart(first, second, direction, least, sigma)


def _sigmas(sigma: float, count: int) -> np.ndarray:
    """(count,) metres; neighbours say the same, so that many count like ``ENOUGH_ROWS``."""
    return np.full(count, sigma * np.sqrt(max(1.0, count / ENOUGH_ROWS)))


def _joined(one: Apart, two: Apart) -> Apart:
    names = ("first", "second", "direction", "least", "sigma")
    return Apart(*(np.concatenate([getattr(one, n), getattr(two, n)]) for n in names))


def _stacked(targets: tuple[Targets, Targets], outlines: list[Outline | None]) -> Targets:
    """One batch of two, the shorter outline filled up with pairs of weight 0."""
    one, two = targets
    names = [n for n in one.__dict__ if n != "outline"]
    both = {n: np.concatenate([getattr(one, n), getattr(two, n)]) for n in names}
    count = max((o.rows.shape[1] for o in outlines if o is not None), default=0)
    if not count:
        return Targets(**both)
    empty = Outline(
        np.zeros((1, 0), int), np.zeros((1, 0, 2)), np.zeros((1, 0, 2)), np.zeros((1, 0))
    )
    filled = []
    for outline in (o or empty for o in outlines):
        missing = count - outline.rows.shape[1]
        filled.append(
            [
                np.pad(a, [(0, 0), (0, missing)] + [(0, 0)] * (a.ndim - 2))
                for a in (outline.rows, outline.points, outline.normals, outline.weights)
            ]
        )
    joined = Outline(*(np.concatenate([a, b]) for a, b in zip(*filled)))
    return replace(Targets(**both), outline=joined)


def _apart_rows(
    chain: HandChain, state: State, apart: Apart, mirrors: np.ndarray, derivatives: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """(K,) residuals in sigmas, and (K, 2 P) derivatives with respect to where the hands are.

    Whole hands are moved: fingers that gave way lost more in pose than was gained in depth.
    """
    posed = chain.pose(state, derivatives=False)
    rows = np.stack([apart.first, apart.second])
    vertices, _ = chain.vertices(state, posed, rows, derivatives=False)
    placed = (vertices + state.translation[:, None]) * mirrors[:, None]
    gap = ((placed[0] - placed[1]) * apart.direction).sum(axis=1)
    active = gap < apart.least
    residual = np.where(active, apart.least - gap, 0.0) / apart.sigma
    if not derivatives:
        return residual, None
    size = chain.size
    moved = np.zeros((len(gap), 2 * size))
    for k, sign in ((0, -1.0), (1, 1.0)):
        along = apart.direction * mirrors[k] * (sign * active / apart.sigma)[:, None]
        moved[:, k * size + 3 : k * size + 6] = along
    return residual, moved


def _solve(problem: Problem, state: State, apart: Apart, mirrors: np.ndarray) -> State:
    """Levenberg-Marquardt over both hands, as :func:`solver.solve` with shared rows."""
    damping, size = 1e-2, problem.chain.size
    for _ in range(ITERATIONS):
        residual, jacobian = problem.residuals(state)
        if jacobian is None:
            break
        roots = np.ones_like(residual)
        roots[:, : problem.robust_count] = problem.robust_weights(residual)
        residual, jacobian = residual * roots, jacobian * roots[..., None]
        shared, by_both = _apart_rows(problem.chain, state, apart, mirrors, True)
        assert by_both is not None
        normal = by_both.T @ by_both
        gradient = by_both.T @ shared
        for k in range(2):
            part = slice(k * size, (k + 1) * size)
            normal[part, part] += jacobian[k].T @ jacobian[k]
            gradient[part] += jacobian[k].T @ residual[k]
        cost = float((residual**2).sum() + (shared**2).sum())
        damped = normal + np.diag(damping * np.diag(normal) + 1e-9)
        step = -np.linalg.solve(damped, gradient).reshape(2, size)
        step *= np.minimum(1.0, 1.0 / max(float(np.abs(step[:, :32]).max()), 1e-9))
        trial = state.moved(step)
        after = problem.residuals(trial, derivatives=False)[0] * roots
        pushed, _ = _apart_rows(problem.chain, trial, apart, mirrors, False)
        better = float((after**2).sum() + (pushed**2).sum()) < cost
        state = trial if better else state
        damping = float(np.clip(damping * (0.3 if better else 5.0), 1e-6, 1e6))
    return state
