"""Occupancy to a closed triangle mesh at any resolution: an octree about the surface, then
marching cubes (Lorensen and Cline 1987) by PyMCubes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...core.errors import InputError

COARSEST = 32
MOST = 1024
SLACK = 1.5
"""A cell may hold surface if a corner's logit is within this many half diagonals of zero."""

CHUNK = 60_000

Field = Callable[[np.ndarray], np.ndarray]
"""Places (N, 3), metres, to logits (N,), positive inside; about minus the distance in ``tau_m``."""


def extract_surface(
    field: Field, low: np.ndarray, high: np.ndarray, resolution: int = 128, tau_m: float = 1e-3
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and faces (F, 3), outside counter-clockwise, of the largest closed body.

    Cells are cut in eight where the surface may pass; elsewhere coarse values stand in, so the
    time goes with the surface, not with the volume.

    Args:
        field: the occupancy.
        low, high: (3,) the box to look in, metres.
        resolution: cells along the longest edge, a power of two from 32.
        tau_m: metres of a logit.

    Raises:
        InputError: another resolution, or nothing is inside.
    """
    if not COARSEST <= resolution <= MOST or resolution & (resolution - 1):
        raise InputError(
            f"resolution is {resolution}; accepted are powers of two from {COARSEST} to {MOST}"
        )
    import mcubes

    low, high = np.asarray(low, float), np.asarray(high, float)
    cell = float((high - low).max()) / COARSEST
    cells = np.maximum(np.ceil((high - low) / cell - 1e-9).astype(int), 1)
    values = _evaluated(field, low, cell, np.ones(cells + 1, bool), None)
    known = np.ones(values.shape, bool)
    while cells.max() < resolution:
        active = _near_surface(values, SLACK * cell * np.sqrt(3) / 2 / tau_m)
        values, known = _doubled(values), _spread(known)
        cell, cells = cell / 2, cells * 2
        wanted = _corners(np.kron(active, np.ones((2, 2, 2), bool))) & ~known
        values = _evaluated(field, low, cell, wanted, values)
        known |= wanted
    for axis in range(3):  # nothing is open at the box
        for end in (0, -1):
            face = np.moveaxis(values, axis, 0)[end]
            np.minimum(face, -0.1, out=face)
    if values.max() <= 0:
        raise InputError("the occupancy has nothing inside; the keypoints are no hand's")
    vertices, faces = mcubes.marching_cubes(values, 0.0)
    faces = faces.astype(np.int64)
    corners = vertices[faces]
    if np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) < 0:
        faces = faces[:, [0, 2, 1]]
    return _largest(low + cell * vertices, faces)


def _evaluated(
    field: Field, low: np.ndarray, cell: float, wanted: np.ndarray, values: np.ndarray | None
) -> np.ndarray:
    """Grid values with those that are wanted from the field."""
    out = np.zeros(wanted.shape, np.float32) if values is None else values
    index = np.argwhere(wanted)
    for start in range(0, len(index), CHUNK):
        part = index[start : start + CHUNK]
        out[tuple(part.T)] = field(low + cell * part)
    return out


def _near_surface(values: np.ndarray, reach: float) -> np.ndarray:
    """Cells (one fewer along each axis) with a corner near zero or corners on both sides."""
    least, most = values, values
    near = np.abs(values) < reach
    for axis in range(3):
        first, last = _ends(axis)
        least = np.minimum(least[first], least[last])
        most = np.maximum(most[first], most[last])
        near = near[first] | near[last]
    return np.asarray(near | ((least < 0) & (most > 0)))


def _ends(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    first, last = [slice(None)] * 3, [slice(None)] * 3
    first[axis], last[axis] = slice(None, -1), slice(1, None)
    return tuple(first), tuple(last)


def _corners(cells: np.ndarray) -> np.ndarray:
    """Grid points of cells."""
    out = np.zeros(np.array(cells.shape) + 1, bool)
    x, y, z = cells.shape
    for i in (0, 1):
        for j in (0, 1):
            for k in (0, 1):
                out[i : i + x, j : j + y, k : k + z] |= cells
    return out


def _doubled(values: np.ndarray) -> np.ndarray:
    """The grid at twice the resolution, between its points the mean of neighbours."""
    for axis in range(3):
        moved = np.moveaxis(values, axis, 0)
        fine = np.empty((2 * len(moved) - 1, *moved.shape[1:]), values.dtype)
        fine[::2] = moved
        fine[1::2] = 0.5 * (moved[:-1] + moved[1:])
        values = np.moveaxis(fine, 0, axis)
    return np.ascontiguousarray(values)


def _spread(known: np.ndarray) -> np.ndarray:
    fine = np.zeros(2 * np.array(known.shape) - 1, bool)
    fine[::2, ::2, ::2] = known
    return fine


def _largest(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The body with most faces; loose crumbs go."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = faces[:, [0, 1, 1, 2]].reshape(-1, 2)
    links = coo_matrix((np.ones(len(edges), bool), edges.T), shape=(len(vertices),) * 2)
    _, body = connected_components(links, directed=False)
    chosen = np.bincount(body[faces[:, 0]]).argmax()
    kept = body == chosen
    index = np.cumsum(kept) - 1
    return vertices[kept], index[faces[kept[faces[:, 0]]]]
