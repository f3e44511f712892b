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

from __future__ import annotations

import numpy as np

from .jit import inline
from .project import RECORD, TILE_HEIGHT, TILE_WIDTH
from .vector import floor, sqrt

DIGIT = 12
BUCKETS = 1 << DIGIT
MAX_PASSES = 3
"""Three digits of 12 bits cover every difference of two float32 bit patterns."""

# Columns of the per-chunk statistics, int64.
VISIBLE, SLOTS, KEY_MIN, KEY_MAX = range(4)

_HALF = np.float32(0.5)
_ZERO = np.float32(0.0)
_EDGE = np.float32(1e-3)


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
def expand_chunk(
    start, stop, statistics, records, keys, tiles, key_min, width, height, columns,
    slot_start, slots, pairs,
):  # fmt: skip
    """Write the slots of splats start..stop and their (depth key, splat) pairs to be sorted."""
    slot = statistics[SLOTS]
    pair = statistics[VISIBLE]
    last_column = np.float32(width - 1)
    last_row = np.float32(height - 1)
    tile_w = np.float32(TILE_WIDTH)
    for g in range(start, stop):
        slot_start[g] = slot
        if tiles[g] <= 0:
            continue
        end = slot + tiles[g]
        pairs[pair] = np.uint64(keys[g] - key_min) << np.uint64(32) | np.uint64(g)
        pair += 1
        q = g * RECORD
        mx, my, rx, ry = records[q], records[q + 1], records[q + 10], records[q + 11]
        tilt, high, top = records[q + 12], records[q + 13], records[q + 14]
        first = int(max(-floor(rx - mx + _HALF), _ZERO)) // TILE_WIDTH
        last = int(min(floor(mx + rx - _HALF), last_column)) // TILE_WIDTH
        rx2 = rx * rx
        for column in range(first, last + 1):
            # The ellipse's highest and lowest point between the tile's outer pixel centres.
            left = max(np.float32(column) * tile_w + _HALF - mx, -rx)
            right = min(np.float32(column) * tile_w + tile_w - _HALF - mx, rx)
            t = min(max(top, left), right)
            upper = tilt * t + high * sqrt(max(rx2 - t * t, _ZERO)) + _EDGE
            t = min(max(-top, left), right)
            lower = tilt * t - high * sqrt(max(rx2 - t * t, _ZERO)) - _EDGE
            first_f = max(-floor(-(my + max(lower, -ry) - _HALF)), _ZERO)
            last_f = min(floor(my + min(upper, ry) - _HALF), last_row)
            if not first_f <= last_f:
                continue
            first_y = int(first_f)
            last_y = int(last_f)
            for row in range(first_y // TILE_HEIGHT, last_y // TILE_HEIGHT + 1):
                if slot < end:
                    low = max(first_y - row * TILE_HEIGHT, 0)
                    high_row = min(last_y - row * TILE_HEIGHT, TILE_HEIGHT - 1)
                    slots[slot, 0] = row * columns + column
                    slots[slot, 1] = low | (high_row << 8)
                    slot += 1
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
