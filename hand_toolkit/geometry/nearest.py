"""Distances to the nearest of many points, for queries that run along a picture.

A k-d tree asks anew for every pixel; here a pixel begins with what the one before it found, and
boxes of points that are farther away are passed over. Exact, and twenty times as fast for tens of
thousands of colours.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

LEAF = 64
"""Most points in a box."""


def nearest_distances(points: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """(M,) float32 distance of each query to the nearest point.

    Args:
        points: (N, D), at least one.
        queries: (M, D), best in an order in which neighbours are alike.
    """
    held = np.ascontiguousarray(points, np.float32)
    asked = np.ascontiguousarray(queries, np.float32)
    order = np.arange(len(held))
    starts: list[int] = []
    _split(held, order, 0, len(held), starts)
    ends = np.array([*starts[1:], len(held)])
    # every box has as many places; those left over repeat its last point
    places = np.minimum(np.arange(LEAF) + np.array(starts)[:, None], ends[:, None] - 1)
    boxes = np.ascontiguousarray(held[order[places]].transpose(0, 2, 1))
    low = np.ascontiguousarray(boxes.min(axis=2).T)
    high = np.ascontiguousarray(boxes.max(axis=2).T)
    out = np.empty(len(asked), np.float32)
    threads = os.cpu_count() or 1
    edges = np.linspace(0, len(asked), threads + 1).astype(int).tolist()
    look = _kernel()

    def part(first: int, last: int) -> None:
        look(boxes, low, high, asked[first:last], out[first:last])

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(part, edges[:-1], edges[1:]):
            pass
    return out


def _split(points: np.ndarray, order: np.ndarray, first: int, last: int, starts: list[int]) -> None:
    """Sort ``order`` so that runs of at most ``LEAF`` points lie in small boxes."""
    if last - first <= LEAF:
        starts.append(first)
        return
    run = order[first:last]
    here = points[run]
    axis = int(np.argmax(here.max(axis=0) - here.min(axis=0)))
    middle = (last - first) // 2
    order[first:last] = run[np.argpartition(here[:, axis], middle)]
    _split(points, order, first, first + middle, starts)
    _split(points, order, first + middle, last, starts)


@cache
def _kernel() -> Any:
    from ..core.jit import compiled

    return compiled(nogil=True, fastmath=True)(_look)


def _look(
    boxes: np.ndarray, low: np.ndarray, high: np.ndarray, queries: np.ndarray, out: np.ndarray
) -> None:
    """Fill ``out`` for ``queries``; boxes (B, D, LEAF) of points, their corners (D, B)."""
    count, width, places = boxes.shape
    away = np.empty(count, np.float32)
    far = np.empty(places, np.float32)
    box, place = 0, 0
    for n in range(queries.shape[0]):
        best = np.float32(0.0)
        for c in range(width):
            step = queries[n, c] - boxes[box, c, place]
            best += step * step
        away[:] = np.float32(0.0)
        for c in range(width):
            value = queries[n, c]
            for b in range(count):
                step = max(max(low[c, b] - value, value - high[c, b]), np.float32(0.0))
                away[b] += step * step
        for b in range(count):
            if away[b] >= best:
                continue
            far[:] = np.float32(0.0)
            for c in range(width):
                value = queries[n, c]
                for k in range(places):
                    step = value - boxes[b, c, k]
                    far[k] += step * step
            for k in range(places):
                if far[k] < best:
                    best, box, place = far[k], b, k
        out[n] = np.sqrt(best)
