"""Level of detail: a hand with fewer, larger splats for views in which they are a pixel apart."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..geometry.rotations import covariances, quat_from_matrix
from .avatar import AvatarHand
from .binding import SurfaceBinding

LOOSE_M = 0.002
"""Splats further from their triangle than this stay as they are: they are no skin of its own."""


@dataclass(frozen=True)
class Level:
    """A hand with its splats merged, M of them of N.

    Attributes:
        hand: the hand.
        group: (N,) the merged splat that each splat went into.
    """

    hand: AvatarHand
    group: np.ndarray

    def mean(self, values: np.ndarray) -> np.ndarray:
        """(M, ...) means over the members of values (N, ...)."""
        return _mean(values, self.group, len(self.hand))


def merged(hand: AvatarHand, cells: int) -> Level:
    """Merge the splats of each triangle, or of each quarter of it, into one.

    A merged splat has its members' mean place and colours, and their mean covariance times their
    number, so that it covers what they covered.

    Args:
        hand: the hand.
        cells: splats that a triangle keeps at most: 4 or 1.
    """
    binding = hand.binding
    weights = binding.barycentric
    key = binding.triangle.astype(np.int64)
    if cells == 4:
        # the quarter at corner k holds what weighs that corner more than half; the fourth the rest
        quarter = np.where(weights.max(axis=1) > 0.5, weights.argmax(axis=1), 3)
        key = 4 * key + quarter
    loose = np.linalg.norm(binding.offset, axis=1) > LOOSE_M
    key[loose] = -1 - np.arange(loose.sum())
    _, group, members = np.unique(key, return_inverse=True, return_counts=True)
    count = len(members)

    def mean(values: np.ndarray) -> np.ndarray:
        return _mean(values, group, count)

    spread = mean(covariances(binding.quat, binding.scale)) * members[:, None, None]
    variance, axes = np.linalg.eigh(spread)
    # longest first, as splats are laid out; a rotation, not a reflection
    variance, axes = variance[:, ::-1], axes[:, :, ::-1]
    axes = axes * np.where(np.linalg.det(axes) < 0, -1, 1)[:, None, None]
    first = np.zeros(count, np.int64)
    first[group] = np.arange(len(group))
    bound = SurfaceBinding(
        binding.triangle[first],
        mean(weights),
        mean(binding.offset) * np.sqrt(members)[:, None],
        quat_from_matrix(axes),
        np.sqrt(np.maximum(variance, 0)),
    )
    fewer = dataclasses.replace(
        hand,
        binding=bound,
        opacity=np.clip(mean(hand.opacity), 0, 1),
        color=mean(hand.color),
        albedo=mean(hand.albedo),
        evidence=np.clip(mean(hand.evidence), 0, 1),
        hidden=None if hand.hidden is None else mean(hand.hidden),
    )
    return Level(fewer, group)


def thinned(hand: AvatarHand, tolerance: float = 0.012) -> AvatarHand:
    """The hand with four splats on a triangle where sixteen show no more.

    Args:
        hand: laid out with sixteen splats a triangle.
        tolerance: root mean square of the colours' and the albedo's difference, sRGB, up to which a
            triangle's splats are as good as their merged ones.
    """
    level = merged(hand, 4)
    shown = np.concatenate([hand.color.reshape(len(hand), -1)[:, :3], hand.albedo], axis=1)
    off = ((shown - level.mean(shown)[level.group]) ** 2).mean(axis=1)
    triangle = hand.binding.triangle
    members = np.maximum(np.bincount(triangle), 1)
    asks = np.bincount(triangle, off) / members > tolerance**2
    fine, coarse = asks[triangle], ~asks[level.hand.binding.triangle]
    return joined_hand(hand, fine, level.hand, coarse)


def without_loose(hand: AvatarHand) -> AvatarHand:
    """The hand's own skin, without splats that only hang on its triangles."""
    keep = np.linalg.norm(hand.binding.offset, axis=1) <= LOOSE_M
    return hand if keep.all() else joined_hand(hand, keep, hand, np.zeros(len(hand), bool))


def joined_hand(
    hand: AvatarHand, keep: np.ndarray, other: AvatarHand, take: np.ndarray
) -> AvatarHand:
    """``hand`` with its splats ``keep`` and the splats ``take`` of another, masks or indices.

    Where one of them has kept no hidden skin, its own skin stands for that.
    """
    a, b = hand.binding.take(keep), other.binding.take(take)
    names = ("triangle", "barycentric", "offset", "quat", "scale")
    binding = SurfaceBinding(*(np.concatenate([getattr(x, n) for x in (a, b)]) for n in names))
    own = ("opacity", "color", "albedo", "evidence")
    both = {n: np.concatenate([getattr(hand, n)[keep], getattr(other, n)[take]]) for n in own}
    parts = ((hand, keep), (other, take))
    hidden = None
    if any(one.hidden is not None for one, _ in parts):
        kept = [one.albedo if one.hidden is None else one.hidden for one, _ in parts]
        hidden = np.concatenate([values[which] for values, (_, which) in zip(kept, parts)])
    return dataclasses.replace(hand, binding=binding, hidden=hidden, **both)


def _mean(values: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    flat = values.reshape(len(values), -1)
    members = np.bincount(group, minlength=count)
    sums = [np.bincount(group, column, count) / members for column in flat.T]
    return np.stack(sums, axis=1).reshape(count, *values.shape[1:])
