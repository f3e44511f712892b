"""The three networks of Im2Hands together; each can be left out."""

from __future__ import annotations

import torch
from torch import nn

from .config import Im2HandsConfig
from .image import ImageFeatures
from .keypoints import KeypointRefinement
from .occupancy import HandFrame, InitialOccupancy
from .refinement import (
    MIRROR,
    MOST,
    REACH,
    Context,
    TwoHandRefinement,
    mirrored,
    other_logits,
    paired,
    still_touching,
    surface_clouds,
)

ASKED = MOST + 4.0
"""Where the initial logit is farther from zero the refinement cannot change what is inside."""


class Im2HandsNetwork(nn.Module):
    """Picture and keypoints of two hands to their occupancies.

    Attributes:
        initial, refinement, keypoints: the three networks.
        keeps_touch: bound the refinement by :func:`.refinement.still_touching`.
    """

    keeps_touch: bool

    def __init__(self, config: Im2HandsConfig) -> None:
        super().__init__()
        self.config = config
        self.initial = InitialOccupancy(config)
        self.refinement = TwoHandRefinement(config)
        self.keypoints = KeypointRefinement(config)
        self.keeps_touch = True

    def frame(self, keypoints: torch.Tensor, images: ImageFeatures | None) -> HandFrame:
        """2 B hands (see :func:`.refinement.mirrored`) of pairs of keypoints (B, 2, 21, 3)."""
        return self.initial.frame(mirrored(keypoints), images)

    def context(self, hands: HandFrame) -> Context:
        """What the refinement's queries look at."""
        return self.refinement.context(hands, surface_clouds(self.initial, hands, self.config))

    def logits(
        self, hands: HandFrame, context: Context | None, places: torch.Tensor
    ) -> torch.Tensor:
        """(B, 2, N) occupancy logits of places.

        Args:
            hands: of :meth:`frame`.
            context: of :meth:`context`; None leaves the refinement out.
            places: (B, 2, N, 3) metres, camera axes, for the right and the left hand.
        """
        own_places = mirrored(places)
        own = self.initial(hands, own_places)
        if context is not None:
            other = other_logits(self.initial, hands, own_places)
            own = self._bounded(self.refinement(context, own_places, own, other), own, other)
        return paired(own)

    def _bounded(
        self, refined: torch.Tensor, own: torch.Tensor, other: torch.Tensor
    ) -> torch.Tensor:
        return still_touching(refined, own, other) if self.keeps_touch else refined

    def side_logits(
        self, hands: HandFrame, context: Context | None, side: int, places: torch.Tensor
    ) -> torch.Tensor:
        """(N,) logits of places (N, 3) for one hand of a single pair, as :meth:`logits`.

        The refinement is asked only where it can change something.

        Args:
            hands, context: of one pair.
            side: 0 right, 1 left.
            places: metres, camera axes.
        """
        flip = torch.tensor(MIRROR, dtype=places.dtype, device=places.device)
        row, other_row = torch.tensor([side]), torch.tensor([1 - side])
        mine, theirs = (places, places * flip) if side == 0 else (places * flip, places)
        own = self.initial(hands.take(row), mine[None])[0]
        if context is None:
            return own
        near = torch.nonzero(own.abs() < ASKED)[:, 0]
        across = self.initial(hands.take(other_row), theirs[None, near])[0]
        close = across > -REACH
        near, across = near[close], across[close]
        if len(near):
            refined = self.refinement(
                context.take(row), mine[None, near], own[None, near], across[None]
            )
            own = own.index_copy(0, near, self._bounded(refined[0], own[near], across))
        return own
