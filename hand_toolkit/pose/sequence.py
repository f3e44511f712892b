"""Frames of a video, or photos of one person, to poses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from ..core.conventions import SIDES
from ..core.errors import NoHandError
from ..core.types import Camera, HandObservation, Photo, PoseEstimate
from ..see.source import PoseSource
from .camera import photo_camera
from .estimate import (
    check_hands,
    detect_hands,
    find_source,
    refine_fits,
    select_hands,
    to_estimate,
    with_focal,
)
from .fit import HandFit, fit_hand, share_shape

SAME_HAND = 0.5
"""Keypoints of one hand move less than this part of its size between video frames."""


def estimate_sequence(
    frames: Iterable[Photo],
    *,
    source: str | PoseSource = "mediapipe",
    hand_model: str = "default",
    hands: str = "auto",
    focal_px: float | None = None,
    video: bool = True,
    same_person: bool = True,
    refine: bool = False,
    seed: int = 0,
    progress: Callable[[int, str], None] | None = None,
) -> list[PoseEstimate]:
    """Poses of many frames.

    Args:
        frames: read one at a time; only keypoints are kept unless ``refine``.
        source: as in :func:`hand_toolkit.estimate_pose`.
        hand_model: as there.
        hands: as there; a frame without the wanted hands is empty, not an error.
        focal_px: as there.
        video: frames follow each other in time: the hand of the frame before is one start of
            the fit, sides are kept along a track, and one focal length holds for all.
        same_person: fit everything again with one shape, the median over the frames.
        refine: follow outlines too, as for a single photo.
        seed: of the choice of outline points.
        progress: told the number of frames done and the last one's name.

    Returns:
        One estimate per frame, with no hands where none was found.

    Raises:
        InputError: as :func:`hand_toolkit.estimate_pose`.
    """
    check_hands(hands)
    detector = find_source(source)
    cameras: list[Camera] = []
    fits: list[dict[str, HandFit]] = []
    photos: list[Photo] = []
    last: dict[str, HandFit] = {}
    focal = focal_px
    for number, frame in enumerate(frames):
        photo = with_focal(frame, focal)
        camera = photo_camera(photo)
        if video and focal is None:
            focal = camera.fx
        found = detect_hands(photo, detector)
        if video:
            found = keep_sides(found, last)
        try:
            chosen = select_hands(found, hands, photo)
        except NoHandError:
            chosen = []
        current = {}
        for observation in chosen:
            before = last.get(observation.side) if video else None
            current[observation.side] = fit_hand(
                observation,
                camera,
                hand_model=hand_model,
                previous=before.state if before else None,
            )
        # A hand that is hidden for a moment keeps its place in the track.
        last = {**last, **current}
        cameras.append(camera)
        fits.append(current)
        if refine:
            photos.append(photo)
        if progress:
            progress(number + 1, photo.name)
    if same_person:
        fits = _one_shape(fits, hand_model)
    result = []
    for k, (camera, current) in enumerate(zip(cameras, fits)):
        ordered = [current[side] for side in SIDES if side in current]
        if refine and ordered:
            ordered = refine_fits(ordered, photos[k], camera, hand_model, None, seed)
        result.append(to_estimate(ordered, camera, hand_model))
    return result


def keep_sides(found: list[HandObservation], last: dict[str, HandFit]) -> list[HandObservation]:
    """Observations with the side of the track that they continue.

    Detectors change their mind about the side for single frames. A hand that lies where the
    other side's track was, and nowhere near its own side's, belongs to that track.

    Args:
        found: what the source saw in this frame.
        last: the latest fit of each side.
    """
    result = []
    for observation in found:
        other = "left" if observation.side == "right" else "right"
        continues = _near(observation, last.get(other)) and not _near(
            observation, last.get(observation.side)
        )
        taken = any(o.side == other and _near(o, last.get(other)) for o in found)
        swap = continues and not taken
        result.append(_other_side(observation) if swap else observation)
    return result


def _other_side(observation: HandObservation) -> HandObservation:
    """The same keypoints as those of the other hand; a θ would be meaningless."""
    side = "left" if observation.side == "right" else "right"
    return dataclasses.replace(observation, side=side, theta=None, shape=None)


def _near(observation: HandObservation, fit: HandFit | None) -> bool:
    if fit is None:
        return False
    before = fit.observation.keypoints_2d
    size = float(np.linalg.norm(np.ptp(before, axis=0)))
    gap = np.linalg.norm(observation.keypoints_2d - before, axis=1).mean()
    return bool(gap < SAME_HAND * size)


def _one_shape(fits: list[dict[str, HandFit]], hand_model: str) -> list[dict[str, HandFit]]:
    places = [(k, side) for k, current in enumerate(fits) for side in current]
    if len(places) < 2:
        return fits
    shared = share_shape([fits[k][side] for k, side in places], hand_model=hand_model)
    result: list[dict[str, HandFit]] = [{} for _ in fits]
    for (k, side), fit in zip(places, shared):
        result[k][side] = fit
    return result
