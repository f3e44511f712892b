"""Batches of samples: some of the pairs, places to ask about, features left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from .image import ImageFeatures
    from .samples import Samples

CLOSE_M = 0.012
"""The refinement trains on places this near to the other hand, where there are any."""

USABLE_M = 0.05
"""Found keypoints farther off than this on the average are of other hands."""


def centred(keypoints: torch.Tensor) -> torch.Tensor:
    """(B, 2, 21, 3) about the pair's middle."""
    return keypoints - keypoints.mean((1, 2), keepdim=True)


def queries(
    batch: Samples, count: int, close: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Places (B, 2, N, 3) with distances (B, 2, N) from their own and the other hand, metres.

    Args:
        batch: pairs.
        count: N.
        close: prefer places near the other hand.
    """
    import torch

    hand = torch.arange(2)
    own = batch.distances[:, hand, hand]
    other = batch.distances[:, hand, 1 - hand]
    pairs, _, most = own.shape
    if close:
        wanted = (other.abs() < CLOSE_M) & (own.abs() < CLOSE_M)
        odds = torch.where(wanted, 1.0, 0.003).flatten(0, 1)
        rows = torch.multinomial(odds, count).view(pairs, 2, count)
    else:
        rows = torch.randint(most, (pairs, 2, count))
    places = batch.places.gather(2, rows[..., None].expand(-1, -1, -1, 3))
    return places, own.gather(2, rows), other.gather(2, rows)


def taken(samples: Samples, rows: torch.Tensor) -> Samples:
    """Some of the samples."""
    from .samples import Samples

    fields = {n: getattr(samples, n)[rows] for n in samples.__dataclass_fields__ if n != "images"}
    return Samples(samples.images.take(rows), **fields)


def dropped(images: ImageFeatures, share: float) -> ImageFeatures:
    """The features with a share of each pair's channels at zero, the others made up for it."""
    import torch

    from .image import ImageFeatures

    parts = []
    for values, axis in ((images.coarse, 3), (images.fine, 2)):
        shape = [len(values), 1, 1, 1, 1][: values.ndim]
        shape[axis] = values.shape[axis]
        parts.append(values.float() * (torch.rand(shape) >= share) / (1 - share))
    return ImageFeatures(parts[0], parts[1], images.lens)
