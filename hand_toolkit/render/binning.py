"""Stage 2 of the CPU renderer: front-to-back order, and a list of splats for every tile.

Splats are visited in index order to find which tiles (16 x 64 pixels) their ellipses touch
and which rows of those they cover; each finding is a slot. Independently the visible splats
are sorted by depth, exactly and stably: the bits of a positive float order like an integer,
so a radix sort over the bits in which the frame's depths differ needs no assumed depth
range. Copying the slots in depth order to their tiles (a counting sort) gives the lists::

    slot_start    [ 0 | 2 | 5 | ...                        by splat; the end is the next start
    slots         [ (tile, rows) (tile, rows) | ...        tile -1: an empty slot
    order         [ 7 | 2 | 9 | ...                        splats front to back
    tile_start    [ 0 | 12 | 12 | 40 | ...
    entries       [ (splat, rows) ... of tile 0 | ... of tile 1 | ...
    slot_entry    [ where each slot's entry went           the backward pass gathers through it

Every pass works on chunks that threads claim. Counts are kept per chunk and turned into
positions by one thread, so the lists do not depend on the number of chunks or threads.
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import numpy as np

from .jit import inline
from .project import RECORD, TILE_HEIGHT, TILE_WIDTH
from .vector import (
    VECTOR,
    floor,
    fma,
    like,
    load_transposed,
    maximum,
    minimum,
    sqrt,
    store_integers,
)

DIGIT = 12
BUCKETS = 1 << DIGIT
MAX_PASSES = 3
"""Three digits of 12 bits cover every difference of two float32 bit patterns."""

# Columns of the per-chunk statistics, int64.
VISIBLE, SLOTS, KEY_MIN, KEY_MAX = range(4)

_HALF = np.float32(0.5)
_ZERO = np.float32(0.0)
_EDGE = np.float32(1e-3)
"""Pixels added to a span, so that rounding never loses an edge row."""


@inline
def chunk_statistics(start, stop, keys, tiles, statistics):
    """Visible splats, slots, and smallest and largest depth key of one chunk."""
    visible = 0
    slots = 0
    low = np.uint32(0xFFFFFFFF)
    high = np.uint32(0)
    for g in range(start, stop):
        if tiles[g] > 0:
            visible += 1
            slots += tiles[g]
            low = min(low, keys[g])
            high = max(high, keys[g])
    statistics[VISIBLE] = visible
    statistics[SLOTS] = slots
    statistics[KEY_MIN] = low
    statistics[KEY_MAX] = high


@inline
def sum_statistics(chunks, statistics, totals):
    """Turn counts per chunk into starts; ``totals`` gets the sums and the key range."""
    visible = 0
    slots = 0
    low = np.int64(0xFFFFFFFF)
    high = np.int64(0)
    for c in range(chunks):
        here_visible, here_slots = statistics[c, VISIBLE], statistics[c, SLOTS]
        low = min(low, statistics[c, KEY_MIN])
        high = max(high, statistics[c, KEY_MAX])
        statistics[c, VISIBLE] = visible
        statistics[c, SLOTS] = slots
        visible += here_visible
        slots += here_slots
    totals[VISIBLE] = visible
    totals[SLOTS] = slots
    totals[KEY_MIN] = min(low, high)
    totals[KEY_MAX] = high


@inline
def _column_span(column, last_row, mx, my, rx, ry, tilt, high, top):
    """First and last row, as floats, that an ellipse covers in a tile column; or of sixteen.

    first > last where it covers none.
    """
    zero = like(mx, _ZERO)
    # The ellipse's highest and lowest point between the column's outer pixel centres.
    left = maximum(column * np.float32(TILE_WIDTH) + _HALF - mx, zero - rx)
    right = minimum(column * np.float32(TILE_WIDTH) + np.float32(TILE_WIDTH - 0.5) - mx, rx)
    rx2 = rx * rx
    t = minimum(maximum(top, left), right)
    upper = fma(tilt, t, high * sqrt(maximum(rx2 - t * t, zero))) + _EDGE
    t = minimum(maximum(zero - top, left), right)
    lower = fma(tilt, t, zero - high * sqrt(maximum(rx2 - t * t, zero))) - _EDGE
    first = maximum(zero - floor(_HALF - my - maximum(lower, zero - ry)), zero)
    last = minimum(floor(my + minimum(upper, ry) - _HALF), last_row)
    return first, last


@inline
def _columns_of(last_column, mx, rx):
    """First and last tile column, as floats, that an ellipse's bounding box touches."""
    zero = like(mx, _ZERO)
    first = maximum(zero - floor(rx - mx + _HALF), zero)
    last = minimum(floor(mx + rx - _HALF), last_column)
    scale = np.float32(1.0 / TILE_WIDTH)
    return floor(first * scale), floor(last * scale)


