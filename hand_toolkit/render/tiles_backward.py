"""Stage 4 of the CPU renderer: gradients of a tile's splats, again front to back.

Let s_i = dL/dcolour . colour_i + dL/ddepth . depth_i and w_i the weight of splat i in a
pixel. The light behind splat i contributes S_i = sum over j > i of w_j s_j plus the
background's share. All of S_0 is known from the finished picture, so one scalar per pixel,
reduced by w_i s_i at each splat, replaces a walk from back to front. Then::

    alpha_i * dL/dalpha_i = w_i s_i - alpha_i / (1 - alpha_i) * S_i

Each entry's ten sums over the tile's pixels are written to a record of its own and
gathered per splat later: no atomics, and the same order of additions every time::

    0 1 2 red green blue   3 depth   4 m   5 m dx   6 m dx²   7 m dy   8 m dx dy   9 m dy²

with m = alpha dL/dalpha. Accumulators of one tile row, 96 floats::

    | transmittance | S | dL/dred | dL/dgreen | dL/dblue | dL/ddepth |
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import numpy as np

from .constants import ALPHA_MAX
from .jit import inline
from .project import RECORD, TILE_HEIGHT, TILE_WIDTH
from .tiles_forward import (
    ENTRIES_PER_CHECK,
    PREFETCH_AHEAD,
    all_rows,
    alpha_of,
    row_mask,
    surviving_rows,
)
from .vector import (
    broadcast,
    fma,
    lane_index,
    load_aligned,
    minimum,
    prefetch,
    select_le,
    store_aligned,
    sum_lanes10,
)

ROW = 6 * TILE_WIDTH
_ALPHA_MAX = np.float32(ALPHA_MAX)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)


@inline
def tile_gradients(
    tile, first, last, columns, height, stride, entries, records,
    scratch, image, image_grad, entry_grads,
):  # fmt: skip
    """Write the ten sums of entries first..last of one tile."""
    x0 = (tile % columns) * TILE_WIDTH
    y0 = (tile // columns) * TILE_HEIGHT
    rows = min(TILE_HEIGHT, height - y0)
    plane = height * stride
    zero = broadcast(_ZERO)
    one = broadcast(_ONE)
    alpha_max = broadcast(_ALPHA_MAX)
    for y in range(rows):
        b = y * ROW
        p = (y0 + y) * stride + x0
        g_red = load_aligned(image_grad, p)
        g_green = load_aligned(image_grad, p + plane)
        g_blue = load_aligned(image_grad, p + 2 * plane)
        g_depth = load_aligned(image_grad, p + 3 * plane)
        g_alpha = load_aligned(image_grad, p + 4 * plane)
        depth = load_aligned(image, p + 3 * plane)
        cover = load_aligned(image, p + 4 * plane)
        # The depth is a weighted sum divided by alpha: to both goes a part of its gradient.
        g_sum = select_le(cover, zero, zero, g_depth / cover)
        g_alpha = g_alpha - g_sum * depth
        total = fma(g_red, load_aligned(image, p), g_depth * depth)
        total = fma(g_green, load_aligned(image, p + plane), total)
        total = fma(g_blue, load_aligned(image, p + 2 * plane), total)
        total = total - g_alpha * (one - cover)
        store_aligned(scratch, b, one)
        store_aligned(scratch, b + 16, total)
        store_aligned(scratch, b + 32, g_red)
        store_aligned(scratch, b + 48, g_green)
        store_aligned(scratch, b + 64, g_blue)
        store_aligned(scratch, b + 80, g_sum)
    pixel_x = lane_index() + (np.float32(x0) + _HALF)
    pixel_y = np.float32(y0) + _HALF
    alive = all_rows(rows)
    for e in range(first, last):
        prefetch(records, entries[min(e + PREFETCH_AHEAD, last - 1), 0] * RECORD)
        q = entries[e, 0] * RECORD
        span = entries[e, 1]
        top = span & 255
        bottom = span >> 8
        if alive & row_mask(top, bottom) == 0:
            store_aligned(entry_grads, e * RECORD, zero)
            continue
        dx = pixel_x - records[q]
        constant = fma(dx * records[q + 2], dx, broadcast(records[q + 5]))
        linear = dx * records[q + 3]
        quadratic = broadcast(records[q + 4])
        red, green = broadcast(records[q + 6]), broadcast(records[q + 7])
        blue, depth = broadcast(records[q + 8]), broadcast(records[q + 9])
        dy = broadcast(pixel_y + np.float32(top) - records[q + 1])
        sum_red = zero
        sum_green = zero
        sum_blue = zero
        sum_depth = zero
        sum_m = zero
        sum_my = zero
        sum_myy = zero
        for y in range(top, bottom + 1):
            b = y * ROW
            free_alpha = alpha_of(fma(fma(quadratic, dy, linear), dy, constant))
            alpha = minimum(free_alpha, alpha_max)
            transmittance = load_aligned(scratch, b)
            weight = alpha * transmittance
            store_aligned(scratch, b, transmittance - weight)
            g_red = load_aligned(scratch, b + 32)
            g_green = load_aligned(scratch, b + 48)
            g_blue = load_aligned(scratch, b + 64)
            g_depth = load_aligned(scratch, b + 80)
            shade = fma(g_red, red, fma(g_green, green, fma(g_blue, blue, g_depth * depth)))
            own = weight * shade
            behind = load_aligned(scratch, b + 16) - own
            store_aligned(scratch, b + 16, behind)
            m = own - alpha * behind / (one - alpha)
            # Where alpha was cut at its maximum it no longer depends on the splat.
            m = select_le(free_alpha, alpha_max, m, zero)
            sum_red = fma(weight, g_red, sum_red)
            sum_green = fma(weight, g_green, sum_green)
            sum_blue = fma(weight, g_blue, sum_blue)
            sum_depth = fma(weight, g_depth, sum_depth)
            sum_m = sum_m + m
            my = m * dy
            sum_my = sum_my + my
            sum_myy = fma(my, dy, sum_myy)
            dy = dy + one
        sum_mx = sum_m * dx
        sums = sum_lanes10(
            sum_red, sum_green, sum_blue, sum_depth, sum_m,
            sum_mx, sum_mx * dx, sum_my, sum_my * dx, sum_myy,
        )  # fmt: skip
        store_aligned(entry_grads, e * RECORD, sums)
        if (e - first) % ENTRIES_PER_CHECK == ENTRIES_PER_CHECK - 1:
            alive = surviving_rows(scratch, ROW, rows, alive)
