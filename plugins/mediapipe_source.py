"""The pose source of an installed MediaPipe: its hand landmarks, averaged over several views."""

from __future__ import annotations

import os
import threading

from hand_toolkit.core.types import HandObservation, Photo
from hand_toolkit.pose.observe import observation
from hand_toolkit.see.search import SAME_HAND, HandSearch, merge
from hand_toolkit.see.source import Progress
from hand_toolkit.see.views import Detection, View, cluster, consensus, distance, hand_views

from .mediapipe_models import HandDetector, make_detector

MAX_PROPOSALS = 8
MIN_SEEN_AGAIN = 3
"""A hand must be seen again in so many of the views that are cut around it,"""

MIN_VOTES = 3
"""or so often in these and the views that it was first seen in, if its side is sure."""


class MediapipeSource:
    """MediaPipe hands (Zhang et al. 2020) on a few crops of each hand.

    The whole picture is searched first, then tiles of it, then turned views, until there
    are hands. Around each one four views are cut (plain, mirrored, turned by 15 degrees), and
    four from farther where these miss it; those that agree on the side are averaged.

    Attributes:
        task_file: a ``hand_landmarker.task`` to use instead of the models in the wheel.
    """

    name = "mediapipe"
    description = "MediaPipe hand landmarks, averaged over views"

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
        """See :class:`hand_toolkit.see.PoseSource`.

        Raises:
            MissingDependencyError: MediaPipe is not installed.
            InputError: its model file cannot be had.
        """
        with self._lock:
            if self._detector is None:
                self._detector = make_detector(self.task_file)
            found = _Search(photo, self._detector, max_hands, progress).run()
        found.sort(key=lambda d: -d.score * d.size)
        return [observation(d, photo) for d in found[:max_hands]]


class _Search(HandSearch):
    """A search with MediaPipe's whole pipeline in each view."""

    def __init__(
        self, photo: Photo, detector: HandDetector, max_hands: int, progress: Progress | None
    ) -> None:
        super().__init__(photo, max_hands, progress)
        self.detector = detector

    def see(self, views: list[View]) -> list[Detection]:
        """See :class:`HandSearch`."""
        found = []
        for view in views:
            image = view.cut(self.pyramid)
            found += [d.back_from(view) for d in self.detector.find(image, self.max_hands)]
        return found

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
        return merge(hands)
