"""Hands that judge each other's pixels: duplicates, hidden hands, pairs pressed together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.core.types import Photo
from hand_toolkit.media import load_photo
from hand_toolkit.see.classes import OWN
from hand_toolkit.see.finder import NetworkSearch
from hand_toolkit.see.owners import Owners, compare, unexplained
from hand_toolkit.see.touching import (
    chance,
    mirrored_partner,
    without_duplicates,
    without_mistaken,
)
from hand_toolkit.see.views import Detection, View


def hand_at(x: float, left: bool = False, presence: float = 0.95) -> Detection:
    """An upright hand of 80 by 100 pixels whose middle is at (x, 100)."""
    fingers = np.stack([np.linspace(-32, 32, 5), [-5, -35, -40, -35, -25]], axis=1)
    points = [np.array([0.0, 50.0])]
    for tip in fingers:
        points += [tip * k / 4 + np.array([0, 45.0]) * (1 - k / 4) for k in range(1, 5)]
    keypoints = np.stack(points) + np.array([x, 100.0])
    depth = np.zeros(21)
    world = np.column_stack([keypoints, depth]) * 0.001
    return Detection(keypoints, depth, world, left, 0.98, presence)


def mapped(hand: Detection, own: slice, other: slice | None = None) -> Owners:
    """A map of a square of 280 about (160, 100), with columns of the own hand and of another."""
    view = View((160.0, 100.0), 280.0, size=112)
    x = np.broadcast_to((np.arange(112) + 0.5) * 280 / 112 + 20, (112, 112))
    y = x.T - 60
    classes = np.zeros((112, 112), int)
    for columns, value in ((own, 1), (other, 2)):
        if columns is not None:
            inside = (x > columns.start) & (x < columns.stop) & (y > 40) & (y < 160)
            classes[inside] = value
    chance_map = np.eye(4, dtype=np.float32)[classes]
    return Owners(hand, (view,), chance_map[None], np.zeros(21), np.ones(21), 0.5)


def test_two_hands_side_by_side_stay() -> None:
    left = mapped(hand_at(100, True), slice(50, 150), slice(150, 250))
    right = mapped(hand_at(200), slice(150, 250), slice(50, 150))
    assert chance(compare(left, right), 0.95) > 0.8
    assert len(without_duplicates([left, right])) == 2
    assert not len(unexplained(left, [right]))
    found = unexplained(left, [])
    assert len(found) and found[:, 0].min() > 145


def test_of_two_on_one_hand_the_surer_stays() -> None:
    sure = mapped(hand_at(100), slice(50, 150))
    doubt = mapped(hand_at(104, True, 0.7), slice(60, 150))
    assert chance(compare(sure, doubt), 0.7) < 0.3
    (kept,) = without_duplicates([doubt, sure])
    assert kept is sure


def test_points_outside_the_map_are_background() -> None:
    owners = mapped(hand_at(100), slice(50, 150))
    assert owners.at(np.array([[-5.0, 50], [1000, 50], [100, 100]]))[:, 0].tolist() == [1, 1, 0]


def test_the_partner_faces_the_palm() -> None:
    hand = hand_at(100)
    partner = mirrored_partner(hand, 0.5)
    assert partner.left and partner.presence < hand.presence
    # seen from the palm's side: the picture shows the same hand, farther or nearer by the gap
    np.testing.assert_allclose(partner.keypoints, hand.keypoints, atol=1e-6)
    again = mirrored_partner(replace(partner, depth=partner.depth), 0.5)
    np.testing.assert_allclose(again.keypoints, hand.keypoints, atol=1e-6)
    assert not again.left


@pytest.mark.parametrize(
    "name", ["crossed_fingers", "interhand_image44669", "interhand_image69148"]
)
def test_both_hands_of_a_touching_pair(photos: Path, name: str) -> None:
    hands = NetworkSearch(load_photo(photos / f"{name}.jpg"), 4).run()
    assert sorted(hand.left for hand in hands) == [False, True]


def test_own_pixels_of_a_real_hand(photos: Path) -> None:
    from hand_toolkit.see.owners import owners_of
    from hand_toolkit.see.views import build_pyramid

    photo = load_photo(photos / "crossed_fingers.jpg")
    for hand in NetworkSearch(photo, 2).run():
        owners = owners_of(build_pyramid(photo.pixels), hand)
        assert owners.at(hand.keypoints)[:, OWN].mean() > 0.75


def test_no_partner_is_looked_for_behind_a_palm_that_faces_the_camera(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from hand_toolkit.see import touching

    front = mapped(hand_at(100), slice(50, 150), slice(50, 150))
    monkeypatch.setattr(touching, "owners_of", lambda *_: pytest.fail("looked"))
    assert touching._palm_to_palm(None, front, [front]) is None  # type: ignore[arg-type]


def test_a_part_of_a_surer_hand_is_no_hand() -> None:
    part = mapped(hand_at(120, True, 0.7), slice(100, 150), slice(50, 100))
    whole = mapped(hand_at(100), slice(50, 150), None)
    beside = mapped(hand_at(200), slice(150, 250), slice(50, 150))
    assert without_mistaken([part, beside], whole) == [beside]
    # a hand that was made up behind a surer one takes nothing away
    unsure = mapped(hand_at(104, True, 0.5), slice(60, 150))
    assert without_mistaken([whole], unsure) == [whole]


def found_photo(photos: Path, name: str) -> Photo:
    path = photos.parent / "found" / "photos" / "hand_gesture" / name
    if not path.is_file():
        pytest.skip("the photos of hand gestures are not here")
    return load_photo(path)


def test_the_heel_of_a_palm_is_no_second_hand(photos: Path) -> None:
    """It was the first hand found, and the hand itself its neighbour with the wrist in the palm."""
    photo = found_photo(photos, "IMG-20230312-WA0738_jpg.jpg")
    (hand,) = NetworkSearch(photo, 4).run()
    assert not hand.left and hand.score > 0.8
    assert np.linalg.norm(hand.keypoints[0] - [178, 165]) < 15


def test_a_hand_in_doubt_is_looked_for_anew(photos: Path) -> None:
    """Its first crop was too tight: thumb and index finger lay beside the hand."""
    photo = found_photo(photos, "IMG-20230312-WA0269_jpg.jpg")
    (hand,) = NetworkSearch(photo, 4).run()
    assert hand.confidence is not None and hand.confidence > 0.8
    for finger, tip in ((8, [122, 158]), (12, [40, 136])):
        assert np.linalg.norm(hand.keypoints[finger] - tip) < 15
