"""Exact silhouettes of posed meshes: a z-buffer with pixel-centre sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..core.types import Camera


@dataclass(frozen=True)
class MeshRaster:
    """What a mesh covers in a picture.

    Attributes:
        triangle: (H, W) int32 index of the nearest triangle, -1 where there is none.
        depth: (H, W) float32 metres along z, infinite where there is none.
    """

    triangle: np.ndarray
    depth: np.ndarray

    @property
    def silhouette(self) -> np.ndarray:
        """(H, W) bool."""
        return self.triangle >= 0


def rasterize_mesh(vertices: np.ndarray, faces: np.ndarray, camera: Camera) -> MeshRaster:
    """Nearest triangle and its depth in every pixel, sampled at the pixel's centre.

    Args:
        vertices: (V, 3) world space, metres.
        faces: (F, 3) vertex indices.
        camera: where it is seen from; triangles that pass its near plane are left out.

    Returns:
        The raster in the camera's size.
    """
    matrix = camera.world_to_camera
    points = np.asarray(vertices, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    z = points[:, 2]
    safe = np.where(z > camera.near, z, 1.0)
    projected = np.empty((len(points), 3))
    projected[:, 0] = points[:, 0] / safe * camera.fx + camera.cx
    projected[:, 1] = points[:, 1] / safe * camera.fy + camera.cy
    projected[:, 2] = np.where(z > camera.near, z, -1.0)
    triangle = np.full((camera.height, camera.width), -1, dtype=np.int32)
    depth = np.full((camera.height, camera.width), np.inf, dtype=np.float32)
    _kernel()(projected, np.ascontiguousarray(faces, dtype=np.int64), triangle, depth)
    return MeshRaster(triangle, depth)


def hand_silhouettes(
    meshes: Sequence[tuple[np.ndarray, np.ndarray]], camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """Each mesh's whole silhouette, and which mesh is in front.

    Args:
        meshes: (vertices (V, 3), faces (F, 3)) per hand.
        camera: the view.

    Returns:
        silhouettes: (N, H, W) bool, each as if alone.
        labels: (H, W) int32 index of the nearest mesh, -1 for none.
    """
    rasters = [rasterize_mesh(vertices, faces, camera) for vertices, faces in meshes]
    silhouettes = np.stack([r.silhouette for r in rasters])
    nearest = np.stack([r.depth for r in rasters]).argmin(axis=0).astype(np.int32)
    nearest[~silhouettes.any(axis=0)] = -1
    return silhouettes, nearest


def wrist_half_plane(
    keypoints_2d: np.ndarray, size: tuple[int, int], margin: float = 0.12
) -> np.ndarray:
    """Pixels on the fingers' side of the wrist.

    The border crosses the line from the wrist to the middle knuckle at a right angle,
    ``margin`` of that line's length below the wrist.

    Args:
        keypoints_2d: (21, 2) pixels.
        size: (width, height).
        margin: may be negative to cut above the wrist.

    Returns:
        (H, W) bool.
    """
    wrist, knuckle = np.asarray(keypoints_2d)[[0, 9]]
    axis = knuckle - wrist
    length = max(float(np.linalg.norm(axis)), 1e-6)
    axis = axis / length
    columns = np.arange(size[0]) + 0.5 - wrist[0]
    rows = np.arange(size[1]) + 0.5 - wrist[1]
    return columns[None] * axis[0] + rows[:, None] * axis[1] > -margin * length


@cache
def _kernel() -> Any:
    """The compiled z-buffer; numba is imported on first use only."""
    import numba

    return numba.njit(cache=True, fastmath=False)(_fill)


def _fill(points: np.ndarray, faces: np.ndarray, triangle: np.ndarray, depth: np.ndarray) -> None:
    height, width = triangle.shape
    for f in range(faces.shape[0]):
        a, b, c = points[faces[f, 0]], points[faces[f, 1]], points[faces[f, 2]]
        if a[2] <= 0 or b[2] <= 0 or c[2] <= 0:
            continue
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(area) < 1e-12:
            continue
        x0 = max(0, int(np.ceil(min(a[0], b[0], c[0]) - 0.5)))
        x1 = min(width - 1, int(np.floor(max(a[0], b[0], c[0]) - 0.5)))
        y0 = max(0, int(np.ceil(min(a[1], b[1], c[1]) - 0.5)))
        y1 = min(height - 1, int(np.floor(max(a[1], b[1], c[1]) - 0.5)))
        for row in range(y0, y1 + 1):
            y = row + 0.5
            for column in range(x0, x1 + 1):
                x = column + 0.5
                u = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / area
                v = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / area
                w = 1.0 - u - v
                # A hair of tolerance, or a centre on a shared edge could miss both triangles.
                if u >= -1e-9 and v >= -1e-9 and w >= -1e-9:
                    # Depth is linear in 1/z over the picture (perspective).
                    z = 1.0 / (u / a[2] + v / b[2] + w / c[2])
                    if z < depth[row, column]:
                        depth[row, column] = z
                        triangle[row, column] = f
