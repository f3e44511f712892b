"""Interpenetration of hands: a smooth penalty for solving, an exact measure for the record.

The penalty uses balls inscribed in the rest mesh and carried by the skinning. A vertex inside
a ball is pushed along the ray from the ball's centre, so the gradient points out of the flesh
even when a finger has crossed to the far side, where nearest-vertex normals give up. The
measure is exact for the mesh: generalized winding number for inside or outside (Jacobson et
al. 2013, Eq. 6, by the solid angles of van Oosterom and Strackee 1983) and the distance to the
nearest triangle (Ericson 2005, section 5.1.5) for the depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.conventions import MANO_PARENTS
from ..geometry.surfaces import vertex_normals

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Balls:
    """Balls inscribed in a rest mesh.

    Attributes:
        seeds: (B,) vertex that each ball touches.
        centers: (B, 3) rest centres, metres.
        radii: (B,) metres.
        weights: (B, 16) skinning weights of the centres.
        parts: (B,) MANO joint that moves each ball most.
    """

    seeds: np.ndarray
    centers: np.ndarray
    radii: np.ndarray
    weights: np.ndarray
    parts: np.ndarray


def inscribed_balls(
    vertices: np.ndarray,
    faces: np.ndarray,
    weights: np.ndarray,
    seeds: np.ndarray | None = None,
    count: int = 320,
    max_radius: float = 0.03,
) -> Balls:
    """Shrink a ball from each seed vertex into the mesh until it holds no other vertex.

    The shrinking-ball algorithm of Ma, Bae and Choi 2012 (section 3).

    Args:
        vertices: (V, 3) rest vertices, metres.
        faces: (F, 3) triangles, outside counter-clockwise.
        weights: (V, 16) skinning weights.
        seeds: (B,) vertices to start from; None chooses ``count`` that cover the hand.
        count: how many balls to choose when ``seeds`` is None.
        max_radius: starting radius, metres.
    """
    from scipy.spatial import cKDTree

    normals = vertex_normals(vertices, faces)
    chosen = np.arange(len(vertices)) if seeds is None else np.asarray(seeds)
    tree = cKDTree(vertices)
    points, inward = vertices[chosen], -normals[chosen]
    radii = np.full(len(chosen), max_radius)
    touched = chosen.copy()
    for _ in range(30):
        distance, nearest = tree.query(points + inward * radii[:, None], k=2)
        own = nearest[:, 0] == chosen
        other = np.where(own, nearest[:, 1], nearest[:, 0])
        gap = np.where(own, distance[:, 1], distance[:, 0])
        shrink = gap < radii - 1e-5
        if not shrink.any():
            break
        chord = vertices[other] - points
        along = (chord * inward).sum(1)
        shrink &= along > 1e-6
        radii = np.where(shrink, (chord**2).sum(1) / (2 * np.maximum(along, 1e-6)), radii)
        touched = np.where(shrink, other, touched)
    centers = points + inward * radii[:, None]
    mixed = 0.5 * (weights[chosen] + weights[touched])
    if seeds is None:
        keep = _cover(centers, radii, count)
        chosen, centers, radii, mixed = chosen[keep], centers[keep], radii[keep], mixed[keep]
    return Balls(chosen, centers, radii, mixed, mixed.argmax(1))


def _cover(centers: np.ndarray, radii: np.ndarray, count: int) -> np.ndarray:
    """Farthest-point choice of ``count`` balls, measured in units of their radius."""
    usable = np.flatnonzero((radii > 0.0015) & (radii < 0.025))
    distance = np.full(len(usable), np.inf)
    picked: list[int] = []
    index = int(np.argmax(radii[usable]))
    for _ in range(min(count, len(usable))):
        picked.append(int(usable[index]))
        gap = np.linalg.norm(centers[usable] - centers[picked[-1]], axis=1)
        distance = np.minimum(distance, gap / (0.004 + 0.5 * radii[usable]))
        index = int(np.argmax(distance))
    return np.sort(np.array(picked))


def adjacent_parts() -> np.ndarray:
    """(16, 16) bool: same joint, parent and child, or both children of the wrist's palm."""
    near = np.eye(16, dtype=bool)
    for joint, parent in enumerate(MANO_PARENTS):
        if parent >= 0:
            near[joint, parent] = near[parent, joint] = True
    knuckles = [1, 4, 10, 7]
    for a, b in pairwise(knuckles):
        near[a, b] = near[b, a] = True
    return near


