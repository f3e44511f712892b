"""Hands in a photo with the toolkit's own networks: palms, crops, landmarks, a second look."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..core.types import Photo
from .crops import PALM_SCALE, Palm, crop_of_palm, crop_of_points
from .inference import find_landmarks, find_palms
from .landmarks import CROP_SIZE
from .palm import PICTURE_SIZE
from .search import NEW_HAND, SAME_HAND, HandSearch, merge
from .source import Progress
from .views import (
    Detection,
    View,
    cluster,
    consensus,
    distance,
    hand_views,
    tile_views,
    turned_views,
)

MIN_PALM = 0.2
"""Score of a palm that is followed up; low, since the landmark network has the last word."""

MIN_PRESENCE = 0.5
"""Presence at which the landmark network calls a crop a hand."""

MIN_SEEN_AGAIN = 3
"""Of the four crops around a hand, so many must show it."""

MAX_PROPOSALS = 8
SECOND_LOOK_TURN = math.radians(15)
"""How far the crops of the second look are turned, as in :func:`views.hand_views`."""

SECOND_LOOK_SCALE = 0.92
"""Their size in units of the crop that MediaPipe follows a hand with; a tighter crop finds the
points better, a wider one the depths."""

MIN_LONELY_PALM = 0.5
"""Score of a palm without a hand around which turned crops are tried."""

MAX_LONELY = 4
SURE_PRESENCE = 0.75
"""Mean presence over the second look of a hand that no palm led to. Faces, arms and hair reach
.65 at most where the hands were painted out, hands that only turned crops show .95."""

GRID_SCALES = (0.6, 0.9, 1.3)
"""Edges of the crops that are tried all over a picture, in units of its shorter edge."""

FINE_TILES = {5: 2e6, 9: 12e6}
"""Tiles along the longer edge -> pixels above which a picture is searched in so many."""


class NetworkSearch(HandSearch):
    """A search with the palm network in each view and the landmark network around each palm."""

    def __init__(self, photo: Photo, max_hands: int, progress: Progress | None = None) -> None:
        super().__init__(photo, max_hands, progress)
        self.lonely: list[Palm] = []

    def first_views(self) -> list[View]:
        """The picture, and with a margin for hands that fill it, mirrored and not."""
        center, side = self.center, self.side
        return [View(center, side), View(center, 1.5 * side), View(center, 1.5 * side, mirror=True)]

    def rounds(self) -> list[tuple[list[View], float]]:
        """See :class:`HandSearch`."""
        size = self.photo.size
        rounds = [(tile_views(size, 2), 0.4), (tile_views(size, 3), 0.2), (turned_views(size), 0.0)]
        for parts, least in FINE_TILES.items():
            if size[0] * size[1] > least:
                rounds.append((tile_views(size, parts), 0.0))
        return rounds

    @property
    def center(self) -> tuple[float, float]:
        """Of the photo, pixels."""
        return self.photo.size[0] / 2, self.photo.size[1] / 2

    @property
    def side(self) -> float:
        """Longer edge of the photo, pixels."""
        return float(max(self.photo.size))

    def run(self) -> list[Detection]:
        """The hands; where no palm leads to one, crops are tried without palms."""
        hands = super().run()
        if 0 < len(hands) < self.max_hands:
            hands = merge(hands + self.beside(hands))
        for views in (self.views_around_palms, self.views_of_grid):
            if not hands:
                seen = find_landmarks(self.pyramid, views())
                hands = self.confirm([d for d in seen if d.presence > MIN_PRESENCE], sure=True)
        return hands

    def beside(self, hands: list[Detection]) -> list[Detection]:
        """Hands that touch known ones: closer views tell two palms apart."""
        views = [view for hand in hands for view in hand_views(hand)[:2]]
        new = [d for d in self.look(views) if all(distance(d, h) > NEW_HAND for h in hands)]
        return self.confirm(new, sure=True)

    def see(self, views: list[View]) -> list[Detection]:
        """See :class:`HandSearch`."""
        small = [replace(view, size=PICTURE_SIZE) for view in views]
        palms = [p for found in find_palms(self.pyramid, small, MIN_PALM) for p in found]
        palms = _apart(palms)
        seen = find_landmarks(self.pyramid, [crop_of_palm(palm) for palm in palms])
        hands = []
        for palm, hand in zip(palms, seen):
            if hand.presence > MIN_PRESENCE:
                hands.append(hand)
            elif palm.score > MIN_LONELY_PALM:
                self.lonely.append(palm)
        return hands

    def confirm(self, proposals: list[Detection], sure: bool = False) -> list[Detection]:
        """Look at each proposed hand again in four crops of its own; keep those that stay.

        Args:
            proposals: what was seen.
            sure: all four crops must show the hand surely, since no palm was found.
        """
        hands: list[Detection] = []
        for group in cluster(proposals)[:MAX_PROPOSALS]:
            hand = consensus(group)
            if any(distance(hand, other) < SAME_HAND for other in hands):
                continue
            again = self.look_again(hand)
            if again is None or (sure and again.presence < SURE_PRESENCE):
                continue
            if all(distance(again, other) > SAME_HAND for other in hands):
                hands.append(again)
        return hands

    def look_again(self, hand: Detection) -> Detection | None:
        """The hand averaged over its own crops, or None where too few show it."""
        for _ in range(2):
            seen = find_landmarks(self.pyramid, second_look(hand))
            good = [d for d in seen if d.presence > MIN_PRESENCE and distance(d, hand) < SAME_HAND]
            if len(good) >= MIN_SEEN_AGAIN:
                return replace(consensus(good), presence=float(np.mean([d.presence for d in seen])))
            if not good:
                return None
            hand = consensus(good)
        return None

    def views_around_palms(self) -> list[View]:
        """Crops in all directions around the best palms that showed no hand."""
        best = sorted(_apart(self.lonely), key=lambda p: -p.score)[:MAX_LONELY]
        return [
            View((palm.center[0], palm.center[1]), PALM_SCALE * palm.side, turn, size=CROP_SIZE)
            for palm in best
            for turn in _turns(12)
        ]

    def views_of_grid(self) -> list[View]:
        """Crops of three sizes in all directions all over the picture."""
        size = np.array(self.photo.size, dtype=float)
        views = []
        for scale in GRID_SCALES:
            side = scale * size.min()
            counts = np.maximum(1, np.ceil((size - 0.5 * side) / (0.45 * side))).astype(int)
            for x in _spread(size[0], side, counts[0]):
                for y in _spread(size[1], side, counts[1]):
                    views += [View((x, y), side, turn, size=CROP_SIZE) for turn in _turns(6)]
        return views


def _turns(count: int) -> list[float]:
    return [2 * math.pi * k / count for k in range(count)]


def _spread(length: float, side: float, count: int) -> list[float]:
    """Centres of ``count`` crops along an edge, the outer ones half a crop inside."""
    if count == 1:
        return [length / 2]
    return [float(v) for v in np.linspace(side / 2, length - side / 2, count)]


def second_look(hand: Detection) -> list[View]:
    """Four crops of a known hand: plain, mirrored and turned by 15 degrees both ways."""
    crop = crop_of_points(hand.keypoints)
    crop = replace(crop, side=SECOND_LOOK_SCALE * crop.side)
    turn = SECOND_LOOK_TURN
    # The mirror comes after the turn, so an upright hand stays upright in it.
    return [
        crop,
        replace(crop, mirror=True),
        replace(crop, angle=crop.angle + turn),
        replace(crop, angle=crop.angle - turn, mirror=True),
    ]


def _apart(palms: list[Palm]) -> list[Palm]:
    """One palm of those that lie on each other with one direction, the best."""
    kept: list[Palm] = []
    for palm in sorted(palms, key=lambda p: -p.score):
        if all(
            np.linalg.norm(palm.points - other.points, axis=1).mean() > 0.2 * other.side
            for other in kept
        ):
            kept.append(palm)
    return kept
