"""Size and shape: splats follow the skin they sit on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import numpy as np

from ..avatar import Avatar, AvatarHand, SurfaceBinding, surface
from ..core.errors import InputError
from ..geometry.surfaces import triangle_frames
from ..hand_model import HandModel, rest_hand
from .apply import recorded

SHORTEST_M, LONGEST_M = 0.04, 0.40
SMALLEST, LARGEST = 0.25, 4.0
UNITS_M = {"mm": 0.001, "cm": 0.01, "m": 1.0, "in": 0.0254}
FURTHEST_SIGMAS = 8.0
STIFFNESS = 2e-9
"""Square metres by which a standard deviation of a shape parameter counts against a vertex that
misses its place, when a size is put into shape parameters."""

TIP = 12
"""Keypoint of the middle finger's tip."""


def photo_hand(avatar: Avatar) -> AvatarHand:
    """The hand that the photo showed, the right one of two; else the first there is."""
    return next((h for h in avatar.hands if h.observed), avatar.hands[0])


def hand_length(avatar: Avatar, side: str) -> float:
    """Metres from the wrist to the tip of the middle finger of the flat hand."""
    return _length(surface(avatar.hand_model, side, 0), avatar.hand(side).shape)


def parse_length(text: str) -> float:
    """Metres of ``18.4cm``, ``184mm``, ``0.184m`` or ``7.2in``.

    Raises:
        InputError: no length, or none of a hand.
    """
    match = re.fullmatch(r"\s*([-+]?[\d.]+)\s*([a-z]+)\s*", text.lower())
    try:
        value = float(match[1]) * UNITS_M[match[2]] if match else np.nan
    except (ValueError, KeyError):
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"{text!r} is no length; give a number with mm, cm, m or in, as 18.4cm")
    return _checked_length(value)


def _checked_length(metres: float) -> float:
    if not SHORTEST_M <= metres <= LONGEST_M:
        raise InputError(
            f"a hand {100 * metres:g} cm long; accepted is {100 * SHORTEST_M:g} to "
            f"{100 * LONGEST_M:g} cm from the wrist to the tip of the middle finger"
        )
    return metres


def with_hand_length(avatar: Avatar, metres: float, known_from: str = "") -> Avatar:
    """The avatar with hands so long, alike in proportion.

    Args:
        avatar: the avatar.
        metres: from the wrist to the tip of the middle finger, of the hand that the photo showed;
            the other grows as much.
        known_from: what told it, for the record.

    Raises:
        InputError: a length that no hand has.
    """
    _checked_length(metres)
    first = photo_hand(avatar)
    factor = metres / hand_length(avatar, first.side)
    grown = _scaled(avatar, factor)
    record = f"hand length {1000 * metres:.1f} mm"
    record += f" by {known_from}" if known_from else ""
    provenance = {**grown.provenance, "scale": f"metric, from a known {record}"}
    return recorded(dataclasses.replace(grown, provenance=provenance), record)


def scaled(avatar: Avatar, factor: float) -> Avatar:
    """The avatar with hands larger by a factor.

    Raises:
        InputError: a factor that is not between a quarter and four.
    """
    if not SMALLEST <= factor <= LARGEST:
        raise InputError(f"scale {factor:g}; accepted is {SMALLEST:g} to {LARGEST:g}")
    return recorded(_scaled(avatar, factor), f"scale {factor:g}")


def shaped(avatar: Avatar, changes: Mapping[str, float]) -> Avatar:
    """The avatar with shape parameters of its hand model changed, on both hands.

    Args:
        avatar: the avatar.
        changes: standard deviations added, by parameter, e.g. ``{"finger_length": 1.5}``.

    Raises:
        InputError: a parameter that the model does not have, or a change beyond reason.
    """
    model = surface(avatar.hand_model, avatar.sides[0], 0)
    delta = np.zeros(len(model.shape_names))
    for name, sigmas in changes.items():
        if name not in model.shape_names:
            raise InputError(
                f"the hand model {model.name} has no shape parameter {name!r}; it has: "
                f"{', '.join(model.shape_names)}"
            )
        if not abs(sigmas) <= FURTHEST_SIGMAS:
            raise InputError(
                f"{name}={sigmas:g} standard deviations; accepted is -{FURTHEST_SIGMAS:g} to "
                f"{FURTHEST_SIGMAS:g}"
            )
        k = model.shape_names.index(name)
        delta[k] = sigmas * model.shape_sigmas[k]
    hands = tuple(reshaped(avatar, h, h.shape + delta) for h in avatar.hands)
    words = ", ".join(f"{n} {v:+g}" for n, v in changes.items())
    changed = dataclasses.replace(avatar, hands=hands, extras={})
    return recorded(changed, f"shape {words} standard deviations")


def reshaped(avatar: Avatar, hand: AvatarHand, shape: np.ndarray) -> AvatarHand:
    """The hand in another shape; each splat grows as the triangle that it sits on.

    Args:
        avatar: whose hand it is.
        hand: the hand.
        shape: (S,) shape parameters.

    Raises:
        InputError: the shape turns a triangle into nothing.
    """
    model = surface(avatar.hand_model, hand.side, avatar.level)
    old, new = (
        triangle_frames(rest_hand(model, s)[0], model.faces)[1] for s in (hand.shape, shape)
    )
    grown = np.sqrt(new / np.maximum(old, 1e-14))[hand.binding.triangle][:, None]
    if not np.isfinite(grown).all() or (len(grown) and grown.max() > 10 * LARGEST):
        raise InputError("that shape tears the hand's surface; change it less")
    b = hand.binding
    binding = SurfaceBinding(b.triangle, b.barycentric, b.offset * grown, b.quat, b.scale * grown)
    return dataclasses.replace(hand, shape=shape, binding=binding)


def _scaled(avatar: Avatar, factor: float) -> Avatar:
    hands = []
    for hand in avatar.hands:
        model = surface(avatar.hand_model, hand.side, 0)
        target = factor * _length(model, hand.shape)
        shape = _of_length(model, hand.shape, target)
        larger = reshaped(avatar, hand, shape)
        # the photo shows the same: what is larger was further away
        place = hand.source_translation * factor
        hands.append(dataclasses.replace(larger, source_translation=place))
    return dataclasses.replace(avatar, hands=tuple(hands), extras={})


def _of_length(model: HandModel, shape: np.ndarray, target: float) -> np.ndarray:
    """(S,) shape of a length, as nearly as the model can alike in proportion to ``shape``."""
    if not len(shape):
        raise InputError(f"the hand model {model.name} has no shape parameters to change its size")
    vertices = rest_hand(model, shape)[0].ravel()
    dirs = np.asarray(model.shape_dirs, np.float64).reshape(len(shape), -1)
    sigmas = np.maximum(model.shape_sigmas, 1e-6)
    stiff = np.diag(STIFFNESS * dirs.shape[1] / 3 / sigmas**2)
    larger = np.linalg.solve(dirs @ dirs.T + stiff, dirs @ vertices)
    low, high = _length(model, shape), _length(model, shape + larger)
    amount = 0.0
    for _ in range(20):
        slope = (high - low) or 1e-9
        step = (target - _length(model, shape + amount * larger)) / slope
        amount += step
        if abs(step) < 1e-9:
            break
    return np.asarray(shape + amount * larger)


def _length(model: HandModel, shape: np.ndarray) -> float:
    return float(np.abs(rest_hand(model, shape)[2][TIP, 0]))
