"""Pictures to a view set: the hands of a photo, of several, of a folder or of a video."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..animate import Motion, save_motion, smooth
from ..core.conventions import SIDES
from ..core.errors import InputError, NoHandError
from ..core.types import Camera, Photo, PoseEstimate, Progress
from ..geometry.rotations import matrix_from_axis_angle
from ..geometry.silhouette import hand_silhouettes
from ..media import load_mask
from ..media.pictures import Pictures, Source, open_pictures
from ..media.viewset import View, ViewSet
from ..see.segment import DEFAULT_SEGMENTER, SegmentedHands, segment_hands
from ..see.source import DEFAULT_SOURCE, PoseSource
from .estimate import SeenHands, posed_mesh, refine_fits, see_hands, to_estimate, with_focal
from .fit import HandFit, hand_chain
from .sequence import Track, track_hands

log = logging.getLogger(__name__)

MAX_GAP = 4
"""How many times as many frames numbered pictures may stand for as there are."""

MAX_VIEWS = 6
"""Most pictures that an avatar is fitted to; of more, the most different sharp ones are taken."""

NEW_SIDE = np.pi
"""A hand that no chosen view shows yet counts like one turned by so much, radians."""

DOUBTFUL = 0.5
"""Confidence of a hand below which the user is told."""

HELD = 1e-3
"""How far, in prior sigmas, a shape that all pictures share may still be moved."""


@dataclass(frozen=True)
class SeeConfig:
    """Who looks at the pictures, and for what.

    Attributes:
        pose_source, hand_model, hands, focal_px, seed: see :func:`hand_toolkit.estimate_pose`.
        segmenter: name of an installed segmenter; a mask that is given wins.
        mirrored: the pictures are mirror images, as front cameras store them.
    """

    pose_source: str | PoseSource = DEFAULT_SOURCE
    hand_model: str = "default"
    hands: str = "auto"
    focal_px: float | None = None
    segmenter: str = DEFAULT_SEGMENTER
    seed: int = 0
    mirrored: bool = False

    def finding(self) -> dict[str, Any]:
        """Arguments of the functions that find hands."""
        return {
            "source": self.pose_source,
            "hand_model": self.hand_model,
            "hands": self.hands,
            "focal_px": self.focal_px,
        }


def view_hands(
    source: Source | Sequence[Source],
    config: SeeConfig | None = None,
    *,
    masks: Sequence[np.ndarray | None] | None = None,
    max_views: int = MAX_VIEWS,
    progress: Progress | None = None,
) -> ViewSet:
    """The pictures of one person's hands that an avatar is fitted to, hands outlined.

    The same hands are followed through the pictures with one shape; sides are kept along a
    video. Pictures without a usable hand are left out and said, and of many pictures those are
    taken that show the hands from the most different sides.

    Args:
        source: a picture, several, a folder or a video.
        config: who looks.
        masks: per picture (H, W) in [0, 1] or None; wins over the files beside a folder's
            pictures, which win over the segmenter.
        max_views: most views of the result.
        progress: told how far it is; may raise to stop.

    Returns:
        Views with hands, masks and labels.

    Raises:
        InputError: nothing to read, or a number of masks that is not that of the pictures.
        NoHandError: no picture shows a usable hand.
    """
    tell = progress or _silent
    config = config or SeeConfig()
    pictures = open_pictures(source, config.mirrored)
    if masks is not None and len(masks) != pictures.count:
        raise InputError(
            f"{len(masks)} mask(s) were given for {pictures.count or 'the frames of a video'} "
            "picture(s); give one for each, or put NAME_mask.png beside each picture of a folder"
        )
    if max_views < 1:
        raise InputError(f"max_views is {max_views}; give 1 or more")

    def mask_of(index: int, size: tuple[int, int]) -> np.ndarray | None:
        path = pictures.mask_path(index) if masks is None else None
        mask = load_mask(path, size) if path is not None else masks[index] if masks else None
        return mask[:, ::-1] if mask is not None and config.mirrored else mask

    if pictures.count == 1:
        photo = pictures.reader(0)()
        mask = mask_of(0, photo.size)
        seen = see_hands(
            photo,
            mask=mask,
            segmenter=config.segmenter,
            seed=config.seed,
            progress=tell,
            **config.finding(),
        )
        view = _outlined(_held(photo), photo, seen, mask, config)
        return ViewSet((view,), pictures.name)
    track = _tracked(pictures, config, True, lambda part, what: tell(0.6 * part, what))
    chosen = choose_views(track, max_views)
    left_out = [missing for missing in track.missing if missing]
    shown = sum(bool(fits) for fits in track.fits)
    if shown > len(chosen):
        left_out.append(
            f"of {shown} pictures with hands the {len(chosen)} that differ most are used"
        )
    if pictures.fps is not None and left_out:
        left_out = _frames_in_short(track, left_out)
    part = 0.4 / len(chosen)
    outlined = []
    for number, k in enumerate(chosen):
        tell(0.6 + part * number, f"following the outline in {track.names[k]}")
        photo = with_focal(pictures.reader(k)(), config.focal_px)
        mask = mask_of(k, photo.size)
        outlined.append(_refined(track.ordered(k), photo, track.cameras[k], config, mask))
    if len(chosen) > 1:
        shape = np.median([fit.state.shape[0] for fits, _ in outlined for fit in fits], axis=0)
    views = []
    for k, (fits, area) in zip(chosen, outlined):
        read = pictures.reader(k)
        photo = with_focal(read(), config.focal_px)
        if len(chosen) > 1:  # outlines have pulled each picture's shape a little
            fits = [_with_shape(fit, shape, config.hand_model) for fit in fits]
            if area is not None:
                fits, _ = _refined(fits, photo, track.cameras[k], config, area.mask)
        found = SeenHands(to_estimate(fits, track.cameras[k], config.hand_model), area)
        time_s = 0.0 if pictures.fps is None else k / pictures.fps
        views.append(_outlined(read, photo, found, mask_of(k, photo.size), config, time_s))
    tell(1.0, "poses found")
    return ViewSet(tuple(views), pictures.name, pictures.fps, tuple(left_out))


def view_given(
    photo: Photo,
    estimate: PoseEstimate,
    *,
    mask: np.ndarray | None = None,
    segmenter: str = DEFAULT_SEGMENTER,
) -> View:
    """A view of a photo whose hands and camera are known; its outline is found or given.

    Raises:
        InputError: a mask of another size, or no such segmenter.
    """
    seen = SeenHands(estimate, None)
    return _outlined(_held(photo), photo, seen, mask, SeeConfig(segmenter=segmenter))


def view_poses(
    source: Source | Sequence[Source],
    config: SeeConfig | None = None,
    *,
    progress: Progress | None = None,
) -> ViewSet:
    """Every picture of a source with the poses of its hands; for motions.

    Photos keep their own shapes and have their outlines followed; the frames of a video share
    one shape and one focal length, and are fitted to keypoints. Pictures without a hand stay
    as views without one.

    Raises:
        InputError: nothing to read.
        NoHandError: no hand in any picture.
    """
    tell = progress or _silent
    config = config or SeeConfig()
    pictures = open_pictures(source, config.mirrored)
    if pictures.count == 1:
        photo = pictures.reader(0)()
        seen = see_hands(
            photo,
            segmenter=config.segmenter,
            seed=config.seed,
            progress=tell,
            **config.finding(),
        )
        view = View(photo.name, _held(photo), seen.estimate.camera, seen.estimate.hands)
        return ViewSet((view,), pictures.name)
    video = pictures.fps is not None
    track = _tracked(pictures, config, video, tell)
    views = []
    for k, name in enumerate(track.names):
        read = pictures.reader(k)
        fits = track.ordered(k)
        if fits and not video:
            photo = with_focal(read(), config.focal_px)
            fits, _ = _refined(fits, photo, track.cameras[k], config, None)
        estimate = to_estimate(fits, track.cameras[k], config.hand_model)
        time_s = k / pictures.fps if pictures.fps is not None else 0.0
        views.append(View(name, read, estimate.camera, estimate.hands, time_s=time_s))
    if not video:
        views = with_gaps(views)
    return ViewSet(tuple(views), pictures.name, pictures.fps, tuple(m for m in track.missing if m))


def with_gaps(views: list[View]) -> list[View]:
    """Views without hands where the numbers in the pictures' names leave some out.

    Numbered pictures are frames: without this, a hand would jump over what is missing. Only
    names that differ in one number are taken so, and at most ``MAX_GAP`` times as many frames.
    """
    parts = [re.match(r"(.*?)(\d+)(\.\w+)?$", view.name) for view in views]
    if len(views) < 2 or not all(parts):
        return views
    found = [part.groups() for part in parts if part]
    numbers = [int(number) for _, number, _ in found]
    steps = np.diff(numbers)
    length = numbers[-1] - numbers[0] + 1
    if len({(a, c) for a, _, c in found}) > 1 or (steps < 1).any() or length > MAX_GAP * len(views):
        return views
    filled: list[View] = []
    for view, number, step in zip(views, numbers, [*steps, 1]):
        filled.append(view)
        for k in range(1, int(step)):
            name = f"{found[0][0]}{number + k} (missing)"
            filled.append(dataclasses.replace(view, name=name, hands=(), mask=None, labels=None))
    missing = len(filled) - len(views)
    if missing:
        log.warning("%d numbered pictures are missing; their frames have no hand", missing)
    return filled


def choose_views(track: Track, count: int) -> list[int]:
    """Pictures that show the hands from the most different sides, sharp ones first.

    Greedy farthest points: the first is the sharpest of the largest; each further one is the
    one whose hands are turned farthest from those of all chosen, weighted by its sharpness.

    Args:
        track: hands in pictures.
        count: most pictures.

    Returns:
        Indices in order.
    """
    usable = [k for k, fits in enumerate(track.fits) if fits]
    if len(usable) <= count:
        return usable
    best = max(track.sharpness[k] for k in usable)
    weight = {k: min(1.0, (track.sharpness[k] + 1e-6) / (0.7 * best + 1e-6)) for k in usable}
    turns = {
        k: {
            side: matrix_from_axis_angle(hand.theta[0])
            for side in SIDES
            if (hand := track.estimate(k).hand(side)) is not None
        }
        for k in usable
    }

    def distance(a: int, b: int) -> float:
        """Radians that the hands of ``a`` are turned from those of ``b``, the most of a side."""
        parts = []
        for side, turn in turns[a].items():
            other = turns[b].get(side)
            if other is None:
                parts.append(NEW_SIDE)
            else:
                cosine = (np.trace(turn @ other.T) - 1) / 2
                parts.append(float(np.arccos(np.clip(cosine, -1, 1))))
        return max(parts)

    def size(k: int) -> float:
        points = np.concatenate([fit.observation.keypoints_2d for fit in track.fits[k].values()])
        return float(np.linalg.norm(np.ptp(points, axis=0))) / track.cameras[k].width

    chosen = [max(usable, key=lambda k: weight[k] * size(k) * len(track.fits[k]))]
    while len(chosen) < count:
        rest = [k for k in usable if k not in chosen]
        chosen.append(max(rest, key=lambda k: weight[k] * min(distance(k, c) for c in chosen)))
    return sorted(chosen)


def motion_of(views: ViewSet, name: str | None = None, smoothed: bool = True) -> Motion:
    """The poses of a view set over time; those of a video are filtered if ``smoothed``."""
    count = len(views)
    theta, where = np.zeros((count, 2, 16, 3)), np.zeros((count, 2, 3))
    present = np.zeros((count, 2), bool)
    for t, view in enumerate(views):
        for hand in view.hands:
            k = SIDES.index(hand.side)
            theta[t, k], where[t, k], present[t, k] = hand.theta, hand.translation, True
    motion = Motion(theta, where, present, views.fps or 30.0, name or views.name)
    return smooth(motion) if smoothed and views.fps is not None else motion


def write_poses(path: Path, views: ViewSet, smoothed: bool = True) -> None:
    """Write a view set's poses with all the keys that ``hand-toolkit pose`` documents."""
    count = len(views)
    first = next(hand for view in views for hand in view.hands)
    keypoints, joints = np.zeros((count, 2, 21, 2)), np.zeros((count, 2, 21, 3))
    confidence, shape = np.zeros((count, 2)), np.zeros((count, 2, len(first.shape)))
    for t, view in enumerate(views):
        for hand in view.hands:
            k = SIDES.index(hand.side)
            keypoints[t, k], joints[t, k] = hand.keypoints_2d, hand.joints_cam_m
            confidence[t, k], shape[t, k] = hand.confidence, hand.shape
    cameras = [view.camera for view in views]
    save_motion(
        motion_of(views, path.stem, smoothed),
        path,
        keypoints_2d=keypoints,
        joints_cam_m=joints,
        confidence=confidence,
        shape=shape,
        camera=np.array([[c.fx, c.fy, c.cx, c.cy] for c in cameras]),
        size=np.array([[c.width, c.height] for c in cameras]),
        frames=np.array([view.name for view in views]),
        hand_model=np.array(first.hand_model),
    )


