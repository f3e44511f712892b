"""Texture coordinates for MANO, which has none: those of the default hand's nearest skin.

MANO's flat hand is first brought into the default hand's proportions bone by bone; then
each face takes the coordinates of the default faces around its centre. A corner beyond a
seam takes the nearest point on the face's own side, so no face stretches across the map.
"""

from __future__ import annotations

import numpy as np

from ..core.conventions import KEYPOINT_TO_MANO
from ..geometry.rotations import shortest_rotation
from ..geometry.surfaces import face_normals
from .default import DefaultHandProvider

CANDIDATES = 24
"""Default faces looked at for each face, nearest centres first."""

RINGS = 3
"""How far from the face below its centre, in faces, a corner may find its coordinates."""


def transfer_uvs(
    vertices: np.ndarray,
    faces: np.ndarray,
    weights: np.ndarray,
    keypoints: np.ndarray,
    side: str,
) -> tuple[np.ndarray, np.ndarray]:
    """UVs of a flat hand in MANO's rest pose.

    Args:
        vertices: (V, 3) metres, wrist at the origin.
        faces: (F, 3).
        weights: (V, 16) skinning weights.
        keypoints: (21, 3) rest keypoints, metres.
        side: "right" or "left".

    Returns:
        (T, 2) coordinates and (F, 3) indices.
    """
    import trimesh
    from scipy.spatial import cKDTree

    model = DefaultHandProvider().load(side)
    moved = in_proportion(vertices, weights, keypoints, model.keypoint_template)
    triangles, triangle_uvs = model.template[model.faces], model.uvs[model.uv_faces]
    corners = moved[faces]
    _, close = cKDTree(triangles.mean(1)).query(corners.mean(1), k=CANDIDATES)
    centres = np.repeat(corners.mean(1), CANDIDATES, 0)
    closest = trimesh.triangles.closest_point(triangles[close.ravel()], centres)
    distance = np.linalg.norm(closest - centres, axis=1).reshape(close.shape)
    # skin of a neighbouring finger faces the other way
    own, _ = face_normals(moved, faces)
    theirs, _ = face_normals(model.template, model.faces)
    facing = np.einsum("fc,fkc->fk", own, theirs[close])
    distance[facing < 0.2] += 1.0
    below = close[np.arange(len(faces)), distance.argmin(1)]
    near = _neighbourhoods(model.uv_faces)
    rows: dict[tuple[int, int, int], int] = {}
    uvs: list[np.ndarray] = []
    uv_faces = np.empty((len(faces), 3), np.int64)
    for f, home in enumerate(below):
        candidates = near[home]
        for k in range(3):
            points = np.repeat(corners[f, k][None], len(candidates), 0)
            closest = trimesh.triangles.closest_point(triangles[candidates], points)
            best = int(np.argmin(np.linalg.norm(closest - points, axis=1)))
            face = candidates[best]
            bary = trimesh.triangles.points_to_barycentric(
                triangles[face][None], closest[best][None]
            )[0]
            uv = np.clip(bary, 0, 1) @ triangle_uvs[face] / np.clip(bary, 0, 1).sum()
            key = (int(faces[f, k]), round(uv[0] * 4096), round(uv[1] * 4096))
            if key not in rows:
                rows[key] = len(uvs)
                uvs.append(uv)
            uv_faces[f, k] = rows[key]
    return np.clip(np.array(uvs), 0, 1), uv_faces


def in_proportion(
    vertices: np.ndarray, weights: np.ndarray, source: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """Vertices with every bone turned, scaled and moved onto the target's, blended."""
    moved = np.zeros_like(vertices)
    for keypoint, joint in enumerate(KEYPOINT_TO_MANO):
        if joint < 0:
            continue
        if joint == 0:
            knuckles = [5, 9, 13, 17]
            a, b = source[knuckles].mean(0), target[knuckles].mean(0)
            turn = np.eye(3)
        else:
            a = source[keypoint + 1] - source[keypoint]
            b = target[keypoint + 1] - target[keypoint]
            turn = shortest_rotation(a, b)
        scale = np.linalg.norm(b) / np.linalg.norm(a)
        placed = scale * (vertices - source[keypoint]) @ turn.T + target[keypoint]
        moved += weights[:, joint, None] * placed
    return moved


def _neighbourhoods(uv_faces: np.ndarray) -> list[np.ndarray]:
    """Faces within ``RINGS`` steps of each face over shared texture corners."""
    import scipy.sparse as sparse

    count = len(uv_faces)
    corner = sparse.csr_matrix(
        (np.ones(3 * count), (np.repeat(np.arange(count), 3), uv_faces.ravel()))
    )
    step = (corner @ corner.T).tocsr()
    reach = step
    for _ in range(RINGS - 1):
        reach = (reach @ step).tocsr()
    return np.split(reach.indices, reach.indptr[1:-1])
