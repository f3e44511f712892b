"""Lower bounds for a rasterizer of this arithmetic: the row loop alone, its data in the L1.

The loops below do per row of sixteen pixels what ``tiles_forward`` and ``tiles_backward`` do,
on 64 made-up splats of eight rows each: no projection, sorting, lists, memory traffic,
mispredicted loop ends or final sums.
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from hand_toolkit.render.cpu import CpuRasterizer
from hand_toolkit.render.frame import aligned_zeros
from hand_toolkit.render.jit import MATH_FLAGS
from hand_toolkit.render.project import RECORD
from hand_toolkit.render.tiles_forward import EXPONENT_MAX, alpha_of
from hand_toolkit.render.vector import (
    broadcast,
    fma,
    lane_index,
    load_aligned,
    minimum,
    select_le,
    store_aligned,
)

ROWS = 8
_MAX = np.float32(0.999)


@numba.njit(nogil=True, error_model="numpy", fastmath=MATH_FLAGS)
def _forward_rows(rows, splats, scratch):
    one = broadcast(np.float32(1.0))
    alpha_max = broadcast(_MAX)
    for e in range(rows // ROWS):
        if e % 1024 == 0:
            for y in range(64):
                store_aligned(scratch, 80 * y, one)
        q = e % 64 * 16
        dx = lane_index() - splats[q]
        constant = fma(dx * splats[q + 1], dx, broadcast(splats[q + 2]))
        linear = dx * splats[q + 3]
        quadratic = broadcast(splats[q + 4])
        red, green = broadcast(splats[q + 6]), broadcast(splats[q + 7])
        blue, depth = broadcast(splats[q + 8]), broadcast(splats[q + 9])
        dy = broadcast(splats[q + 5])
        top = e * ROWS % 64
        for y in range(top, top + ROWS):
            b = 80 * y
            alpha = minimum(alpha_of(fma(fma(quadratic, dy, linear), dy, constant)), alpha_max)
            dy = dy + one
            transmittance = load_aligned(scratch, b)
            weight = alpha * transmittance
            store_aligned(scratch, b, transmittance - weight)
            store_aligned(scratch, b + 16, fma(weight, red, load_aligned(scratch, b + 16)))
            store_aligned(scratch, b + 32, fma(weight, green, load_aligned(scratch, b + 32)))
            store_aligned(scratch, b + 48, fma(weight, blue, load_aligned(scratch, b + 48)))
            store_aligned(scratch, b + 64, fma(weight, depth, load_aligned(scratch, b + 64)))


@numba.njit(nogil=True, error_model="numpy", fastmath=MATH_FLAGS)
def _backward_rows(rows, splats, scratch, out):
    one = broadcast(np.float32(1.0))
    zero = broadcast(np.float32(0.0))
    alpha_max = broadcast(_MAX)
    sums = zero
    for e in range(rows // ROWS):
        if e % 1024 == 0:
            for y in range(64):
                store_aligned(scratch, 96 * y, one)
        q = e % 64 * 16
        dx = lane_index() - splats[q]
        constant = fma(dx * splats[q + 1], dx, broadcast(splats[q + 2]))
        linear = dx * splats[q + 3]
        quadratic = broadcast(splats[q + 4])
        red, green = broadcast(splats[q + 6]), broadcast(splats[q + 7])
        blue, depth = broadcast(splats[q + 8]), broadcast(splats[q + 9])
        dy = broadcast(splats[q + 5])
        s_red = s_green = s_blue = s_depth = s_m = s_my = s_myy = zero
        top = e * ROWS % 64
        for y in range(top, top + ROWS):
            b = 96 * y
            free = alpha_of(fma(fma(quadratic, dy, linear), dy, constant))
            alpha = minimum(free, alpha_max)
            transmittance = load_aligned(scratch, b)
            weight = alpha * transmittance
            store_aligned(scratch, b, transmittance - weight)
            g_red, g_green = load_aligned(scratch, b + 32), load_aligned(scratch, b + 48)
            g_blue, g_depth = load_aligned(scratch, b + 64), load_aligned(scratch, b + 80)
            own = weight * fma(g_red, red, fma(g_green, green, fma(g_blue, blue, g_depth * depth)))
            behind = load_aligned(scratch, b + 16) - own
            store_aligned(scratch, b + 16, behind)
            m = select_le(free, alpha_max, own - alpha * behind / (one - alpha), zero)
            s_red = fma(weight, g_red, s_red)
            s_green = fma(weight, g_green, s_green)
            s_blue = fma(weight, g_blue, s_blue)
            s_depth = fma(weight, g_depth, s_depth)
            s_m = s_m + m
            my = m * dy
            s_my = s_my + my
            s_myy = fma(my, dy, s_myy)
            dy = dy + one
        sums = sums + s_red + s_green + s_blue + s_depth + s_m + s_my + s_myy
    store_aligned(out, 0, sums)


@numba.njit(nogil=True, error_model="numpy", fastmath=MATH_FLAGS)
def _count_pairs(tiles, starts, columns, height, entries, records):
    pairs = 0
    for tile in range(tiles):
        x0, y0 = tile % columns * 16, tile // columns * 64
        for e in range(starts[tile], starts[tile + 1]):
            q = entries[e, 0] * RECORD
            span = entries[e, 1]
            for y in range(span & 255, (span >> 8) + 1):
                dy = np.float32(y0 + y) + np.float32(0.5) - records[q + 1]
                for x in range(16):
                    dx = np.float32(x0 + x) + np.float32(0.5) - records[q]
                    exponent = dx * records[q + 2] * dx + records[q + 5]
                    if (records[q + 4] * dy + dx * records[q + 3]) * dy + exponent <= EXPONENT_MAX:
                        pairs += 1
    return pairs


def work_of(rasterizer: CpuRasterizer) -> tuple[int, int]:
    """Row vectors in the tile lists of the last frame, and splat-pixel pairs with α ≥ 1/255."""
    window = rasterizer._drawn[0].window
    starts = rasterizer._room("tile_start", 0)
    entries = rasterizer._entries(0)
    spans = entries[: starts[window.tiles], 1]
    rows = int(((spans >> 8) - (spans & 255) + 1).sum())
    records = rasterizer._room("records", 0)
    pairs = _count_pairs(window.tiles, starts, window.columns, window.height, entries, records)
    return rows, int(pairs)


class Floor:
    """Times the bare loops on a number of threads."""

    def __init__(self, threads: int) -> None:
        rng = np.random.default_rng(0)
        splats = np.zeros((64, 16), np.float32)
        splats[:, 0] = rng.uniform(3, 13, 64)
        splats[:, 1], splats[:, 2], splats[:, 3], splats[:, 4] = 2e-4, 0.675, 1e-4, 2e-4
        splats[:, 5] = rng.uniform(-4.5, -3.5, 64)
        splats[:, 6:10] = rng.random((64, 4))
        self._splats = splats.ravel()
        self._rooms = [aligned_zeros(64 * 96) for _ in range(threads)]
        for room in self._rooms:
            room[:] = 0.5
        self._outs = [aligned_zeros(16) for _ in range(threads)]
        self._pool = ThreadPoolExecutor(threads)
        self.seconds(1024, backward=True)

    def seconds(self, rows: int, backward: bool) -> float:
        """Wall time of ``rows`` row vectors, forward or forward and backward."""
        share = rows // len(self._rooms)
        start = time.perf_counter()

        def work(k: int) -> None:
            _forward_rows(share, self._splats, self._rooms[k])
            if backward:
                _backward_rows(share, self._splats, self._rooms[k], self._outs[k])

        list(self._pool.map(work, range(len(self._rooms))))
        return time.perf_counter() - start
