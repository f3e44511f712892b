"""What all edits share: new skin in the light that was there, and a record in the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ..avatar import Avatar, AvatarHand
from ..avatar.mirror import dressed, same_skin
from ..core.conventions import SH_C0
from ..geometry.colour import linear_to_srgb, srgb_curve, srgb_to_linear

EDITS_KEY = "edits"
"""Provenance that lists what was done to the avatar since it was fitted, oldest first."""

NETWORK = "prior."
"""Extras that hold a network's maps, which would draw the skin and shape from before."""

DARKEST, BRIGHTEST_SHADE = 0.01, 4.0


def linear_albedo(hand: AvatarHand) -> np.ndarray:
    """(N, 3) linear reflectance of the splats."""
    return srgb_to_linear(hand.albedo.astype(np.float64))


def with_albedo(hand: AvatarHand, albedo: np.ndarray) -> AvatarHand:
    """The hand in another skin, and that skin as the photo's light would have shown it.

    Where the reflectance stays, so do the colours, to the bit. Hidden skin moves alike, so that a
    tone or a decal stays when the photo is trusted less.

    Args:
        hand: the hand.
        albedo: (N, 3) linear reflectance; clipped to [0, 1].
    """
    old = linear_albedo(hand)
    new = np.clip(albedo, 0, 1)
    moved = np.abs(new - old).max(axis=1) > 1e-7
    if not moved.any():
        return hand
    encoded = hand.albedo.copy()
    encoded[moved] = linear_to_srgb(new[moved])
    color = hand.color.copy()
    plain = hand.color.ndim == 2
    base = color[moved] if plain else 0.5 + SH_C0 * color[moved, 0]
    lit = srgb_to_linear(np.clip(base, 0, None).astype(np.float64))
    shade = np.clip(lit / np.maximum(old[moved], DARKEST), 0, BRIGHTEST_SHADE)
    shown = srgb_curve(np.maximum(lit + (new[moved] - old[moved]) * shade, 0))
    if plain:
        color[moved] = np.clip(shown, 0, 1)
    else:
        # what turns with the view keeps its share of the colour
        share = shown / np.maximum(base, 0.02)
        color[moved, 1:] *= np.clip(share, 0, 4)[:, None]
        color[moved, 0] = (shown - 0.5) / SH_C0
    hidden = hand.hidden
    if hidden is not None:
        share = np.clip(new[moved], DARKEST, 1) / np.clip(old[moved], DARKEST, 1)
        hidden = hidden.copy()
        kept = srgb_to_linear(hidden[moved].astype(np.float64))
        hidden[moved] = linear_to_srgb(np.clip(kept * share, 0, 1))
    return dataclasses.replace(hand, albedo=encoded, color=color, hidden=hidden)


def each_hand(avatar: Avatar, change: Callable[[AvatarHand], AvatarHand], record: str) -> Avatar:
    """The avatar with ``change`` done to each hand, and recorded; a mirror image stays one."""
    hands: dict[str, AvatarHand] = {}
    for hand in sorted(avatar.hands, key=lambda h: same_skin(avatar, h.side) is not None):
        other = same_skin(avatar, hand.side)
        hands[hand.side] = dressed(hand, hands[other]) if other else change(hand)
    return recorded(dataclasses.replace(avatar, hands=tuple(hands.values())), record)


def recorded(avatar: Avatar, what: str) -> Avatar:
    """The avatar whose provenance says, after earlier edits, what was done.

    A network's maps go, since they know nothing of the edit.
    """
    before = avatar.provenance.get(EDITS_KEY, "")
    provenance = {**avatar.provenance, EDITS_KEY: f"{before}; {what}" if before else what}
    extras = {k: v for k, v in avatar.extras.items() if not k.startswith(NETWORK)}
    return dataclasses.replace(avatar, provenance=provenance, extras=extras)


def finished(avatar: Avatar) -> Avatar:
    """The avatar with a new preview, for saving."""
    from ..pictures.drawing import preview_png

    return dataclasses.replace(avatar, preview=preview_png(avatar))
