"""Poses of a photo, a video or a folder of pictures, written as a motion file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..animate import Motion, save_motion, smooth
from ..core.conventions import SIDES
from ..core.errors import InputError, NoHandError
from ..core.types import Photo, PoseEstimate
from ..media import load_photo, photo_from_array
from ..media.video import SUFFIXES as VIDEO_SUFFIXES
from ..media.video import read_video
from . import estimate_pose, estimate_sequence

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Capture:
    """Poses of every frame of a source.

    Attributes:
        estimates: hands and camera per frame; frames may have no hand.
        names: of the frames.
        fps: frames a second.
        is_video: frames follow each other in time.
    """

    estimates: list[PoseEstimate]
    names: list[str]
    fps: float
    is_video: bool

    def motion(self, name: str, smoothed: bool = True) -> Motion:
        """The poses as a motion; those of a video are filtered over time if ``smoothed``."""
        count = len(self.estimates)
        theta, where = np.zeros((count, 2, 16, 3)), np.zeros((count, 2, 3))
        present = np.zeros((count, 2), bool)
        for t, estimate in enumerate(self.estimates):
            for hand in estimate.hands:
                k = SIDES.index(hand.side)
                theta[t, k], where[t, k], present[t, k] = hand.theta, hand.translation, True
        motion = Motion(theta, where, present, self.fps, name)
        return smooth(motion) if smoothed and self.is_video else motion


def capture(
    source: Path,
    *,
    pose_source: str = "mediapipe",
    hand_model: str = "default",
    hands: str = "auto",
    focal_px: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Capture:
    """Estimate the poses in a picture, a video, or a folder of pictures in order of their names.

    Args:
        source: what to read.
        pose_source, hand_model, hands, focal_px, seed: see :func:`hand_toolkit.estimate_pose`.
        progress: told how far it is.

    Raises:
        InputError: nothing to read.
        NoHandError: no hand in any picture.
    """
    tell = progress or (lambda fraction, message: None)
    options: dict[str, Any] = {
        "source": pose_source,
        "hand_model": hand_model,
        "hands": hands,
        "focal_px": focal_px,
        "seed": seed,
    }
    fps, is_video = 30.0, source.suffix.lower() in VIDEO_SUFFIXES
    names: list[str]
    if source.is_dir():
        paths = sorted(p for p in source.iterdir() if p.suffix.lower() in PICTURES)
        if not paths:
            raise InputError(f"the folder {source} has no pictures ({', '.join(PICTURES)})")
        names = [p.name for p in paths]
        estimates = estimate_sequence(
            (load_photo(p) for p in paths),
            video=False,
            same_person=False,
            refine=True,
            progress=lambda done, name: tell(done / len(paths), name),
            **options,
        )
    elif is_video:
        fps, frames = read_video(source)
        names = []
        estimates = estimate_sequence(
            _numbered(frames, names),
            video=True,
            progress=lambda done, name: tell(1 - 1 / (1 + 0.02 * done), name),
            **options,
        )
    else:
        names = [source.name]
        estimates = [estimate_pose(load_photo(source), progress=tell, **options)]
    if not any(e.hands for e in estimates):
        raise NoHandError(f"no hand was found in {source.name}; use sharp pictures of whole hands")
    return Capture(estimates, names, fps, is_video)


def estimate_motion(source: Path, **options: Any) -> Motion:
    """:func:`capture` as a motion, smoothed where it is a video."""
    return capture(source, **options).motion(source.stem)


def capture_motion(source: Path, output: Path, *, smooth: bool = True, **options: Any) -> str:
    """:func:`capture` to an .npz with the keys that ``hand-toolkit pose`` documents.

    Returns:
        One line that says what was found.
    """
    found = capture(source, **options)
    write_poses(output, found, smooth)
    count = len(found.estimates)
    right, left = (sum(e.hand(s) is not None for e in found.estimates) for s in SIDES)
    frames = f"{count} frame{'s' if count > 1 else ''}"
    return f"{frames}, right hand in {right}, left hand in {left}"


def write_poses(path: Path, found: Capture, smoothed: bool) -> None:
    """Write a capture with all the keys that ``hand-toolkit pose`` documents."""
    count = len(found.estimates)
    first = next(h for e in found.estimates for h in e.hands)
    keypoints, joints = np.zeros((count, 2, 21, 2)), np.zeros((count, 2, 21, 3))
    confidence, shape = np.zeros((count, 2)), np.zeros((count, 2, len(first.shape)))
    for t, estimate in enumerate(found.estimates):
        for hand in estimate.hands:
            k = SIDES.index(hand.side)
            keypoints[t, k], joints[t, k] = hand.keypoints_2d, hand.joints_cam_m
            confidence[t, k], shape[t, k] = hand.confidence, hand.shape
    cameras = [e.camera for e in found.estimates]
    save_motion(
        found.motion(path.stem, smoothed),
        path,
        keypoints_2d=keypoints,
        joints_cam_m=joints,
        confidence=confidence,
        shape=shape,
        camera=np.array([[c.fx, c.fy, c.cx, c.cy] for c in cameras]),
        size=np.array([[c.width, c.height] for c in cameras]),
        frames=np.array(found.names),
        hand_model=np.array(first.hand_model),
    )


def _numbered(frames: Iterator[np.ndarray], names: list[str]) -> Iterator[Photo]:
    for k, pixels in enumerate(frames):
        names.append(f"{k:06d}")
        yield photo_from_array(pixels, name=names[-1])
