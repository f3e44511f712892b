"""Hands and camera that are known already: a pose file taken as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.conventions import SIDES
from ..core.errors import FileFormatError, InputError
from ..core.npz import read_npz
from ..core.types import Camera, HandPose, PoseEstimate

NEEDED = ("poses", "trans", "present", "camera", "size", "shape", "hand_model")
ASPECT = 0.02
"""How far a picture's proportions may be from those of the pose's camera."""


def read_estimate(path: str | Path, size: tuple[int, int], frame: int = 0) -> PoseEstimate:
    """The hands of a file of ``hand-toolkit pose`` or ``depth``, for a picture of a size.

    Args:
        path: an .npz file.
        size: (width, height) of the picture; the camera is brought to it.
        frame: which of the file.

    Raises:
        InputError: no such file or frame, or a picture of other proportions.
        FileFormatError: a file without camera, shape or poses.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"the pose file {path} does not exist; check the path")
    arrays = read_npz(path)
    missing = [name for name in NEEDED if name not in arrays]
    if missing:
        raise FileFormatError(
            f"{path.name} has no {', '.join(missing)}, so where its hands are in the picture is "
            "not known; make it with 'hand-toolkit depth --save-pose' or 'hand-toolkit pose'"
        )
    try:
        count = len(arrays["poses"])
        if not 0 <= frame < count:
            raise InputError(f"frame {frame} of {path.name}; it has {count}")
        wide, high = (int(v) for v in arrays["size"][frame])
        fx, fy, cx, cy = (float(v) for v in arrays["camera"][frame])
        view = Camera(fx, fy, cx, cy, wide, high)
        hands = tuple(
            _hand(arrays, frame, k, view)
            for k in range(2)
            if np.asarray(arrays["present"], bool)[frame, k]
        )
    except (IndexError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise FileFormatError(f"{path.name} is a damaged pose file: {error}") from error
    if not hands:
        raise InputError(f"{path.name} shows no hand in frame {frame}")
    if abs(np.log(size[0] / size[1] * high / wide)) > ASPECT:
        raise InputError(
            f"the picture is {size[0]}x{size[1]} and the pose was drawn for {wide}x{high}; give a "
            "picture of the same proportions, uncropped"
        )
    scale = [size[0] / wide, size[1] / high]
    hands = tuple(_at_size(hand, scale) for hand in hands)
    return PoseEstimate(hands, view.resized(*size))


def _hand(arrays: dict[str, np.ndarray], frame: int, k: int, view: Camera) -> HandPose:
    from ..hand_model import load_hand_model, pose_hand_numpy

    name = str(arrays["hand_model"])
    theta = np.asarray(arrays["poses"], np.float64)[frame, k]
    where = np.asarray(arrays["trans"], np.float64)[frame, k]
    shape = np.asarray(arrays["shape"], np.float64)[frame, k]
    points = pose_hand_numpy(load_hand_model(name, SIDES[k]), theta, shape, where)[2]
    return HandPose(SIDES[k], theta, shape, where, name, 1.0, view.project(points), points)


def _at_size(hand: HandPose, scale: list[float]) -> HandPose:
    import dataclasses

    return dataclasses.replace(hand, keypoints_2d=hand.keypoints_2d * scale)
