"""Hands that were made, as motion files; skeletons from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ...animate.motion import Motion, save_motion
from ...core.conventions import SIDES
from ...core.errors import PARSER_FAULTS, FileFormatError, InputError
from ...core.npz import read_npz
from .made import MadeHands

MOST_BYTES = 64 << 20


def write_hands(path: Path, hands: MadeHands, name: str, fps: float = 1.0) -> Path:
    """Made hands as a motion file, one hand a frame, with what stands beside θ.

    Beside the motion's arrays: ``shape`` (N, S), ``vertices`` (N, V, 3) float32 metres,
    ``residual_mm`` and ``likelihood`` (N,).

    Args:
        path: an ``.npz`` file.
        hands: of one side.
        name: of the motion.
        fps: frames a second.
    """
    count, column = len(hands), SIDES.index(hands.side)
    theta, where = np.zeros((count, 2, 16, 3)), np.zeros((count, 2, 3))
    present = np.zeros((count, 2), bool)
    theta[:, column], where[:, column] = hands.theta, hands.translation
    present[:, column] = True
    return save_motion(
        Motion(theta, where, present, fps, name),
        path,
        shape=hands.shape.astype(np.float32),
        vertices=hands.vertices.astype(np.float32),
        residual_mm=hands.residual_mm.astype(np.float32),
        likelihood=hands.likelihood,
    )


def read_skeletons(path: Path) -> np.ndarray:
    """(N, 21, D) skeletons of a JSON or NPZ file, D 2 or 3; NaN (JSON null) is not seen.

    JSON: one skeleton as 21 lists, a list of skeletons, or ``{"keypoints": ...}``. NPZ: the
    array ``keypoints``, ``keypoints_2d``, ``keypoints_3d`` or ``joints_cam_m``, the first there.

    Raises:
        InputError: no such file, or arrays of another shape.
        FileFormatError: damaged or of no known layout.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a JSON or NPZ file of skeletons")
    if path.suffix.lower() == ".npz":
        arrays = read_npz(path)
        names = ("keypoints", "keypoints_2d", "keypoints_3d", "joints_cam_m")
        found = next((arrays[n] for n in names if n in arrays), None)
        if found is None:
            raise FileFormatError(
                f"{path.name} has none of the arrays {', '.join(names)}; it has "
                f"{', '.join(sorted(arrays)) or 'none'}"
            )
    elif path.suffix.lower() == ".json":
        found = _from_json(path)
    else:
        raise InputError(f"{path.name} is no file of skeletons; accepted are .json and .npz")
    try:
        points = np.asarray(found, dtype=float)
    except PARSER_FAULTS as error:
        raise FileFormatError(f"{path.name} has skeletons that are no arrays of numbers") from error
    if points.ndim >= 2 and points.shape[-1] in (2, 3) and points.shape[-2] == 21:
        return points.reshape(-1, 21, points.shape[-1])
    raise InputError(
        f"the skeletons of {path.name} have shape {points.shape}; accepted are 21 points of 2 "
        "pixels or 3 metres each, wrist first, then thumb to little finger"
    )


def _from_json(path: Path) -> Any:
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path.name} is larger than {MOST_BYTES >> 20} MB; split it")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except PARSER_FAULTS as error:
        raise FileFormatError(f"{path.name} is no JSON: {error}") from error
    if isinstance(found, dict):
        if "keypoints" not in found:
            raise FileFormatError(f"{path.name} has no 'keypoints'")
        found = found["keypoints"]
    return _no_null(found)


def _no_null(value: Any) -> Any:
    """JSON's null as NaN."""
    if isinstance(value, list):
        if value and all(v is None for v in value):
            return [float("nan")] * len(value)
        return [_no_null(v) for v in value]
    return float("nan") if value is None else value
