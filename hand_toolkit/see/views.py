"""Square views of a photo for a hand detector, and merging what it saw in them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class View:
    """A square cut from a photo: centre, side, turn, mirror.

    Attributes:
        center: (x, y) pixels of the photo.
        side: length of the square's edge, photo pixels.
        angle: turn of the picture, radians, clockwise as seen.
        mirror: flipped left to right after the turn.
        size: pixels of the view's edge.
    """

    center: tuple[float, float]
    side: float
    angle: float = 0.0
    mirror: bool = False
    size: int = 256

    def matrix(self) -> np.ndarray:
        """(3, 3) photo pixels to view pixels, pixel centres at .5 in both."""
        scale = self.size / self.side
        c, s = scale * math.cos(self.angle), scale * math.sin(self.angle)
        turn = np.array([[c, -s], [s, c]])
        if self.mirror:
            turn = np.diag([-1.0, 1.0]) @ turn
        result = np.eye(3)
        result[:2, :2] = turn
        result[:2, 2] = self.size / 2 - turn @ np.array(self.center)
        return result

    def cut(self, pyramid: list[np.ndarray]) -> np.ndarray:
        """(size, size, 3) uint8; what lies outside the photo repeats its border.

        Args:
            pyramid: the photo and its halvings, see :func:`build_pyramid`.
        """
        import cv2

        level = int(np.clip(math.floor(math.log2(self.side / self.size)), 0, len(pyramid) - 1))
        source = pyramid[level]
        full = pyramid[0].shape
        ratio = np.array([source.shape[1] / full[1], source.shape[0] / full[0]])
        matrix = self.matrix()[:2].copy()
        matrix[:, :2] /= ratio
        # warpAffine counts pixel centres from 0.
        matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
        return cv2.warpAffine(
            source,
            matrix,
            (self.size, self.size),
            flags=cv2.INTER_LINEAR if level or self.side > self.size else cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )


@dataclass(frozen=True)
class Detection:
    """One hand as a detector saw it, in the pixels and axes of the photo.

    Attributes:
        keypoints: (21, 2) pixels.
        depth: (21,) pixels, relative to the wrist.
        world: (21, 3) metres, axes of the photo's weak-perspective camera.
        left: it is the person's left hand.
        score: confidence of the side, 0.5 to 1.
        presence: probability that a hand is there, 1 where the detector does not tell.
        spread: how far the crops that it was averaged over disagree, mean keypoint distance in
            units of the hand's size.
        behind: (21,) metres of the keypoints behind the palm's middle, for a palm of the mean
            size, or None.
        behind_sigma: (21,) metres, the standard deviations of ``behind``.
        confidence: probability that side and keypoints are right; None where nobody judged.
    """

    keypoints: np.ndarray
    depth: np.ndarray
    world: np.ndarray
    left: bool
    score: float
    presence: float = 1.0
    spread: float = 0.0
    confidence: float | None = None
    behind: np.ndarray | None = None
    behind_sigma: np.ndarray | None = None

    @property
    def size(self) -> float:
        """Diagonal of the keypoints' box, pixels."""
        return float(np.linalg.norm(np.ptp(self.keypoints, axis=0)))

    def back_from(self, view: View) -> Detection:
        """The detection made in ``view``, moved to the photo."""
        inverse = np.linalg.inv(view.matrix())
        linear = inverse[:2, :2]
        scale = math.sqrt(abs(np.linalg.det(linear)))
        world = self.world.copy()
        world[:, :2] = world[:, :2] @ (linear / scale).T
        return Detection(
            keypoints=self.keypoints @ linear.T + inverse[:2, 2],
            depth=self.depth * scale,
            world=world,
            left=self.left != view.mirror,
            score=self.score,
            presence=self.presence,
        )


