"""Contract checks for pose sources and segmenters; the built-in ones pass the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.conventions import SIDES
from ..core.types import HandObservation, Photo
from ..geometry.silhouette import hand_silhouettes
from ..pose.estimate import estimate_pose, posed_mesh
from ..see.segment import Segmenter
from ..see.source import DEFAULT_SOURCE, PoseSource
from .checks import check_names, require


def check_pose_source(source: Any, photo: Photo, empty: Photo | None = None) -> None:
    """Check that ``source`` keeps the contract of :class:`hand_toolkit.PoseSource`.

    Args:
        source: what ``register_pose_sources`` registers.
        photo: a picture in which it sees at least one hand.
        empty: a picture in which it must see none.

    Raises:
        AssertionError: with what is wrong.
    """
    check_names(source, "pose source")
    require(isinstance(source, PoseSource), "it lacks a method of hand_toolkit.PoseSource")
    reports: list[tuple[float, str]] = []
    before = photo.pixels.copy()
    found = source.detect(photo, 4, lambda part, what: reports.append((part, what)))
    require(isinstance(found, list), f"detect returned {type(found).__name__}, not a list")
    require(len(found) >= 1, "detect found no hand in a photo that shows one")
    require(len(found) <= 4, f"detect returned {len(found)} hands, at most 4 were asked for")
    require(np.array_equal(before, photo.pixels), "detect changed the photo's pixels")
    for part, what in reports:
        require(0 <= part <= 1, f"progress reported {part}, accepted is 0 to 1")
        require(isinstance(what, str), f"progress reported {what!r}, accepted is a text")
    for observation in found:
        _check_observation(observation, photo)
    for k, first in enumerate(found):
        for second in found[k + 1 :]:
            gap = np.linalg.norm(first.keypoints_2d - second.keypoints_2d, axis=1).mean()
            size = np.linalg.norm(np.ptp(first.keypoints_2d, axis=0))
            require(bool(gap > 0.1 * size), "two observations show one hand; merge duplicates")
    ranks = [o.confidence * np.linalg.norm(np.ptp(o.keypoints_2d, axis=0)) for o in found]
    few = source.detect(photo, 1, None)
    require(len(few) == 1, f"detect returned {len(few)} hands where one was asked for")
    best = found[int(np.argmax(ranks))]
    gap = np.linalg.norm(few[0].keypoints_2d - best.keypoints_2d, axis=1).mean()
    size = np.linalg.norm(np.ptp(best.keypoints_2d, axis=0))
    require(
        len(found) > 1 or bool(gap < 0.2 * size),
        "asked for one hand, detect returned quite another one",
    )
    again = source.detect(photo, 4, None)
    same = len(again) == len(found) and all(
        np.allclose(a.keypoints_2d, b.keypoints_2d, atol=1e-3) for a, b in zip(found, again)
    )
    require(same, "the same photo gave other keypoints the second time")
    if empty is not None:
        require(source.detect(empty, 4, None) == [], "detect found a hand in an empty photo")


def check_segmenter(segmenter: Any, photo: Photo, source: Any = DEFAULT_SOURCE) -> None:
    """Check that ``segmenter`` keeps the contract of :class:`hand_toolkit.Segmenter`.

    Args:
        segmenter: what ``register_segmenters`` registers.
        photo: a picture of a hand.
        source: the pose source that finds it.

    Raises:
        AssertionError: with what is wrong.
    """
    check_names(segmenter, "segmenter")
    require(isinstance(segmenter, Segmenter), "it lacks a method of hand_toolkit.Segmenter")
    estimate = estimate_pose(photo, source=source, refine=False)
    meshes = [posed_mesh(hand) for hand in estimate.hands]
    silhouettes, _ = hand_silhouettes(meshes, estimate.camera)
    before = silhouettes.copy()
    mask = segmenter.segment(photo, estimate, list(silhouettes))
    require(np.array_equal(before, silhouettes), "segment changed the silhouettes")
    require(isinstance(mask, np.ndarray), f"segment returned {type(mask).__name__}")
    require(mask.shape == photo.pixels.shape[:2], f"the mask has shape {mask.shape}")
    require(bool(np.isfinite(mask).all()), "the mask has values that are not finite")
    require(mask.min() >= 0 and mask.max() <= 1, "the mask leaves 0 to 1")
    covered = (mask > 0.5)[silhouettes.any(axis=0)].mean()
    require(bool(covered > 0.5), f"the mask covers only {covered:.0%} of the hand's mesh")


def _check_observation(observation: Any, photo: Photo) -> None:
    require(
        isinstance(observation, HandObservation),
        f"detect returned a {type(observation).__name__}, accepted is HandObservation",
    )
    require(observation.side in SIDES, f"side is {observation.side!r}")
    require(0 <= observation.confidence <= 1, f"confidence is {observation.confidence}")
    x, y = observation.keypoints_2d.T
    width, height = photo.size
    inside = float(((x > 0) & (x < width) & (y > 0) & (y < height)).mean())
    require(
        inside > 0.3,
        "fewer than a third of the keypoints lie in the photo; they are pixels, not 0 to 1",
    )
    points = observation.keypoints_3d
    if points is not None:
        palm = np.linalg.norm(points[9] - points[0])
        require(
            bool(0.03 < palm < 0.25),
            f"wrist to middle knuckle is {palm:.3f} m; 3D keypoints are metres",
        )
    if observation.shape is not None:
        require(observation.hand_model is not None, "shape needs hand_model, the model's name")
    if observation.translation is not None:
        require(observation.translation[2] > 0, "translation lies behind the camera")
        require(observation.focal_px is not None, "translation needs focal_px")
