"""Subdivision of a whole hand model: positions, shape space, weights and UVs together.

Positions, directions and weights go through one linear smooth scheme, Catmull-Clark where
the model has quads (what Blender's modifier does) and Loop where it has triangles, so a
shaped and posed hand stays as round as the template. UVs are split at midpoints.
Face i of level n becomes faces 4i to 4i + 3 of level n + 1 where the model is triangles.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import numpy as np

from ..core.errors import InputError
from .base import HandModel
from .surface import mirrored, triangles_of


@lru_cache(maxsize=16)
def subdivide(model: HandModel, level: int) -> HandModel:
    """The model at subdivision ``level``, an absolute number; results are kept.

    Args:
        model: a model at the same or a lower level.
        level: 0 to 3.

    Raises:
        InputError: the level is not 0 to 3 or is below the model's own.
    """
    if not isinstance(level, int) or not model.level <= level <= 3:
        raise InputError(
            f"subdivision level is {level!r}; accepted is {model.level} to 3 for this model"
        )
    if level == model.level:
        return model
    coarse = subdivide(model, level - 1)
    if coarse.side == "right":
        return _split(coarse)
    # the left is split as a right hand, so that its faces stay paired with the right's
    split = _split(mirrored(coarse, coarse.atlas_uvs))
    return mirrored(split, split.atlas_uvs)


def _split(model: HandModel) -> HandModel:
    """One level."""
    if model.quads is not None and model.uv_quads is not None:
        operator, quads = catmull_clark(model.quads, len(model.template))
        flat, uv_quads = _midpoints(model.uv_quads, len(model.uvs))
        faces, uv_faces = triangles_of(quads), triangles_of(uv_quads)
    else:
        operator, faces = loop(model.faces, len(model.template))
        flat, uv_faces = _midpoints(model.uv_faces, len(model.uvs))
        quads, uv_quads = None, None

    def carry(array: np.ndarray) -> np.ndarray:
        columns = np.moveaxis(array, -2, 0)
        out = operator @ columns.reshape(len(columns), -1).astype(np.float64)
        out = out.reshape(-1, *columns.shape[1:])
        return np.ascontiguousarray(np.moveaxis(out, 0, -2), dtype=array.dtype)

    weights = carry(model.weights)
    return dataclasses.replace(
        model,
        level=model.level + 1,
        template=carry(model.template),
        faces=faces,
        uvs=(flat @ model.uvs).astype(model.uvs.dtype),
        uv_faces=uv_faces,
        weights=weights / weights.sum(1, keepdims=True),
        shape_dirs=carry(model.shape_dirs),
        pose_dirs=None if model.pose_dirs is None else carry(model.pose_dirs),
        forearm_weights=None if model.forearm_weights is None else carry(model.forearm_weights),
        atlas_uvs=(
            None
            if model.atlas_uvs is None
            else (flat @ model.atlas_uvs).astype(model.atlas_uvs.dtype)
        ),
        quads=quads,
        uv_quads=uv_quads,
    )


def catmull_clark(quads: np.ndarray, count: int) -> tuple[Any, np.ndarray]:
    """Catmull and Clark 1978: the sparse (V', V) operator and the (4Q, 4) new quads.

    New vertices are the old ones, then one per edge, then one per quad. Boundary edges are
    cubic B-splines of their own.
    """
    import scipy.sparse as sparse

    edges, edge_of, boundary = _edges(quads)
    n_edges, n_quads = len(edges), len(quads)
    face = sparse.csr_matrix(
        (np.full(4 * n_quads, 0.25), (np.repeat(np.arange(n_quads), 4), quads.ravel())),
        (n_quads, count),
    )
    middle = _middle(edges, count)
    per_edge = sparse.csr_matrix(
        (np.ones(4 * n_quads), (edge_of.ravel(), np.repeat(np.arange(n_quads), 4))),
        (n_edges, n_quads),
    )
    inner = sparse.diags((~boundary).astype(float))
    edge = inner @ (0.5 * middle + 0.25 * (per_edge @ face)) + sparse.diags(boundary * 1.0) @ middle

    touches_edge = _incidence(edges, np.arange(n_edges), count, n_edges)
    touches_quad = _incidence(quads, np.arange(n_quads), count, n_quads)
    valence = np.maximum(np.asarray(touches_quad.sum(1)).ravel(), 1)
    on_boundary, rim = _rim(edges, boundary, count)
    inverse = sparse.diags(1 / valence)
    interior = inverse @ (
        inverse @ (touches_quad @ face)
        + 2 * inverse @ (touches_edge @ middle)
        + sparse.diags(valence - 3.0)
    )
    vertex = sparse.diags((~on_boundary).astype(float)) @ interior + rim
    base_edge, base_face = count, count + n_edges
    new = np.empty((n_quads, 4, 4), np.int32)
    for k in range(4):
        new[:, k, 0] = quads[:, k]
        new[:, k, 1] = base_edge + edge_of[:, k]
        new[:, k, 2] = base_face + np.arange(n_quads)
        new[:, k, 3] = base_edge + edge_of[:, k - 1]
    return sparse.vstack([vertex, edge, face]).tocsr(), new.reshape(-1, 4)


def loop(faces: np.ndarray, count: int) -> tuple[Any, np.ndarray]:
    """Loop 1987 with Warren's weights: the sparse (V', V) operator and the (4F, 3) faces.

    New vertices are the old ones, then one per edge.
    """
    import scipy.sparse as sparse

    edges, edge_of, boundary = _edges(faces)
    n_edges, n_faces = len(edges), len(faces)
    middle = _middle(edges, count)
    corner_sum = sparse.csr_matrix(
        (np.ones(3 * n_faces), (np.repeat(np.arange(n_faces), 3), faces.ravel())),
        (n_faces, count),
    )
    per_edge = sparse.csr_matrix(
        (np.ones(3 * n_faces), (edge_of.ravel(), np.repeat(np.arange(n_faces), 3))),
        (n_edges, n_faces),
    )
    # both triangles' corners hold each end twice and each opposite corner once
    smooth = 0.125 * (per_edge @ corner_sum) + 0.25 * middle
    edge = sparse.diags((~boundary) * 1.0) @ smooth + sparse.diags(boundary * 1.0) @ middle

    a, b = edges.T
    ones = np.ones(2 * n_edges)
    neighbours = sparse.csr_matrix((ones, (np.r_[a, b], np.r_[b, a])), (count, count))
    valence = np.maximum(np.asarray(neighbours.sum(1)).ravel(), 1)
    beta = np.where(valence == 3, 3 / 16, 3 / (8 * valence))
    on_boundary, rim = _rim(edges, boundary, count)
    interior = sparse.diags(1 - valence * beta) + sparse.diags(beta) @ neighbours
    vertex = sparse.diags((~on_boundary) * 1.0) @ interior + rim
    return sparse.vstack([vertex, edge]).tocsr(), _split_triangles(faces, edge_of, count)


def _split_triangles(faces: np.ndarray, edge_of: np.ndarray, count: int) -> np.ndarray:
    a, b, c = faces.T
    ab, bc, ca = (count + edge_of).T
    new = [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]
    return np.array(new, np.int32).transpose(2, 0, 1).reshape(-1, 3)


def _midpoints(faces: np.ndarray, count: int) -> tuple[Any, np.ndarray]:
    """The operator and faces of a plain split, in the same face order as the smooth one."""
    import scipy.sparse as sparse

    edges, edge_of, _ = _edges(faces)
    middle = _middle(edges, count)
    if faces.shape[1] == 3:
        operator = sparse.vstack([sparse.identity(count), middle]).tocsr()
        return operator, _split_triangles(faces, edge_of, count)
    n = len(faces)
    centre = sparse.csr_matrix(
        (np.full(4 * n, 0.25), (np.repeat(np.arange(n), 4), faces.ravel())), (n, count)
    )
    new = np.empty((n, 4, 4), np.int32)
    for k in range(4):
        new[:, k, 0] = faces[:, k]
        new[:, k, 1] = count + edge_of[:, k]
        new[:, k, 2] = count + len(edges) + np.arange(n)
        new[:, k, 3] = count + edge_of[:, k - 1]
    return sparse.vstack([sparse.identity(count), middle, centre]).tocsr(), new.reshape(-1, 4)


def _edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(E, 2) sorted edges, (F, k) edge from each corner to the next, (E,) is boundary."""
    directed = np.stack([faces, np.roll(faces, -1, axis=1)], -1).reshape(-1, 2)
    edges, inverse, uses = np.unique(
        np.sort(directed, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    return edges, inverse.reshape(faces.shape), uses == 1


def _middle(edges: np.ndarray, count: int) -> Any:
    import scipy.sparse as sparse

    rows = np.repeat(np.arange(len(edges)), 2)
    return sparse.csr_matrix(
        (np.full(2 * len(edges), 0.5), (rows, edges.ravel())), (len(edges), count)
    )


def _incidence(groups: np.ndarray, members: np.ndarray, count: int, size: int) -> Any:
    """(count, size) ones where vertex v belongs to group member g."""
    import scipy.sparse as sparse

    columns = np.repeat(members, groups.shape[1])
    return sparse.csr_matrix((np.ones(groups.size), (groups.ravel(), columns)), (count, size))


def _rim(edges: np.ndarray, boundary: np.ndarray, count: int) -> tuple[np.ndarray, Any]:
    """Which vertices lie on the boundary, and their cubic B-spline rule as an operator."""
    import scipy.sparse as sparse

    a, b = edges[boundary].T
    on_boundary = np.zeros(count, bool)
    on_boundary[a] = on_boundary[b] = True
    neighbour = sparse.csr_matrix((np.ones(2 * len(a)), (np.r_[a, b], np.r_[b, a])), (count, count))
    degree = np.asarray(neighbour.sum(1)).ravel()
    # a vertex where two boundary loops meet stays where it is
    plain = degree == 2
    keep = np.where(plain, 0.75, 1.0) * on_boundary
    return on_boundary, sparse.diags(keep) + sparse.diags(plain * 0.125) @ neighbour
