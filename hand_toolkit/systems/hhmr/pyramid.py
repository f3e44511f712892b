"""The mesh pyramid of a hand model: coarser graphs, and how values go up and down.

Built from the rest mesh alone, by distances along its surface, so that fingers that touch in
a pose never become neighbours: seeds are chosen farthest first, each vertex belongs to the
nearest seed, and cells that share an edge are neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...hand_model import load_hand_model, pose_hand
from ...hand_model.limits import FREE_HIGHEST, FREE_LOWEST, compose

UP_NEIGHBOURS = 3
REGRESSOR_VERTICES = 40
REGRESSOR_POSES = 120
REGRESSOR_RIDGE_M = 2e-4


@dataclass(frozen=True)
class Table:
    """A sparse matrix with few entries a row, padded: y[i] = sum_k weights[i, k] x[index[i, k]].

    Attributes:
        index: (R, K) columns; padding points to column 0 with weight 0.
        weights: (R, K) float32.
        columns: of the matrix.
    """

    index: np.ndarray
    weights: np.ndarray
    columns: int

    def dense(self) -> np.ndarray:
        """(R, columns) float32."""
        out = np.zeros((len(self.index), self.columns), np.float32)
        np.add.at(out, (np.arange(len(self.index))[:, None], self.index), self.weights)
        return out


@dataclass(frozen=True)
class Level:
    """One graph of the pyramid.

    Attributes:
        rows: (V,) vertices of the finest mesh that it keeps.
        laplacian: the scaled Laplacian of Chebyshev graph convolution (Defferrard et al. 2016,
            section 2.1, with lambda_max = 2): minus the normalised adjacency.
        down, up: to the next coarser level and back; None at the coarsest.
    """

    rows: np.ndarray
    laplacian: Table
    down: Table | None
    up: Table | None


@dataclass(frozen=True)
class Pyramid:
    """The levels, and what losses and conditions need of the mesh.

    Attributes:
        levels: finest first.
        faces: (F, 3).
        edges: (E, 2) vertices, each edge once.
        edge_face: (E,) a face at each edge.
        regressor: (21, V) keypoints as fixed mixtures of vertices.
        joint_rows: (21,) the vertex with the largest share in each keypoint.
    """

    levels: tuple[Level, ...]
    faces: np.ndarray
    edges: np.ndarray
    edge_face: np.ndarray
    regressor: np.ndarray
    joint_rows: np.ndarray


@lru_cache(maxsize=4)
def build_pyramid(hand_model: str, levels: int, ratio: int) -> Pyramid:
    """The pyramid of a hand model, kept after the first call (about a second).

    Args:
        hand_model: its name; the pyramid is of the right hand.
        levels: how many graphs.
        ratio: vertices of a level over those of the next.
    """
    model = load_hand_model(hand_model, "right", 0)
    vertices, faces = model.template.astype(np.float64), np.asarray(model.faces, np.int64)
    edges, edge_face = _edges(faces)
    rows = np.arange(len(vertices))
    graph, found = edges, []
    for number in range(levels):
        laplacian = _laplacian(graph, len(rows))
        if number == levels - 1:
            found.append(Level(rows, laplacian, None, None))
            break
        keep, down, up, coarse = _coarser(vertices[rows], graph, max(len(rows) // ratio, 4))
        found.append(Level(rows, laplacian, down, up))
        rows, graph = rows[keep], coarse
    regressor = _regressor(hand_model)
    return Pyramid(tuple(found), faces, edges, edge_face, regressor, np.abs(regressor).argmax(1))


def _edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    unique, first = np.unique(pairs, axis=0, return_index=True)
    return unique, first % len(faces)


def _laplacian(edges: np.ndarray, count: int) -> Table:
    degree = np.bincount(edges.ravel(), minlength=count).astype(float)
    scale = 1 / np.sqrt(np.maximum(degree, 1))
    rows = np.concatenate([edges[:, 0], edges[:, 1]])
    columns = np.concatenate([edges[:, 1], edges[:, 0]])
    return _table(rows, columns, -scale[rows] * scale[columns], count, count)


def _table(
    rows: np.ndarray, columns: np.ndarray, weights: np.ndarray, count: int, wide: int
) -> Table:
    order = np.lexsort((columns, rows))
    rows, columns, weights = rows[order], columns[order], weights[order]
    entries = np.bincount(rows, minlength=count)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(entries) - entries, entries)
    index = np.zeros((count, entries.max()), np.int64)
    values = np.zeros((count, entries.max()), np.float32)
    index[rows, place], values[rows, place] = columns, weights
    return Table(index, values, wide)


def _coarser(
    vertices: np.ndarray, edges: np.ndarray, count: int
) -> tuple[np.ndarray, Table, Table, np.ndarray]:
    """Kept rows, the tables down and up, and the coarse graph's edges."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    number = len(vertices)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    graph = coo_matrix((length, (edges[:, 0], edges[:, 1])), (number, number)).tocsr()
    far = dijkstra(graph, directed=False)
    # parts that no edge joins are still some way off, not infinitely
    far = np.where(np.isfinite(far), far, 10.0 * vertices.std())
    seeds = [int(far.sum(1).argmin())]
    nearest = far[seeds[0]].copy()
    while len(seeds) < count:
        seeds.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, far[seeds[-1]])
    keep = np.sort(np.array(seeds))
    to_seed = far[:, keep]
    cell = to_seed.argmin(1)
    size = np.bincount(cell, minlength=count)
    down = _table(cell, np.arange(number), 1.0 / size[cell], count, number)
    close = np.argsort(to_seed, axis=1)[:, :UP_NEIGHBOURS]
    weight = 1.0 / (np.take_along_axis(to_seed, close, 1) + 0.3 * np.median(length))
    weight = (weight / weight.sum(1, keepdims=True)).astype(np.float32)
    pairs = np.sort(cell[edges], axis=1)
    coarse = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    return keep, down, Table(close, weight, count), coarse


def _regressor(hand_model: str) -> np.ndarray:
    """(21, V) mixtures of near vertices that give the keypoints of posed hands best.

    Ridge regression over random poses and shapes; every row sums to one, so that it moves
    with the hand.
    """
    import torch

    model = load_hand_model(hand_model, "right", 0)
    rng = np.random.default_rng(11)
    theta = compose(rng.uniform(FREE_LOWEST, FREE_HIGHEST, (REGRESSOR_POSES, len(FREE_LOWEST))))
    shape = rng.normal(size=(REGRESSOR_POSES, len(model.shape_names))) * model.shape_sigmas
    hand = pose_hand(
        model, torch.as_tensor(theta), torch.as_tensor(shape), torch.zeros(len(theta), 3).double()
    )
    mesh, wanted = hand.vertices.numpy(), hand.keypoints.numpy()
    out = np.zeros((21, len(model.template)), np.float32)
    for k in range(21):
        apart = np.linalg.norm(model.template - model.keypoint_template[k], axis=1)
        rows = np.argsort(apart)[:REGRESSOR_VERTICES]
        # relative to the nearest vertex: its weight is what the others leave of one
        base = mesh[:, rows[:1]]
        design = (mesh[:, rows[1:]] - base).transpose(0, 2, 1).reshape(-1, len(rows) - 1)
        target = (wanted[:, k] - base[:, 0]).reshape(-1)
        gram = design.T @ design
        gram += np.eye(len(gram)) * REGRESSOR_RIDGE_M**2 * len(design)
        weight = np.linalg.solve(gram, design.T @ target)
        out[k, rows[1:]], out[k, rows[0]] = weight, 1 - weight.sum()
    return out
