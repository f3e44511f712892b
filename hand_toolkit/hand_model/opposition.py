"""The thumb against the fingers: how it closes, and where small things lie between their tips.

A grasp holds where contacts face each other (Nguyen 1988, "Constructing force-closure grasps"): of
the ways in which the thumb can come to an object, the one is taken whose contact looks most against
those of the fingers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.conventions import FINGERS
from .limits import FREE_ANGLES, FREE_HIGHEST, FREE_LOWEST

if TYPE_CHECKING:
    from .grasp import _Hand

THUMB_ABDUCTIONS = (42.0, 25.0, 8.0, -10.0)
THUMB_TWISTS = (20.0, -5.0, -30.0)
"""Degrees that are tried: from a thumb that stands off to one that lies before the palm."""

COARSE_STEP = 0.06
"""Step of the ways that are only compared; the thumb is thicker than it moves in one."""

PAD_WORTH = 0.2
"""What contact of the last part counts beside opposition, which is 0 to 1."""

GOOD = 0.85
"""A closing this good ends the search."""

FACING = 0.7
"""Opposition (1 is exactly opposite) from which thumb and fingers hold a thing between them."""

PINCH = {
    "index": (41.0, 50.0, 26.0), "middle": (44.0, 50.0, 26.0), "ring": (48.0, 50.0, 26.0),
    "pinky": (52.0, 50.0, 26.0), "thumb": (30.0, 12.0, 17.0),
}  # fmt: skip
"""Flexion in degrees where the tips of thumb and index meet (the pose ``pinch``)."""

PINCH_THUMB = {"thumb1_abduction": 7.0, "thumb1_twist": -28.0, "thumb2_abduction": 9.0}

PINCH_OPEN = {
    "index": (-5.0, 10.0, 5.0), "middle": (-5.0, 10.0, 5.0), "ring": (-5.0, 10.0, 5.0),
    "pinky": (-5.0, 10.0, 5.0), "thumb": (-25.0, -10.0, -5.0),
}  # fmt: skip
PINCH_OPEN_THUMB = {"thumb1_abduction": 42.0, "thumb1_twist": -28.0, "thumb2_abduction": 9.0}

SPARE_M = 0.003
"""Room on each side of a thing between the tips before they close."""


def contacts(hand: _Hand, angles: np.ndarray, near_m: float = 1.2e-3) -> dict[str, np.ndarray]:
    """Finger -> (3,) mean outward normal of the object where the finger touches it."""
    found = {}
    skin = hand.skin(angles)
    for finger in FINGERS:
        own = skin[np.concatenate(hand.parts[finger])]
        touching = own[hand.thing.height(own) < near_m]
        if len(touching):
            _, nearest = hand.thing.tree().query(touching)
            normal = hand.thing.normals[nearest].mean(0)
            found[finger] = normal / max(float(np.linalg.norm(normal)), 1e-9)
    return found


def opposition(normals: dict[str, np.ndarray]) -> float:
    """How much the thumb's contact faces the fingers': 1 opposite, 0 beside, -1 without it."""
    fingers = [normal for finger, normal in normals.items() if finger != "thumb"]
    if "thumb" not in normals:
        return -1.0
    if not fingers:
        return 0.0
    middle = np.mean(fingers, axis=0)
    best = max([-float(normals["thumb"] @ n) for n in fingers])
    return (1 + 0.5 * (best - float(normals["thumb"] @ middle))) / 2


def opposed_thumb(hand: _Hand, angles: np.ndarray, touch_m: float) -> np.ndarray:
    """Angles with the thumb closed so that it faces the fingers' contacts.

    Args:
        hand: beside the object.
        angles: (26,) with the fingers closed.
        touch_m: height of skin that touches.
    """
    fingers = {f: n for f, n in contacts(hand, angles).items() if f != "thumb"}
    abduction, twist = (FREE_ANGLES.index(f"thumb1_{name}") for name in ("abduction", "twist"))
    pairs = [(np.degrees(angles[abduction]), np.degrees(angles[twist]))]
    pairs += [(a, t) for t in THUMB_TWISTS for a in THUMB_ABDUCTIONS]
    best, start = -2.0, angles
    for degrees in pairs:
        tried = angles.copy()
        tried[[abduction, twist]] = np.radians(degrees)
        tried = np.clip(tried, FREE_LOWEST, FREE_HIGHEST)
        if hand.heights(tried, "thumb", others=False).min() < touch_m:
            continue  # it would have to go through the object
        worth = _thumb_worth(hand, hand.close(tried, "thumb", COARSE_STEP), fingers, touch_m)
        if worth > best:
            best, start = worth, tried
        if best >= GOOD + PAD_WORTH:
            break
    return hand.close(start, "thumb")


def _thumb_worth(
    hand: _Hand, angles: np.ndarray, fingers: dict[str, np.ndarray], touch_m: float
) -> float:
    heights = hand.heights(angles, "thumb", others=False)
    if heights.min() >= 4 * touch_m:
        return -1.0
    own = {k: v for k, v in contacts(hand, angles).items() if k == "thumb"}
    return opposition({**fingers, **own}) + PAD_WORTH * bool(heights[2] < 4 * touch_m)


def pinch_angles(share: float) -> np.ndarray:
    """(26,) angles between the open (0) and the closed (1) pinch."""
    angles = np.zeros(len(FREE_ANGLES))
    for finger, closed in PINCH.items():
        for k, (a, b) in enumerate(zip(PINCH_OPEN[finger], closed)):
            name = f"{finger}{k + 1}_flexion"
            angles[FREE_ANGLES.index(name)] = np.radians(a + share * (b - a))
    for name, closed_degrees in PINCH_THUMB.items():
        degrees = PINCH_OPEN_THUMB[name] + share * (closed_degrees - PINCH_OPEN_THUMB[name])
        angles[FREE_ANGLES.index(name)] = np.radians(degrees)
    return np.clip(angles, FREE_LOWEST, FREE_HIGHEST)


def pads(hand: _Hand, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(3,) where the thumb's tip is next to those of index and middle finger, and theirs."""
    from scipy.spatial import cKDTree

    skin = hand.skin(angles)
    thumb = cKDTree(skin[hand.parts["thumb"][2]])
    ours, theirs = [], []
    for finger in ("index", "middle"):
        own = skin[hand.parts[finger][2]]
        distance, nearest = thumb.query(own)
        k = int(np.argmin(distance))
        ours.append(thumb.data[nearest[k]])
        theirs.append(own[k])
    return np.mean(ours, axis=0), np.mean(theirs, axis=0)


