"""Hands in a photo with the toolkit's own networks: palms, crops, landmarks, a second look."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..core.types import Photo
from .crops import PALM_SCALE, Palm, crop_of_palm, second_look
from .inference import find_landmarks, find_palms
from .landmarks import CROP_SIZE
from .palm import PICTURE_SIZE
from .search import NEW_HAND, SAME_HAND, HandSearch, merge
from .skin_tiles import skin_tiles
from .source import Progress
from .touching import touching_hands
from .views import (
    Detection,
    View,
    cluster,
    consensus,
    distance,
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
MIN_LONELY_PALM = 0.5
"""Score of a palm without a hand around which turned crops are tried."""

MAX_LONELY = 4
SURE_PRESENCE = 0.75
"""Mean presence over the second look of a hand that no palm led to. Faces, arms and hair reach
.65 at most where the hands were painted out, hands that only turned crops show .95."""

PARTNER_PRESENCE = 0.6
"""The same beside a hand that was found so."""

GRID_SCALES = (0.9, 1.3, 0.6)
"""Edges of the crops that are tried all over a picture, in units of its shorter edge."""

MAX_TRIES, TRIES_AT_ONCE = 96, 16
"""Crops without a palm that are looked at, so that a picture without a hand ends in a second."""


WHOLE_PEOPLE, SKIN_TILES = 0.25, 5
"""Where no hand is larger than this part of the picture's longer edge, people are seen from farther
away, and so many tiles along that edge are searched that show their skin."""

LEAST_SIDE = 600
"""Pixels of the longer edge below which such tiles show nothing that the whole picture does not."""

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
        if not hands:
            hands = self.without_palms()
        elif len(hands) < self.max_hands:
            hands = self.small_hands(hands)
        return touching_hands(self, hands)

    def small_hands(self, hands: list[Detection]) -> list[Detection]:
        """The hands with those that fine tiles show where the skin of the known ones is seen."""
        largest = max(hand.size for hand in hands)
        if largest > WHOLE_PEOPLE * self.side or self.side < LEAST_SIDE:
            return hands
        views = skin_tiles(self.pyramid, hands, tile_views(self.photo.size, SKIN_TILES))
        seen = self.look(views)
        new = [d for d in seen if all(distance(d, hand) > NEW_HAND for hand in hands)]
        return merge(hands + self.confirm(new)) if new else hands

    def without_palms(self) -> list[Detection]:
        """Hands in crops that no palm led to; the likeliest crops first, and only so many."""
        views = [*self.views_around_palms(), *self.views_of_grid()][:MAX_TRIES]
        waiting: list[Detection] = []
        doubted: list[Detection] = []
        for start in range(0, len(views), TRIES_AT_ONCE):
            seen = find_landmarks(self.pyramid, views[start : start + TRIES_AT_ONCE])
            waiting += [d for d in seen if d.presence > MIN_PRESENCE]
            if any(d.presence > SURE_PRESENCE for d in waiting):
                hands = self.confirm(waiting, SURE_PRESENCE)
                if hands:
                    return self.with_partners(hands, doubted + waiting)
                doubted, waiting = doubted + waiting, []
        return self.confirm(waiting, SURE_PRESENCE)

    def with_partners(self, hands: list[Detection], doubted: list[Detection]) -> list[Detection]:
        """The hands with others that were seen on the way to them: where one is, another may be."""
        new = [d for d in doubted if all(distance(d, hand) > NEW_HAND for hand in hands)]
        return merge(hands + self.confirm(new, PARTNER_PRESENCE)) if new else hands

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

    def confirm(self, proposals: list[Detection], least: float = 0.0) -> list[Detection]:
        """Look at each proposed hand again in four crops of its own; keep those that stay.

        Args:
            proposals: what was seen.
            least: mean presence that the four crops must show, where no palm was found.
        """
        hands: list[Detection] = []
        for group in cluster(proposals)[:MAX_PROPOSALS]:
            hand = consensus(group)
            if any(distance(hand, other) < SAME_HAND for other in hands):
                continue
            again = self.look_again(hand)
            if again is None or again.presence < least:
                continue
            if all(distance(again, other) > SAME_HAND for other in hands):
                hands.append(again)
        return hands

    def look_again(self, hand: Detection) -> Detection | None:
        """The hand averaged over its own crops, or None where too few show it."""
        for _ in range(2):
            seen = find_landmarks(self.pyramid, second_look(hand.keypoints))
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
        views: list[View] = []
        for scale in GRID_SCALES:
            side = scale * size.min()
            counts = np.maximum(1, np.ceil((size - 0.5 * side) / (0.45 * side))).astype(int)
            places = [
                (x, y)
                for x in _spread(size[0], side, counts[0])
                for y in _spread(size[1], side, counts[1])
            ]
            places.sort(key=lambda place: math.dist(place, self.center))
            for place in places:
                views += [View(place, side, turn, size=CROP_SIZE) for turn in _turns(6)]
        return views


def _turns(count: int) -> list[float]:
    return [2 * math.pi * k / count for k in range(count)]


def _spread(length: float, side: float, count: int) -> list[float]:
    """Centres of ``count`` crops along an edge, the outer ones half a crop inside."""
    if count == 1:
        return [length / 2]
    return [float(v) for v in np.linspace(side / 2, length - side / 2, count)]


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
