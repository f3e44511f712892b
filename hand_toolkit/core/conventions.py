"""Orders, names and frames, stated once for the whole project.

Units are metres, seconds and radians. Cameras are OpenCV pinholes: x right, y down,
z forward, pixel centres at .5. Quaternions are wxyz. Colours are display-referred sRGB
in [0, 1] unless a name ends in ``_linear``. Poses are MANO's: axis-angle per joint,
zero is the flat hand with the fingers along the hand's -x axis, the palm facing -y and
the thumb towards +z (right hand); a left hand is the mirror image in x, whose θ is
(x, -y, -z) of the right hand's. A hand's translation is the position of its wrist joint.
"""

from __future__ import annotations

import numpy as np

SIDES = ("right", "left")
"""Order of the two hands wherever arrays have a hand axis."""

MANO_JOINTS = (
    "wrist",
    "index1",
    "index2",
    "index3",
    "middle1",
    "middle2",
    "middle3",
    "pinky1",
    "pinky2",
    "pinky3",
    "ring1",
    "ring2",
    "ring3",
    "thumb1",
    "thumb2",
    "thumb3",
)
"""The sixteen joints in MANO's order; θ has one axis-angle vector for each."""

MANO_PARENTS = np.array([-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14])

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
"""Finger order of the 21 keypoints."""

KEYPOINTS = (
    "wrist",
    *(f"{finger}{k}" for finger in FINGERS for k in (1, 2, 3, "_tip")),
)
"""The 21 keypoints in the MediaPipe/OpenPose order: wrist, then four per finger."""

KEYPOINT_TO_MANO = np.array(
    [0, 13, 14, 15, -1, 1, 2, 3, -1, 4, 5, 6, -1, 10, 11, 12, -1, 7, 8, 9, -1]
)
"""MANO joint of each keypoint, -1 for the five fingertips."""

KEYPOINT_PARENTS = np.array(
    [-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19]
)

HAND_SPACING_M = 0.23
"""Distance between the wrists of two hands side by side, where no photo or motion places them."""

UPRIGHT_WRISTS_M = np.array([[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0]]) * HAND_SPACING_M + [0, 0.09, 0]
UPRIGHT_WRISTS_M.flags.writeable = False
"""(2, 3) wrists, right and left, of two upright hands side by side about the origin."""

SH_C0 = 0.28209479177387814
"""Band-0 real spherical harmonic; a splat's colour is ``0.5 + SH_C0 * sh[0] + ...``."""


def mirror_theta(theta: np.ndarray) -> np.ndarray:
    """θ of the mirrored hand: (..., 3) axis-angle (x, y, z) becomes (x, -y, -z)."""
    return np.asarray(theta) * np.array([1.0, -1.0, -1.0])


def side_index(side: str) -> int:
    """0 for ``"right"``, 1 for ``"left"``.

    Raises:
        InputError: for any other word.
    """
    if side not in SIDES:
        from .errors import InputError

        raise InputError(f"unknown side {side!r}; give 'right' or 'left'")
    return SIDES.index(side)
