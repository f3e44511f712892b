"""The loop of baking that is too slow in numpy."""

from __future__ import annotations

import numba
import numpy as np

from ..core.jit import compiled

MAX_DEPTH = 192
"""Candidates of one texel; as many as ``bake`` asks for."""


@compiled(parallel=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
def gather(  # type: ignore[no-untyped-def]
    points, normals, group, near, texel, means, covariance, facing, opacity, values, out, cover
):
    """Blend, per point, the candidates of its group as seen from above along the normal."""
    width = near.shape[1]
    channels = values.shape[1]
    for p in numba.prange(points.shape[0]):
        nx, ny, nz = normals[p, 0], normals[p, 1], normals[p, 2]
        # two tangents (Duff et al. 2017)
        sign = 1.0 if nz >= 0.0 else -1.0
        a = -1.0 / (sign + nz)
        b = nx * ny * a
        ux, uy, uz = 1.0 + sign * nx * nx * a, sign * b, -sign * nx
        vx, vy, vz = b, sign + ny * ny * a, -ny
        blur = 0.3 * texel[group[p]] ** 2
        alphas = np.empty(MAX_DEPTH, np.float32)
        depths = np.empty(MAX_DEPTH, np.float32)
        order = np.empty(MAX_DEPTH, np.int64)
        found = 0
        for j in range(width):
            i = near[group[p], j]
            if facing[i, 0] * nx + facing[i, 1] * ny + facing[i, 2] * nz < 0.1:
                continue
            dx = points[p, 0] - means[i, 0]
            dy = points[p, 1] - means[i, 1]
            dz = points[p, 2] - means[i, 2]
            du = dx * ux + dy * uy + dz * uz
            dv = dx * vx + dy * vy + dz * vz
            xx, xy, xz = covariance[i, 0], covariance[i, 1], covariance[i, 2]
            yy, yz, zz = covariance[i, 3], covariance[i, 4], covariance[i, 5]
            # no splat is longer than its trace: most candidates end here
            if du * du + dv * dv > 12.0 * (xx + yy + zz + blur):
                continue
            sx = xx * ux + xy * uy + xz * uz
            sy = xy * ux + yy * uy + yz * uz
            sz = xz * ux + yz * uy + zz * uz
            suu = sx * ux + sy * uy + sz * uz + blur
            suv = sx * vx + sy * vy + sz * vz
            tx = xx * vx + xy * vy + xz * vz
            ty = xy * vx + yy * vy + yz * vz
            tz = xz * vx + yz * vy + zz * vz
            svv = tx * vx + ty * vy + tz * vz + blur
            det = suu * svv - suv * suv
            if det <= 0.0:
                continue
            power = 0.5 * (svv * du * du - 2.0 * suv * du * dv + suu * dv * dv) / det
            if power > 6.0:
                continue
            alpha = min(opacity[i] * np.exp(-power), 0.999)
            if alpha < 1.0 / 255.0:
                continue
            depth = dx * nx + dy * ny + dz * nz  # small is near the camera above
            k = found
            while k > 0 and depths[k - 1] > depth:
                depths[k] = depths[k - 1]
                alphas[k] = alphas[k - 1]
                order[k] = order[k - 1]
                k -= 1
            depths[k] = depth
            alphas[k] = alpha
            order[k] = i
            found += 1
        light = 1.0
        for k in range(found):
            weight = light * alphas[k]
            for c in range(channels):
                out[p, c] += weight * values[order[k], c]
            light *= 1.0 - alphas[k]
            if light < 1e-4:
                break
        total = 1.0 - light
        cover[p] = total
        if total > 0.0:
            for c in range(channels):
                out[p, c] /= total


@compiled(parallel=True)
def on_faces(values, faces, face, weights, out):  # type: ignore[no-untyped-def]
    """``out`` (P, C): values (V, C) of a mesh's vertices at points (P,) of its faces."""
    for p in numba.prange(face.shape[0]):
        a, b, c = faces[face[p], 0], faces[face[p], 1], faces[face[p], 2]
        for k in range(values.shape[1]):
            out[p, k] = (
                weights[p, 0] * values[a, k]
                + weights[p, 1] * values[b, k]
                + weights[p, 2] * values[c, k]
            )
