"""Built-in poses fitted to a hand's shape: they end where skin meets skin.

The angles of ``POSES`` are those of the mean default hand. On a hand with other proportions
the same angles leave a pinch open or put the thumb into a finger, so each pose is settled
(``hand_model.contact``) from there: what should touch touches, nothing is inside.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..core.conventions import FINGERS, mirror_theta
from .builtin import finger_pose

if TYPE_CHECKING:
    from ..avatar import Avatar
    from ..hand_model.contact import ContactHand, Goal

CURL_DEGREES = (85.0, 100.0, 65.0)
"""Flexion of a finger's joints at curl 1, the sliders' unit."""

THUMB_CURL_DEGREES = (30.0, 45.0, 70.0)
MEAN_CURL_LIMITS = (0.9, 0.96, 0.96, 0.9, 0.87)
"""Of the mean hand, thumb first."""

POSE_KEY = "{side}.pose.{name}"
CURL_KEY = "{side}.curl_limits"
"""Names of an avatar's extras that keep what was computed for its shape."""

_TO_PALM = tuple((f"{finger}_tip", "palm+palm_front", 0.5) for finger in FINGERS[1:])
_TOUCHES: dict[str, tuple[tuple[str, str, float], ...]] = {
    "fist": (*_TO_PALM, ("thumb_pad", "middle_back", 2.0)),
    "pinch": (("thumb_pad", "index_pad", 4.0),),
    "point": (*_TO_PALM[1:], ("thumb_pad", "middle_back", 2.0)),
    "victory": (*_TO_PALM[2:], ("thumb_pad", "ring_back", 2.0)),
    "thumbs_up": _TO_PALM,
}
"""Skin that touches in each pose, and how much that matters."""


def goals(name: str) -> tuple[Goal, ...]:
    """What touches in the built-in pose ``name``."""
    from ..hand_model.contact import Goal

    return tuple(Goal(*touch) for touch in _TOUCHES.get(name, ()))


def fitted_pose(name: str, hand_model: str, shape: np.ndarray) -> np.ndarray:
    """θ (16, 3) of a right hand of that shape in a built-in pose, wrist at zero; kept.

    Args:
        name: of ``pose_names``.
        hand_model: name of the hand model.
        shape: (S,) its shape parameters.

    Raises:
        InputError: an unknown pose.
    """
    if name not in _TOUCHES:
        return finger_pose(name)
    return _settled(name, hand_model, np.asarray(shape, np.float64).tobytes()).copy()


def curl_limits(hand_model: str, shape: np.ndarray) -> np.ndarray:
    """(5,) curl at which each finger of the open hand meets other skin, at most 1; kept."""
    return _curl_limits(hand_model, np.asarray(shape, np.float64).tobytes()).copy()


def avatar_pose(avatar: Avatar, side: str, name: str, solve: bool = True) -> np.ndarray:
    """θ (16, 3) of the avatar's hand in a built-in pose, wrist at zero.

    Taken from the avatar's file where it is there, else computed for its shape (seconds, once).

    Args:
        avatar: the avatar.
        side: which hand.
        name: of ``POSES``.
        solve: False takes the mean hand's pose where the file has none.

    Raises:
        InputError: an unknown pose, or a side that the avatar does not have.
    """
    hand = avatar.hand(side)
    stored = avatar.extras.get(POSE_KEY.format(side=side, name=name))
    if stored is not None and np.shape(stored) == (16, 3):
        return np.array(stored, np.float64)
    theta = fitted_pose(name, avatar.hand_model, hand.shape) if solve else finger_pose(name)
    return theta if side == "right" else mirror_theta(theta)


