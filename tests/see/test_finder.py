"""Hands in pictures with the shipped networks: the demo photo, and real ones where they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hand_toolkit
from hand_toolkit.core.metrics import keypoint_error_px
from hand_toolkit.core.types import Photo
from hand_toolkit.media import load_photo
from hand_toolkit.see.finder import NetworkSearch
from hand_toolkit.see.views import Detection


@pytest.fixture(scope="module")
def demo() -> Photo:
    return load_photo(Path(hand_toolkit.__file__).parent / "media" / "demo.jpg")


def find(pixels: np.ndarray, max_hands: int = 2) -> list[Detection]:
    return NetworkSearch(Photo(np.ascontiguousarray(pixels), name="x"), max_hands).run()


@pytest.fixture(scope="module")
def plain(demo: Photo) -> Detection:
    (hand,) = NetworkSearch(demo, 2).run()
    return hand


def test_upside_down_and_mirrored(demo: Photo, plain: Detection) -> None:
    width, height = demo.size
    (turned,) = find(demo.pixels[::-1, ::-1])
    (mirrored,) = find(demo.pixels[:, ::-1])
    assert turned.left == plain.left and mirrored.left != plain.left
    back = [width, height] - turned.keypoints
    assert keypoint_error_px(back, plain.keypoints) < 0.04 * plain.size
    back = mirrored.keypoints * [-1, 1] + [width, 0]
    assert keypoint_error_px(back, plain.keypoints) < 0.04 * plain.size


def test_a_small_hand_in_a_large_picture(demo: Photo, plain: Detection) -> None:
    import cv2

    ratio = 80 / plain.size
    small = cv2.resize(demo.pixels, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    large = np.full((900, 1600, 3), np.median(small.reshape(-1, 3), axis=0), np.uint8)
    large[500 : 500 + small.shape[0], 1100 : 1100 + small.shape[1]] = small
    (hand,) = find(large)
    assert hand.left == plain.left
    wanted = plain.keypoints * ratio + [1100, 500]
    assert keypoint_error_px(hand.keypoints, wanted) < 0.05 * 80


def test_nothing_in_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (100, 100, 3)).astype(np.uint8)
    assert find(noise) == []


def test_sides_and_keypoints_of_real_hands(photos: Path) -> None:
    notes = json.loads((photos / "annotations.json").read_text())
    errors = []
    for key in ("one_subject/00006.jpg", "one_subject/00510.jpg", "freihand_00017620.jpg"):
        photo = load_photo(photos / key)
        (hand,) = NetworkSearch(photo, 2).run()
        note = notes[key]["hands"][0]
        assert hand.left == (note["side"] == "left")
        given = np.array(note["keypoints_2d"])[:, :2]
        errors.append(keypoint_error_px(hand.keypoints, given) / hand.size)
    assert np.mean(errors) < 0.07 and max(errors) < 0.12


def test_a_hand_that_shows_no_palm(photos: Path) -> None:
    """Seen from the side, no view shows a palm; crops all over the picture find it."""
    (hand,) = NetworkSearch(load_photo(photos / "interhand_image29590.jpg"), 1).run()
    assert hand.presence > 0.75


def test_a_face_behind_two_hands_is_none(photos: Path) -> None:
    hands = NetworkSearch(load_photo(photos / "two_hands_face.jpg"), 4).run()
    assert sorted(hand.left for hand in hands) == [False, True]


def test_a_small_hand_elsewhere_is_found_and_none_behind_a_palm(photos: Path) -> None:
    hands = NetworkSearch(load_photo(photos / "two_people.jpg"), 4).run()
    assert sorted(hand.left for hand in hands) == [False, False, True]
    lap = next(hand for hand in hands if hand.left)
    x, y = lap.keypoints.mean(axis=0) / [848, 565]
    assert 0.15 < x < 0.26 and 0.84 < y < 0.98


def test_beside_a_hand_without_a_palm_another_may_be_doubted(
    demo: Photo, plain: Detection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pair seen from the thumbs' edges, of which crops in all directions show one surely."""

    def beside(sizes: float, presence: float) -> Detection:
        moved = plain.keypoints + np.array([sizes * plain.size, 0])
        return replace(plain, keypoints=moved, presence=presence)

    search = NetworkSearch(demo, 4)
    monkeypatch.setattr(search, "look_again", lambda hand: hand)  # its own crops show the same
    same, other, arm = beside(0.05, 0.9), beside(1.5, 0.65), beside(-1.5, 0.55)
    found = search.with_partners([plain], [same, other, arm])
    assert [round(hand.presence, 2) for hand in found] == [round(plain.presence, 2), 0.65]
    assert search.with_partners([plain], [same]) == [plain]
