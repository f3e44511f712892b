"""A pose source that knows whose hands it sees."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..core.types import HandObservation, Photo, Progress
from ..see.source import PoseSource
from .estimate import find_source


@dataclasses.dataclass
class PersonSource:
    """Another source's hands, in the shape of a person who is known.

    A picture alone tells pose and shape together, and each takes up errors of the other; where
    an avatar is to be driven by its own person's pictures, or drawn over another's, the shape that
    it will be drawn in is the one to fit with.

    Attributes:
        source: finds the hands.
        shape: (S,) of the hand model.
        hand_model: its name.
    """

    source: PoseSource
    shape: np.ndarray
    hand_model: str
    name: str = "person"
    description: str = "another source's hands in a known person's shape"

    @staticmethod
    def of(source: str | PoseSource, shape: np.ndarray, hand_model: str) -> PersonSource:
        """For a source by name.

        Raises:
            InputError: no such source, or it takes no option.
        """
        return PersonSource(find_source(source), np.asarray(shape, float), hand_model)

    def detect(
        self, photo: Photo, max_hands: int, progress: Progress | None = None
    ) -> list[HandObservation]:
        """What the source sees, with the person's shape."""
        known = {"shape": self.shape, "hand_model": self.hand_model}
        return [
            dataclasses.replace(hand, **known)  # type: ignore[arg-type]
            for hand in self.source.detect(photo, max_hands, progress)
        ]
