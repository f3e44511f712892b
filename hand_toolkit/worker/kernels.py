"""Compiled loops of the worker: numpy takes 150 ms for what these do to a 1080p frame in 10."""

from __future__ import annotations

import numpy as np

from ..core.jit import compiled


@compiled(nogil=True, fastmath=True)
def encode(  # type: ignore[no-untyped-def]
    color, alpha, mean_depth, fringe, transparent, ground, table, far, shown, pixels, depth
):
    """Fill ``pixels`` (H, W, 4) and ``depth`` (H, W), bottom row first, from top-row-first input.

    Args:
        color: (H, W, 3) sRGB with the background blended in (black where ``transparent``).
        alpha, mean_depth: (H, W) of the splats.
        fringe: splats this much before the skin, metres, belong to another finger that they
            overhang by a pixel or two, and the skin there is hidden.
        transparent: divide by alpha before decoding and multiply after.
        ground: (4,) pixel where no hand is.
        table: (N + 1,) sRGB decoding of 0 to 1.
        far: depth of pixels below ``shown`` alpha.
        shown: see ``far``.
        pixels: output.
        depth: that of the skin's mesh, ``far`` outside it; in and out.
    """
    height, width = alpha.shape
    steps = np.float32(len(table) - 1)
    least = np.float32(1e-4) if transparent else np.float32(0.0)
    for y in range(height):
        row = height - 1 - y
        for x in range(width):
            a = alpha[y, x]
            if a < shown:
                depth[row, x] = far
            elif depth[row, x] >= mean_depth[y, x] + fringe:
                depth[row, x] = mean_depth[y, x]
            if a <= least:
                pixels[row, x, 0] = ground[0]
                pixels[row, x, 1] = ground[1]
                pixels[row, x, 2] = ground[2]
                pixels[row, x, 3] = ground[3]
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


@compiled(nogil=True)
def count_visible(skin, before, mean_depth, factor, contact, trim, share):  # type: ignore[no-untyped-def]
    """Fill ``share`` (H, W) with the part of each pixel's hand that nothing hides.

    Args:
        skin, before: (factor H, factor W) depth of the hands' meshes and of what may hide them,
            infinite where there is none.
        mean_depth: (H, W) of the splats, which stands in where the mesh ends.
        factor: samples along each side of a pixel.
        contact: metres by which something before the skin does not hide it.
        trim: count nothing beyond the mesh.
        share: output.
    """
    height, width = share.shape
    for y in range(height):
        for x in range(width):
            on_skin = 0
            skin_seen = 0
            off_seen = 0
            splat = mean_depth[y, x]
            for i in range(y * factor, (y + 1) * factor):
                for j in range(x * factor, (x + 1) * factor):
                    wall = before[i, j]
                    if np.isfinite(skin[i, j]):
                        on_skin += 1
                        if skin[i, j] <= wall + contact:
                            skin_seen += 1
                    elif not np.isfinite(wall) or splat <= wall + contact:
                        off_seen += 1
            total = factor * factor
            # Splats fill a pixel that the mesh only grazes; the samples on the mesh know best.
            if trim:
                share[y, x] = skin_seen / total
            elif on_skin * 4 >= total:
                share[y, x] = skin_seen / on_skin
            else:
                share[y, x] = (skin_seen + off_seen) / total