def self_pairs(vertices: np.ndarray, weights: np.ndarray, balls: Balls) -> np.ndarray:
    """(V, B) bool: which vertex-ball pairs of one hand count as self-collision.

    Neighbouring parts never count (skin folds there), nor do pairs that overlap at rest.
    """
    parts = weights.argmax(1)
    rest = np.linalg.norm(vertices[:, None] - balls.centers[None], axis=-1) - balls.radii
    return ~adjacent_parts()[parts[:, None], balls.parts[None]] & (rest > 0.0005)


def ball_penalty(
    vertices: torch.Tensor,
    centers: torch.Tensor,
    radii: torch.Tensor,
    margin: float = 0.0,
    allowed: torch.Tensor | None = None,
) -> torch.Tensor:
    """Sum over vertices of the squared depth in the deepest ball, square millimetres, (batch,).

    Args:
        vertices: (batch, V, 3) metres.
        centers: (batch, B, 3) metres.
        radii: (B,) metres.
        margin: distance to keep, metres.
        allowed: (V, B) bool, pairs that count.
    """
    import torch

    # Which ball is deepest needs no gradient; only the few pairs that overlap get one.
    with torch.no_grad():
        depth = radii + margin - torch.cdist(vertices, centers)
        if allowed is not None:
            depth = depth.masked_fill(~allowed, -1.0)
        deepest, ball = depth.max(-1)
        batch, vertex = torch.nonzero(deepest > -1e-4, as_tuple=True)
        ball = ball[batch, vertex]
    gap = (vertices[batch, vertex] - centers[batch, ball]).norm(dim=-1)
    squared = ((radii[ball] + margin - gap).clamp_min(0.0) * 1e3).square()
    return vertices.new_zeros(len(vertices)).index_add(0, batch, squared)


@cache
def _kernels() -> Any:
    """Compile the exact measure on first use; numba stays out of the package's import."""
    from ..core.jit import compiled

    @compiled()
    def winding(points: Any, corners: Any, skip: Any, out: Any) -> None:
        for i in range(points.shape[0]):
            px, py, pz = points[i, 0], points[i, 1], points[i, 2]
            total = 0.0
            for t in range(corners.shape[0]):
                if skip[i, t]:
                    continue
                ax, ay, az = corners[t, 0, 0] - px, corners[t, 0, 1] - py, corners[t, 0, 2] - pz
                bx, by, bz = corners[t, 1, 0] - px, corners[t, 1, 1] - py, corners[t, 1, 2] - pz
                cx, cy, cz = corners[t, 2, 0] - px, corners[t, 2, 1] - py, corners[t, 2, 2] - pz
                la = np.sqrt(ax * ax + ay * ay + az * az)
                lb = np.sqrt(bx * bx + by * by + bz * bz)
                lc = np.sqrt(cx * cx + cy * cy + cz * cz)
                det = ax * (by * cz - bz * cy) - ay * (bx * cz - bz * cx) + az * (bx * cy - by * cx)
                ab = ax * bx + ay * by + az * bz
                bc = bx * cx + by * cy + bz * cz
                ca = cx * ax + cy * ay + cz * az
                total += np.arctan2(det, la * lb * lc + ab * lc + bc * la + ca * lb)
            out[i] = total / (2 * np.pi)

    @compiled()
    def closest(points: Any, corners: Any, skip: Any, out: Any, where: Any) -> None:
        for i in range(points.shape[0]):
            smallest = np.inf
            px, py, pz = points[i, 0], points[i, 1], points[i, 2]
            for t in range(corners.shape[0]):
                if skip[i, t]:
                    continue
                ax, ay, az = corners[t, 0, 0], corners[t, 0, 1], corners[t, 0, 2]
                ux, uy, uz = corners[t, 1, 0] - ax, corners[t, 1, 1] - ay, corners[t, 1, 2] - az
                vx, vy, vz = corners[t, 2, 0] - ax, corners[t, 2, 1] - ay, corners[t, 2, 2] - az
                wx, wy, wz = px - ax, py - ay, pz - az
                d1 = ux * wx + uy * wy + uz * wz
                d2 = vx * wx + vy * wy + vz * wz
                uu = ux * ux + uy * uy + uz * uz
                uv = ux * vx + uy * vy + uz * vz
                vv = vx * vx + vy * vy + vz * vz
                d3, d4, d5, d6 = d1 - uu, d2 - uv, d1 - uv, d2 - vv
                va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
                if d1 <= 0 and d2 <= 0:
                    s, r = 0.0, 0.0
                elif d3 >= 0 and d4 <= d3:
                    s, r = 1.0, 0.0
                elif vc <= 0 and d1 >= 0 and d3 <= 0:
                    s, r = d1 / max(d1 - d3, 1e-30), 0.0
                elif d6 >= 0 and d5 <= d6:
                    s, r = 0.0, 1.0
                elif vb <= 0 and d2 >= 0 and d6 <= 0:
                    s, r = 0.0, d2 / max(d2 - d6, 1e-30)
                elif va <= 0 and d4 - d3 >= 0 and d5 - d6 >= 0:
                    r = (d4 - d3) / max((d4 - d3) + (d5 - d6), 1e-30)
                    s = 1.0 - r
                else:
                    inverse = 1.0 / (va + vb + vc)
                    s, r = vb * inverse, vc * inverse
                qx, qy, qz = ax + s * ux + r * vx, ay + s * uy + r * vy, az + s * uz + r * vz
                gap = (px - qx) ** 2 + (py - qy) ** 2 + (pz - qz) ** 2
                if gap < smallest:
                    smallest = gap
                    where[i, 0], where[i, 1], where[i, 2] = qx, qy, qz
            out[i] = np.sqrt(smallest)

    return winding, closest


