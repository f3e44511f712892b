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
    any_above,
    broadcast,
    fma,
    lane_index,
    load_aligned,
    maximum,
    minimum,
    prefetch,
    select_le,
    store_aligned,
    store_rgb8,
    store_streaming,
)

PLANES = 5
ROW = 5 * TILE_WIDTH
EXTRA_ROW = 3 * TILE_WIDTH
ENTRIES_PER_CHECK = 32
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
def all_rows(rows):
    """A bit for each of the tile's rows."""
    return np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - rows)


@inline
def row_mask(top, bottom):
    """Bits of rows top..bottom."""
    return all_rows(bottom - top + 1) << np.uint64(top)


@inline
def surviving_rows(scratch, row_size, rows, alive):
    """The rows of ``alive`` in which some pixel still lets light through.

    Behind an opaque surface whole rows die, and the splats that touch only those, such as
    the far side of a hand, cost nothing more.
    """
    threshold = broadcast(_TRANSMITTANCE_MIN)
    for y in range(rows):
        bit = np.uint64(1) << np.uint64(y)
        if alive & bit and not any_above(load_aligned(scratch, y * row_size), threshold):
            alive ^= bit
    return alive


@inline
def _fill_background(image, x0, y0, rows, stride, plane, background):
    """Write the rows of an empty tile, past the caches: nothing will read them soon."""
    zero = broadcast(_ZERO)
    red, green, blue = broadcast(background[0]), broadcast(background[1]), broadcast(background[2])
    for y in range(rows):
        p = (y0 + y) * stride + x0
        store_streaming(image, p, red)
        store_streaming(image, p + plane, green)
        store_streaming(image, p + 2 * plane, blue)
        store_streaming(image, p + 3 * plane, zero)
        store_streaming(image, p + 4 * plane, zero)


@inline
def _finish_row(scratch, b, background):
    """Colour over the background, depth and alpha of a blended row."""
    zero = broadcast(_ZERO)
    transmittance = load_aligned(scratch, b)
    cover = broadcast(_ONE) - transmittance
    return (
        fma(transmittance, broadcast(background[0]), load_aligned(scratch, b + 16)),
        fma(transmittance, broadcast(background[1]), load_aligned(scratch, b + 32)),
        fma(transmittance, broadcast(background[2]), load_aligned(scratch, b + 48)),
        select_le(cover, zero, zero, load_aligned(scratch, b + 64) / cover),
        cover,
    )


@inline
def _write_rows(scratch, image, x0, y0, rows, stride, plane, background):
    """Write a blended tile past the caches.

    Rows of a tile are far apart in the picture, so ordinary stores would first read each
    line from memory: six times slower in large pictures.
    """
    for y in range(rows):
        p = (y0 + y) * stride + x0
        red, green, blue, depth, cover = _finish_row(scratch, y * ROW, background)
        store_streaming(image, p, red)
        store_streaming(image, p + plane, green)
        store_streaming(image, p + 2 * plane, blue)
        store_streaming(image, p + 3 * plane, depth)
        store_streaming(image, p + 4 * plane, cover)


@inline
def _byte(value):
    """A colour in [0, 1] as a float in [0, 255], to be rounded towards zero."""
    scaled = fma(value, np.float32(255.0), broadcast(_HALF))
    return maximum(minimum(scaled, np.float32(255.0)), np.float32(0.0))


@inline
def _write_rows8(scratch, picture, x0, y0, rows, stride, background):
    """Write a blended tile to the interleaved 8-bit picture."""
    for y in range(rows):
        red, green, blue, _, _ = _finish_row(scratch, y * ROW, background)
        p = 3 * ((y0 + y) * stride + x0)
        store_rgb8(picture, p, _byte(red), _byte(green), _byte(blue))


@inline
def _fill_background8(picture, x0, y0, rows, stride, background):
    """Write the rows of an empty tile to the interleaved 8-bit picture."""
    red = _byte(broadcast(background[0]))
    green = _byte(broadcast(background[1]))
    blue = _byte(broadcast(background[2]))
    for y in range(rows):
        store_rgb8(picture, 3 * ((y0 + y) * stride + x0), red, green, blue)


@inline
def blend_tile(
    tile, first, last, columns, height, stride, entries, records, scratch, image, background,
    clean, picture,
):  # fmt: skip
    """Blend entries first..last of one tile into the planar image, or into the 8-bit picture.

    clean: one flag per tile; set where the image already shows the bare background there.
    picture: (height * stride * 3) uint8, written instead of the image unless it is empty.

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
        if len(picture) > 0:
            _fill_background8(picture, x0, y0, rows, stride, background)
        else:
            _fill_background(image, x0, y0, rows, stride, plane, background)
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
    alive = all_rows(rows)
    for e in range(first, last):
        prefetch(records, entries[min(e + PREFETCH_AHEAD, last - 1), 0] * RECORD)
        q = entries[e, 0] * RECORD
        span = entries[e, 1]
        top = span & 255
        bottom = span >> 8
        if alive & row_mask(top, bottom) == 0:
            continue
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
            alive = surviving_rows(scratch, ROW, rows, alive)
            if alive == 0:
                needed = e + 1
                break
    if len(picture) > 0:
        _write_rows8(scratch, picture, x0, y0, rows, stride, background)
    else:
        _write_rows(scratch, image, x0, y0, rows, stride, plane, background)
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
