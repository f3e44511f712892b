"""Second thoughts about hands that are in doubt: looked for anew around the pixels they own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .confidence import confidence
from .inference import find_landmarks
from .landmarks import CROP_SIZE
from .owners import Owners, compare, owners_of
from .views import View, cluster, consensus

if TYPE_CHECKING:
    from .finder import NetworkSearch

DOUBT_SIDE = 0.6
"""Score of the side, below which the crops of a hand call it now right, now left."""

DOUBT = 0.7
"""Confidence below which a hand is looked for anew."""

TURNS, SCALES = 12, (1.2, 1.5)
"""Crops around a hand's pixels: directions, and edges in units of the longer edge of their box."""

MIN_PRESENCE = 0.5
MAX_PROPOSALS = 2

LEAST_SHARED = 0.5
"""Intersection over union of what the maps of the hand and of its mended self call their own."""

SURER = 0.1
"""Confidence that mended keypoints must have above the old ones."""


def in_doubt(owners: Owners) -> bool:
    """Whether the hand's side or keypoints may be mistaken."""
    return owners.hand.score < DOUBT_SIDE or confidence(owners) < DOUBT


def mended(search: NetworkSearch, owners: Owners) -> Owners:
    """The same hand with surer keypoints, where crops around its pixels show them.

    A second look follows the keypoints of the first, so a hand that was first seen in too tight a
    crop keeps its wrist in the middle of the palm; its class map shows all of it nevertheless.

    Args:
        search: of the photo.
        owners: a hand, in doubt.
    """
    points = owners.own_points
    if not len(points):
        return owners
    seen = find_landmarks(search.pyramid, views_around(points))
    best, least = owners, confidence(owners) + SURER
    for group in cluster([d for d in seen if d.presence > MIN_PRESENCE])[:MAX_PROPOSALS]:
        again = search.look_again(consensus(group))
        if again is None:
            continue
        judged = owners_of(search.pyramid, again)
        sure = confidence(judged)
        if sure > least and compare(owners, judged).same_own > LEAST_SHARED:
            best, least = judged, sure
    return best


def views_around(points: np.ndarray) -> list[View]:
    """Crops in all directions around (N, 2) photo pixels of a hand."""
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (low + high) / 2
    side = float((high - low).max())
    return [
        View((float(x), float(y)), scale * side, 2 * math.pi * k / TURNS, bool(k % 2), CROP_SIZE)
        for scale in SCALES
        for k in range(TURNS)
    ]
