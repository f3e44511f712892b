"""Poses of a photo, a video or a folder of pictures, written as a motion file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from .animate import Motion, save_motion, smooth
from .conventions import SIDES
from .errors import InputError, NoHandError
from .hand_model import load_hand_model
from .image import load_photo, photo_from_array
from .pose import estimate_pose, estimate_sequence
from .types import Photo, PoseEstimate
from .video import SUFFIXES as VIDEO_SUFFIXES
from .video import read_video

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
Progress = Callable[[float, str], None]


def capture_motion(
    source: Path,
    output: Path,
    *,
    pose_source: str = "mediapipe",
    hand_model: str = "default",
    hands: str = "auto",
    focal_px: float | None = None,
    smooth: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> str:
    """Estimate poses and write them as ``hand-toolkit pose`` documents.

    Args:
        source: a picture, a video, or a folder of pictures in the order of their names.
        output: the .npz to write.
        pose_source, hand_model, hands, focal_px, seed: see :func:`hand_toolkit.estimate_pose`.
        smooth: filter the poses of a video over time.
        progress: told how far it is.

    Returns:
        One line that says what was found.

    Raises:
        InputError: nothing to read.
        NoHandError: no hand in any picture.
    """
    tell = progress or (lambda fraction, message: None)
    options = {
        "source": pose_source,
        "hand_model": hand_model,
        "hands": hands,
        "focal_px": focal_px,
        "seed": seed,
    }
    fps, is_video = 30.0, source.suffix.lower() in VIDEO_SUFFIXES
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
            **options,  # type: ignore[arg-type]
        )
    elif is_video:
        fps, frames = read_video(source)
        names = []
        estimates = estimate_sequence(
            _numbered(frames, names),
            video=True,
            progress=lambda done, name: tell(1 - 1 / (1 + 0.02 * done), name),
            **options,  # type: ignore[arg-type]
        )
    else:
        names = [source.name]
        estimates = [estimate_pose(load_photo(source), progress=tell, **options)]  # type: ignore[arg-type]
    if not any(e.hands for e in estimates):
        raise NoHandError(f"no hand was found in {source.name}; use sharp pictures of whole hands")
    write_poses(output, estimates, names, fps, smoothed=is_video and smooth)
    found = [sum(e.hand(s) is not None for e in estimates) for s in SIDES]
    return (
        f"{len(estimates)} frame{'s' if len(estimates) > 1 else ''}, right hand in {found[0]}, "
        f"left hand in {found[1]}"
    )


def write_poses(
    path: Path, estimates: list[PoseEstimate], names: list[str], fps: float, smoothed: bool
) -> None:
    """Write estimates with all the keys that ``hand-toolkit pose`` documents."""
    count = len(estimates)
    first = next(h for e in estimates for h in e.hands)
    shape_length = len(load_hand_model(first.hand_model, first.side, 0).shape_names)
    theta = np.zeros((count, 2, 16, 3))
    where = np.zeros((count, 2, 3))
    present = np.zeros((count, 2), bool)
    keypoints = np.zeros((count, 2, 21, 2))
    joints = np.zeros((count, 2, 21, 3))
    confidence = np.zeros((count, 2))
    shape = np.zeros((count, 2, shape_length))
    for t, estimate in enumerate(estimates):
        for hand in estimate.hands:
            k = SIDES.index(hand.side)
            theta[t, k], where[t, k], present[t, k] = hand.theta, hand.translation, True
            keypoints[t, k], joints[t, k] = hand.keypoints_2d, hand.joints_cam_m
            confidence[t, k], shape[t, k] = hand.confidence, hand.shape
    motion = Motion(theta, where, present, fps, path.stem)
    if smoothed:
        motion = smooth(motion)
    cameras = [e.camera for e in estimates]
    save_motion(
        motion,
        path,
        keypoints_2d=keypoints,
        joints_cam_m=joints,
        confidence=confidence,
        shape=shape,
        camera=np.array([[c.fx, c.fy, c.cx, c.cy] for c in cameras]),
        size=np.array([[c.width, c.height] for c in cameras]),
        frames=np.array(names),
        hand_model=np.array(first.hand_model),
    )


def _numbered(frames: Iterator[np.ndarray], names: list[str]) -> Iterator[Photo]:
    for k, pixels in enumerate(frames):
        names.append(f"{k:06d}")
        yield photo_from_array(pixels, name=names[-1])
