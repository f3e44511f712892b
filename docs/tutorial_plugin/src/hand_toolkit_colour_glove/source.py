"""The pose source: what the toolkit calls."""

from __future__ import annotations

import numpy as np

from hand_toolkit import HandObservation, InputError, Photo
from hand_toolkit.see import Progress

from .markers import read_hands


class ColourGlove:
    """Finds hands by coloured markers on their 21 keypoints.

    Attributes:
        min_saturation: least saturation of a marker, 1 to 255.
    """

    name = "colour-glove"
    description = "a glove with coloured markers, or stickers, on the 21 keypoints"

    def __init__(self, min_saturation: int = 130) -> None:
        self.min_saturation = min_saturation

    def configured(self, option: str) -> ColourGlove:
        """The source for ``--pose-source colour-glove:OPTION``.

        Raises:
            InputError: the option is no saturation.
        """
        if not option.isdecimal() or not 1 <= int(option) <= 255:
            raise InputError(
                f"the pose source '{self.name}' has the option {option!r}; accepted is the least "
                f"saturation of a marker, 1 to 255, e.g. {self.name}:90"
            )
        return ColourGlove(int(option))

    def detect(
        self, photo: Photo, max_hands: int, progress: Progress | None = None
    ) -> list[HandObservation]:
        """See :class:`hand_toolkit.PoseSource`; the confidence is the markers' mean roundness."""
        found = []
        for side, markers in read_hands(photo.pixels, self.min_saturation):
            confidence = float(np.mean([marker.roundness for marker in markers]))
            keypoints = np.array([marker.center for marker in markers])
            found.append(HandObservation(side, confidence, keypoints_2d=keypoints))
        if progress:
            progress(1.0, f"{len(found)} gloves found")
        found.sort(key=lambda hand: -hand.confidence)
        return found[:max_hands]
