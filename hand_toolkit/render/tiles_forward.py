"""Stage 3 of the CPU renderer: blend a tile's splats front to back, a row of 16 at a time.

The accumulators of one tile, 64 rows of five vectors, stay in the L1 cache::

    row y:  | transmittance | red | green | blue | depth |     80 floats, 64-byte aligned

For a row the exponent is a quadratic in y whose coefficients are vectors over the 16
pixels; exp(-8x) is a degree-4 polynomial in x raised to the eighth power. The picture is
planar, five planes (red, green, blue, depth, alpha) with rows padded to whole tiles.
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import math

import numpy as np

from .constants import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_MIN
from .jit import inline
from .project import RECORD, TILE_HEIGHT, TILE_WIDTH
from .vector import (
    broadcast,
    fma,
    lane_index,
    load_aligned,
    max_lanes,
    maximum,
    minimum,
    prefetch,
    select_le,
    store_aligned,
    store_streaming,
)

PLANES = 5
ROW = 5 * TILE_WIDTH
EXTRA_ROW = 3 * TILE_WIDTH
ENTRIES_PER_CHECK = 64
PREFETCH_AHEAD = 8

EXPONENT_MAX = np.float32(math.log(1.0 / ALPHA_MIN) / 8)
_ALPHA_MAX = np.float32(ALPHA_MAX)
_TRANSMITTANCE_MIN = np.float32(TRANSMITTANCE_MIN)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)


def _fit_exponential() -> tuple[np.float32, ...]:
    """Coefficients of exp(-x) on [0, ln(255)/8], least squares in relative error."""
    x = (np.cos(np.linspace(0, np.pi, 4001)) + 1) / 2 * float(EXPONENT_MAX) * 1.001
    basis = np.stack([x**k * np.exp(x) for k in range(5)], 1)
    solution = np.linalg.lstsq(basis, np.ones_like(x), rcond=None)[0]
    return tuple(np.float32(c) for c in solution)


E0, E1, E2, E3, E4 = _fit_exponential()


@inline
def alpha_of(x):
    """exp(-8x) where alpha counts (x up to ln(255)/8), else 0; works on rows and on scalars."""
    p = fma(fma(fma(fma(x, E4, E3), x, E2), x, E1), x, E0)
    p = p * p
    p = p * p
    p = p * p
    return select_le(x, EXPONENT_MAX, p, _ZERO)


@inline
def _store_pixels(image, p, plane, red, green, blue, depth, alpha, stream):
    """Write sixteen pixels of all planes; ``stream``: past the caches, for large pictures."""
    if stream:
        store_streaming(image, p, red)
        store_streaming(image, p + plane, green)
        store_streaming(image, p + 2 * plane, blue)
        store_streaming(image, p + 3 * plane, depth)
        store_streaming(image, p + 4 * plane, alpha)
    else:
        store_aligned(image, p, red)
        store_aligned(image, p + plane, green)
        store_aligned(image, p + 2 * plane, blue)
        store_aligned(image, p + 3 * plane, depth)
        store_aligned(image, p + 4 * plane, alpha)


@inline
def blend_tile(
    tile, first, last, columns, height, stride, entries, records, scratch, image, background,
    clean, stream,
):  # fmt: skip
    """Blend entries first..last of one tile into the planar image.

    clean: one flag per tile; set where the image already shows the bare background there.

    Returns:
        The end of the entries that were needed: the rest lies behind opaque pixels.
    """
    x0 = (tile % columns) * TILE_WIDTH
    y0 = (tile // columns) * TILE_HEIGHT
    rows = min(TILE_HEIGHT, height - y0)
    zero = broadcast(_ZERO)
    one = broadcast(_ONE)
    plane = height * stride
    if first == last:
        if clean[tile]:
            return last
        clean[tile] = 1
        red, green = broadcast(background[0]), broadcast(background[1])
        blue = broadcast(background[2])
        for y in range(rows):
            p = (y0 + y) * stride + x0
            _store_pixels(image, p, plane, red, green, blue, zero, zero, stream)
        return last
    clean[tile] = 0
    for y in range(rows):
        b = y * ROW
        store_aligned(scratch, b, one)
        store_aligned(scratch, b + 16, zero)
        store_aligned(scratch, b + 32, zero)
        store_aligned(scratch, b + 48, zero)
        store_aligned(scratch, b + 64, zero)
    pixel_x = lane_index() + (np.float32(x0) + _HALF)
    pixel_y = np.float32(y0) + _HALF
    alpha_max = broadcast(_ALPHA_MAX)
    needed = last
    for e in range(first, last):
        prefetch(records, entries[min(e + PREFETCH_AHEAD, last - 1), 0] * RECORD)
        q = entries[e, 0] * RECORD
        span = entries[e, 1]
        top = span & 255
        bottom = span >> 8
        dx = pixel_x - records[q]
        # The exponent of this row of pixels: constant + linear * dy + quadratic * dy².
        constant = fma(dx * records[q + 2], dx, broadcast(records[q + 5]))
        linear = dx * records[q + 3]
        quadratic = broadcast(records[q + 4])
        red, green = broadcast(records[q + 6]), broadcast(records[q + 7])
        blue, depth = broadcast(records[q + 8]), broadcast(records[q + 9])
        dy = broadcast(pixel_y + np.float32(top) - records[q + 1])
        for y in range(top, bottom + 1):
            b = y * ROW
            alpha = minimum(alpha_of(fma(fma(quadratic, dy, linear), dy, constant)), alpha_max)
            dy = dy + one
            transmittance = load_aligned(scratch, b)
            weight = alpha * transmittance
            store_aligned(scratch, b, transmittance - weight)
            store_aligned(scratch, b + 16, fma(weight, red, load_aligned(scratch, b + 16)))
            store_aligned(scratch, b + 32, fma(weight, green, load_aligned(scratch, b + 32)))
            store_aligned(scratch, b + 48, fma(weight, blue, load_aligned(scratch, b + 48)))
            store_aligned(scratch, b + 64, fma(weight, depth, load_aligned(scratch, b + 64)))
        if (e - first) % ENTRIES_PER_CHECK == ENTRIES_PER_CHECK - 1:
            clearest = load_aligned(scratch, 0)
            for y in range(1, rows):
                clearest = maximum(clearest, load_aligned(scratch, y * ROW))
            if max_lanes(clearest) < _TRANSMITTANCE_MIN:
                needed = e + 1
                break
    back0, back1, back2 = (
        broadcast(background[0]),
        broadcast(background[1]),
        broadcast(background[2]),
    )
    for y in range(rows):
        b = y * ROW
        transmittance = load_aligned(scratch, b)
        cover = one - transmittance
        depth = load_aligned(scratch, b + 64)
        _store_pixels(
            image,
            (y0 + y) * stride + x0,
            plane,
            fma(transmittance, back0, load_aligned(scratch, b + 16)),
            fma(transmittance, back1, load_aligned(scratch, b + 32)),
            fma(transmittance, back2, load_aligned(scratch, b + 48)),
            select_le(cover, zero, zero, depth / cover),
            cover,
            stream,
        )
    return needed


@inline
def trace_tile(
    tile, first, last, columns, width, height, stride, entries, records,
    scratch, median, ids,
):  # fmt: skip
    """Median depth and strongest splat of a tile's pixels, by a second walk over its list.

    The accumulators are, per row, transmittance, largest weight and its entry number, then
    the median depth in the fourth vector.
    """
    x0 = (tile % columns) * TILE_WIDTH
    y0 = (tile // columns) * TILE_HEIGHT
    rows = min(TILE_HEIGHT, height - y0)
    zero = broadcast(_ZERO)
    one = broadcast(_ONE)
    half = broadcast(_HALF)
    for y in range(rows):
        b = y * ROW
        store_aligned(scratch, b, one)
        store_aligned(scratch, b + 16, zero)
        store_aligned(scratch, b + 32, zero - one)
        store_aligned(scratch, b + 48, zero)
    pixel_x = lane_index() + (np.float32(x0) + _HALF)
    pixel_y = np.float32(y0) + _HALF
    alpha_max = broadcast(_ALPHA_MAX)
    for e in range(first, last):
        q = entries[e, 0] * RECORD
        span = entries[e, 1]
        top = span & 255
        bottom = span >> 8
        dx = pixel_x - records[q]
        constant = fma(dx * records[q + 2], dx, broadcast(records[q + 5]))
        linear = dx * records[q + 3]
        quadratic = broadcast(records[q + 4])
        depth = broadcast(records[q + 9])
        number = broadcast(np.float32(e - first))
        dy = broadcast(pixel_y + np.float32(top) - records[q + 1])
        for y in range(top, bottom + 1):
            b = y * ROW
            alpha = minimum(alpha_of(fma(fma(quadratic, dy, linear), dy, constant)), alpha_max)
            dy = dy + one
            transmittance = load_aligned(scratch, b)
            weight = alpha * transmittance
            store_aligned(scratch, b, transmittance - weight)
            best = load_aligned(scratch, b + 16)
            store_aligned(
                scratch, b + 32, select_le(weight, best, load_aligned(scratch, b + 32), number)
            )
            store_aligned(scratch, b + 16, maximum(weight, best))
            # The last splat that the pixel reached with more than half of its light.
            before = load_aligned(scratch, b + 48)
            reached = select_le(transmittance, half, before, depth)
            store_aligned(scratch, b + 48, select_le(alpha, zero, before, reached))
    for y in range(rows):
        for x in range(min(TILE_WIDTH, width - x0)):
            b = y * ROW + x
            p = (y0 + y) * stride + x0 + x
            median[p] = scratch[b + 48] if scratch[b] <= _HALF else _ZERO
            best_entry = int(scratch[b + 32])
            ids[p] = entries[first + best_entry, 0] if best_entry >= 0 else -1
