"""Meshes to pictures with gradients; the four calls that everything else is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from ...core.errors import InputError
from ...core.types import Camera
from ...geometry.raster import nearest_triangles
from .kernels import compiled


@dataclass(frozen=True, eq=False)
class Fragments:
    """What a mesh covers in a picture.

    Attributes:
        triangle: (H, W) int32 nearest triangle, -1 where there is none.
        weights: (H, W, 3) perspective-correct weights of its corners, 0 where there is none;
            differentiable in the points.
        points: (V, 3) pixel x, y and depth, as they were rasterized.
        faces: (F, 3) int64.
    """

    triangle: np.ndarray
    weights: torch.Tensor
    points: torch.Tensor
    faces: np.ndarray

    @property
    def covered(self) -> torch.Tensor:
        """(H, W) bool."""
        return torch.from_numpy(self.triangle >= 0).to(self.weights.device)


def project(vertices: torch.Tensor, camera: Camera) -> torch.Tensor:
    """(V, 3) pixel x, pixel y and depth along z of world points (V, 3) in metres.

    Depth is -1 where a point is not beyond the near plane; its triangles are not drawn.
    """
    turn = torch.as_tensor(camera.world_to_camera, dtype=vertices.dtype, device=vertices.device)
    x, y, z = (vertices @ turn[:3, :3].T + turn[:3, 3]).unbind(-1)
    seen = z > camera.near
    safe = torch.where(seen, z, torch.ones_like(z))
    return torch.stack(
        [
            x / safe * camera.fx + camera.cx,
            y / safe * camera.fy + camera.cy,
            torch.where(seen, z, -torch.ones_like(z)),
        ],
        -1,
    )


def rasterize(points: torch.Tensor, faces: np.ndarray, width: int, height: int) -> Fragments:
    """The nearest triangle in every pixel, sampled at its centre, and the weights there.

    Args:
        points: (V, 3) pixel x, pixel y and depth; see :func:`project`.
        faces: (F, 3) vertex indices.
        width, height: pixels.

    Raises:
        InputError: arrays of another shape, or points that are not finite.
    """
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"points have shape {tuple(points.shape)}; accepted is (V, 3)")
    faces = np.ascontiguousarray(faces, np.int64)
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise InputError(f"faces have shape {faces.shape}; accepted is (F, 3)")
    if len(faces) and not 0 <= faces.min() <= faces.max() < len(points):
        raise InputError(f"faces name vertices up to {faces.max()}; there are {len(points)}")
    flat = _numpy(points, np.float64)
    if not np.isfinite(flat).all():
        raise InputError("points have numbers that are NaN or infinite; give finite numbers")
    triangle = nearest_triangles(flat, faces, width, height)
    weights = _Weights.apply(points, flat, faces, triangle)
    return Fragments(triangle, weights, points, faces)


def interpolate(values: torch.Tensor, fragments: Fragments) -> torch.Tensor:
    """Vertex values (V, C) at the pixels (H, W, C), 0 where there is no triangle."""
    if values.ndim != 2 or len(values) != len(fragments.points):
        raise InputError(
            f"values have shape {tuple(values.shape)}; accepted is ({len(fragments.points)}, C)"
        )
    result: torch.Tensor = _Interpolate.apply(
        values, fragments.weights, fragments.faces, fragments.triangle
    )
    return result


def antialias(picture: torch.Tensor, fragments: Fragments) -> torch.Tensor:
    """The picture (H, W, C) with neighbours blended where a silhouette passes between them.

    Of two neighbouring pixels, one of which shows a nearer surface, the silhouette edge crosses
    the line between their centres at some part of it; beyond one half it takes the difference of
    the other pixel, before it gives of its own (Laine et al. 2020, section 3.6). Steep edges blend
    along rows and flat ones along columns, so that each counts once. This is where outlines get
    their gradients, for vertex places as for colours.
    """
    points, faces = _numpy(fragments.points, np.float64), fragments.faces
    pixels, ends = _crossings(points, faces, fragments.triangle)
    if not len(pixels):
        return picture
    device = picture.device
    front, other = (torch.from_numpy(pixels[:, k]).to(device) for k in (0, 1))
    width = fragments.triangle.shape[1]
    down = pixels[:, 2]
    across, along = torch.from_numpy(down).to(device), torch.from_numpy(1 - down).to(device)
    rows = torch.arange(len(pixels), device=device)
    a, b = (fragments.points[torch.from_numpy(ends[:, k]).to(device)] for k in (0, 1))
    centre = torch.stack([front % width, front // width], 1).to(a.dtype) + 0.5
    beyond = torch.stack([other % width, other // width], 1).to(a.dtype) + 0.5
    goal = centre[rows, along]
    part = (goal - a[rows, along]) / (b[rows, along] - a[rows, along])
    at = a[rows, across] + part * (b[rows, across] - a[rows, across])
    # metres do not matter here: 0 at the front pixel's centre, 1 at the other's
    share = (at - centre[rows, across]) * (beyond - centre)[rows, across] - 0.5
    flat = picture.reshape(-1, picture.shape[-1])
    step = share.to(flat.dtype)[:, None] * (flat[front] - flat[other])
    target = torch.where(share > 0, other, front)
    return flat.index_add(0, target, step).reshape(picture.shape)


def _crossings(
    points: np.ndarray, faces: np.ndarray, triangle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    a, b, c = (points[faces[:, k], :2] for k in range(3))
    turned = np.cross(b - a, c - a) > 0 if len(faces) else np.zeros(0, bool)
    beside = _beside(faces.tobytes(), len(faces))
    room = 4 * sum(triangle.shape)
    while True:
        pixels, ends = np.zeros((room, 3), np.int64), np.zeros((room, 2), np.int64)
        count = compiled("find_crossings")(points, faces, beside, turned, triangle, pixels, ends)
        if count <= room:
            return pixels[:count], ends[:count]
        room = count


@lru_cache(maxsize=8)
def _beside(faces: bytes, count: int) -> np.ndarray:
    """(F, 3) the face across the edge from corner k to k + 1, -1 where there is none or several."""
    array = np.frombuffer(faces, np.int64).reshape(count, 3)
    edges = np.stack([array, np.roll(array, -1, axis=1)], -1).reshape(-1, 2)
    _, edge, uses = np.unique(
        np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    edge = edge.ravel()
    owner = np.repeat(np.arange(count), 3)
    total = np.zeros(len(uses), np.int64)
    np.add.at(total, edge, owner)
    return np.where(uses[edge] == 2, total[edge] - owner, -1).reshape(count, 3)


def _numpy(tensor: torch.Tensor, dtype: Any) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype)


class _Weights(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, points: torch.Tensor, flat: np.ndarray, faces: np.ndarray, triangle: np.ndarray
    ) -> torch.Tensor:
        made = np.zeros((*triangle.shape, 3))
        compiled("weights")(flat, faces, triangle, made)
        ctx.kept = flat, faces, triangle, made
        return torch.from_numpy(made).to(points)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        flat, faces, triangle, made = ctx.kept
        out = np.zeros_like(flat)
        compiled("weights_backward")(flat, faces, triangle, made, _numpy(grad, np.float64), out)
        return torch.from_numpy(out).to(grad), None, None, None


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: torch.Tensor,
        weights: torch.Tensor,
        faces: np.ndarray,
        triangle: np.ndarray,
    ) -> torch.Tensor:
        kind = np.float64 if values.dtype == torch.float64 else np.float32
        own, made = _numpy(values, kind), _numpy(weights, kind)
        out = np.zeros((*triangle.shape, own.shape[1]), kind)
        compiled("interpolate")(own, faces, triangle, made, out)
        ctx.kept = own, faces, triangle, made
        return torch.from_numpy(out).to(values.device)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        own, faces, triangle, made = ctx.kept
        of_values, of_weights = np.zeros_like(own), np.zeros_like(made)
        compiled("interpolate_backward")(
            own, faces, triangle, made, _numpy(grad, own.dtype), of_values, of_weights
        )
        both = (torch.from_numpy(g).to(grad) for g in (of_values, of_weights))
        return *both, None, None
