"""The pose source of the toolkit's own networks."""

from __future__ import annotations

from hand_toolkit.core.types import HandObservation, Photo
from hand_toolkit.pose.observe import observation
from hand_toolkit.see.source import Progress


class NetworkSource:
    """Palm and landmark networks in torch; see :mod:`hand_toolkit.see.finder`."""

    name = "network"
    description = "the toolkit's own networks: palms, then landmarks averaged over crops (default)"

    def detect(
        self, photo: Photo, max_hands: int, progress: Progress | None = None
    ) -> list[HandObservation]:
        """See :class:`hand_toolkit.see.PoseSource`."""
        from hand_toolkit.see.finder import NetworkSearch

        found = NetworkSearch(photo, max_hands, progress).run()
        found.sort(key=lambda d: -(d.confidence or d.score) * d.size)
        return [observation(d, photo) for d in found[:max_hands]]
