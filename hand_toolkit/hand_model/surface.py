"""Surface measures that every stage needs: volume, boundary, mirror."""

from __future__ import annotations

import dataclasses

import numpy as np

from .base import HandModel

MIRROR = np.array([-1.0, 1.0, 1.0])


def boundary_loop(faces: np.ndarray) -> np.ndarray:
    """(K,) vertices around the open wrist, in order; empty for a closed mesh.

    Hand meshes stay open at the wrist; of several boundary loops the longest is returned.
    """
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    seen = {(int(a), int(b)) for a, b in edges}
    following = {a: b for a, b in seen if (b, a) not in seen}
    longest: list[int] = []
    while following:
        start, current = following.popitem()
        loop = [start]
        while current != start and current in following:
            loop.append(current)
            current = following.pop(current)
        longest = max(longest, loop, key=len)
    return np.array(longest, np.int64)


def signed_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Volume in cubic metres, the open wrist closed by a fan; positive if faces look outward."""
    loop = boundary_loop(faces)
    if len(loop):
        centre = len(vertices)
        vertices = np.vstack([vertices, vertices[loop].mean(0)])
        fan = np.stack([np.roll(loop, -1), loop, np.full(len(loop), centre)], 1)
        faces = np.vstack([faces, fan])
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def mirrored(model: HandModel, atlas_uvs: np.ndarray | None = None) -> HandModel:
    """The other side's hand: x negated, faces turned, same vertex order and same ``uvs``.

    One texture in the layout of ``uvs`` therefore dresses both hands, mirrored. Where both
    share one texture, ``atlas_uvs`` places them apart.

    Args:
        model: the hand to mirror.
        atlas_uvs: (T, 2) the other side's coordinates on the shared atlas.
    """

    def turn(indices: np.ndarray | None) -> np.ndarray | None:
        # keeps the first corner, so that quads stay cut along the same diagonal
        if indices is None:
            return None
        return np.ascontiguousarray(indices[:, [0, *range(indices.shape[1] - 1, 0, -1)]])

    quads, uv_quads = turn(model.quads), turn(model.uv_quads)
    # the feature R - I of a mirrored rotation M R M has its entries times these signs
    signs = np.tile(np.outer(MIRROR, MIRROR).ravel(), 15)[:, None, None]

    def flip(array: np.ndarray) -> np.ndarray:
        return (array * MIRROR).astype(array.dtype)

    def flip_pose(array: np.ndarray | None) -> np.ndarray | None:
        if array is None:
            return None
        # features that name their joint keep their values, see pose_axes below
        turned = array if model.pose_axes is not None else array * signs
        return (turned * MIRROR).astype(array.dtype)

    # corners 0 and 1 swapped, as HandModel.faces promises; the cut of a quad stays the same
    faces = np.ascontiguousarray(model.faces[:, [1, 0, 2]])
    uv_faces = np.ascontiguousarray(model.uv_faces[:, [1, 0, 2]])
    return dataclasses.replace(
        model,
        side="left" if model.side == "right" else "right",
        template=flip(model.template),
        faces=faces,
        uv_faces=uv_faces,
        quads=quads,
        uv_quads=uv_quads,
        shape_dirs=flip(model.shape_dirs),
        keypoint_template=flip(model.keypoint_template),
        keypoint_dirs=flip(model.keypoint_dirs),
        pose_dirs=flip_pose(model.pose_dirs),
        keypoint_pose_dirs=flip_pose(model.keypoint_pose_dirs),
        pose_axes=(
            None
            if model.pose_axes is None
            else (model.pose_axes * np.outer(MIRROR, MIRROR)).astype(model.pose_axes.dtype)
        ),
        atlas_uvs=atlas_uvs,
    )


def triangles_of(quads: np.ndarray) -> np.ndarray:
    """(2Q, 3) int32 triangles of (Q, 4) quads, cut from the first to the third corner."""
    return np.ascontiguousarray(quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3).astype(np.int32))
