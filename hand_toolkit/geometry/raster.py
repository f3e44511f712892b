"""Triangles to pixels: one z-buffer with pixel-centre sampling, for cameras and texture layouts."""

from __future__ import annotations

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
    triangle = np.full((camera.height, camera.width), -1, dtype=np.int32)
    depth = np.full((camera.height, camera.width), np.inf, dtype=np.float32)
    _fill()(_projected(vertices, camera), _indices(faces), triangle, depth)
    return MeshRaster(triangle, depth)


def nearest_triangles(points: np.ndarray, faces: np.ndarray, width: int, height: int) -> np.ndarray:
    """Nearest triangle (H, W) int32 of points that are projected already, -1 where there is none.

    Args:
        points: (V, 3) float64 pixel x, pixel y and depth; triangles with a corner of depth 0 or
            less are left out.
        faces: (F, 3) int64.
        width, height: pixels.
    """
    triangle = np.full((height, width), -1, np.int32)
    _fill()(points, faces, triangle, np.full((height, width), np.inf, np.float32))
    return triangle


def lower_depth(vertices: np.ndarray, faces: np.ndarray, camera: Camera, depth: np.ndarray) -> None:
    """Lower ``depth`` (H, W) float32 in place to the triangles that cover a pixel's centre.

    Args:
        vertices: (V, 3) world space, metres.
        faces: (F, 3) vertex indices.
        camera: of the size of ``depth``; triangles that pass its near plane are left out.
        depth: metres along z.
    """
    nowhere = np.empty((0, 0), np.int32)
    points = np.empty((len(vertices), 3))
    pose = np.ascontiguousarray(camera.world_to_camera, np.float64)
    lens = (camera.fx, camera.fy, camera.cx, camera.cy, camera.near)
    _project()(np.ascontiguousarray(vertices), pose, *map(float, lens), points)
    _fill()(points, _indices(faces), nowhere, depth)


def nearest_depth(vertices: np.ndarray, camera: Camera) -> float:
    """Least depth of vertices (V, 3), metres along the camera's axis; infinite without any."""
    axis, shift = camera.world_to_camera[2, :3], float(camera.world_to_camera[2, 3])
    return float(_nearest()(np.ascontiguousarray(vertices), *map(float, axis), shift))


