"""Compiled loops of the worker: numpy takes 150 ms for what these do to a 1080p frame in 10."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, fastmath=True)
def encode(  # type: ignore[no-untyped-def]
    color, alpha, mean_depth, fringe, transparent, table, far, shown, pixels, depth
):
    """Fill ``pixels`` (H, W, 4) and ``depth`` (H, W), bottom row first, from top-row-first input.

    Args:
        color: (H, W, 3) sRGB with the background blended in (black where ``transparent``).
        alpha, mean_depth: (H, W) of the splats.
        fringe: splats this much before the skin, metres, belong to another finger that they
            overhang by a pixel or two, and the skin there is hidden.
        transparent: divide by alpha before decoding and multiply after.
        table: (N + 1,) sRGB decoding of 0 to 1.
        far: depth of pixels below ``shown`` alpha.
        shown: see ``far``.
        pixels: output.
        depth: that of the skin's mesh, ``far`` outside it; in and out.
    """
    height, width = alpha.shape
    steps = np.float32(len(table) - 1)
    for y in range(height):
        row = height - 1 - y
        for x in range(width):
            a = alpha[y, x]
            if a < shown:
                depth[row, x] = far
            elif depth[row, x] >= mean_depth[y, x] + fringe:
                depth[row, x] = mean_depth[y, x]
            if transparent and a < np.float32(1e-4):
                pixels[row, x, 0] = 0.0
                pixels[row, x, 1] = 0.0
                pixels[row, x, 2] = 0.0
                pixels[row, x, 3] = 0.0
                continue
            keep = a if transparent else np.float32(1.0)
            inverse = np.float32(1.0) / keep
            for c in range(3):
                value = min(max(color[y, x, c] * inverse, np.float32(0.0)), np.float32(1.0)) * steps
                index = min(int(value), len(table) - 2)
                part = value - np.float32(index)
                linear = table[index] + part * (table[index + 1] - table[index])
                pixels[row, x, c] = linear * keep
            pixels[row, x, 3] = keep


@numba.njit(cache=True, nogil=True, fastmath=True)
def draw_depth(points, faces, fx, fy, cx, cy, near, depth):  # type: ignore[no-untyped-def]
    """Lower ``depth`` (H, W), top row first, to the triangles that cover a pixel's centre.

    Args:
        points: (V, 3) in the camera's axes, metres; z is the depth.
        faces: (F, 3); those that reach before ``near`` are left out.
        fx, fy, cx, cy: of the pinhole, pixels.
        near: metres.
        depth: in and out.
    """
    height, width = depth.shape
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        if min(points[a, 2], points[b, 2], points[c, 2]) < near:
            continue
        # 1/z is linear in the picture
        wa, wb, wc = 1.0 / points[a, 2], 1.0 / points[b, 2], 1.0 / points[c, 2]
        xa, ya = fx * points[a, 0] * wa + cx, fy * points[a, 1] * wa + cy
        xb, yb = fx * points[b, 0] * wb + cx, fy * points[b, 1] * wb + cy
        xc, yc = fx * points[c, 0] * wc + cx, fy * points[c, 1] * wc + cy
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if abs(area) < 1e-12:
            continue
        first = max(int(np.ceil(min(xa, xb, xc) - 0.5)), 0)
        last = min(int(np.floor(max(xa, xb, xc) - 0.5)), width - 1)
        top = max(int(np.ceil(min(ya, yb, yc) - 0.5)), 0)
        bottom = min(int(np.floor(max(ya, yb, yc) - 0.5)), height - 1)
        # barycentric weights and 1/z change by the same step from pixel to pixel
        per = 1.0 / area
        step_u, step_v = (yb - yc) * per, (yc - ya) * per
        step_z = step_u * (wa - wc) + step_v * (wb - wc)
        px = first + 0.5
        for y in range(top, bottom + 1):
            py = y + 0.5
            u = ((xb - px) * (yc - py) - (xc - px) * (yb - py)) * per
            v = ((xc - px) * (ya - py) - (xa - px) * (yc - py)) * per
            inverse = wc + u * (wa - wc) + v * (wb - wc)
            for x in range(first, last + 1):
                if u >= -1e-9 and v >= -1e-9 and u + v <= 1.0 + 1e-9:
                    z = 1.0 / inverse
                    if z < depth[y, x]:
                        depth[y, x] = z
                u += step_u
                v += step_v
                inverse += step_z
