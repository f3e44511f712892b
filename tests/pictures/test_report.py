"""The pictures and figures of a report."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hand_toolkit.avatar import Avatar
from hand_toolkit.pictures.report import evidence_views, fit_metrics, report_pictures
from hand_toolkit.pictures.report_views import silhouette_figures, view_reports
from hand_toolkit.pipeline import FitResult
from hand_toolkit.testing.avatars import procedural_avatar
from hand_toolkit.testing.views import drawn_views


def test_evidence_is_yellow_where_seen_and_blue_where_not() -> None:
    avatar = procedural_avatar()
    shares = []
    for evidence in (0.0, 1.0):
        hands = tuple(
            dataclasses.replace(h, evidence=np.full(len(h), evidence, np.float32))
            for h in avatar.hands
        )
        marked = dataclasses.replace(avatar, hands=hands)
        (picture,) = evidence_views(marked, ["palm"], 192)
        colors = picture.astype(int)
        yellow = colors[..., 0] - colors[..., 2] > 60
        blue = colors[..., 2] - colors[..., 0] > 40
        shares.append((yellow.mean(), blue.mean()))
    (seen_0, hidden_0), (seen_1, hidden_1) = shares
    assert seen_0 == 0 and hidden_0 > 0.03
    assert hidden_1 == 0 and seen_1 > 0.03


@pytest.fixture(scope="module")
def two_photos() -> FitResult:
    """Two drawn photos: a right hand's palm, then both hands, of which the left is seen once."""
    palm, both = drawn_views(size=128)[0], drawn_views((180.0,), ("right", "left"), size=128)[0]
    sure = tuple(
        dataclasses.replace(hand, confidence=value) for hand, value in zip(both.hands, (0.7, 0.8))
    )
    palm = dataclasses.replace(
        palm, name="palm.jpg", hands=(dataclasses.replace(palm.hands[0], confidence=0.9),)
    )
    both = dataclasses.replace(both, name="both.jpg", hands=sure)
    views = dataclasses.replace(
        drawn_views(size=128), views=(palm, both), left_out=("blurred.jpg shows no hand",)
    )
    avatar = _as_in(procedural_avatar(limit=4000), views[1].hands)
    avatar = dataclasses.replace(avatar, camera=both.camera)
    return FitResult(avatar, views, both.read(), {"fit": 1.0})


def _as_in(avatar: Avatar, hands: tuple) -> Avatar:  # type: ignore[type-arg]
    """The avatar with the poses of a photo as its own."""
    posed = tuple(
        dataclasses.replace(
            own, shape=hand.shape, source_theta=hand.theta, source_translation=hand.translation
        )
        for own, hand in zip(avatar.hands, hands)
    )
    return dataclasses.replace(avatar, hands=posed)


def test_every_photo_is_beside_the_avatar_in_its_view(two_photos: FitResult) -> None:
    first, second = view_reports(two_photos)
    assert (first.name, first.reference) == ("both.jpg", True)
    assert (second.name, second.reference) == ("palm.jpg", False)
    for view in (first, second):
        # the drawn hand is the model's own, so the avatar lies on it in each photo
        assert view.figures["silhouette_iou"] > 0.85, view.name
    assert not np.array_equal(first.fitted, second.fitted)
    pictures = report_pictures(two_photos, [first, second])
    assert {"overlay", "fitted", "overlay_02", "fitted_02"} <= set(pictures)
    assert np.array_equal(pictures["photo_02"], two_photos.views[0].read().pixels)
    assert pictures["sheet"].shape[:2] == (4 * 384, 5 * 384)


def test_a_hand_has_the_confidence_of_the_photo_that_shows_it_best(two_photos: FitResult) -> None:
    figures = fit_metrics(two_photos)
    hands = figures["hands"]
    assert isinstance(hands, dict)
    assert hands["right"]["confidence"] == 0.9 and hands["left"]["confidence"] == 0.8
    photos = figures["photos"]
    assert isinstance(photos, list)
    assert photos[1]["name"] == "palm.jpg" and photos[1]["confidence"] == {"right": 0.9}
    assert figures["left_out"] == ["blurred.jpg shows no hand"]


def test_a_sleeve_is_told_from_a_wrong_pose() -> None:
    view = drawn_views(size=128)[0]
    hand = view.outlined()[0] > 0.5
    wrist = int(view.hands[0].keypoints_2d[0, 1])
    sleeved = hand.copy()
    sleeved[wrist:] = False  # it covers all below the wrist
    figures = silhouette_figures(hand, sleeved, view.estimate, (128, 128))
    assert figures["silhouette_iou"] < 0.99
    assert figures["silhouette_iou_above_wrist"] > 0.99
    assert figures["avatar_outside_outline"] > 0.01 and figures["outline_outside_avatar"] == 0
    moved = silhouette_figures(np.roll(hand, 12, axis=1), hand, view.estimate, (128, 128))
    assert moved["outline_outside_avatar"] > 0.1 and moved["avatar_outside_outline"] > 0.1