def rasterize_uv(
    uvs: np.ndarray, uv_faces: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Face (H, W) int32, -1 for none, and barycentric weights (H, W, 3) of each texel's centre.

    Args:
        uvs: (T, 2), origin at the lower left; row 0 is the top, v = 1.
        uv_faces: (F, 3).
        width, height: texels.
    """
    texels = np.ones((len(uvs), 3))
    texels[:, :2] = np.asarray(uvs, np.float64) * [width, -height] + [0, height]
    face = np.full((height, width), -1, np.int32)
    depth = np.full((height, width), np.inf, np.float32)
    indices = _indices(uv_faces)
    _fill()(texels, indices, face, depth)
    weights = np.zeros((height, width, 3), np.float32)
    _weigh()(texels, indices, face, weights)
    return face, weights


def barycentric_2d(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Weights (N, 3) of ``points`` (N, 2) in triangles ``corners`` (N, 3, 2)."""
    a, b, p = (v - corners[:, 0] for v in (corners[:, 1], corners[:, 2], points))
    doubled = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    u = (p[:, 0] * b[:, 1] - p[:, 1] * b[:, 0]) / doubled
    v = (a[:, 0] * p[:, 1] - a[:, 1] * p[:, 0]) / doubled
    return np.stack([1 - u - v, u, v], 1)


def _projected(vertices: np.ndarray, camera: Camera) -> np.ndarray:
    """(V, 3) pixels and depth; a depth of -1 where a vertex is not beyond the near plane."""
    matrix = camera.world_to_camera
    points = np.asarray(vertices, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    z = points[:, 2]
    seen = z > camera.near
    safe = np.where(seen, z, 1.0)
    points[:, 0] = points[:, 0] / safe * camera.fx + camera.cx
    points[:, 1] = points[:, 1] / safe * camera.fy + camera.cy
    points[:, 2] = np.where(seen, z, -1.0)
    return points


def _indices(faces: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(faces, dtype=np.int64)


@cache
def _nearest() -> Any:
    from ..core.jit import compiled

    return compiled(nogil=True)(_least_depth)


def _least_depth(vertices: np.ndarray, x: float, y: float, z: float, shift: float) -> float:
    """Without BLAS, whose own threads get in each other's way where several ask at once."""
    least = np.inf
    for n in range(vertices.shape[0]):
        least = min(least, vertices[n, 0] * x + vertices[n, 1] * y + vertices[n, 2] * z + shift)
    return least


@cache
def _project() -> Any:
    from ..core.jit import compiled

    return compiled(nogil=True, error_model="numpy")(_project_points)


def _project_points(
    vertices: np.ndarray,
    pose: np.ndarray,
    fx: float,
    fy: float,
    cx: float,
    cy: float,
    near: float,
    points: np.ndarray,
) -> None:
    """:func:`_projected` without holding up other threads."""
    for n in range(vertices.shape[0]):
        a, b, c = np.float64(vertices[n, 0]), np.float64(vertices[n, 1]), np.float64(vertices[n, 2])
        x = pose[0, 0] * a + pose[0, 1] * b + pose[0, 2] * c + pose[0, 3]
        y = pose[1, 0] * a + pose[1, 1] * b + pose[1, 2] * c + pose[1, 3]
        z = pose[2, 0] * a + pose[2, 1] * b + pose[2, 2] * c + pose[2, 3]
        if z > near:
            points[n, 0] = x / z * fx + cx
            points[n, 1] = y / z * fy + cy
            points[n, 2] = z
        else:
            points[n, 0] = x
            points[n, 1] = y
            points[n, 2] = -1.0


@cache
def _weigh() -> Any:
    from ..core.jit import compiled

    return compiled(nogil=True, error_model="numpy")(_weigh_centres)


def _weigh_centres(
    points: np.ndarray, faces: np.ndarray, face: np.ndarray, weights: np.ndarray
) -> None:
    """Fill ``weights`` (H, W, 3) of each pixel's centre in its triangle ``face`` (H, W)."""
    for row in range(face.shape[0]):
        for column in range(face.shape[1]):
            if face[row, column] < 0:
                continue
            corner = faces[face[row, column]]
            x0, y0 = points[corner[0], 0], points[corner[0], 1]
            ax, ay = points[corner[1], 0] - x0, points[corner[1], 1] - y0
            bx, by = points[corner[2], 0] - x0, points[corner[2], 1] - y0
            px, py = column + 0.5 - x0, row + 0.5 - y0
            doubled = ax * by - ay * bx
            u = (px * by - py * bx) / doubled
            v = (ax * py - ay * px) / doubled
            weights[row, column, 0] = 1 - u - v
            weights[row, column, 1] = u
            weights[row, column, 2] = v


@cache
def _fill() -> Any:
    """The compiled z-buffer; numba is imported on first use only."""
    from ..core.jit import compiled

    return compiled(nogil=True, error_model="numpy")(_fill_triangles)


def _fill_triangles(
    points: np.ndarray, faces: np.ndarray, triangle: np.ndarray, depth: np.ndarray
) -> None:
    """Fill ``triangle`` (H, W), or nothing where it is empty, and ``depth`` (H, W)."""
    height, width = depth.shape
    named = triangle.size > 0
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
        # weights are linear in the picture, and so is 1/z (perspective)
        per = 1.0 / area
        step_u, step_v = (b[1] - c[1]) * per, (c[1] - a[1]) * per
        step_w = -step_u - step_v
        za, zb, zc = 1.0 / a[2], 1.0 / b[2], 1.0 / c[2]
        step_z = step_u * za + step_v * zb + step_w * zc
        x = x0 + 0.5
        for row in range(y0, y1 + 1):
            y = row + 0.5
            u = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) * per
            v = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) * per
            w = 1.0 - u - v
            # The columns where all three are positive, with a hair of tolerance, or a centre on a
            # shared edge could miss both triangles.
            low, high = 0.0, float(x1 - x0)
            for start, step in ((u, step_u), (v, step_v), (w, step_w)):
                if step > 0:
                    low = max(low, (-1e-9 - start) / step)
                elif step < 0:
                    high = min(high, (-1e-9 - start) / step)
                elif start < -1e-9:
                    high = -1.0
            if low > high:
                continue
            first, last = int(np.ceil(low)), int(np.floor(high))
            inverse = u * za + v * zb + w * zc
            if not named:
                for k in range(first, last + 1):
                    z = np.float32(1.0 / (inverse + k * step_z))
                    depth[row, x0 + k] = min(depth[row, x0 + k], z)
                continue
            for k in range(first, last + 1):
                z = np.float32(1.0 / (inverse + k * step_z))
                if z < depth[row, x0 + k]:
                    depth[row, x0 + k] = z
                    triangle[row, x0 + k] = f
