"""Where the crops lie that the hand networks look at: upright, the fingers up."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .landmarks import CROP_SIZE
from .views import View

PALM_SCALE, PALM_SHIFT = 2.6, 0.5
"""Crop's edge and shift towards the fingers in units of the palm's box (MediaPipe's
``palm_detection_detection_to_roi.pbtxt``)."""

POINTS_SCALE, POINTS_SHIFT = 2.0, 0.1
"""The same for the box of the points (``hand_landmark_landmarks_to_roi.pbtxt``)."""

STEADY_POINTS = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
"""Keypoints that span that box: fingertips move too much."""


SECOND_LOOK_TURN = math.radians(15)
"""How far the crops of the second look are turned, as in :func:`views.hand_views`."""

SECOND_LOOK_SCALE = 0.92
"""Their size in units of the crop that MediaPipe follows a hand with; a tighter crop finds the
points better, a wider one the depths."""


@dataclass(frozen=True)
class Palm:
    """A palm that the detector found, in pixels of the photo.

    Attributes:
        score: 0 to 1.
        center: (2,) of its box.
        side: edge of its box, turned with the palm.
        points: (7, 2), see ``palm.PALM_POINTS``.
    """

    score: float
    center: np.ndarray
    side: float
    points: np.ndarray


def angle_up(direction: np.ndarray) -> float:
    """Turn, radians clockwise, that makes a direction (x, y) of a picture point up."""
    return -math.pi / 2 - math.atan2(float(direction[1]), float(direction[0]))


def crop_of_palm(palm: Palm) -> View:
    """The crop that the landmark network should look at, from wrist and middle knuckle."""
    direction = palm.points[2] - palm.points[0]
    angle = angle_up(direction)
    up = direction / max(float(np.linalg.norm(direction)), 1e-9)
    x, y = palm.center + PALM_SHIFT * palm.side * up
    return View((float(x), float(y)), PALM_SCALE * palm.side, angle, size=CROP_SIZE)


def crop_of_points(points: np.ndarray, size: int = CROP_SIZE) -> View:
    """The crop around a hand whose keypoints (21, 2) are known, photo pixels."""
    knuckles = (points[5] + points[13]) / 4 + points[9] / 2
    angle = angle_up(knuckles - points[0])
    c, s = math.cos(angle), math.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    steady = points[list(STEADY_POINTS)] @ turn.T
    low, high = steady.min(axis=0), steady.max(axis=0)
    middle = (low + high) / 2 - [0, POINTS_SHIFT * (high[1] - low[1])]
    x, y = middle @ turn
    side = max(POINTS_SCALE * float((high - low).max()), 4.0)
    return View((float(x), float(y)), side, angle, size=size)


def second_look(points: np.ndarray) -> list[View]:
    """Four crops of a hand with keypoints (21, 2): plain, mirrored, turned 15 degrees both ways."""
    crop = crop_of_points(points)
    crop = replace(crop, side=SECOND_LOOK_SCALE * crop.side)
    turn = SECOND_LOOK_TURN
    # The mirror comes after the turn, so an upright hand stays upright in it.
    return [
        crop,
        replace(crop, mirror=True),
        replace(crop, angle=crop.angle + turn),
        replace(crop, angle=crop.angle - turn, mirror=True),
    ]