def described(views: ViewSet) -> str:
    """One line: how many pictures show which hand, and where a video loses one."""
    count = len(views)
    frames = f"{count} frame{'s' if count > 1 else ''}"
    right, left = (int(views.shows(side).sum()) for side in SIDES)
    text = f"{frames}, the right hand in {right} of {count}, the left hand in {left} of {count}"
    for side in SIDES if views.fps is not None else ():
        gaps = views.gaps(side)
        if gaps:
            longest = max(last - first + 1 for first, last in gaps)
            text += f"; {side} hand away {len(gaps)} time(s), at most {longest} frames"
    return text


def doubts(views: ViewSet) -> list[str]:
    """A sentence for each side that no picture shows surely, or only some do.

    The confidence of a hand is the probability that its side and keypoints are right.
    """
    sentences = []
    for side in SIDES:
        seen = [hand.confidence for view in views for hand in view.hands if hand.side == side]
        doubtful = [value for value in seen if value < DOUBTFUL]
        if not doubtful:
            continue
        where = f" in {len(doubtful)} of {len(seen)} pictures" if len(seen) > 1 else ""
        sentences.append(
            f"the {side} hand is not seen surely{where} (confidence {min(doubtful):.2f}): check "
            "its outline in the report, or use a photo that shows the whole hand"
        )
    return sentences


