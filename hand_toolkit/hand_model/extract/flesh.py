"""Flesh over bones: a hand bent as an almost incompressible solid, at rest in every pose.

The rest mesh is filled with tetrahedra (TetGen, Si 2015) of the stable neo-Hookean solid of
Smith, de Goes and Kim 2018 (Eq. 13 without the barrier, Poisson's ratio .47 to .49). Points of the
bones are tied to the joints' transforms by stiff springs; the flesh in between finds its rest
by Newton's method with the elements' Hessians made positive, from the linear-blend-skinned
pose. Skin that meets skin, in the crease of a bend, is kept apart by one-sided springs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.conventions import MANO_PARENTS
from ...geometry.surfaces import vertex_normals
from ..base import HandModel
from ..limits import joint_frames
from ..posing import pose_hand_numpy, rest_hand
from ..surface import boundary_loop

SHEAR = 1.0
"""Stiffness of the flesh; only ratios matter for where it rests."""

FIRM, YIELDING = 40.0, 14.0
"""Lamé's first parameter over the shear modulus: hardly compressible, and with some give."""

BONE = 400.0
"""Spring of a bone point per mm of bone, in units of the shear modulus."""

CONTACT = 60.0
SKIN_MM = 2.2
"""Skin and tendon over the back of a bone."""

NEWTON_STEPS = 12


@dataclass(frozen=True)
class Flesh:
    """The solid of a hand, millimetres.

    Attributes:
        model: the hand, whose vertices come first.
        nodes: (N, 3) rest.
        tets: (T, 4).
        weights: (N, 16) skinning weights of the nodes.
        bone_tets: (P,) tetrahedron of each bone point.
        bone_bary: (P, 4) its weights there.
        bone_joint: (P,) joint that carries it.
        bone_rest: (P, 3) its place.
    """

    model: HandModel
    nodes: np.ndarray
    tets: np.ndarray
    weights: np.ndarray
    bone_tets: np.ndarray
    bone_bary: np.ndarray
    bone_joint: np.ndarray
    bone_rest: np.ndarray


def fill(model: HandModel) -> Flesh:
    """The solid of the mean hand of ``model``.

    Raises:
        MissingDependencyError: tetgen is not installed.
    """
    from ...core.errors import missing_dependency

    try:
        import tetgen
    except ImportError as error:
        raise missing_dependency("filling the hand", "tetgen", "extract") from error
    vertices, joints, keypoints = (1000 * a for a in rest_hand(model))
    rim = boundary_loop(model.faces)
    closed = np.vstack([vertices, vertices[rim].mean(0)])
    fan = np.stack([np.roll(rim, -1), rim, np.full(len(rim), len(vertices))], 1)
    faces = np.vstack([model.faces, fan])
    nodes, tets = tetgen.TetGen(closed, faces).tetrahedralize(switches="pq1.25/10a40YQ")[:2]
    tets = np.asarray(tets, np.int64)
    weights = _spread(model.weights, nodes, tets)
    points, owner = _bone_points(vertices, model.faces, joints, keypoints)
    found, bary = _locate(points, nodes, tets)
    keep = found >= 0
    return Flesh(
        model, nodes, tets, weights, found[keep], bary[keep], owner[keep], points[keep]
    )  # fmt: skip


