"""Where splats sit on the mesh before anything is fitted."""

from __future__ import annotations

import numpy as np

from ..core.errors import InputError
from ..geometry.surfaces import triangle_frames
from .binding import SurfaceBinding


def lay_splats(vertices: np.ndarray, faces: np.ndarray, per_face: int) -> SurfaceBinding:
    """Cover a mesh with flat splats, one in each of the equal parts of every triangle.

    Each splat is an ellipse with the axes of its part's second moments, wide enough to leave
    no gap between neighbours.

    Args:
        vertices: (V, 3) rest mesh, metres.
        faces: (F, 3).
        per_face: 1, 4, 16 or 64 splats a triangle.

    Raises:
        InputError: another number.
    """
    if per_face not in (1, 4, 16, 64):
        raise InputError(f"{per_face} splats per triangle; accepted are 1, 4, 16 or 64")
    parts = _split_barycentric(per_face)
    count = len(faces)
    corners = vertices[faces]
    # corners of every part in its triangle's own plane
    ab = corners[:, 1] - corners[:, 0]
    ac = corners[:, 2] - corners[:, 0]
    length = np.linalg.norm(ab, axis=1)
    frames, _ = triangle_frames(vertices, faces)
    plane = np.zeros((count, 3, 2))
    plane[:, 1, 0] = length
    plane[:, 2, 0] = (ac * frames[:, :, 0]).sum(1)
    plane[:, 2, 1] = (ac * frames[:, :, 1]).sum(1)
    part = np.einsum("pkc,fcd->fpkd", parts, plane).reshape(-1, 3, 2)
    centred = part - part.mean(axis=1, keepdims=True)
    # second moments of a uniform triangle: sum of corner outer products / 12
    moments = np.einsum("nki,nkj->nij", centred, centred) / 12
    values, vectors = np.linalg.eigh(moments)
    angle = np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1])
    tangent = COVER * np.sqrt(np.maximum(values[:, ::-1], 1e-14))
    # slivers in the webs open up when fingers close: their splats must not become spikes
    size = np.sqrt(tangent[:, 0] * tangent[:, 1])
    tangent = np.clip(tangent, size[:, None] / SLENDEREST, size[:, None] * SLENDEREST)
    size = np.sqrt(tangent[:, :1] * tangent[:, 1:])
    offset = np.zeros((len(part), 3))
    offset[:, 2:] = -_depth(size)
    quat = np.zeros((len(part), 4))
    quat[:, 0], quat[:, 3] = np.cos(angle / 2), np.sin(angle / 2)
    return SurfaceBinding(
        triangle=np.repeat(np.arange(count), per_face),
        barycentric=np.tile(parts.mean(axis=1), (count, 1)),
        offset=offset,
        quat=quat,
        scale=np.concatenate([tangent, THINNEST * size], axis=1),
    )


COVER = 2.7
"""Standard deviations per root second moment at which neighbouring splats close the surface.

They sit at the parts' centres, so least covers where six corners meet: at 1.9 a tenth of what lies
behind shone through there, as a grid of dots."""

THINNEST = 0.03
"""Standard deviation across the surface over that along it: a splat seen edge-on adds nothing to
the outline."""

INSET = 0.42
DEEPER_M = 9e-5
DEEPEST_M = 1.8e-3
"""Depth of the centres below the surface: part of the standard deviation along it, metres more, and
at most.

Flat splats stand out over a curved surface, and several lie behind each other at its outline; this
far down the outline of opacity one half is the mesh's (``benchmarks/look.py``)."""

SLENDEREST = 2.0
"""Longest axis of a splat over the root of the product of both."""


def _depth(size: np.ndarray) -> np.ndarray:
    return np.minimum(INSET * size + DEEPER_M, DEEPEST_M)


def height_over_skin(binding: SurfaceBinding) -> np.ndarray:
    """(N, 1) metres by which splats stand over the mesh as relief; laid ones show none."""
    offset = binding.offset.astype(np.float64)
    depth = _depth(np.sqrt(binding.scale[:, 0] * binding.scale[:, 1]))
    flat = np.abs(offset[:, :2]).max(axis=1) < 1e-7
    laid = flat & (np.abs(offset[:, 2] + depth) < 2 * DEEPER_M)
    return np.where(laid, 0.0, offset[:, 2])[:, None]


def _split_barycentric(per_face: int) -> np.ndarray:
    """(P, 3, 3) barycentric corners of the midpoint parts of a triangle."""
    parts = np.eye(3)[None]
    while len(parts) < per_face:
        a, b, c = parts[:, 0], parts[:, 1], parts[:, 2]
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        parts = np.concatenate(
            [np.stack(q, 1) for q in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
        )
    return parts
