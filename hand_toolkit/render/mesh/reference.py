"""The same in plain torch, slow and short: what the kernels are held to.

Every triangle is tried in every pixel, and every edge between every pair of neighbours.
"""

from __future__ import annotations

import numpy as np
import torch

from .api import Fragments


def rasterize(points: torch.Tensor, faces: np.ndarray, width: int, height: int) -> Fragments:
    """See :func:`hand_toolkit.render.mesh.rasterize`."""
    corner = points[torch.as_tensor(faces.astype(np.int64))]
    y, x = torch.meshgrid(
        torch.arange(height, dtype=points.dtype) + 0.5,
        torch.arange(width, dtype=points.dtype) + 0.5,
        indexing="ij",
    )
    pixel = torch.stack([x, y], -1)[:, :, None]
    a, b, c = (corner[:, k, :2] - pixel for k in range(3))
    flat = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], -1)
    area = flat.sum(-1, keepdim=True)
    inside = ((flat / area) >= 0).all(-1) & (area[..., 0].abs() > 1e-12)
    inside &= (corner[:, :, 2] > 0).all(1)
    perspective = flat / corner[:, :, 2]
    weights = perspective / perspective.sum(-1, keepdim=True)
    depth = (weights * corner[:, :, 2]).sum(-1)
    depth = torch.where(inside, depth, torch.full_like(depth, torch.inf))
    nearest, triangle = depth.min(-1)
    covered = torch.isfinite(nearest)
    chosen = torch.take_along_dim(weights, triangle[..., None, None], 2)[:, :, 0]
    chosen = torch.where(covered[..., None], chosen, torch.zeros_like(chosen))
    index = torch.where(covered, triangle, torch.full_like(triangle, -1))
    return Fragments(index.numpy().astype(np.int32), chosen, points, faces.astype(np.int64))


def interpolate(values: torch.Tensor, fragments: Fragments) -> torch.Tensor:
    """See :func:`hand_toolkit.render.mesh.interpolate`."""
    corners = torch.as_tensor(fragments.faces[np.maximum(fragments.triangle, 0)])
    return (fragments.weights[..., None] * values[corners]).sum(2)


def antialias(picture: torch.Tensor, fragments: Fragments) -> torch.Tensor:
    """See :func:`hand_toolkit.render.mesh.antialias`."""
    points, faces, triangle = fragments.points, fragments.faces, fragments.triangle
    height, width = triangle.shape
    flat = points.detach().numpy()
    owners: dict[tuple[int, int], list[int]] = {}
    for f, face in enumerate(faces):
        for i, j in zip(face, np.roll(face, -1)):
            owners.setdefault((int(min(i, j)), int(max(i, j))), []).append(f)

    def turned(f: int) -> bool:
        a, b, c = flat[faces[f], :2]
        return bool((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0)

    result = picture.clone()
    for row in range(height):
        for column in range(width):
            for down in (0, 1):
                there = row + down, column + 1 - down
                if there[0] >= height or there[1] >= width:
                    continue
                f, g = int(triangle[row, column]), int(triangle[there])
                if f == g:
                    continue
                depth = [np.inf if t < 0 else flat[faces[t], 2].mean() for t in (f, g)]
                front, back = ((row, column), there) if depth[0] <= depth[1] else (
                    there,
                    (row, column),
                )  # fmt: skip
                own = f if depth[0] <= depth[1] else g
                edge = _edge_between(flat, faces, own, owners, turned, (row, column), down)
                if edge is None:
                    continue
                across, along = (1, 0) if down else (0, 1)
                a, b = points[edge[0]], points[edge[1]]
                line = front[1 - along] + 0.5
                part = (line - a[along]) / (b[along] - a[along])
                at = a[across] + part * (b[across] - a[across])
                sign = back[1 - across] - front[1 - across]
                share = (at - front[1 - across] - 0.5) * sign - 0.5
                step = share * (picture[front] - picture[back])
                target = back if share > 0 else front
                result = result.index_put(
                    (torch.tensor([target[0]]), torch.tensor([target[1]])), step[None], True
                )
    return result


def _edge_between(flat, faces, own, owners, turned, pixel, down):  # type: ignore[no-untyped-def]
    """The first silhouette edge of a face that crosses the line to the next pixel's centre."""
    row, column = pixel
    across, along = (1, 0) if down else (0, 1)
    line, start = (column + 0.5, row + 0.5) if down else (row + 0.5, column + 0.5)
    for i, j in zip(faces[own], np.roll(faces[own], -1)):
        step = flat[j] - flat[i]
        if (flat[i, along] < line) == (flat[j, along] < line) or abs(step[along]) < abs(
            step[across]
        ):
            continue
        at = flat[i, across] + (line - flat[i, along]) / step[along] * step[across] - start
        beside = [f for f in owners[(int(min(i, j)), int(max(i, j)))] if f != own]
        silhouette = len(beside) != 1 or turned(beside[0]) != turned(own)
        if 0 <= at <= 1 and silhouette:
            return int(i), int(j)
    return None


def _cross(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
