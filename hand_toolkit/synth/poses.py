"""Hand-written families of finger poses with jitter, as anatomical joint angles."""

from __future__ import annotations

import numpy as np

from ..core.conventions import MANO_JOINTS
from ..hand_model.limits import HIGHEST, LOWEST, theta_from_joint_angles

FOUR = ("index", "middle", "ring", "pinky")

Finger = tuple[float, float, float]
"""Flexion of the three joints, degrees."""

_STRAIGHT: Finger = (0, 4, 3)
_CURLED: Finger = (72, 95, 55)
_HALF: Finger = (35, 50, 30)
_THUMB_OUT = (-8.0, 4.0, 0.0, -2.0, -2.0)
"""The thumb: first joint's flexion, abduction, twist, second's flexion, third's flexion."""
_THUMB_ALONG = (6.0, 10.0, 0.0, 8.0, 8.0)
_THUMB_OVER = (38.0, 16.0, 12.0, 28.0, 40.0)
_THUMB_IN = (40.0, 4.0, 10.0, 30.0, 35.0)
_THUMB_OPPOSED = (34.0, 24.0, 18.0, 16.0, 22.0)

Family = tuple[tuple[Finger, Finger, Finger, Finger], tuple[float, ...], tuple[float, ...]]
"""Flexion of index, middle, ring and little finger; the thumb; abduction of the four."""

FAMILIES: dict[str, Family] = {
    "flat": ((_STRAIGHT,) * 4, _THUMB_ALONG, (0, 0, 0, 0)),
    "rest": (((18, 24, 14), (24, 28, 17), (28, 32, 19), (30, 32, 20)),
            _THUMB_ALONG, (2, 0, -1, -4)),
    "spread": (((-6, 2, 2),) * 4, _THUMB_OUT, (14, 3, -6, -17)),
    "fist": (((76, 98, 58), (80, 100, 60), (82, 100, 60), (82, 98, 58)), _THUMB_OVER, (0, 0, 0, 0)),
    "grip": (((42, 58, 34), (46, 60, 36), (50, 62, 37), (52, 60, 36)),
            _THUMB_OPPOSED, (0, 0, 0, 0)),
    "claw": (((-8, 62, 42),) * 4, (0, 14, 0, 5, 30), (8, 2, -4, -10)),
    "point": ((_STRAIGHT, _CURLED, _CURLED, _CURLED), _THUMB_OVER, (0, 0, 0, 0)),
    "pinch": (((52, 48, 26), (30, 34, 20), (22, 28, 16), (16, 24, 14)),
            _THUMB_OPPOSED, (0, 0, -2, -6)),
    "ok": (((54, 52, 26), (14, 16, 10), (6, 10, 6), (0, 6, 4)), _THUMB_OPPOSED, (0, 2, -4, -12)),
    "hook": (((5, 85, 50),) * 4, _THUMB_ALONG, (0, 0, 0, 0)),
    "cup": (((28, 26, 15), (30, 28, 16), (32, 30, 17), (34, 30, 18)),
            (14, 22, 6, 8, 10), (0, 0, 0, 0)),
    "thumbs_up": ((_CURLED,) * 4, (-18, -6, 0, -8, -8), (0, 0, 0, 0)),
    "asl_a": (((78, 98, 56),) * 4, (-4, 0, 0, 4, 4), (0, 0, 0, 0)),
    "asl_b": ((_STRAIGHT,) * 4, _THUMB_IN, (-3, -1, 1, 3)),
    "asl_c": (((34, 46, 30),) * 4, (6, 36, 14, 4, 14), (0, 0, 0, 0)),
    "asl_d": ((_STRAIGHT, (52, 66, 36), (56, 66, 36), (58, 66, 36)),
            (20, 34, 20, 14, 20), (0, 0, 0, 0)),
    "asl_e": (((32, 92, 44),) * 4, (28, 20, 12, 28, 36), (0, 0, 0, 0)),
    "asl_f": (((56, 54, 26), (4, 6, 4), (0, 4, 3), (-4, 2, 2)), _THUMB_OPPOSED, (0, 4, -4, -12)),
    "asl_i": ((_CURLED, _CURLED, _CURLED, (0, 4, 3)), _THUMB_OVER, (0, 0, 0, -6)),
    "asl_l": ((_STRAIGHT, _CURLED, _CURLED, _CURLED), (-22, -8, 0, -6, -4), (4, 0, 0, 0)),
    "asl_o": (((50, 52, 30), (52, 54, 30), (54, 54, 30), (54, 52, 30)),
            _THUMB_OPPOSED, (0, 0, 0, 0)),
    "asl_v": (((0, 2, 2), (0, 2, 2), _CURLED, _CURLED), _THUMB_IN, (12, -9, 0, 0)),
    "asl_u": (((0, 2, 2), (0, 2, 2), _CURLED, _CURLED), _THUMB_IN, (-2, 2, 0, 0)),
    "asl_w": (((0, 2, 2), (0, 2, 2), (0, 2, 2), _CURLED), _THUMB_IN, (14, 1, -11, 0)),
    "asl_x": (((18, 78, 42), _CURLED, _CURLED, _CURLED), _THUMB_OVER, (0, 0, 0, 0)),
    "asl_y": ((_CURLED, _CURLED, _CURLED, (-4, 2, 2)), (-24, -10, 0, -10, -8), (0, 0, 0, -16)),
    "horns": (((-2, 2, 2), _CURLED, _CURLED, (-2, 4, 3)), _THUMB_IN, (6, 0, 0, -12)),
    "count_three": (((0, 3, 3), (0, 3, 3), _CURLED, _CURLED), _THUMB_OUT, (8, -6, 0, 0)),
}  # fmt: skip
"""Name to angles in degrees."""

