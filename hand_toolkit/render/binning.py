"""Stage 2 of the CPU renderer: front-to-back order, and a list of splats for every tile.

The visible splats are sorted by depth, exactly and stably: the bits of a positive float
order like an integer, so a radix sort over the bits in which the frame's depths differ
needs no assumed depth range. Going through them in that order, each splat is written to
the tiles (16 x 64 pixels) that its ellipse touches, with the rows of the tile that it
covers. A counting sort by tile then gives the lists, still in depth order::

    splat order   [ 7 | 2 | 9 | ...      slot_start[splat] ─┐
    slots         [ (tile, rows) (tile, rows) | ...  <──────┘   -1: an empty slot
    tile_start    [ 0 | 12 | 12 | 40 | ...
    entries       [ (splat, rows) ... of tile 0 | ... of tile 1 | ...
    slot_entry    [ where each slot's entry went: the backward pass gathers through it
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import math

import numpy as np

from .jit import inline
from .project import RECORD, TILE_HEIGHT, TILE_WIDTH
from .vector import prefetch

DIGIT = 12
BUCKETS = 1 << DIGIT

_HALF = np.float32(0.5)


@inline
def sort_by_depth(count, keys, tiles, order, spare, histogram, slot_start):
    """Order the splats that touch tiles front to back; reserve their slots.

    Returns:
        The number of visible splats and of slots.
    """
    visible = 0
    smallest = np.uint32(0xFFFFFFFF)
    largest = np.uint32(0)
    for g in range(count):
        if tiles[g] > 0:
            order[visible] = g
            visible += 1
            smallest = min(smallest, keys[g])
            largest = max(largest, keys[g])
    difference = np.int64(largest) - np.int64(smallest) if visible else np.int64(0)
    shift = np.int64(0)
    base = np.int64(smallest)
    passes = 0
    while (difference >> shift) > 0 or passes % 2 == 1:
        source, target = (order, spare) if passes % 2 == 0 else (spare, order)
        histogram[:BUCKETS] = 0
        for j in range(visible):
            histogram[((np.int64(keys[source[j]]) - base) >> shift) & (BUCKETS - 1)] += 1
        total = 0
        for b in range(BUCKETS):
            here = histogram[b]
            histogram[b] = total
            total += here
        for j in range(visible):
            g = source[j]
            b = ((np.int64(keys[g]) - base) >> shift) & (BUCKETS - 1)
            target[histogram[b]] = g
            histogram[b] += 1
        shift += DIGIT
        passes += 1
    slots = np.int64(0)
    for j in range(visible):
        g = order[j]
        slot_start[g] = slots
        slots += tiles[g]
    return visible, slots


@inline
def expand_chunk(
    start, stop, visible, order, slot_start, records, width, height, columns,
    slot_tile, slot_rows, counts, tiles,
):  # fmt: skip
    """Write the tiles and rows that splats order[start:stop] cover; count them per tile."""
    counts[:] = 0
    tile_w = np.float32(TILE_WIDTH)
    zero = np.float32(0.0)
    for j in range(start, stop):
        prefetch(records, order[min(j + 8, visible - 1)] * RECORD)
        g = order[j]
        q = g * RECORD
        mx, my, rx, ry = records[q], records[q + 1], records[q + 10], records[q + 11]
        tilt, high, top = records[q + 12], records[q + 13], records[q + 14]
        first_x = int(max(math.ceil(mx - rx - _HALF), zero))
        last_x = int(min(math.floor(mx + rx - _HALF), np.float32(width - 1)))
        rx2 = rx * rx
        slot = slot_start[g]
        end = slot + tiles[g]
        for column in range(first_x // TILE_WIDTH, last_x // TILE_WIDTH + 1):
            left = max(np.float32(column) * tile_w + _HALF - mx, -rx)
            right = min(np.float32(column) * tile_w + tile_w - _HALF - mx, rx)
            t = min(max(top, left), right)
            upper = tilt * t + high * np.float32(math.sqrt(max(rx2 - t * t, zero)))
            t = min(max(-top, left), right)
            lower = tilt * t - high * np.float32(math.sqrt(max(rx2 - t * t, zero)))
            upper = min(upper, ry) + np.float32(1e-3)
            lower = max(lower, -ry) - np.float32(1e-3)
            first_f = max(math.ceil(my + lower - _HALF), zero)
            last_f = min(math.floor(my + upper - _HALF), np.float32(height - 1))
            if first_f > last_f:
                continue
            first_y = int(first_f)
            last_y = int(last_f)
            for row in range(first_y // TILE_HEIGHT, last_y // TILE_HEIGHT + 1):
                if slot < end:
                    low = max(first_y - row * TILE_HEIGHT, 0)
                    top_row = min(last_y - row * TILE_HEIGHT, TILE_HEIGHT - 1)
                    tile = row * columns + column
                    slot_tile[slot] = tile
                    slot_rows[slot] = low | (top_row << 8)
                    counts[tile] += 1
                    slot += 1
        while slot < end:
            slot_tile[slot] = -1
            slot += 1


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
    return total


@inline
def scatter_chunk(
    start, stop, order, slot_start, tiles, slot_tile, slot_rows, position,
    entry_splat, entry_rows, slot_entry,
):  # fmt: skip
    """Copy the slots of splats order[start:stop] to their tiles' lists."""
    for j in range(start, stop):
        g = order[j]
        first = slot_start[g]
        for slot in range(first, first + tiles[g]):
            tile = slot_tile[slot]
            if tile >= 0:
                p = position[tile]
                position[tile] = p + 1
                entry_splat[p] = g
                entry_rows[p] = slot_rows[slot]
                slot_entry[slot] = p
            else:
                slot_entry[slot] = -1


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
