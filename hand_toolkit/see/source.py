"""The pose-source protocol."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ..core.types import HandObservation, Photo, Progress

DEFAULT_SOURCE = "network"


@runtime_checkable
class PoseSource(Protocol):
    """What ``register_pose_sources`` registers: finds hands and their keypoints.

    A source that takes an option also has ``configured(option: str)``, which returns the
    source to use for ``name:option``.

    Attributes:
        name: how the user asks for it (``--pose-source NAME``).
        description: one line.
    """

    name: str
    description: str

    def detect(
        self, photo: Photo, max_hands: int, progress: Progress | None = None
    ) -> list[HandObservation]:
        """Every hand that the source sees, the surest first.

        Sides are the person's own. One hand appears once. Keypoints are in pixels of
        ``photo`` (pixel centres at .5) and may lie outside it.

        Args:
            photo: the picture, upright.
            max_hands: at most so many hands.
            progress: told how far the search is.

        Returns:
            0 to ``max_hands`` observations; an empty list where there is no hand.
        """
        ...
