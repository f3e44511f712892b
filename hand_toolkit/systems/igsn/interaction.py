"""Which points touch something: neighbourhood overlap, IGSN Eq. 2."""

from __future__ import annotations

import numpy as np


def neighbourhoods(points: np.ndarray, count: int) -> np.ndarray:
    """(N, count) indices of the nearest other points of each of (N, 3) points."""
    from scipy.spatial import cKDTree

    return cKDTree(points).query(points, k=count + 1)[1][:, 1:]


def overlap_share(posed: np.ndarray, canonical: np.ndarray) -> np.ndarray:
    """(N,) share of the posed neighbours (N, K) that are canonical neighbours (N, K') too."""
    return (posed[:, :, None] == canonical[:, None, :]).any(2).mean(1)


def detect_interaction(
    posed_m: list[np.ndarray], rest_m: list[np.ndarray], neighbours: int, overlap: float
) -> list[np.ndarray]:
    """Which points of one or two hands interact, with the own hand or with the other.

    A point interacts when fewer than ``overlap`` of its K nearest neighbours on the posed
    hands are among its neighbours on the flat, interaction-free hands (Eq. 2, tau = overlap
    x K). The canonical neighbourhood is twice as large as the posed one, so that stretching
    and bending alone, which reorder near neighbours, do not count.

    Args:
        posed_m: one (D, 3) array of points per hand, metres, in one frame.
        rest_m: the same points on the flat hand, (D, 3) each.
        neighbours: K.
        overlap: tau / K.

    Returns:
        One (D,) bool array per hand.
    """
    canonical, start = [], 0
    for rest in rest_m:
        canonical.append(neighbourhoods(rest, min(2 * neighbours, len(rest) - 1)) + start)
        start += len(rest)
    posed = neighbourhoods(np.concatenate(posed_m), neighbours)
    share = overlap_share(posed, np.concatenate(canonical))
    return np.split(share < overlap, np.cumsum([len(p) for p in posed_m])[:-1])