def winding_number(
    points: np.ndarray, corners: np.ndarray, skip: np.ndarray | None = None
) -> np.ndarray:
    """(P,) generalized winding number of points (P, 3) in triangles (T, 3, 3).

    ``skip`` (P, T) leaves triangles out, point by point.
    """
    out = np.zeros(len(points))
    if skip is None:
        skip = np.zeros((len(points), len(corners)), dtype=bool)
    if len(points) and len(corners):
        args = (np.ascontiguousarray(points, float), np.ascontiguousarray(corners, float))
        _kernels()[0](*args, skip, out)
    return out


def closest_points(
    points: np.ndarray, corners: np.ndarray, skip: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Distance (P,) and nearest point (P, 3) on triangles (T, 3, 3), ``skip`` (P, T) left out."""
    out, where = np.full(len(points), np.inf), np.zeros((len(points), 3))
    if skip is None:
        skip = np.zeros((len(points), len(corners)), dtype=bool)
    if len(points) and len(corners):
        args = (np.ascontiguousarray(points, float), np.ascontiguousarray(corners, float))
        _kernels()[1](*args, skip, out, where)
    return out, where


def penetration(
    vertices_a: np.ndarray, vertices_b: np.ndarray, faces_b: np.ndarray, reach: float = 0.02
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices of hand a inside hand b.

    Args:
        vertices_a: (V, 3) metres.
        vertices_b: (W, 3) metres.
        faces_b: (F, 3).
        reach: vertices farther than this from every vertex of b are taken as outside, unless
            they lie in b's bounding box.

    Returns:
        (n,) indices into a, (n,) depths in metres, (n, 3) nearest surface points.
    """
    from scipy.spatial import cKDTree

    low, high = vertices_b.min(0), vertices_b.max(0)
    boxed = np.flatnonzero(((vertices_a > low) & (vertices_a < high)).all(1))
    if len(boxed):
        near, _ = cKDTree(vertices_b).query(vertices_a[boxed])
        boxed = boxed[near < reach]
    corners = vertices_b[faces_b]
    inside = boxed[winding_number(vertices_a[boxed], corners) > 0.5]
    depth, surface = closest_points(vertices_a[inside], corners)
    return inside, depth, surface


def self_penetration(
    vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, rest: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices of a hand inside another, not neighbouring, part of the same hand.

    A triangle belongs to the MANO joint that moves its first vertex most. For each vertex the
    triangles of its own and the neighbouring parts are left out, as skin folds there; what is
    left is open at the cut, far from where another part could be entered.

    Returns:
        As :func:`penetration`.
    """
    from scipy.spatial import cKDTree

    parts = weights.argmax(1)
    near = adjacent_parts()
    # Only vertices that have come near a part that they were far from can collide.
    distance, index = cKDTree(vertices).query(vertices, k=24, distance_upper_bound=0.012)
    valid = np.isfinite(distance)
    other = np.where(valid, index, 0)
    foreign = valid & ~near[parts[:, None], parts[other]]
    foreign &= np.linalg.norm(rest[:, None] - rest[other], axis=-1) > 0.004
    candidates = np.flatnonzero(foreign.any(1))
    corners = vertices[faces]
    skip = near[parts[candidates][:, None], parts[faces[:, 0]][None]]
    inside = winding_number(vertices[candidates], corners, skip) > 0.5
    depth, surface = closest_points(vertices[candidates[inside]], corners, skip[inside])
    return candidates[inside], depth, surface
