"""Avatars are shown from the side that their photo showed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hand_toolkit.avatar import Avatar, surface
from hand_toolkit.pictures.drawing import shows_back
from hand_toolkit.testing.avatars import procedural_avatar


def seen_from(above: bool | None) -> Avatar:
    """A right hand whose upper (dorsal) or lower half was seen, or both."""
    avatar = procedural_avatar(3, sides=("right",))
    (hand,) = avatar.hands
    faces = surface(avatar.hand_model, "right", avatar.level).faces
    height = avatar.mesh("right")[faces].mean(axis=1)[:, 1][hand.binding.triangle]
    upper = height > np.median(height)
    evidence = np.ones(len(height)) if above is None else (upper == above).astype(float)
    hand = dataclasses.replace(hand, evidence=evidence.astype(np.float32))
    return dataclasses.replace(avatar, hands=(hand,))


@pytest.mark.parametrize(("above", "back"), [(True, True), (False, False), (None, False)])
def test_the_back_is_shown_where_the_photo_showed_it(above: bool | None, back: bool) -> None:
    assert shows_back(seen_from(above), ("right",)) is back
    assert not shows_back(seen_from(above), ("left",))