def _spread(weights: np.ndarray, nodes: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """Skinning weights inside: harmonic between those of the skin."""
    import scipy.sparse as sparse
    from scipy.sparse.linalg import spsolve

    pairs = np.vstack([tets[:, [a, b]] for a in range(4) for b in range(4) if a != b])
    length = np.linalg.norm(nodes[pairs[:, 0]] - nodes[pairs[:, 1]], axis=1)
    count, known = len(nodes), len(weights)
    graph = sparse.csr_matrix((1 / length, pairs.T), (count, count))
    laplacian = sparse.diags(np.asarray(graph.sum(1)).ravel()) - graph
    inside = spsolve(laplacian[known:, known:].tocsc(), -laplacian[known:, :known] @ weights)
    full = np.vstack([weights, inside])
    return full / full.sum(1, keepdims=True)


def _bone_points(
    vertices: np.ndarray, faces: np.ndarray, joints: np.ndarray, keypoints: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points on the bones' surfaces and axes (P, 3), and the joint that carries each (P,).

    A bone lies ``SKIN_MM`` under the skin of its back. Its head, a ball at its far end, belongs
    to it: over it the skin is stretched when the joint bends, which is the knuckle.
    """
    frames = joint_frames()
    points, owner = [], []
    ball = _directions(40)
    for joint in range(1, 16):
        _, back, along = frames[joint - 1]
        depth = _ray(joints[joint], back, vertices, faces)
        half = _ray(joints[joint], frames[joint - 1, 0], vertices, faces)
        first = joint % 3 == 1
        thumb = joint > 12
        radius = min(0.62 * half, 5.2) if not first else (7.5 if not thumb else 6.5)
        centre = joints[joint] + back * min(0.0, depth - SKIN_MM - radius)
        if first and thumb:
            # the thumb's first joint lies deep in the wrist
            centre, radius = joints[joint], 5.0
        parent = int(MANO_PARENTS[joint])
        for r in (radius, 0.6 * radius):
            points.append(centre + r * ball)
            owner.append(np.full(len(ball), parent))
        # the shaft of the bone that the joint carries, from beyond the head of its parent's
        k = keypoints[2 + 4 * _finger(joint) + (joint - 1) % 3]
        length = np.linalg.norm(k - joints[joint])
        end = length - 0.5 * radius
        if joint % 3 == 0:
            end = 0.75 * length
        start = radius + (2.5 if not first else 4.0)
        steps = np.arange(start, end, 1.0)
        ring = np.linspace(0, 2 * np.pi, 6, endpoint=False)
        lowered = (centre - joints[joint]) @ back
        for s in steps:
            middle = joints[joint] + s * along + back * lowered * max(0.0, 1 - s / (0.5 * length))
            over = _ray(middle, back, vertices, faces)
            size = np.clip(over - SKIN_MM, 1.0, 0.62 * radius)
            side = frames[joint - 1, 0]
            points.append(
                middle + size * (np.cos(ring)[:, None] * side + np.sin(ring)[:, None] * back)
            )
            owner.append(np.full(len(ring), joint))
    for joint in (1, 4, 7, 10):
        # the metacarpals, from the wrist to the knuckles
        line = np.linspace(0.12, 0.9, 60)[:, None] * joints[joint]
        points.append(line - [0.0, 3.0, 0.0])
        owner.append(np.zeros(len(line), int))
    return np.concatenate(points), np.concatenate(owner)


def _finger(joint: int) -> int:
    """Number in ``FINGERS`` of a MANO joint's finger (MANO: index, middle, pinky, ring, thumb)."""
    return (1, 2, 4, 3, 0)[(joint - 1) // 3]


def _directions(count: int) -> np.ndarray:
    """(count, 3) even directions: Fibonacci's lattice."""
    i = np.arange(count) + 0.5
    z, turn = 1 - 2 * i / count, np.pi * (1 + 5**0.5) * i
    r = np.sqrt(1 - z * z)
    return np.stack([r * np.cos(turn), r * np.sin(turn), z], 1)


def _ray(start: np.ndarray, way: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> float:
    """Distance to the first triangle met (Möller and Trumbore 1997); infinite if none."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    e1, e2 = b - a, c - a
    p = np.cross(way, e2)
    det = (e1 * p).sum(1)
    det = np.where(np.abs(det) < 1e-12, 1e-12, det)
    s = start - a
    u, q = (s * p).sum(1) / det, np.cross(s, e1)
    v, t = q @ way / det, (e2 * q).sum(1) / det
    hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
    return float(t[hit].min()) if hit.any() else np.inf


def _locate(points: np.ndarray, nodes: np.ndarray, tets: np.ndarray) -> tuple[Any, np.ndarray]:
    """Tetrahedron of each point (-1 outside) and its barycentric weights there (P, 4)."""
    from scipy.spatial import cKDTree

    corners = nodes[tets]
    inverse = np.linalg.inv((corners[:, 1:] - corners[:, :1]).transpose(0, 2, 1))
    _, near = cKDTree(corners.mean(1)).query(points, k=40)
    local = np.einsum("pkij,pkj->pki", inverse[near], points[:, None] - corners[near, 0])
    bary = np.concatenate([1 - local.sum(-1, keepdims=True), local], -1)
    best = bary.min(-1).argmax(1)
    row = np.arange(len(points))
    inside = bary[row, best].min(-1) > -1e-6
    return np.where(inside, near[row, best], -1), bary[row, best]


class Bend:
    """Rests of the flesh around some joints, pose after pose.

    Args:
        flesh: the hand.
        joints: MANO joints that bend, which have one back.
        reach: distance from a joint, mm, in which the flesh is free.
        firmness: its first Lamé parameter over the shear modulus.
    """

    def __init__(
        self, flesh: Flesh, joints: Sequence[int], reach: float, firmness: float = FIRM
    ) -> None:
        self.flesh, self.firmness = flesh, firmness
        centres = 1000 * rest_hand(flesh.model)[1][list(joints)]
        way = flesh.nodes[:, None] - centres
        distance = np.linalg.norm(way, axis=-1)
        free = (distance < reach).any(1)
        active = free[flesh.tets].any(1)
        self.tets = flesh.tets[active]
        self.free = np.flatnonzero(free)
        self.column = np.full(len(flesh.nodes), -1)
        self.column[self.free] = np.arange(len(self.free))
        corners = flesh.nodes[self.tets]
        edges = (corners[:, 1:] - corners[:, :1]).transpose(0, 2, 1)
        self.volume = np.linalg.det(edges) / 6
        if (self.volume < 0).all():
            raise ValueError("tetrahedra are numbered the other way round")
        self.gradients = np.zeros((len(self.tets), 4, 3))  # of the linear shape functions
        self.gradients[:, 1:] = np.linalg.inv(edges)
        self.gradients[:, 0] = -self.gradients[:, 1:].sum(1)
        bones = free[flesh.tets[flesh.bone_tets]].any(1)
        self.bones = np.flatnonzero(bones)
        faces = flesh.model.faces
        # skin folds on the palm's side of the joint; the nail's grooves lie on the other one
        height = np.einsum("nja,ja->nj", way, joint_frames()[[j - 1 for j in joints], 1])
        palmar = np.take_along_axis(height, distance.argmin(1)[:, None], 1)[:, 0] < 0
        self.skin = np.flatnonzero((free & palmar)[: len(flesh.model.template)])
        self.skin_faces = faces[(free & palmar)[faces].all(1)]
        self.rest_normals = vertex_normals(flesh.nodes[: len(flesh.model.template)], faces)
        a, b, c = flesh.nodes[self.skin_faces].transpose(1, 0, 2)
        across = np.cross(b - a, c - a)
        self.rest_face_normals = across / np.linalg.norm(across, axis=1, keepdims=True)
        self.offset = np.zeros_like(flesh.nodes)
        self.theta = np.zeros((16, 3))

    def rest_at(self, theta: np.ndarray) -> np.ndarray:
        """Corrections (V, 3), metres in the rest pose, that take skinned vertices to the flesh.

        Poses should follow each other in small steps; each starts where the last one ended.
        """
        flesh = self.flesh
        transforms = pose_hand_numpy(flesh.model, theta, _zero(flesh.model), np.zeros(3))[3]
        rotation, shift = transforms[:, :3, :3], 1000 * transforms[:, :3, 3]
        turned = np.einsum("nj,jab->nab", flesh.weights, rotation)
        moved = flesh.weights @ shift
        target = (
            np.einsum("pab,pb->pa", rotation[flesh.bone_joint], flesh.bone_rest)
            + shift[flesh.bone_joint]
        )
        x = np.einsum("nab,nb->na", turned, flesh.nodes + self.offset) + moved
        for _ in range(NEWTON_STEPS):
            step = self._newton(x, target)
            largest = np.abs(step).max()
            x[self.free] += step * min(1.0, 2.0 / max(largest, 1e-9))
            if largest < 2e-3:
                break
        local = np.linalg.solve(turned, (x - moved)[..., None])[..., 0]
        self.offset = local - flesh.nodes
        return self.offset[: len(flesh.model.template)] / 1000

    def _newton(self, x: np.ndarray, target: np.ndarray) -> np.ndarray:
        import scipy.sparse as sparse
        from scipy.sparse.linalg import cg

        force = np.zeros_like(x)
        rows, columns, values = [], [], []

        def add(nodes: np.ndarray, blocks: np.ndarray) -> None:
            # nodes (E, k), blocks (E, k, 3, k, 3)
            k = nodes.shape[1]
            index = (3 * self.column[nodes])[..., None] + np.arange(3)
            known = self.column[nodes] < 0
            i = np.broadcast_to(index[:, :, :, None, None], blocks.shape)
            j = np.broadcast_to(index[:, None, None], blocks.shape)
            out = known[:, :, None, None, None] | known[:, None, None, :, None]
            keep = ~np.broadcast_to(out, blocks.shape)
            del k
            rows.append(i[keep])
            columns.append(j[keep])
            values.append(blocks[keep])

        elastic, hessian = _neo_hookean(x[self.tets], self.gradients, self.volume, self.firmness)
        np.add.at(force, self.tets, elastic)
        add(self.tets, hessian)
        flesh = self.flesh
        nodes, bary = flesh.tets[flesh.bone_tets[self.bones]], flesh.bone_bary[self.bones]
        gap = np.einsum("pk,pka->pa", bary, x[nodes]) - target[self.bones]
        np.add.at(force, nodes, BONE / 40 * bary[..., None] * gap[:, None])
        eye = np.eye(3)
        add(nodes, BONE / 40 * np.einsum("pk,pl,ab->pkalb", bary, bary, eye))
        touching = self._contacts(x)
        if touching is not None:
            nodes, bary, normal, depth = touching
            pull = CONTACT * depth[:, None] * normal
            np.add.at(force, nodes, bary[..., None] * pull[:, None])
            add(nodes, CONTACT * np.einsum("pk,pl,pa,pb->pkalb", bary, bary, normal, normal))
        size = 3 * len(self.free)
        matrix = sparse.csc_matrix(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (size, size)
        )
        scale = sparse.diags(1 / np.maximum(matrix.diagonal(), 1e-9))
        pull = -force[self.free].ravel()
        solved, _ = cg(matrix.tocsr(), pull, rtol=1e-3, maxiter=600, M=scale)
        return np.asarray(solved).reshape(-1, 3)

    def _contacts(self, x: np.ndarray) -> Any:
        """Skin vertices inside other skin: nodes (C, 4), weights, normals and depths, or None.

        A vertex is inside when the nearest facing triangle, far from it at rest, is before it.
        """
        from scipy.spatial import cKDTree

        faces, rest = self.skin_faces, self.flesh.nodes
        normals = vertex_normals(x[: len(self.flesh.model.template)], self.flesh.model.faces)
        corners = x[faces]
        middle = corners.mean(1)
        face_normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        face_normal /= np.maximum(np.linalg.norm(face_normal, axis=1, keepdims=True), 1e-12)
        rest_middle = rest[faces].mean(1)
        distance, near = cKDTree(middle).query(x[self.skin], k=24)
        facing = np.einsum("ska,sa->sk", face_normal[near], normals[self.skin]) < -0.2
        # two sides of one finger face away from each other at rest, too; skin that meets did not
        at_rest = self.rest_face_normals[near]
        facing &= np.einsum("ska,sa->sk", at_rest, self.rest_normals[self.skin]) > -0.2
        apart = np.linalg.norm(rest_middle[near] - rest[self.skin][:, None], axis=-1) > 2.5
        depth = np.einsum("ska,ska->sk", face_normal[near], middle[near] - x[self.skin][:, None])
        # it must be over the triangle, not beside it
        beside = np.sqrt(np.maximum(distance**2 - depth**2, 0))
        counts = facing & apart & (beside < 1.6) & (depth < 6) & (depth > -6)
        score = np.where(counts, distance, np.inf)
        best = score.argmin(1)
        row = np.arange(len(best))
        chosen = np.isfinite(score[row, best]) & (depth[row, best] > 0)
        if not chosen.any():
            return None
        face = near[row, best][chosen]
        nodes = np.concatenate([self.skin[chosen][:, None], faces[face]], 1)
        bary = np.tile([1.0, -1 / 3, -1 / 3, -1 / 3], (len(nodes), 1))
        return nodes, bary, face_normal[face], -depth[row, best][chosen]


def _neo_hookean(
    corners: np.ndarray, gradients: np.ndarray, volume: np.ndarray, firmness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Forces (E, 4, 3) and positive Hessians (E, 4, 3, 4, 3) of the elements' energy.

    The energy is ``SHEAR / 2 (|F|² - 3) - SHEAR (J - 1) + firmness SHEAR / 2 (J - 1)²``.
    """
    size = np.abs(volume)
    f = np.einsum("eka,ekb->eab", corners, gradients)
    cof = np.stack(
        [np.cross(f[:, :, 1], f[:, :, 2]), np.cross(f[:, :, 2], f[:, :, 0]),
         np.cross(f[:, :, 0], f[:, :, 1])], -1,
    )  # fmt: skip
    j = np.linalg.det(f)
    slope = firmness * SHEAR * (j - 1) - SHEAR
    stress = SHEAR * f + slope[:, None, None] * cof
    flat = cof.reshape(-1, 9)
    h = firmness * SHEAR * flat[:, :, None] * flat[:, None, :] + SHEAR * np.eye(9)
    # d²J/dF² : J = f0 . (f1 x f2) of the columns of F
    second = np.zeros((len(f), 3, 3, 3, 3))  # row, column, row, column
    for a, b, c, sign in ((0, 1, 2, 1.0), (1, 2, 0, 1.0), (2, 0, 1, 1.0)):
        cross = _cross_matrix(f[:, :, c]) * sign
        second[:, :, a, :, b] -= cross
        second[:, :, b, :, a] -= cross.transpose(0, 2, 1)
    h = h + slope[:, None, None] * second.reshape(-1, 9, 9)
    values, vectors = np.linalg.eigh(h)
    h = np.einsum("eij,ej,ekj->eik", vectors, np.maximum(values, 1e-4), vectors)
    h = h.reshape(-1, 3, 3, 3, 3)
    force = np.einsum("eab,ekb->eka", stress, gradients) * size[:, None, None]
    hessian = np.einsum("eabcd,ekb,eld->ekalc", h, gradients, gradients, optimize=True)
    return force, hessian * size[:, None, None, None, None]


def _cross_matrix(v: np.ndarray) -> np.ndarray:
    """(E, 3, 3) with ``m @ w = cross(v, w)``."""
    zero = np.zeros(len(v))
    x, y, z = v.T
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)


def _zero(model: HandModel) -> np.ndarray:
    return np.zeros(len(model.shape_names))
