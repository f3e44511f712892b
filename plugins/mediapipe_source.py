"""The default pose source: MediaPipe's hand landmarks, averaged over several views."""

from __future__ import annotations

import os
import threading

import numpy as np

from hand_toolkit.core.types import HandObservation, Photo
from hand_toolkit.pose.camera import default_focal_px, rotation_to_ray
from hand_toolkit.see.source import Progress

from .mediapipe_models import HandDetector, make_detector
from .mediapipe_views import (
    Detection,
    View,
    build_pyramid,
    cluster,
    consensus,
    distance,
    hand_views,
    tile_views,
    turned_views,
    whole_views,
)

MAX_PROPOSALS = 8
MIN_SEEN_AGAIN = 3
"""A hand must be seen again in so many of the views that are cut around it,"""

MIN_VOTES = 3
"""or so often in these and the views that it was first seen in, if its side is sure."""

SAME_HAND = 0.25
"""Detections nearer than this, in units of the hand's size, show one hand."""


class MediapipeSource:
    """MediaPipe hands (Zhang et al. 2020) on a few crops of each hand.

    The whole picture is searched first, then tiles of it, then turned views, until there
    are hands. Around each one four views are cut (plain, mirrored, turned by 15 degrees), and
    four from farther where these miss it; those that agree on the side are averaged.

    Attributes:
        task_file: a ``hand_landmarker.task`` to use instead of the models in the wheel.
    """

    name = "mediapipe"
    description = "MediaPipe hand landmarks, averaged over views (default)"

    def __init__(self, task_file: str | os.PathLike[str] | None = None) -> None:
        self.task_file = task_file
        self._detector: HandDetector | None = None
        self._lock = threading.Lock()

    def configured(self, option: str) -> MediapipeSource:
        """The source for ``mediapipe:FILE.task``."""
        return MediapipeSource(option)

    def detect(
        self, photo: Photo, max_hands: int, progress: Progress | None = None
    ) -> list[HandObservation]:
        """See :class:`hand_toolkit.pose.PoseSource`.

        Raises:
            MissingDependencyError: MediaPipe is not installed.
            InputError: its model file cannot be had.
        """
        with self._lock:
            if self._detector is None:
                self._detector = make_detector(self.task_file)
            search = _Search(photo, self._detector, max_hands, progress)
            found = search.run()
        found.sort(key=lambda d: -d.score * d.size)
        return [_observation(d, photo) for d in found[:max_hands]]


class _Search:
    """One photo's search; keeps the pyramid and counts the work."""

    def __init__(
        self, photo: Photo, detector: HandDetector, max_hands: int, progress: Progress | None
    ) -> None:
        self.photo = photo
        self.pyramid = build_pyramid(photo.pixels)
        self.detector = detector
        self.max_hands = max_hands
        self.progress = progress or (lambda done, what: None)

    def run(self) -> list[Detection]:
        """The confirmed hands."""
        size = self.photo.size
        self.progress(0.0, "searching the picture")
        proposals = self.look(whole_views(size))
        hands = self.confirm(proposals)
        # Closer looks cost time; each round is for hands smaller than the largest found so far.
        rounds = [(tile_views(size, 2), 0.4), (tile_views(size, 3), 0.2), (turned_views(size), 0.0)]
        for k, (views, limit) in enumerate(rounds):
            largest = max((h.size for h in hands), default=0.0) / max(size)
            if len(hands) >= self.max_hands or (hands and largest > limit):
                break
            self.progress(0.2 + 0.2 * k, "searching closer")
            new = [d for d in self.look(views) if all(distance(d, h) > 0.3 for h in hands)]
            if new:
                hands = self.merge(hands + self.confirm(new))
        self.progress(1.0, f"found {len(hands)} hands")
        return hands

    def look(self, views: list[View]) -> list[Detection]:
        """Everything that the detector sees in the views, in photo pixels."""
        found = []
        for view in views:
            image = view.cut(self.pyramid)
            found += [d.back_from(view) for d in self.detector.find(image, self.max_hands)]
        return [d for d in found if self.plausible(d)]

    def plausible(self, hand: Detection) -> bool:
        """Big enough to mean something and mostly inside the picture."""
        width, height = self.photo.size
        x, y = hand.keypoints[:, 0], hand.keypoints[:, 1]
        inside = ((x > 0) & (x < width) & (y > 0) & (y < height)).mean()
        return hand.size > 12 and inside > 0.5

    def confirm(self, proposals: list[Detection]) -> list[Detection]:
        """Look at each proposed hand again in its own views; keep those that stay."""
        hands: list[Detection] = []
        for group in cluster(proposals)[:MAX_PROPOSALS]:
            hand = consensus(group)
            if any(distance(hand, other) < 0.2 for other in hands):
                continue
            near = self.look(hand_views(hand))
            if sum(distance(d, hand) < SAME_HAND for d in near) < MIN_SEEN_AGAIN:
                near += self.look(hand_views(hand, far=True))
            for seen in cluster(near):
                again = consensus(seen)
                same = distance(again, hand) < SAME_HAND
                votes = len(seen) + (len(group) if same else 0)
                sure = len(seen) >= MIN_SEEN_AGAIN or (votes >= MIN_VOTES and again.score > 0.8)
                if sure and all(distance(again, other) > SAME_HAND for other in hands):
                    hands.append(again if len(seen) >= MIN_SEEN_AGAIN else consensus(group + seen))
            doubtful = len(group) >= MIN_VOTES and hand.score > 0.9
            if doubtful and all(distance(hand, other) > 0.4 for other in hands):
                hands.append(hand)
        return self.merge(hands)

    @staticmethod
    def merge(hands: list[Detection]) -> list[Detection]:
        """One detection per hand, the best view of each."""
        kept: list[Detection] = []
        for hand in sorted(hands, key=lambda d: -d.score):
            if all(distance(hand, other) > SAME_HAND for other in kept):
                kept.append(hand)
        return kept


def _observation(hand: Detection, photo: Photo) -> HandObservation:
    focal = photo.focal_px or default_focal_px(photo.size)
    center = np.array(photo.size) / 2
    palm = hand.keypoints[[0, 5, 9, 13, 17]].mean(axis=0)
    # World landmarks are in the axes of a camera that looks straight at the hand.
    turn = rotation_to_ray(np.append((palm - center) / focal, 1.0))
    return HandObservation(
        side="left" if hand.left else "right",
        confidence=float(np.clip(hand.score, 0, 1)),
        keypoints_2d=hand.keypoints,
        keypoints_3d=(hand.world - hand.world[0]) @ turn.T,
        keypoints_z=hand.depth - hand.depth[0],
    )
