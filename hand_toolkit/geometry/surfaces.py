"""Triangle meshes: normals, areas, frames, points on them, for numpy arrays and torch tensors.

The frame of triangle (v0, v1, v2) has the columns e1 = (v1 - v0)/|v1 - v0|, e2 = n x e1 and
n = (v1 - v0) x (v2 - v0) normalised. What is bound to a surface (triangle, barycentric weights,
an offset, rotation and size in the frame) follows whatever deforms it: see :func:`carried`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._arrays import cross, full_like, identity, index_of, sqrt, stack, where
from .rotations import quat_multiply

LEAST_DOUBLED_AREA_M2 = 1e-12
LEAST_EDGE_M = 1e-10
"""Smaller triangles have no frame; the same bounds keep gradients of square roots finite."""


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals (F, 3), zero where a face is degenerate, and areas (F,) m², numpy."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    doubled = np.linalg.norm(normal, axis=1, keepdims=True)
    return normal / np.maximum(doubled, 1e-20), 0.5 * doubled[:, 0]


def vertex_normals(vertices: Any, faces: np.ndarray) -> Any:
    """Area-weighted unit normals, outward; zero where no face touches.

    Args:
        vertices: (..., V, 3) numpy array or torch tensor (then differentiable).
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.

    Returns:
        (..., V, 3) of the same kind.
    """
    corner = index_of(faces, vertices)
    a, b, c = (vertices[..., corner[:, k], :] for k in range(3))
    normal = cross(b - a, c - a)
    if isinstance(vertices, np.ndarray):
        flat = normal.reshape(-1, *normal.shape[-2:])
        count = vertices.shape[-2]
        normals = np.empty((len(flat), count, 3))
        corners = faces.T.ravel()
        for out, face in zip(normals, flat):
            for k in range(3):
                # several times as fast as np.add.at
                out[:, k] = np.bincount(corners, np.tile(face[:, k], 3), minlength=count)
        length = np.linalg.norm(normals, axis=-1, keepdims=True)
        return (normals / np.maximum(length, 1e-20)).reshape(vertices.shape).astype(vertices.dtype)
    total = full_like(vertices, 0.0)
    for k in range(3):
        total = total.index_add(-2, corner[:, k], normal)
    return total / total.norm(dim=-1, keepdim=True).clamp_min(1e-20)


def triangle_frames(vertices: Any, faces: Any) -> tuple[Any, Any]:
    """Frames (F, 3, 3) with columns e1, e2, n, and areas (F,) m².

    Degenerate faces get the identity frame.

    Args:
        vertices: (V, 3) metres, numpy or torch (then differentiable).
        faces: (F, 3) indices.
    """
    corner = index_of(faces, vertices)
    a, b, c = vertices[corner[:, 0]], vertices[corner[:, 1]], vertices[corner[:, 2]]
    ab = b - a
    normal = cross(ab, c - a)
    squared, edge = (normal**2).sum(-1), (ab**2).sum(-1)
    doubled = sqrt(squared.clip(min=LEAST_DOUBLED_AREA_M2**2))
    e1 = ab / sqrt(edge.clip(min=LEAST_EDGE_M**2))[:, None]
    n = normal / doubled[:, None]
    frames = stack([e1, cross(n, e1), n], 2)
    fine = (squared > LEAST_DOUBLED_AREA_M2**2) & (edge > LEAST_EDGE_M**2)
    return where(fine[:, None, None], frames, identity(vertices)), 0.5 * doubled


def uv_gradients(corners: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How the surface runs in texture space, per triangle, numpy.

    Args:
        corners: (F, 3, 3) positions.
        uv: (F, 3, 2) texture coordinates.

    Returns:
        dp/du and dp/dv (F, 3), both times the determinant, and the determinant (F,): twice the
        signed area in texture space (Lengyel, Foundations of Game Engine Development 2, 7.5).
    """
    e1, e2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    d1, d2 = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    determinant = d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]
    return e1 * d2[:, 1:] - e2 * d1[:, 1:], e2 * d1[:, :1] - e1 * d2[:, :1], determinant


def at_surface(
    values: np.ndarray, faces: np.ndarray, triangle: np.ndarray, barycentric: np.ndarray
) -> np.ndarray:
    """Values (N, ...) at points of a mesh, from values at its vertices, numpy.

    Args:
        values: (V, ...) at the vertices.
        faces: (F, 3).
        triangle: (N,) face of each point.
        barycentric: (N, 3) weights of its corners.
    """
    return np.einsum("nk,nk...->n...", barycentric, values[faces[triangle]])


def carried(
    base: Any, frame: Any, frame_quat: Any, growth: Any, offset: Any, quat: Any, scale: Any
) -> tuple[Any, Any, Any]:
    """What is bound to triangles, where the deformed triangles carry it (GaussianAvatars).

    Offsets and scales grow with sqrt(area / rest area), so that stretched skin shows no holes.

    Args:
        base: (N, 3) point of the surface, metres.
        frame: (N, 3, 3) the triangle's frame.
        frame_quat: (N, 4) the same as a quaternion.
        growth: (N,) sqrt(area / rest area).
        offset: (N, 3) metres in the frame, rest size.
        quat: (N, 4) rotation from the bound thing's axes to the frame.
        scale: (N, 3) metres along its axes, rest size.

    Returns:
        Means (N, 3), wxyz quaternions (N, 4), scales (N, 3).
    """
    growth = growth[:, None]
    shift = (frame @ offset[..., None])[..., 0]
    return base + growth * shift, quat_multiply(frame_quat, quat), scale * growth
