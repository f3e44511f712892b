"""Scores on hands that never train; the tables of ``benchmarks/hhmr.py`` use them too."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ...hand_model import load_hand_model
from ...hand_model.limits import compose
from .conditions import Conditions
from .config import UNIT_M
from .diffusion import Guidance, sample
from .frames import centred, upright_turn
from .guidance import projection_misfit
from .hands import FAR_M, NEAR_M, posed, random_rotations, random_shapes
from .network import HhmrNetwork
from .poses import held_out_poses
from .recordings import Recordings

MM = 1000.0

SIZE_GROUPS = (0.5, 0.85, 0.97)
"""Shares of triangles, smallest first, at which they are grouped to search for near ones."""


@dataclass(frozen=True)
class HeldOutHands:
    """Hands with known truth.

    Attributes:
        mesh, keypoints: (N, V, 3) and (N, 21, 3) about the palm's centre, ``UNIT_M``; upright
            in the picture of a camera that looks at the palm.
        flat: (N, 21, 2) keypoints in that picture.
        theta: (N, 16, 3) with the wrist at zero.
        shape: (N, S).
        turn: (N, 3, 3) from the hand's own axes to the camera's.
    """

    mesh: torch.Tensor
    keypoints: torch.Tensor
    flat: torch.Tensor
    theta: torch.Tensor
    shape: torch.Tensor
    turn: torch.Tensor


def held_out_hands(
    network: HhmrNetwork, recordings: Recordings, count: int, seed: int = 5
) -> HeldOutHands:
    """Hands of held-out recordings and families, the same for a seed on every device."""
    model = load_hand_model(network.config.hand_model, "right", 0)
    poses = held_out_poses(np.random.default_rng([seed, 59]), recordings, count)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        shape = random_shapes(model, count, torch.device("cpu"))
        turn = random_rotations(count, torch.device("cpu"))
        low, high = np.log(NEAR_M), np.log(FAR_M)
        distance = (low + (high - low) * torch.rand(count)).exp() / UNIT_M
    theta = compose(torch.as_tensor(poses, dtype=torch.float32))
    mesh, points = posed(model, theta, shape)
    turned = points @ turn.mT
    turn = upright_turn(turned[..., :2] / (turned[..., 2:] + distance[:, None, None])) @ turn
    mesh, points = mesh @ turn.mT, points @ turn.mT
    flat = points[..., :2] / (points[..., 2:] + distance[:, None, None])
    return HeldOutHands(mesh, points, flat, theta, shape, turn)


def flat_conditions(
    network: HhmrNetwork, flat: torch.Tensor, seen: torch.Tensor | None = None, sigma: float = 0.0
) -> Conditions:
    """Conditions of 2D skeletons (B, 21, 2) in the picture of the camera that looks at them."""
    count = len(flat)
    if seen is None:
        seen = torch.ones(count, 21, dtype=torch.bool, device=flat.device)
    points, unit = centred(flat, seen)
    return replace(
        Conditions.none(count, network.config, flat.device),
        points_2d=points,
        seen_2d=seen,
        sigma_2d=torch.full((count,), sigma, device=flat.device),
        angle=unit,
        upright=torch.ones(count, dtype=torch.bool, device=flat.device),
    )


def own_conditions(
    network: HhmrNetwork, points: torch.Tensor, seen: torch.Tensor, sigma: float = 0.0
) -> Conditions:
    """Conditions of 3D skeletons (B, 21, 3) in the hands' own axes, ``UNIT_M``."""
    return replace(
        Conditions.none(len(points), network.config, points.device),
        points_3d=points * seen[..., None],
        seen_3d=seen,
        sigma_3d=torch.full((len(points),), sigma, device=points.device),
    )


def aligned(points: torch.Tensor, target: torch.Tensor, scaled: bool = True) -> torch.Tensor:
    """Points (..., N, 3) turned, moved and scaled onto (..., N, 3) target (Procrustes)."""
    a = points - points.mean(-2, keepdim=True)
    b = target - target.mean(-2, keepdim=True)
    u, s, vt = torch.linalg.svd(a.mT @ b)
    sign = torch.ones_like(s)
    sign[..., 2] = torch.linalg.det(u @ vt).sign()
    turn = (u * sign[..., None, :]) @ vt
    grow = (s * sign).sum(-1) / (a**2).sum((-2, -1)) if scaled else torch.ones_like(s[..., 0])
    return grow[..., None, None] * a @ turn + target.mean(-2, keepdim=True)


