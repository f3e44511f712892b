from __future__ import annotations

import numpy as np
import pytest
from glove_pictures import draw, project, true_keypoints
from hand_toolkit_colour_glove import ColourGlove, OneColour

from hand_toolkit import InputError, Photo
from hand_toolkit.core.registry import registry
from hand_toolkit.testing.method import check_method
from hand_toolkit.testing.pose_source import check_pose_source

RIGHT = true_keypoints("right", (0.0, 0.09, 0.5))
EMPTY = Photo(np.full((480, 640, 3), 110, np.uint8))


def test_it_keeps_the_contract() -> None:
    check_pose_source(ColourGlove(), draw({"right": RIGHT}), EMPTY)


def test_the_method_keeps_the_contract() -> None:
    check_method(OneColour())


def test_the_toolkit_finds_both() -> None:
    assert isinstance(registry().get("methods", "one-colour"), OneColour)
    assert isinstance(registry().get("pose_sources", "colour-glove"), ColourGlove)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("curl", [0.0, 0.2])
def test_markers_are_read_to_the_pixel(side: str, curl: float) -> None:
    truth = true_keypoints(side, (0.02, 0.09, 0.5), curl)
    (hand,) = ColourGlove().detect(draw({side: truth}), 4)
    assert hand.side == side
    assert np.abs(hand.keypoints_2d - project(truth)).max() < 1.0
    assert hand.confidence > 0.8


def test_two_hands_are_told_apart() -> None:
    hands = {
        "right": true_keypoints("right", (-0.14, 0.09, 0.6)),
        "left": true_keypoints("left", (0.14, 0.09, 0.6)),
    }
    found = ColourGlove().detect(draw(hands), 4)
    assert {hand.side for hand in found} == {"right", "left"}
    for hand in found:
        assert np.abs(hand.keypoints_2d - project(hands[hand.side])).max() < 1.0
    assert len(ColourGlove().detect(draw(hands), 1)) == 1


def test_a_hand_with_a_hidden_marker_is_left_out() -> None:
    photo = draw({"right": RIGHT})
    x, y = project(RIGHT)[8].astype(int)
    photo.pixels[y - 10 : y + 11, x - 10 : x + 11] = 110
    assert ColourGlove().detect(photo, 4) == []


def test_pale_markers_need_a_lower_threshold() -> None:
    picture = draw({"right": RIGHT}).pixels.astype(float)
    pale = Photo((0.4 * picture + 0.6 * picture.mean(axis=2, keepdims=True)).astype(np.uint8))
    assert ColourGlove().detect(pale, 4) == []
    assert len(ColourGlove().configured("60").detect(pale, 4)) == 1


@pytest.mark.parametrize("option", ["", "0", "256", "-1", "much"])
def test_bad_options_are_refused(option: str) -> None:
    with pytest.raises(InputError, match="accepted is the least saturation"):
        ColourGlove().configured(option)
