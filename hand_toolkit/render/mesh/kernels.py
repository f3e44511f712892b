"""The compiled loops: one pass over the pixels each, in float64 for points, float32 for attributes.

``points`` (V, 3) are pixel x, pixel y and depth along z; ``triangle`` (H, W) is the raster.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

LEAST_AREA = 1e-12
"""Twice the area, square pixels, below which a triangle has no weights."""


@cache
def compiled(name: str) -> Any:
    """A function of this module, compiled; numba is imported on first use only."""
    import numba

    return numba.njit(cache=True, nogil=True, error_model="numpy")(globals()[name])


def weights(points: np.ndarray, faces: np.ndarray, triangle: np.ndarray, out: np.ndarray) -> None:
    """Perspective-correct weights ``out`` (H, W, 3) of the corners at the pixels' centres."""
    for row in range(triangle.shape[0]):
        for column in range(triangle.shape[1]):
            f = triangle[row, column]
            if f < 0:
                continue
            a, b, c = points[faces[f, 0]], points[faces[f, 1]], points[faces[f, 2]]
            x, y = column + 0.5, row + 0.5
            p = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / a[2]
            q = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / b[2]
            r = ((a[0] - x) * (b[1] - y) - (a[1] - y) * (b[0] - x)) / c[2]
            total = p + q + r
            if abs(total) * abs(a[2]) < LEAST_AREA:
                continue
            out[row, column, 0] = p / total
            out[row, column, 1] = q / total
            out[row, column, 2] = r / total


def weights_backward(
    points: np.ndarray,
    faces: np.ndarray,
    triangle: np.ndarray,
    made: np.ndarray,
    grad: np.ndarray,
    out: np.ndarray,
) -> None:
    """Add to ``out`` (V, 3) the gradient of the points, from ``grad`` of the weights ``made``."""
    for row in range(triangle.shape[0]):
        for column in range(triangle.shape[1]):
            f = triangle[row, column]
            if f < 0:
                continue
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            a, b, c = points[i], points[j], points[k]
            x, y = column + 0.5, row + 0.5
            ax, ay, bx, by, cx, cy = a[0] - x, a[1] - y, b[0] - x, b[1] - y, c[0] - x, c[1] - y
            p = (bx * cy - by * cx) / a[2]
            q = (cx * ay - cy * ax) / b[2]
            r = (ax * by - ay * bx) / c[2]
            total = p + q + r
            if abs(total) * abs(a[2]) < LEAST_AREA:
                continue
            mean = 0.0
            for n in range(3):
                mean += made[row, column, n] * grad[row, column, n]
            # of w_n = s_n / total
            dp = (grad[row, column, 0] - mean) / total
            dq = (grad[row, column, 1] - mean) / total
            dr = (grad[row, column, 2] - mean) / total
            out[i, 2] -= dp * p / a[2]
            out[j, 2] -= dq * q / b[2]
            out[k, 2] -= dr * r / c[2]
            dp, dq, dr = dp / a[2], dq / b[2], dr / c[2]
            out[i, 0] += dr * by - dq * cy
            out[i, 1] += dq * cx - dr * bx
            out[j, 0] += dp * cy - dr * ay
            out[j, 1] += dr * ax - dp * cx
            out[k, 0] += dq * ay - dp * by
            out[k, 1] += dp * bx - dq * ax


def interpolate(
    values: np.ndarray, faces: np.ndarray, triangle: np.ndarray, made: np.ndarray, out: np.ndarray
) -> None:
    """Vertex values (V, C) at the pixels, ``out`` (H, W, C)."""
    for row in range(triangle.shape[0]):
        for column in range(triangle.shape[1]):
            f = triangle[row, column]
            if f < 0:
                continue
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            u, v, w = made[row, column, 0], made[row, column, 1], made[row, column, 2]
            for n in range(values.shape[1]):
                out[row, column, n] = u * values[i, n] + v * values[j, n] + w * values[k, n]


def interpolate_backward(
    values: np.ndarray,
    faces: np.ndarray,
    triangle: np.ndarray,
    made: np.ndarray,
    grad: np.ndarray,
    of_values: np.ndarray,
    of_weights: np.ndarray,
) -> None:
    """Add gradients of the values (V, C) and write those of the weights (H, W, 3)."""
    for row in range(triangle.shape[0]):
        for column in range(triangle.shape[1]):
            f = triangle[row, column]
            if f < 0:
                continue
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            u, v, w = made[row, column, 0], made[row, column, 1], made[row, column, 2]
            du, dv, dw = 0.0, 0.0, 0.0
            for n in range(values.shape[1]):
                g = grad[row, column, n]
                of_values[i, n] += u * g
                of_values[j, n] += v * g
                of_values[k, n] += w * g
                du += g * values[i, n]
                dv += g * values[j, n]
                dw += g * values[k, n]
            of_weights[row, column, 0] = du
            of_weights[row, column, 1] = dv
            of_weights[row, column, 2] = dw


def find_crossings(
    points: np.ndarray,
    faces: np.ndarray,
    beside: np.ndarray,
    turned: np.ndarray,
    triangle: np.ndarray,
    pixels: np.ndarray,
    ends: np.ndarray,
) -> int:
    """Silhouette edges that pass between neighbouring pixels' centres.

    Args:
        points, faces, triangle: as above.
        beside: (F, 3) the face across the edge from corner k to k + 1, -1 for none.
        turned: (F,) bool, which way round each face's corners run in the picture.
        pixels: (N, 3) filled with the front pixel's and the other pixel's flat index, and 0 for
            neighbours in a row, 1 in a column.
        ends: (N, 2) filled with the edge's vertices.

    Returns:
        How many there are.
    """
    height, width = triangle.shape
    count = 0
    for row in range(height):
        for column in range(width):
            for down in range(2):
                row_2, column_2 = row + down, column + 1 - down
                if row_2 >= height or column_2 >= width:
                    continue
                f, g = triangle[row, column], triangle[row_2, column_2]
                if f == g:
                    continue
                # the nearer of the two triangles, by the mean depth of its corners, has the edge
                first = g < 0
                if f >= 0 and g >= 0:
                    near, far = 0.0, 0.0
                    for n in range(3):
                        near += points[faces[f, n], 2]
                        far += points[faces[g, n], 2]
                    first = near <= far
                face = f if first else g
                for n in range(3):
                    i, j = faces[face, n], faces[face, (n + 1) % 3]
                    # across: the axis along which the pixels lie beside each other
                    across, along = (1, 0) if down else (0, 1)
                    low = points[i, along] - ((column if down else row) + 0.5)
                    high = points[j, along] - ((column if down else row) + 0.5)
                    if (low < 0) == (high < 0):
                        continue
                    if abs(points[j, along] - points[i, along]) < abs(
                        points[j, across] - points[i, across]
                    ):
                        continue
                    part = low / (low - high)
                    at = points[i, across] + part * (points[j, across] - points[i, across])
                    at -= (row if down else column) + 0.5
                    if at < 0 or at > 1:
                        continue
                    other = beside[face, n]
                    if other >= 0 and turned[other] == turned[face]:
                        continue
                    if count < len(pixels):
                        own, next_to = row * width + column, row_2 * width + column_2
                        pixels[count, 0] = own if first else next_to
                        pixels[count, 1] = next_to if first else own
                        pixels[count, 2] = down
                        ends[count, 0], ends[count, 1] = i, j
                    count += 1
                    break
    return count