def _tracked(pictures: Pictures, config: SeeConfig, same_person: bool, tell: Progress) -> Track:
    def heard(done: int, name: str) -> None:
        # a video does not say how long it is
        tell(done / pictures.count if pictures.count else 1 - 1 / (1 + 0.02 * done), name)

    track = track_hands(
        pictures,
        video=pictures.fps is not None,
        same_person=same_person,
        progress=heard,
        **config.finding(),
    )
    if not any(track.fits):
        reason = next((m for m in track.missing if m), "it has no frames")
        raise NoHandError(
            f"no hand was found in {pictures.name}; use sharp pictures of whole hands ({reason})"
        )
    return track


def _held(photo: Photo) -> Callable[[], Photo]:
    return lambda: photo


def _outlined(
    read: Callable[[], Photo],
    photo: Photo,
    seen: SeenHands,
    mask: np.ndarray | None,
    config: SeeConfig,
    time_s: float = 0.0,
) -> View:
    """A view with mask and labels; segments only where the pose fit did not."""
    hands, camera = seen.estimate.hands, seen.estimate.camera
    area = seen.area
    if area is None:
        silhouettes, nearest = hand_silhouettes([posed_mesh(hand) for hand in hands], camera)
        area = segment_hands(
            photo, seen.estimate, list(silhouettes), nearest, segmenter=config.segmenter, mask=mask
        )
    return View(photo.name, read, camera, hands, area.mask, area.labels, time_s)


def _refined(
    fits: list[HandFit],
    photo: Photo,
    camera: Camera,
    config: SeeConfig,
    mask: np.ndarray | None,
) -> tuple[list[HandFit], SegmentedHands | None]:
    return refine_fits(fits, photo, camera, config.hand_model, mask, config.seed, config.segmenter)


def _with_shape(fit: HandFit, shape: np.ndarray, hand_model: str) -> HandFit:
    """The hand with a shape that a further fit hardly moves."""
    sigma = HELD * hand_chain(hand_model).model.shape_sigmas.astype(float)[None]
    targets = dataclasses.replace(fit.targets, shape_mean=shape[None], shape_sigma=sigma)
    state = dataclasses.replace(fit.state, shape=shape[None])
    return dataclasses.replace(fit, state=state, targets=targets)


def _frames_in_short(track: Track, left_out: list[str]) -> list[str]:
    """A video's frames without a hand in one sentence instead of hundreds."""
    empty = sum(bool(m) for m in track.missing)
    rest = [text for text in left_out if text not in track.missing]
    return [f"{empty} of {len(track.names)} frames show no usable hand", *rest] if empty else rest


def _silent(part: float, what: str) -> None:
    pass
