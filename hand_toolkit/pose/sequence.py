"""Frames of a video, or photos of one person, to poses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..core.conventions import SIDES
from ..core.errors import NoHandError
from ..core.types import Camera, HandObservation, Photo, PoseEstimate
from ..see.source import DEFAULT_SOURCE, PoseSource
from .camera import photo_camera
from .estimate import (
    check_hands,
    detect_hands,
    find_source,
    select_hands,
    to_estimate,
    with_focal,
)
from .fit import HandFit, fit_either_side, fit_hand, share_shape

SAME_HAND = 0.5
"""Keypoints of one hand move less than this part of its size between video frames."""


@dataclass(frozen=True)
class Track:
    """Hands followed through pictures, before their outlines are looked at.

    Attributes:
        names: of the pictures.
        cameras: one per picture.
        fits: per picture the hands by side; none where none was found.
        sharpness: (T,) mean step between neighbouring pixels of the hands' box, in parts of its
            contrast: blurred frames have a low one.
        missing: per picture without a hand a sentence that says so, else "".
        hand_model: name of the hand model.
    """

    names: list[str]
    cameras: list[Camera]
    fits: list[dict[str, HandFit]]
    sharpness: list[float]
    missing: list[str]
    hand_model: str

    def ordered(self, index: int) -> list[HandFit]:
        """The hands of one picture, right first."""
        return [self.fits[index][side] for side in SIDES if side in self.fits[index]]

    def estimate(self, index: int) -> PoseEstimate:
        """The hands of one picture as others use them."""
        return to_estimate(self.ordered(index), self.cameras[index], self.hand_model)


def track_hands(
    frames: Iterable[Photo],
    *,
    source: str | PoseSource = DEFAULT_SOURCE,
    hand_model: str = "default",
    hands: str = "auto",
    focal_px: float | None = None,
    video: bool = True,
    same_person: bool = True,
    progress: Callable[[int, str], None] | None = None,
) -> Track:
    """Find and fit the hands of many pictures; arguments as for :func:`estimate_sequence`."""
    check_hands(hands)
    detector = find_source(source)
    track = Track([], [], [], [], [], hand_model)
    last: dict[str, HandFit] = {}
    focal = focal_px
    for number, frame in enumerate(frames):
        photo = with_focal(frame, focal)
        camera = photo_camera(photo)
        if video and focal is None:
            focal = camera.fx
        found = detect_hands(photo, detector)
        missing, current = "", {}
        if video:
            found = keep_sides(found, last)
            tries = []
        else:
            tries = [fit_either_side(o, camera, hand_model=hand_model) for o in found]
            found = [fit.observation for fit in tries]
        try:
            chosen = select_hands(found, hands, photo)
        except NoHandError as error:
            chosen, missing = [], str(error)
        for observation in chosen:
            if not video:
                fit = next(fit for fit in tries if fit.observation is observation)
            else:
                before = last.get(observation.side)
                state = before.state if before else None
                fit = fit_hand(observation, camera, hand_model=hand_model, previous=state)
            current[observation.side] = fit
        # A hand that is hidden for a moment keeps its place in the track.
        last = {**last, **current}
        track.names.append(photo.name)
        track.cameras.append(camera)
        track.fits.append(current)
        track.sharpness.append(_sharpness(photo, chosen))
        track.missing.append(missing)
        if progress:
            progress(number + 1, photo.name)
    if same_person:
        return dataclasses.replace(track, fits=_one_shape(track.fits, hand_model))
    return track


def estimate_sequence(
    frames: Iterable[Photo],
    *,
    source: str | PoseSource = DEFAULT_SOURCE,
    hand_model: str = "default",
    hands: str = "auto",
    focal_px: float | None = None,
    video: bool = True,
    same_person: bool = True,
    progress: Callable[[int, str], None] | None = None,
) -> list[PoseEstimate]:
    """Poses of many frames, from their keypoints.

    Args:
        frames: read one at a time; only keypoints are kept.
        source: as in :func:`hand_toolkit.estimate_pose`.
        hand_model: as there.
        hands: as there; a frame without the wanted hands is empty, not an error.
        focal_px: as there.
        video: frames follow each other in time: the hand of the frame before is one start of
            the fit, sides are kept along a track, and one focal length holds for all.
        same_person: fit everything again with one shape, the median over the frames.
        progress: told the number of frames done and the last one's name.

    Returns:
        One estimate per frame, with no hands where none was found.

    Raises:
        InputError: as :func:`hand_toolkit.estimate_pose`.
    """
    track = track_hands(
        frames,
        source=source,
        hand_model=hand_model,
        hands=hands,
        focal_px=focal_px,
        video=video,
        same_person=same_person,
        progress=progress,
    )
    return [track.estimate(k) for k in range(len(track.names))]


def _sharpness(photo: Photo, hands: list[HandObservation]) -> float:
    """0 for a flat or empty box; see :class:`Track`."""
    if not hands:
        return 0.0
    points = np.concatenate([hand.keypoints_2d for hand in hands])
    width, height = photo.size
    low = np.clip(points.min(axis=0), 0, [width - 2, height - 2]).astype(int)
    high = np.clip(points.max(axis=0) + 1, low + 2, [width, height]).astype(int)
    # as many samples as a hand needs, so that large pictures are not the sharper ones
    step = max(1, int(max(high - low) // 300))
    box = photo.pixels[low[1] : high[1] : step, low[0] : high[0] : step].mean(axis=2)
    steps = np.abs(np.diff(box, axis=0)).mean() + np.abs(np.diff(box, axis=1)).mean()
    return float(steps / (box.std() + 1.0))


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