def avatar_curl_limits(avatar: Avatar, side: str, solve: bool = True) -> np.ndarray:
    """(5,) as :func:`curl_limits`, from the avatar's file where it is there.

    Args:
        avatar: the avatar.
        side: which hand.
        solve: False takes the mean hand's where the file has none.
    """
    stored = avatar.extras.get(CURL_KEY.format(side=side))
    if stored is not None and np.shape(stored) == (5,):
        return np.array(stored, np.float64)
    if not solve:
        return np.array(MEAN_CURL_LIMITS)
    return curl_limits(avatar.hand_model, avatar.hand(side).shape)


def with_presets(avatar: Avatar) -> Avatar:
    """The avatar with its poses and curl limits among its extras."""
    extras = {}
    for hand in avatar.hands:
        for name in _TOUCHES:
            extras[POSE_KEY.format(side=hand.side, name=name)] = avatar_pose(
                avatar, hand.side, name
            )
        extras[CURL_KEY.format(side=hand.side)] = avatar_curl_limits(avatar, hand.side)
    return dataclasses.replace(avatar, extras={**avatar.extras, **extras})


@lru_cache(maxsize=4)
def _contact_hand(hand_model: str, shape: bytes) -> ContactHand:
    from ..hand_model.contact import ContactHand

    return ContactHand(hand_model, np.frombuffer(shape))


OPEN_THUMB, ABOVE = (-20, -10, 0, 40), (30, 30, 20, 45)
"""Degrees of a thumb's three flexions and its abduction, out of the fingers' way and over them."""

SIDEWAYS_DEGREES, STILL_DEGREES = 3.0, 2.0
"""How readily fingers that close leave their pose sideways, and closed ones at all, for the thumb:
else a finger that meets the thumb is pushed up and aside, and stands out of the fist."""


def settle_in_turn(hand: ContactHand, target: np.ndarray, touch: tuple[Goal, ...]) -> np.ndarray:
    """The pose nearest to ``target`` in which the fingers close first and then the thumb on them.

    Args:
        hand: of any shape.
        target: (26,) anatomical angles, radians.
        touch: what should touch.

    Returns:
        (26,) angles; ``target`` where nothing is inside and everything touches.
    """
    from ..hand_model.contact import EASE
    from ..hand_model.limits import FREE_ANGLES

    if hand.fits(target, touch):
        return target
    thumb = np.array([name.startswith("thumb") for name in FREE_ANGLES])
    hinges = np.array([name.endswith("flexion") for name in FREE_ANGLES])
    at = [FREE_ANGLES.index(f"thumb{end}") for end in ("1_flexion", "2_flexion", "3_flexion")]
    at.append(FREE_ANGLES.index("thumb1_abduction"))

    def with_thumb(angles: np.ndarray, degrees: tuple[int, ...]) -> np.ndarray:
        moved = np.where(thumb, 0.0, angles)
        moved[at] = np.radians(degrees)
        return moved

    closed = hand.settle(
        with_thumb(target, OPEN_THUMB),
        [goal for goal in touch if not goal.first.startswith("thumb")],
        ease=np.where(hinges, EASE, np.radians(SIDEWAYS_DEGREES)),
    )
    over = [goal for goal in touch if goal.first.startswith("thumb")]
    aim = np.where(thumb, target, closed)
    return hand.settle(
        aim,
        over,
        start=with_thumb(closed, ABOVE) if over else aim,
        ease=np.where(thumb, EASE, np.radians(STILL_DEGREES)),
    )


@lru_cache(maxsize=64)
def _settled(name: str, hand_model: str, shape: bytes) -> np.ndarray:
    from ..hand_model.limits import compose, decompose

    hand, target = _contact_hand(hand_model, shape), decompose(finger_pose(name))
    if name == "pinch":
        return compose(hand.settle(target, goals(name)))
    return compose(settle_in_turn(hand, target, goals(name)))


@lru_cache(maxsize=8)
def _curl_limits(hand_model: str, shape: bytes) -> np.ndarray:
    return _contact_hand(hand_model, shape).curl_limits(CURL_DEGREES, THUMB_CURL_DEGREES)