@inline
def _emit(first_y, last_y, column, columns, slot, end, slots):
    """Write the slots of one splat in one tile column; returns the next free slot."""
    for row in range(first_y // TILE_HEIGHT, last_y // TILE_HEIGHT + 1):
        if slot < end:
            low = max(first_y - row * TILE_HEIGHT, 0)
            high = min(last_y - row * TILE_HEIGHT, TILE_HEIGHT - 1)
            slots[slot, 0] = row * columns + column
            slots[slot, 1] = low | (high << 8)
            slot += 1
    return slot


@inline
def _spans_ahead(i, last_column, last_row, records, spans):
    """First and last tile column of sixteen splats, and the rows in the first two columns.

    spans: (6, 16) int32.
    """
    t = load_transposed(records, i * RECORD)
    mx, my, rx, ry, tilt, high, top = t[0], t[1], t[10], t[11], t[12], t[13], t[14]
    first, last = _columns_of(last_column, mx, rx)
    low0, high0 = _column_span(first, last_row, mx, my, rx, ry, tilt, high, top)
    low1, high1 = _column_span(first + np.float32(1.0), last_row, mx, my, rx, ry, tilt, high, top)
    store_integers(spans, 0, first)
    store_integers(spans, 16, last)
    store_integers(spans, 32, low0)
    store_integers(spans, 48, high0)
    store_integers(spans, 64, low1)
    store_integers(spans, 80, high1)


@inline
def expand_chunk(
    start, stop, statistics, records, keys, tiles, key_min, width, height, columns,
    slot_start, slots, pairs,
):  # fmt: skip
    """Write the slots of splats start..stop and their (depth key, splat) pairs to be sorted."""
    slot = statistics[SLOTS]
    pair = statistics[VISIBLE]
    last_column = np.float32(width - 1)
    last_row = np.float32(height - 1)
    spans = np.empty(96, np.int32)
    for g in range(start, stop):
        lane = g % 16
        if VECTOR and lane == 0:
            _spans_ahead(g, last_column, last_row, records, spans)
        slot_start[g] = slot
        if tiles[g] <= 0:
            continue
        end = slot + tiles[g]
        pairs[pair] = np.uint64(keys[g] - key_min) << np.uint64(32) | np.uint64(g)
        pair += 1
        q = g * RECORD
        mx, my, rx, ry = records[q], records[q + 1], records[q + 10], records[q + 11]
        tilt, high, top = records[q + 12], records[q + 13], records[q + 14]
        if VECTOR:
            column = np.int64(spans[lane])
            last = np.int64(spans[16 + lane])
            if spans[32 + lane] <= spans[48 + lane]:
                slot = _emit(spans[32 + lane], spans[48 + lane], column, columns, slot, end, slots)
            if column < last and spans[64 + lane] <= spans[80 + lane]:
                slot = _emit(
                    spans[64 + lane], spans[80 + lane], column + 1, columns, slot, end, slots
                )
            column += 2
        else:
            first_f, last_f = _columns_of(last_column, mx, rx)
            column = int(first_f)
            last = int(last_f)
        while column <= last:
            low_f, high_f = _column_span(
                np.float32(column), last_row, mx, my, rx, ry, tilt, high, top
            )
            if low_f <= high_f:
                slot = _emit(int(low_f), int(high_f), column, columns, slot, end, slots)
            column += 1
        while slot < end:
            slots[slot, 0] = -1
            slot += 1


@inline
def count_digits(start, stop, pairs, shift, counts):
    """Histogram of one digit of the keys over pairs start..stop."""
    counts[:BUCKETS] = 0
    for j in range(start, stop):
        counts[np.int64(pairs[j] >> shift) & (BUCKETS - 1)] += 1


@inline
def place_digits(chunks, counts):
    """Turn counts per (chunk, digit) into where each chunk puts its next pair of that digit."""
    total = 0
    for b in range(BUCKETS):
        for c in range(chunks):
            here = counts[c, b]
            counts[c, b] = total
            total += here


@inline
def move_pairs(start, stop, source, target, shift, counts):
    """One stable pass of the radix sort over pairs start..stop."""
    for j in range(start, stop):
        pair = source[j]
        b = np.int64(pair >> shift) & (BUCKETS - 1)
        target[counts[b]] = pair
        counts[b] += 1


@inline
def count_tiles(start, stop, pairs, slot_start, slots, counts):
    """Entries per tile from the splats of pairs start..stop."""
    counts[:] = 0
    for j in range(start, stop):
        g = np.int64(pairs[j] & np.uint64(0xFFFFFFFF))
        for slot in range(slot_start[g], slot_start[g + 1]):
            tile = slots[slot, 0]
            if tile >= 0:
                counts[tile] += 1


@inline
def place_lists(tile_count, counts, tile_start):
    """Turn counts per (chunk, tile) into where each chunk writes; fill ``tile_start``."""
    total = 0
    for tile in range(tile_count):
        tile_start[tile] = total
        for chunk in range(counts.shape[0]):
            here = counts[chunk, tile]
            counts[chunk, tile] = total
            total += here
    tile_start[tile_count] = total


@inline
def scatter_chunk(start, stop, pairs, slot_start, slots, position, entries, slot_entry, keep):
    """Copy the slots of the splats of pairs start..stop to their tiles' lists.

    keep: also fill ``slot_entry``, for the backward pass.
    """
    for j in range(start, stop):
        g = np.int64(pairs[j] & np.uint64(0xFFFFFFFF))
        for slot in range(slot_start[g], slot_start[g + 1]):
            tile = slots[slot, 0]
            if tile >= 0:
                p = position[tile]
                position[tile] = p + 1
                entries[p, 0] = g
                entries[p, 1] = slots[slot, 1]
                if keep:
                    slot_entry[slot] = p


@inline
def split_tiles(tile_count, tile_start, chunks, bounds):
    """Cut the tiles into contiguous ranges of about equal work.

    A tile costs its entries plus a constant for clearing and writing its pixels.
    """
    constant = TILE_HEIGHT // 4
    total = tile_start[tile_count] + constant * tile_count
    k = 1
    bounds[0] = 0
    for tile in range(tile_count):
        while k < chunks and (tile_start[tile] + constant * tile) * chunks >= total * k:
            bounds[k] = tile
            k += 1
    while k <= chunks:
        bounds[k] = tile_count
        k += 1