def pa_error_mm(points: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(...) PA-MPJPE, or PA-MPVPE, in millimetres, of points in ``UNIT_M``."""
    return (aligned(points, target) - target).norm(dim=-1).mean(-1) * UNIT_M * MM


def diversity_mm(points: torch.Tensor) -> float:
    """Average pairwise distance, millimetres, of (N, V, 3) after rigid alignment.

    Tiwari et al. 2022 average vertex distances over all pairs of samples.
    """
    total, pairs = 0.0, 0
    for k in range(1, len(points)):
        one = points[k].expand(k, -1, -1)
        apart = (aligned(points[:k], one, scaled=False) - one).norm(dim=-1).mean(-1)
        total, pairs = total + float(apart.sum()), pairs + k
    return total / max(pairs, 1) * UNIT_M * MM


def self_intersections(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Share of faces, 0 to 1, that another face passes through; neighbours do not count.

    An edge of one triangle against another triangle (Moeller and Trumbore 1997), for all
    pairs whose bounding spheres meet.

    Args:
        vertices: (V, 3).
        faces: (F, 3).
    """
    corners = vertices[faces]
    a, b = near_faces(corners).T
    apart = ~(faces[a][:, :, None] == faces[b][:, None, :]).any((1, 2))
    a, b = a[apart], b[apart]
    hit = np.zeros(len(a), bool)
    for one, other in ((a, b), (b, a)):
        for k in range(3):
            hit |= _pierced(corners[one][:, k], corners[one][:, (k + 1) % 3], corners[other])
    touched = np.zeros(len(faces), bool)
    touched[a[hit]] = touched[b[hit]] = True
    return float(touched.mean())


def near_faces(corners: np.ndarray) -> np.ndarray:
    """(P, 2) pairs of triangles (F, 3, 3) whose boxes overlap.

    Few triangles are large, so trees of like ones are searched in pairs.
    """
    from scipy.spatial import cKDTree

    low, high = corners.min(1), corners.max(1)
    middle, half = 0.5 * (low + high), 0.5 * (high - low).max(1)
    order = np.argsort(half)
    groups = np.split(order, np.round(len(order) * np.array(SIZE_GROUPS)).astype(int))
    trees = [cKDTree(middle[rows]) for rows in groups]
    found = []
    for k, tree in enumerate(trees):
        for m in range(k + 1):
            reach = float(half[groups[k]].max() + half[groups[m]].max())
            near = tree.sparse_distance_matrix(trees[m], reach, np.inf, "ndarray")
            a, b = groups[k][near["i"]], groups[m][near["j"]]
            once = (a < b) | (m < k)
            a, b = a[once], b[once]
            meet = ((low[a] <= high[b]) & (low[b] <= high[a])).all(1)
            found.append(np.stack([a[meet], b[meet]], 1))
    return np.concatenate(found)


def _pierced(start: np.ndarray, end: np.ndarray, triangle: np.ndarray) -> np.ndarray:
    """(N,) whether segments pass through triangles (N, 3, 3)."""
    ray = end - start
    one, two = triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]
    cross = np.cross(ray, two)
    det = (one * cross).sum(1)
    safe = np.where(np.abs(det) > 1e-18, det, np.inf)
    away = start - triangle[:, 0]
    u = (away * cross).sum(1) / safe
    turned = np.cross(away, one)
    v = (ray * turned).sum(1) / safe
    t = (two * turned).sum(1) / safe
    inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (t >= 0) & (t <= 1)
    return inside & np.isfinite(safe)


def quick_scores(
    network: HhmrNetwork, recordings: Recordings, count: int, steps: int
) -> dict[str, float]:
    """A few seconds' scores of a network in training.

    Returns:
        PA-MPJPE and PA-MPVPE in millimetres from 2D skeletons, without and with guidance;
        MPJPE of two hidden fingers from 3D skeletons; APD of random hands, of the truth too.
    """
    device = network.regressor.device
    hands = held_out_hands(network, recordings, count)
    mesh, points, flat = (x.to(device) for x in (hands.mesh, hands.keypoints, hands.flat))
    conditions = flat_conditions(network, flat)
    plain = sample(network, conditions, steps)
    misfit = projection_misfit(network.joints, flat, conditions.seen_2d)
    guided = sample(network, conditions, steps, guidance=Guidance(misfit))
    own = (hands.keypoints @ hands.turn).to(device)
    seen = torch.ones(count, 21, dtype=torch.bool, device=device)
    hidden = [*range(5, 9), *range(13, 17)]
    seen[:, hidden] = False
    completed = network.joints(sample(network, own_conditions(network, own, seen), steps))
    apart = (completed - own).norm(dim=-1)
    free = sample(network, Conditions.none(count, network.config, device), steps)
    return {
        "pa_mpjpe_2d": float(pa_error_mm(network.joints(plain), points).mean()),
        "pa_mpvpe_2d": float(pa_error_mm(plain, mesh).mean()),
        "pa_mpjpe_2d_guided": float(pa_error_mm(network.joints(guided), points).mean()),
        "shown_3d": float(apart[seen].mean()) * UNIT_M * MM,
        "hidden_3d": float(apart[:, hidden].mean()) * UNIT_M * MM,
        "apd": diversity_mm(network.joints(free)),
        "apd_true": diversity_mm(own),
    }
