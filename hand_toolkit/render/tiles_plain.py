"""The tile loops without the vector type: one pixel at a time, any numba, with bounds checks.

Same arithmetic, data layout and results (to rounding) as ``tiles_forward`` and
``tiles_backward``, about ten times slower.
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import numpy as np

from .constants import ALPHA_MAX, TRANSMITTANCE_MIN
from .jit import inline
from .project import RECORD, TILE_HEIGHT, TILE_WIDTH
from .tiles_forward import ENTRIES_PER_CHECK, ROW, alpha_of

_ALPHA_MAX = np.float32(ALPHA_MAX)
_TRANSMITTANCE_MIN = np.float32(TRANSMITTANCE_MIN)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)


@inline
def _alpha_at(records, q, x, y):
    """Unclamped alpha of the record at q in the pixel whose centre is (x, y)."""
    dx = x - records[q]
    dy = y - records[q + 1]
    exponent = dx * records[q + 2] * dx + records[q + 5]
    return np.float32(
        alpha_of(np.float32((records[q + 4] * dy + dx * records[q + 3]) * dy + exponent))
    )


@inline
def blend_tile_plain(
    tile, first, last, columns, height, stride, entries, records, scratch, image, background,
    clean,
):  # fmt: skip
    """As ``blend_tile``."""
    x0 = (tile % columns) * TILE_WIDTH
    y0 = (tile // columns) * TILE_HEIGHT
    rows = min(TILE_HEIGHT, height - y0)
    plane = height * stride
    if first == last and clean[tile]:
        return last
    clean[tile] = first == last
    for y in range(rows):
        scratch[y * ROW : y * ROW + 16] = _ONE
        scratch[y * ROW + 16 : y * ROW + ROW] = _ZERO
    needed = last
    for e in range(first, last):
        q = entries[e, 0] * RECORD
        span = entries[e, 1]
        for y in range(span & 255, (span >> 8) + 1):
            for x in range(TILE_WIDTH):
                center_x = np.float32(x0 + x) + _HALF
                center_y = np.float32(y0 + y) + _HALF
                alpha = min(_alpha_at(records, q, center_x, center_y), _ALPHA_MAX)
                if alpha > _ZERO:
                    b = y * ROW + x
                    weight = alpha * scratch[b]
                    scratch[b] -= weight
                    for k in range(4):
                        scratch[b + 16 * (k + 1)] += weight * records[q + 6 + k]
        if (e - first) % ENTRIES_PER_CHECK == ENTRIES_PER_CHECK - 1:
            clearest = _ZERO
            for y in range(rows):
                for x in range(TILE_WIDTH):
                    clearest = max(clearest, scratch[y * ROW + x])
            if clearest < _TRANSMITTANCE_MIN:
                needed = e + 1
                break
    for y in range(rows):
        for x in range(TILE_WIDTH):
            b = y * ROW + x
            p = (y0 + y) * stride + x0 + x
            cover = _ONE - scratch[b]
            for k in range(3):
                image[p + k * plane] = scratch[b + 16 * (k + 1)] + scratch[b] * background[k]
            image[p + 3 * plane] = scratch[b + 64] / cover if cover > _ZERO else _ZERO
            image[p + 4 * plane] = cover
    return needed


@inline
def trace_tile_plain(
    tile, first, last, columns, width, height, stride, entries, records,
    scratch, median, ids,
):  # fmt: skip
    """As ``trace_tile``."""
    x0 = (tile % columns) * TILE_WIDTH
    y0 = (tile // columns) * TILE_HEIGHT
    for y in range(min(TILE_HEIGHT, height - y0)):
        for x in range(min(TILE_WIDTH, width - x0)):
            center_x = np.float32(x0 + x) + _HALF
            center_y = np.float32(y0 + y) + _HALF
            transmittance = _ONE
            best = _ZERO
            best_splat = -1
            middle = _ZERO
            for e in range(first, last):
                span = entries[e, 1]
                if y < (span & 255) or y > (span >> 8):
                    continue
                q = entries[e, 0] * RECORD
                alpha = min(_alpha_at(records, q, center_x, center_y), _ALPHA_MAX)
                if alpha > _ZERO:
                    if transmittance > _HALF:
                        middle = records[q + 9]
                    weight = alpha * transmittance
                    transmittance -= weight
                    if weight > best:
                        best = weight
                        best_splat = entries[e, 0]
            p = (y0 + y) * stride + x0 + x
            median[p] = middle if transmittance <= _HALF else _ZERO
            ids[p] = best_splat


@inline
def tile_gradients_plain(
    tile, first, last, columns, height, stride, entries, records,
    scratch, image, image_grad, entry_grads,
):  # fmt: skip
    """As ``tile_gradients``."""
    x0 = (tile % columns) * TILE_WIDTH
    y0 = (tile // columns) * TILE_HEIGHT
    rows = min(TILE_HEIGHT, height - y0)
    plane = height * stride
    for y in range(rows):
        for x in range(TILE_WIDTH):
            b = y * ROW + x
            p = (y0 + y) * stride + x0 + x
            depth = image[p + 3 * plane]
            cover = image[p + 4 * plane]
            g_sum = image_grad[p + 3 * plane] / cover if cover > _ZERO else _ZERO
            g_alpha = image_grad[p + 4 * plane] - g_sum * depth
            total = image_grad[p + 3 * plane] * depth - g_alpha * (_ONE - cover)
            for k in range(3):
                total += image_grad[p + k * plane] * image[p + k * plane]
            scratch[b] = _ONE
            scratch[b + 16] = total
            # g_sum is recomputed below: the plain rows hold five vectors, not six.
            for k in range(3):
                scratch[b + 16 * (k + 2)] = image_grad[p + k * plane]
    for e in range(first, last):
        q = entries[e, 0] * RECORD
        span = entries[e, 1]
        sums = entry_grads[e * RECORD : e * RECORD + RECORD]
        sums[:] = _ZERO
        for y in range(span & 255, (span >> 8) + 1):
            for x in range(TILE_WIDTH):
                center_x = np.float32(x0 + x) + _HALF
                center_y = np.float32(y0 + y) + _HALF
                free_alpha = _alpha_at(records, q, center_x, center_y)
                alpha = min(free_alpha, _ALPHA_MAX)
                if alpha <= _ZERO:
                    continue
                b = y * ROW + x
                p = (y0 + y) * stride + x0 + x
                cover = image[p + 4 * plane]
                g_sum = image_grad[p + 3 * plane] / cover if cover > _ZERO else _ZERO
                weight = alpha * scratch[b]
                scratch[b] -= weight
                shade = g_sum * records[q + 9]
                for k in range(3):
                    shade += scratch[b + 16 * (k + 2)] * records[q + 6 + k]
                    sums[k] += weight * scratch[b + 16 * (k + 2)]
                own = weight * shade
                scratch[b + 16] -= own
                sums[3] += weight * g_sum
                m = own - alpha * scratch[b + 16] / (_ONE - alpha)
                if free_alpha <= _ALPHA_MAX:
                    dx = center_x - records[q]
                    dy = center_y - records[q + 1]
                    sums[4] += m
                    sums[5] += m * dx
                    sums[6] += m * dx * dx
                    sums[7] += m * dy
                    sums[8] += m * dx * dy
                    sums[9] += m * dy * dy