def build_pyramid(pixels: np.ndarray) -> list[np.ndarray]:
    """The picture and its halvings down to about 256 pixels, to cut views without aliasing."""
    import cv2

    levels = [pixels]
    while min(levels[-1].shape[:2]) > 512:
        height, width = levels[-1].shape[:2]
        half = (max(1, width // 2), max(1, height // 2))
        levels.append(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA))
    return levels


OTHER_SIDE = 1.7
"""How much farther apart two detections of opposite sides count: a clasped pair lies closer
than two views of one hand may, but a hand whose side is mistaken stays where it is."""


def distance(first: Detection, second: Detection) -> float:
    """Mean keypoint distance in units of the larger hand's size, more for opposite sides."""
    gap = np.linalg.norm(first.keypoints - second.keypoints, axis=1).mean()
    factor = 1.0 if first.left == second.left else OTHER_SIDE
    return float(factor * gap / max(first.size, second.size, 1e-6))


def cluster(detections: list[Detection], limit: float = 0.3) -> list[list[Detection]]:
    """Group the detections that show one hand, the largest group first.

    Hands that touch or cross have overlapping boxes, so keypoints are compared, not boxes.
    """
    groups: list[list[Detection]] = []
    for detection in sorted(detections, key=lambda d: -d.score):
        nearest = min(
            groups, key=lambda g: min(distance(detection, member) for member in g), default=None
        )
        if nearest and min(distance(detection, member) for member in nearest) < limit:
            nearest.append(detection)
        else:
            groups.append([detection])
    return sorted(groups, key=lambda g: -sum(d.score for d in g))


def consensus(group: list[Detection]) -> Detection:
    """The mean of the detections that agree on the side and lie near the median."""
    left_votes = sum((d.score - 0.4) * (1 if d.left else -1) for d in group)
    agreeing = [d for d in group if d.left == (left_votes > 0)]
    stack = np.stack([d.keypoints for d in agreeing])
    gaps = np.linalg.norm(stack - np.median(stack, axis=0), axis=-1).mean(axis=-1)
    near = gaps <= 3 * np.median(gaps) + 0.01 * agreeing[0].size
    kept = [d for d, ok in zip(agreeing, near) if ok]
    mean = np.mean([d.keypoints for d in kept], axis=0)
    apart = np.linalg.norm(stack - mean, axis=-1).mean() / max(agreeing[0].size, 1e-6)
    return Detection(
        keypoints=mean,
        depth=np.mean([d.depth for d in kept], axis=0),
        world=np.mean([d.world for d in kept], axis=0),
        left=kept[0].left,
        score=float(np.mean([d.score for d in kept]) * len(agreeing) / len(group)),
        presence=float(np.mean([d.presence for d in group])),
        spread=float(apart),
    )


def whole_views(size: tuple[int, int]) -> list[View]:
    """The whole picture: filling the view, then with a margin, mirrored and not."""
    center, side = (size[0] / 2, size[1] / 2), float(max(size))
    pixels = int(np.clip(side, 256, 640))
    return [
        View(center, side, size=pixels),
        View(center, side * 1.5, size=pixels),
        View(center, side * 1.5, mirror=True, size=pixels),
    ]


def tile_views(size: tuple[int, int], parts: int) -> list[View]:
    """Overlapping square tiles, ``parts`` along the longer edge."""
    long_side = max(size)
    side = long_side / parts * 1.35
    views = []
    counts = [max(1, math.ceil(n / long_side * parts - 0.2)) for n in size]
    for row in range(counts[1]):
        for column in range(counts[0]):
            center = ((column + 0.5) * size[0] / counts[0], (row + 0.5) * size[1] / counts[1])
            views.append(View(center, side, size=int(np.clip(side, 256, 448))))
    return views


def turned_views(size: tuple[int, int]) -> list[View]:
    """The whole picture turned and at other scales, for hands that upright views miss."""
    center, side = (size[0] / 2, size[1] / 2), float(max(size))
    pixels = int(np.clip(side, 256, 512))
    turns = [(a, m, s) for s in (1.3, 2.2) for a in (90, -90, 180, 45, -45) for m in (False, True)]
    return [View(center, side * s, math.radians(a), m, pixels) for a, m, s in turns]


def hand_views(hand: Detection, far: bool = False) -> list[View]:
    """Four views of one found hand: plain, mirrored and turned by 15 degrees both ways.

    The hand fills somewhat less than half of each, which the landmark model likes best, or
    with ``far`` a third: the palm detector misses some hands in tight views.
    """
    low, high = hand.keypoints.min(axis=0), hand.keypoints.max(axis=0)
    center = (float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2)
    side = (3.0 if far else 2.1) * float(max(high - low))
    pixels = int(np.clip(side, 256, 448))
    turn = math.radians(15)
    return [
        View(center, side, size=pixels),
        View(center, side, mirror=True, size=pixels),
        View(center, side, turn, size=pixels),
        View(center, side, -turn, True, size=pixels),
    ]
