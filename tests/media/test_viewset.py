"""View sets: what they check, which hand is where, gaps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hand_toolkit.core.errors import InputError
from hand_toolkit.core.types import Camera, HandPose, Photo
from hand_toolkit.media import View, ViewSet

CAMERA = Camera(100, 100, 32, 24, 64, 48)


def hand(side: str, shape: float = 0.0, model: str = "default") -> HandPose:
    return HandPose(
        side,
        np.zeros((16, 3)),
        np.full(3, shape),
        np.array([0, 0, 0.5]),
        model,
        1.0,
        np.zeros((21, 2)),
        np.zeros((21, 3)),
    )


def unread() -> Photo:
    raise AssertionError("a picture was read that nobody needs")


def view(*sides: str, shape: float = 0.0) -> View:
    return View("+".join(sides) or "empty", unread, CAMERA, tuple(hand(s, shape) for s in sides))


def test_a_set_knows_its_hands_without_reading_a_picture() -> None:
    views = ViewSet(
        (view("left"), view(), view("right", "left", shape=2.0), view(), view(), view("left")),
        fps=10.0,
    )
    assert views.sides == ("right", "left")
    assert views.shows("right").tolist() == [False, False, True, False, False, False]
    assert views.gaps("left") == [(1, 1), (3, 4)]
    assert views.gaps("right") == []
    assert views.shape("left").tolist() == [0, 0, 0]
    assert views.shape("right").tolist() == [2, 2, 2]
    assert views.reference == 2
    assert [v.name for v in views.with_hands()] == ["left", "right+left", "left"]
    assert views.hand_model == "default"


def test_the_reference_shows_most_of_the_hands() -> None:
    masks = [np.zeros((48, 64)), np.ones((48, 64))]
    labels = np.zeros((48, 64), np.int32)
    shown = [dataclasses.replace(view("left"), mask=mask, labels=labels) for mask in masks]
    assert ViewSet(tuple(shown)).reference == 1
    assert ViewSet((*shown, view("right", "left"))).reference == 2


def test_what_is_left_out_is_kept_in_words() -> None:
    views = ViewSet((view("left"), view()), left_out=("first",)).select([0], ["second"])
    assert views.left_out == ("first", "second")
    with pytest.raises(InputError, match="at least one view"):
        ViewSet((view(),)).with_hands()
    with pytest.raises(InputError, match="shown are: left"):
        views.shape("right")


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="one right and one left hand"):
        view("left", "right")
    with pytest.raises(InputError, match="one right and one left hand"):
        view("left", "left")
    with pytest.raises(InputError, match="both or neither"):
        View("a", unread, CAMERA, (), np.zeros((48, 64)))
    with pytest.raises(InputError, match="labels of 'a' has shape"):
        View("a", unread, CAMERA, (), np.zeros((48, 64)), np.zeros((4, 4)))
    with pytest.raises(InputError, match="not outlined"):
        view("left").outlined()
    other = View("b", unread, CAMERA, (hand("left", model="mano"),))
    with pytest.raises(InputError, match="hand models default, mano"):
        ViewSet((view("left"), other))
