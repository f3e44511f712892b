"""The search of one photo for hands, whatever detector looks at its views."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..core.types import Photo
from .source import Progress
from .views import Detection, View, build_pyramid, distance, tile_views, turned_views, whole_views

SAME_HAND = 0.25
"""Detections nearer than this, in units of the hand's size, show one hand."""

NEW_HAND = 0.3
"""A proposal farther than this from every known hand is a new one."""


class HandSearch(ABC):
    """One photo's search: the whole picture, then tiles of it, then turned views.

    Args:
        photo: the picture.
        max_hands: the search ends with so many.
        progress: told how far it is.

    Attributes:
        pyramid: the photo and its halvings.
    """

    def __init__(self, photo: Photo, max_hands: int, progress: Progress | None) -> None:
        self.photo = photo
        self.pyramid = build_pyramid(photo.pixels)
        self.max_hands = max_hands
        self.progress = progress or (lambda done, what: None)

    @abstractmethod
    def see(self, views: list[View]) -> list[Detection]:
        """Everything that the detector sees in the views, in photo pixels."""

    @abstractmethod
    def confirm(self, proposals: list[Detection]) -> list[Detection]:
        """The hands among the proposals that stay when one looks at each again."""

    def first_views(self) -> list[View]:
        """Views of the whole picture that are looked at first."""
        return whole_views(self.photo.size)

    def rounds(self) -> list[tuple[list[View], float]]:
        """Closer looks in turn, each with its limit.

        A closer look costs time; it is for hands smaller than the largest that was found, so it
        is left out where that is larger than the limit, in units of the picture's longer edge.
        """
        size = self.photo.size
        return [(tile_views(size, 2), 0.4), (tile_views(size, 3), 0.2), (turned_views(size), 0.0)]

    def run(self) -> list[Detection]:
        """The confirmed hands."""
        self.progress(0.0, "searching the picture")
        hands = self.confirm(self.look(self.first_views()))
        rounds = self.rounds()
        for number, (views, limit) in enumerate(rounds):
            largest = max((h.size for h in hands), default=0.0) / max(self.photo.size)
            if len(hands) >= self.max_hands or (hands and largest > limit):
                break
            self.progress(0.2 + 0.6 * number / len(rounds), "searching closer")
            seen = self.look(views)
            new = [d for d in seen if all(distance(d, h) > NEW_HAND for h in hands)]
            if new:
                hands = merge(hands + self.confirm(new))
        self.progress(1.0, f"found {len(hands)} hands")
        return hands

    def look(self, views: list[View]) -> list[Detection]:
        """What is seen in the views, big enough to mean something and mostly in the picture."""
        width, height = self.photo.size
        kept = []
        for hand in self.see(views):
            x, y = hand.keypoints[:, 0], hand.keypoints[:, 1]
            inside = ((x > 0) & (x < width) & (y > 0) & (y < height)).mean()
            if hand.size > 12 and inside > 0.5:
                kept.append(hand)
        return kept


def merge(hands: list[Detection]) -> list[Detection]:
    """One detection per hand, the best view of each."""
    kept: list[Detection] = []
    for hand in sorted(hands, key=lambda d: -d.score):
        if all(distance(hand, other) > SAME_HAND for other in kept):
            kept.append(hand)
    return kept