def pinch_at(
    hand: _Hand, centre: np.ndarray, axes: np.ndarray, thickness: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """A right hand whose tips stand around a thing.

    Args:
        hand: right.
        centre: (3,) of the thing.
        axes: (3, 3) its principal axes, rows from the longest, right-handed.
        thickness: along the last one, metres.

    Returns:
        Angles (26,), the wrist's rotation matrix (3, 3) and translation (3,) in the thing's axes;
        None for things too thick for a pinch.
    """

    def gap(share: float) -> float:
        thumb, fingers = pads(hand, pinch_angles(share))
        return float(np.linalg.norm(fingers - thumb))

    wanted = thickness + 2 * SPARE_M
    low, high = 0.0, 1.0
    if gap(low) < wanted:
        return None
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if gap(middle) > wanted else (low, middle)
    angles = pinch_angles(low)
    thumb, fingers = pads(hand, angles)
    along = (fingers - thumb) / np.linalg.norm(fingers - thumb)
    across = np.array([0.0, 0.0, 1.0]) - along[2] * along  # a pen lies across the hand
    across /= np.linalg.norm(across)
    ours = np.stack([along, across, np.cross(along, across)], axis=1)
    long, _, thin = axes
    theirs = np.stack([thin, long, np.cross(thin, long)], axis=1)
    rotation = theirs @ ours.T
    return angles, rotation, centre - rotation @ ((thumb + fingers) / 2)
