"""Keypoints as OpenPose and MediaPipe write them, as records of the pose source 'file'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hand_toolkit.core.errors import PARSER_FAULTS, FileFormatError


def openpose_hands(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Hands of OpenPose's ``people``; those of zeros, which it writes for none, are left out.

    Raises:
        FileFormatError: keypoints that are not 21 times x, y, score.
    """
    people = content.get("people")
    if not isinstance(people, list):
        return []
    records = []
    for person in people:
        for side in ("right", "left"):
            values = person.get(f"hand_{side}_keypoints_2d") if isinstance(person, dict) else None
            if not values:
                continue
            points = _points(values, 3, "hand keypoints of OpenPose")
            if points[:, 2].max() > 0:
                records.append(
                    {
                        "side": side,
                        "keypoints_2d": points[:, :2],
                        "confidence": float(points[:, 2].mean()),
                    }
                )
    return records


def mediapipe_hands(content: Mapping[str, Any], size: tuple[int, int]) -> list[dict[str, Any]]:
    """Hands of a result of MediaPipe's hand landmarker.

    Args:
        content: the result; names as in Python or in JavaScript.
        size: (width, height) of the picture, to which the landmarks are relative.

    Raises:
        FileFormatError: landmarks that are not 21 points, or without a side each.
    """
    flat = _first(content, "landmarks", "hand_landmarks")
    names = _first(content, "handedness", "handednesses")
    if not isinstance(flat, list) or not isinstance(names, list):
        return []
    world = _first(content, "worldLandmarks", "hand_world_landmarks") or [None] * len(flat)
    if not len(flat) == len(names) == len(world):
        raise FileFormatError(
            f"{len(flat)} hands of MediaPipe have {len(names)} sides; give one for each"
        )
    records = []
    for points, placed, name in zip(flat, world, names):
        best = name[0] if isinstance(name, list) and name else name
        word = best.get("categoryName") or best.get("category_name") or best.get("label") or ""
        side = str(word).lower()
        if side not in ("right", "left"):
            raise FileFormatError(f"a hand of MediaPipe has the side {str(word)[:40]!r}")
        # its names are those of a mirrored picture, as front cameras give
        if content.get("mirrored", True):
            side = "left" if side == "right" else "right"
        record: dict[str, Any] = {
            "side": side,
            "keypoints_2d": _points(points, 3, "landmarks of MediaPipe")[:, :2] * size,
            "confidence": float(best.get("score", 1.0)),
        }
        if placed:
            record["keypoints_3d"] = _points(placed, 3, "world landmarks of MediaPipe")
        records.append(record)
    return records


def _first(content: Mapping[str, Any], *keys: str) -> Any:
    return next((content[key] for key in keys if key in content), None)


def _points(values: Any, width: int, what: str) -> np.ndarray:
    """(21, width) numbers of a flat list, or of objects with x, y, z."""
    try:
        if isinstance(values[0], Mapping):
            values = [[point["x"], point["y"], point.get("z", 0.0)] for point in values]
        return np.asarray(values, np.float64).reshape(21, width)
    except PARSER_FAULTS as error:
        raise FileFormatError(f"{what} are not 21 points of {width} numbers ({error})") from error
