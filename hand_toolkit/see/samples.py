"""Training samples of the class network: crops cut out by their keypoints, on backgrounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .augment import photographed
from .backdrops import SIZE, Backdrops
from .crops import crop_of_points

if TYPE_CHECKING:
    from ..synth.crops.render import Crop

MAP = SIZE // 2
IGNORED = 255
"""Label of a pixel that the loss leaves out."""

EMPTY_SHARE = 0.05
"""Of the samples: no hand at all, what a detector takes for one."""

OCCLUDER_SHARE, SHADOW_SHARE = 0.22, 0.3


class CropSource(Protocol):
    """Rendered crops by number, such as ``synth.crops.shards.CropShards``."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Crop: ...


@dataclass(frozen=True)
class Sample:
    """One training sample.

    Attributes:
        image: (SIZE, SIZE, 3) uint8 sRGB.
        labels: (MAP, MAP) uint8, ``classes.CLASSES`` or IGNORED.
        depth: (21,) metres as in ``classes.ClassMaps``; NaN where unknown.
    """

    image: np.ndarray
    labels: np.ndarray
    depth: np.ndarray


def jittered_frame(rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """(2, 3) from picture pixels to the crop, as far off as detected keypoints put it.

    Args:
        rng: of the jitter.
        points: (21, 2) keypoints of a hand shown as a right hand.
    """
    size = float((points.max(0) - points.min(0)).max())
    noisy = points + rng.normal(size=points.shape) * 0.015 * size
    frame = crop_of_points(noisy).matrix()[:2]
    angle = rng.normal() * (0.12 if rng.random() < 0.65 else 0.45)
    scale = float(np.exp(rng.normal() * 0.12 - 0.04))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = turn @ frame
    moved[:, 2] += SIZE / 2 - turn @ [SIZE / 2, SIZE / 2] + rng.normal(size=2) * 0.05 * SIZE
    return moved


def centred(matrix: np.ndarray) -> np.ndarray:
    """The same map for OpenCV, which counts pixel centres as whole numbers."""
    out = matrix.copy()
    out[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return out


def sample_crop(
    rng: np.random.Generator, crops: CropSource, backdrops: Backdrops, plain: bool = False
) -> Sample:
    """Cut, compose and photograph a rendered crop.

    Args:
        rng: of all choices.
        crops: rendered ones.
        backdrops: what is behind.
        plain: no empty samples, occluders or bad cameras, for validation.
    """
    import cv2

    crop = crops[int(rng.integers(len(crops)))]
    points = crop.keypoints[0].astype(float)
    frame = jittered_frame(rng, points)
    # arms go on beyond the rendered picture
    rgba = cv2.warpAffine(
        crop.rgba, centred(frame), (SIZE, SIZE), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    labels = cv2.warpAffine(
        crop.labels, centred(0.5 * frame), (MAP, MAP), flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    depth = crop.depth[0] if crop.own else np.full(21, np.nan, np.float32)
    alpha = rgba[..., 3:].astype(np.float32) / 255
    picture = backdrops.sample(rng)
    if not plain and rng.random() < EMPTY_SHARE:
        alpha, labels, depth = alpha * 0, labels * 0, depth * np.nan
    elif rng.random() < SHADOW_SHARE:
        picture = _with_shadow(rng, picture, alpha[..., 0])
    picture = picture + (rgba[..., :3] - picture) * alpha
    if not plain and rng.random() < OCCLUDER_SHARE:
        picture, labels = _occluded(rng, picture, labels, backdrops)
    return Sample(photographed(rng, picture), np.ascontiguousarray(labels), depth)


def _with_shadow(rng: np.random.Generator, picture: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """A soft shadow of the hand on what is behind it."""
    import cv2

    shift = tuple(int(v) for v in rng.integers(-18, 19, 2))
    shadow = cv2.GaussianBlur(np.roll(alpha, shift, (0, 1)), (0, 0), float(rng.uniform(3, 11)))
    return np.asarray(picture * (1 - rng.uniform(0.2, 0.7) * shadow[..., None]), np.float32)


def _occluded(
    rng: np.random.Generator, picture: np.ndarray, labels: np.ndarray, backdrops: Backdrops
) -> tuple[np.ndarray, np.ndarray]:
    """Something in front: a bar, a disc, a shard, with another background's texture."""
    import cv2

    mask: Any = np.zeros((SIZE, SIZE), np.uint8)
    points = rng.integers(0, SIZE, (4, 2))
    start: Any = tuple(int(v) for v in points[0])
    end: Any = tuple(int(v) for v in points[1])
    kind = rng.random()
    if kind < 0.4:
        cv2.line(mask, start, end, (255,), int(rng.integers(3, 34)), cv2.LINE_AA)
    elif kind < 0.7:
        axes: Any = tuple(int(v) for v in rng.integers(8, 50, 2))
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(mask, start, axes, turn, 0, 360, (255,), -1, cv2.LINE_AA)
    else:
        cv2.fillPoly(mask, [points.astype(np.int32)], (255,), cv2.LINE_AA)
    if mask.mean() > 0.25 * 255:
        return picture, labels
    cover = mask[..., None].astype(np.float32) / 255
    picture = picture * (1 - cover) + backdrops.sample(rng) * cover
    return picture, np.where(mask[::2, ::2] > 127, 0, labels).astype(np.uint8)


@dataclass(frozen=True)
class LabelledPhoto:
    """A real photo of one hand with classes that several judges agree on.

    Attributes:
        picture: (H, W, 3) uint8, mirrored if the hand is a left one.
        labels: (H, W) uint8, IGNORED where they disagree.
        points: (21, 2) keypoints, pixels.
    """

    picture: np.ndarray
    labels: np.ndarray
    points: np.ndarray


def sample_photo(rng: np.random.Generator, photo: LabelledPhoto) -> Sample:
    """Cut and photograph once more a labelled photo."""
    import cv2

    frame = jittered_frame(rng, photo.points.astype(float))
    image = cv2.warpAffine(
        photo.picture, centred(frame), (SIZE, SIZE), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    labels = cv2.warpAffine(
        photo.labels, centred(0.5 * frame), (MAP, MAP), flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(IGNORED,),
    )  # fmt: skip
    unknown = np.full(21, np.nan, np.float32)
    return Sample(photographed(rng, image), np.ascontiguousarray(labels), unknown)
