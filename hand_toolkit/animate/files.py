"""Motion files: which reader a file needs by its ending; see :mod:`.layouts` for the arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import PARSER_FAULTS, FileFormatError, InputError, first_line
from ..core.npz import read_npz
from ..hand_model.restricted_pickle import read_object_array, read_restricted_pickle
from .bvh import read_bvh
from .layouts import hands_motion, motion_from_arrays
from .motion import Motion

MAX_JSON = 1 << 28
FPS = 30.0
"""Frames a second of files that tell no rate."""

_KEYPOINTS = ("people", "landmarks", "worldLandmarks", "hand_landmarks", "keypoints_2d")


def load_motion(path: str | Path) -> Motion:
    """Read a motion: .npz, .bvh of a known rig, .npy (ARCTIC), .pkl (HO3D), .json (InterHand2.6M).

    Nothing in a file is ever run; see :mod:`hand_toolkit.animate.layouts` for what is read.

    Raises:
        InputError: the file does not exist, or its values are no poses.
        FileFormatError: the file is damaged or has none of the layouts.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"the file {path} does not exist; check the path")
    suffix = path.suffix.lower()
    try:
        if suffix == ".json":
            return _from_json(_read_json(path), path)
        if suffix == ".bvh":
            return read_bvh(path)
        if suffix in (".npy", ".pkl", ".pickle"):
            read = read_object_array if suffix == ".npy" else read_restricted_pickle
            return _from_mapping(read(path), path)
        return motion_from_arrays(read_npz(path), path.stem)
    except FileFormatError as error:
        if path.name in str(error):
            raise
        raise FileFormatError(f"{path.name} is not a motion that can be read: {error}") from error
    except PARSER_FAULTS as error:
        detail = f"the key {error} is missing" if isinstance(error, KeyError) else first_line(error)
        raise FileFormatError(
            f"{path.name} is not a motion: {detail}; give poses (T, 16, 3) or (T, 2, 16, 3)"
        ) from error


def _read_json(path: Path) -> Any:
    if path.stat().st_size > MAX_JSON:
        raise FileFormatError(f"{path.name} has more than {MAX_JSON >> 20} MiB; split it")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except PARSER_FAULTS as error:
        raise FileFormatError(f"{path.name} cannot be read ({str(error)[:100]})") from error


def _from_mapping(content: Mapping[str, Any], path: Path) -> Motion:
    if any(isinstance(content.get(side), Mapping) for side in ("right", "left")):
        return hands_motion(content, FPS, path.name)
    return motion_from_arrays(content, path.stem)


def _from_json(content: Any, path: Path) -> Motion:
    if not isinstance(content, dict):
        raise FileFormatError(f"{path.name} holds no object; accepted are the documented layouts")
    if any(key in content for key in _KEYPOINTS):
        raise FileFormatError(
            f"{path.name} holds keypoints of a picture, not poses; make a motion of them with: "
            f"hand-toolkit pose PICTURE --pose-source file:{path.name}"
        )
    frames = _interhand(content)
    return hands_motion(frames, FPS, path.name) if frames else _from_mapping(content, path)


def _interhand(content: dict[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """InterHand2.6M's ``{capture: {frame: {side: {pose, trans} or null}}}`` as arrays by side."""
    entries = [
        frame
        for capture in content.values()
        if isinstance(capture, dict)
        for _, frame in sorted(capture.items(), key=lambda item: (len(item[0]), item[0]))
        if isinstance(frame, dict) and {"right", "left"} & set(frame)
    ]
    hands: dict[str, dict[str, np.ndarray]] = {}
    for side in ("right", "left"):
        given = [entry.get(side) for entry in entries]
        if any(given):
            hands[side] = {
                "pose": np.array([hand["pose"] if hand else np.zeros(48) for hand in given]),
                "trans": np.array([hand["trans"] if hand else np.zeros(3) for hand in given]),
                "present": np.array([bool(hand) for hand in given]),
            }
    return hands
