"""Which hand owns what: the class maps of all hands of a photo judge each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .classes import BOX_SCALES, BOX_WEIGHTS, MAP_SIZE, OTHER, OWN, class_network
from .crops import crop_of_points
from .views import Detection, View

GRID = 72
"""Points along the edge of a hand's wider crop at which maps are compared."""

SURE = 0.5


@dataclass(frozen=True)
class Owners:
    """What the class network says about one hand.

    Attributes:
        hand: whose crops it looked at.
        views: the crops, with maps' pixels.
        chance: (crops, 112, 112, 4) probabilities of ``classes.CLASSES``.
        depth: (21,) metres of the keypoints behind the palm's middle, for a palm of the mean size.
        depth_sigma: (21,) metres, its standard deviation.
        company: probability that another hand is in the tighter crop.
    """

    hand: Detection
    views: tuple[View, ...]
    chance: np.ndarray
    depth: np.ndarray
    depth_sigma: np.ndarray
    company: float

    def at(self, points: np.ndarray) -> np.ndarray:
        """(N, 4) probabilities at (N, 2) photo pixels; background outside the crops."""
        total = np.zeros((len(points), self.chance.shape[-1]), np.float32)
        for view, maps, weight in zip(self.views, self.chance, BOX_WEIGHTS):
            matrix = view.matrix()
            pixels = np.floor(points @ matrix[:2, :2].T + matrix[:2, 2]).astype(int)
            inside = ((pixels >= 0) & (pixels < view.size)).all(axis=1)
            total[inside] += weight * maps[pixels[inside, 1], pixels[inside, 0]]
        known = total.sum(axis=1, keepdims=True)
        total[known[:, 0] == 0, 0] = 1.0
        return np.asarray(total / np.where(known > 0, known, 1.0), np.float32)

    def grid(self) -> np.ndarray:
        """(N, 2) points all over the wider crop, photo pixels."""
        view = max(self.views, key=lambda v: v.side)
        inverse = np.linalg.inv(view.matrix())
        steps = (np.arange(GRID) + 0.5) * view.size / GRID
        points = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
        return np.asarray(points @ inverse[:2, :2].T + inverse[:2, 2])

    @property
    def own_points(self) -> np.ndarray:
        """(N, 2) points of the grid that are surely this hand's."""
        points = self.grid()
        return np.asarray(points[self.at(points)[:, OWN] > SURE])


def owners_of(pyramid: list[np.ndarray], hand: Detection) -> Owners:
    """Classify the surroundings of one hand.

    Args:
        pyramid: the photo and its halvings.
        hand: seen in it.
    """
    import torch

    tight = crop_of_points(hand.keypoints)
    views = [replace(tight, side=tight.side * scale, mirror=hand.left) for scale in BOX_SCALES]
    crops = torch.from_numpy(np.stack([view.cut(pyramid) for view in views]))
    with torch.inference_mode():
        maps = class_network()(crops.permute(0, 3, 1, 2).float() / 255)
    chance = maps.logits.softmax(1).permute(0, 2, 3, 1)
    return Owners(
        hand,
        tuple(replace(view, size=MAP_SIZE) for view in views),
        chance.numpy(),
        maps.depth[0].double().numpy(),
        maps.depth_log_sigma[0].double().exp().numpy(),
        float(maps.other[0].sigmoid()),
    )


@dataclass(frozen=True)
class Pair:
    """What two hands' maps say about each other, 0 to 1 each.

    Attributes:
        own_on_own: the second hand's keypoints on what its map calls its own.
        own_on_hand: on what its map calls a hand, its own or another.
        on_first_own, on_first_other: the same keypoints in the first hand's map.
        first_on_own, first_on_other: the first hand's keypoints in the second's map.
        overlap: intersection over union of the first map's other hand and the second map's own.
        same_own: intersection over union of what both maps call their own.
    """

    own_on_own: float
    own_on_hand: float
    on_first_own: float
    on_first_other: float
    first_on_own: float
    first_on_other: float
    overlap: float
    same_own: float


def compare(first: Owners, second: Owners) -> Pair:
    """Let the maps of two hands judge each other."""
    own, seen = second.at(second.hand.keypoints), first.at(second.hand.keypoints)
    back = second.at(first.hand.keypoints)
    points = np.concatenate([first.grid(), second.grid()])
    one, two = first.at(points), second.at(points)
    return Pair(
        own_on_own=float(own[:, OWN].mean()),
        own_on_hand=float((own[:, OWN] + own[:, OTHER]).mean()),
        on_first_own=float(seen[:, OWN].mean()),
        on_first_other=float(seen[:, OTHER].mean()),
        first_on_own=float(back[:, OWN].mean()),
        first_on_other=float(back[:, OTHER].mean()),
        overlap=_overlap(one[:, OTHER], two[:, OWN]),
        same_own=_overlap(one[:, OWN], two[:, OWN]),
    )


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.minimum(first, second).sum() / max(np.maximum(first, second).sum(), 1e-6))


def unexplained(owners: Owners, others: Sequence[Owners]) -> np.ndarray:
    """(N, 2) photo pixels of other hands that no known one explains, on an even grid."""
    points = owners.grid()
    left = owners.at(points)[:, OTHER]
    for known in others:
        left = left * (1 - known.at(points)[:, OWN])
    return np.asarray(points[left > SURE])