TOUCHES: dict[str, tuple[tuple[str, str, float], ...]] = {
    "pinch": (("thumb_pad", "index_pad", 1.0),),
    "ok": (("thumb_pad", "index_pad", 1.0),),
    "asl_f": (("thumb_pad", "index_pad", 1.0),),
    "asl_o": (("thumb_pad", "index_pad", 1.0), ("thumb_pad", "middle_pad", 0.5)),
    "asl_d": (("thumb_pad", "middle_pad", 1.0), ("thumb_pad", "ring_pad", 0.2)),
    "asl_e": (("thumb_pad", "ring_pad", 0.3),),
    "fist": (("thumb_pad", "middle_back", 0.6), ("thumb_pad", "index_back", 0.3)),
    "point": (("thumb_pad", "middle_back", 0.6),),
    "asl_i": (("thumb_pad", "middle_back", 0.5),),
    "asl_x": (("thumb_pad", "middle_back", 0.5),),
    "asl_u": (("thumb_pad", "ring_back", 0.5),),
    "asl_v": (("thumb_pad", "ring_back", 0.5),),
    "asl_w": (("thumb_pad", "pinky_back", 0.5),),
    "horns": (("thumb_pad", "middle_back", 0.4), ("thumb_pad", "ring_back", 0.2)),
    "asl_b": (("thumb_pad", "palm_front", 0.3),),
}
"""Where a family's thumb rests: region, region, strength; see ``solve.regions``."""

LOOSE = ("random",)
POSE_NAMES = (*FAMILIES, *LOOSE)

_SLOT = {name: MANO_JOINTS.index(f"{name}1") - 1 for name in ("thumb", *FOUR)}


def family_angles(name: str) -> np.ndarray:
    """(15, 3) radians (MANO order without the wrist; flexion, abduction, twist) of a family."""
    flexions, thumb, spread = FAMILIES[name]
    angles = np.zeros((15, 3))
    for finger, flexion, abduction in zip(FOUR, flexions, spread):
        slot = _SLOT[finger]
        angles[slot : slot + 3, 0] = flexion
        angles[slot, 1] = abduction
    slot = _SLOT["thumb"]
    angles[slot] = thumb[:3]
    angles[slot + 1, 0], angles[slot + 2, 0] = thumb[3:]
    return np.radians(angles)


def sample_angles(rng: np.random.Generator, name: str, jitter: float = 1.0) -> np.ndarray:
    """(15, 3) joint angles of a family with jitter, inside the ranges of motion.

    Args:
        rng: source of the jitter.
        name: one of POSE_NAMES.
        jitter: 1 for the usual amount, about 6 degrees.
    """
    if name == "random":
        angles = _random_angles(rng)
    else:
        angles = family_angles(name)
        common = rng.normal() * 5
        for finger in FOUR:
            slot = _SLOT[finger]
            bend = common + rng.normal() * 5
            angles[slot, 0] += np.radians((bend + rng.normal() * 4) * jitter)
            angles[slot + 1, 0] += np.radians((bend + rng.normal() * 5) * jitter)
            angles[slot + 2, 0] += np.radians((0.6 * bend + rng.normal() * 3) * jitter)
            angles[slot, 1] += np.radians(rng.normal() * 2.5 * jitter)
        slot = _SLOT["thumb"]
        angles[slot] += np.radians(rng.normal(size=3) * [5, 5, 3] * jitter)
        angles[slot + 1, 0] += np.radians(rng.normal() * 5 * jitter)
        angles[slot + 2, 0] += np.radians(rng.normal() * 6 * jitter)
    return np.clip(angles, LOWEST, HIGHEST)


def _random_angles(rng: np.random.Generator) -> np.ndarray:
    angles = np.zeros((15, 3))
    for finger in FOUR:
        slot = _SLOT[finger]
        middle = rng.uniform(-4, 100)
        angles[slot, 0] = rng.uniform(-18, 80)
        angles[slot + 1, 0] = middle
        angles[slot + 2, 0] = middle * rng.uniform(0.4, 0.75) + rng.normal() * 4
        angles[slot, 1] = rng.normal() * 7
    slot = _SLOT["thumb"]
    angles[slot] = rng.uniform([-20, -10, -12], [32, 38, 20])
    angles[slot + 1, 0] = rng.uniform(-10, 45)
    angles[slot + 2, 0] = rng.uniform(-15, 65)
    return np.radians(angles)


def rest_theta(angles: np.ndarray) -> np.ndarray:
    """(16, 3) θ of a right hand with these joint angles, wrist at zero."""
    return np.asarray(theta_from_joint_angles(angles))
