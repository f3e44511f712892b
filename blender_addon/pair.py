# SPDX-License-Identifier: GPL-3.0-or-later
"""A hand is an armature, or one side of an armature that has both hands.

Most avatars have an armature a hand; everything in this extension that is given "a hand" takes that
armature object. Where both hands' bones are in one armature (so that Blender's X-mirror and Paste
Flipped work), a hand is a :class:`HandOfPair`: it reads and writes like the armature object, and
knows which side is meant. The functions below answer what differs between the two.
"""

from __future__ import annotations

from .axes import SUFFIX

BODY = "Hand on body"
"""Name of the constraint by which a wrist of a pair follows a body's bone."""

SIDE = "hand_side"
"""Custom property of a bone in an armature of both hands: whose it is."""


class HandOfPair:
    """One side of an armature with both hands; other attributes are the armature object's."""

    __slots__ = ("armature", "side")

    def __init__(self, armature, side):
        object.__setattr__(self, "armature", armature)
        object.__setattr__(self, "side", side)

    def __getattr__(self, name):
        return getattr(self.armature, name)

    def __setattr__(self, name, value):
        setattr(self.armature, name, value)

    def __getitem__(self, name):
        return self.armature[name]

    def __setitem__(self, name, value):
        self.armature[name] = value

    def __delitem__(self, name):
        del self.armature[name]

    def __contains__(self, name):
        return name in self.armature

    def __eq__(self, other):
        return isinstance(other, HandOfPair) and (self.armature, self.side) == (
            other.armature,
            other.side,
        )

    def __hash__(self):
        return hash((self.armature, self.side))


def armature_of(hand):
    """The armature object itself, for what only takes objects of Blender's own."""
    return hand.armature if isinstance(hand, HandOfPair) else hand


def is_pair(hand):
    """Whether the hand shares its armature with the other."""
    return bool(hand.hand_toolkit.pair)


def side_of(hand):
    """ "right" or "left"."""
    return hand.side if isinstance(hand, HandOfPair) else hand.hand_toolkit.side


def hands_of(armature):
    """The hands of an armature object, right first."""
    if not is_pair(armature):
        return [armature]
    return [HandOfPair(armature, side) for side in ("right", "left")]


def chosen_of(armature):
    """The hand that an armature object means: of a pair the active bone's, or the last chosen."""
    if not is_pair(armature):
        return armature
    side = armature.hand_toolkit.side
    active = armature.data.bones.active if armature.mode == "POSE" else None
    if active is not None:
        side = active.get(SIDE, side)
    return HandOfPair(armature, side)


def owns(hand, bone):
    """Whether a bone (of the armature, its pose or in edit mode) is of this hand."""
    mark = bone.get(SIDE)
    return mark is None or mark == side_of(hand)


def follows(hand):
    """Whether the wrist of a pair's hand follows a body's bone."""
    own = (b for b in hand.pose.bones if owns(hand, b.bone))
    return any(BODY in b.constraints for b in own)


def own_name(hand, name):
    """Name of a custom property of the armature object that belongs to one hand."""
    return name + SUFFIX[side_of(hand)] if hand is not None and is_pair(hand) else name
