"""What is said of hands that were not seen surely."""

from __future__ import annotations

import dataclasses

import numpy as np
from known_hands import CAMERA, known_hand

from hand_toolkit.core.types import HandPose, Photo
from hand_toolkit.media.viewset import View, ViewSet
from hand_toolkit.pose import doubts
from hand_toolkit.pose.fit import fit_hand, to_hand_pose

PHOTO = Photo(np.zeros((240, 320, 3), np.uint8), name="x.png")


def seen(*hands: HandPose) -> View:
    return View("x.png", lambda: PHOTO, CAMERA, hands)


def test_only_doubtful_hands_are_named() -> None:
    hand = to_hand_pose(fit_hand(known_hand(1)[0], CAMERA), CAMERA, "default")
    left = to_hand_pose(fit_hand(known_hand(2, "left")[0], CAMERA), CAMERA, "default")
    doubtful = dataclasses.replace(left, confidence=0.3)
    assert doubts(ViewSet((seen(hand, left),), "x")) == []
    (sentence,) = doubts(ViewSet((seen(hand, doubtful),), "x"))
    assert sentence.startswith("the left hand is not seen surely (confidence 0.30)")
    (sentence,) = doubts(ViewSet((seen(left), seen(doubtful)), "x"))
    assert "in 1 of 2 pictures" in sentence
