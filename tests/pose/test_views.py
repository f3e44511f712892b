"""Pictures to view sets: tracks, masks, what is left out, motions."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from known_hands import CAMERA, known_hand
from PIL import Image

from hand_toolkit.animate import load_motion
from hand_toolkit.core.errors import InputError, NoHandError
from hand_toolkit.core.registry import registry
from hand_toolkit.core.types import HandObservation, Photo
from hand_toolkit.geometry import hand_silhouettes
from hand_toolkit.media.video import write_video
from hand_toolkit.pose import SeeConfig, motion_of, posed_mesh, view_hands, view_poses
from hand_toolkit.pose.estimate import known_hand as posed_hand
from hand_toolkit.pose.views import described, write_poses
from hand_toolkit.see.segment import DEFAULT_SEGMENTER


class Canned:
    """A source that sees, in a photo named k, the k-th of its answers."""

    name = "canned"
    description = "for tests"

    def __init__(self, *answers: list[HandObservation]) -> None:
        self.answers = answers

    def detect(self, photo: Photo, max_hands: int, progress: Any = None) -> list[HandObservation]:
        return self.answers[int(Path(photo.name).stem)]


class Circle:
    """A segmenter that counts how often it is asked."""

    name = "circle"
    description = "for tests"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def segment(self, photo: Photo, estimate: Any, silhouettes: Any) -> np.ndarray:
        self.asked.append(photo.name)
        grown = np.any(silhouettes, axis=0).astype(np.float32)
        return np.maximum(grown, np.roll(grown, 1, axis=1))


@pytest.fixture
def circle(monkeypatch: pytest.MonkeyPatch) -> Circle:
    segmenter = Circle()
    monkeypatch.setitem(registry().tables["segmenters"], "circle", segmenter)
    monkeypatch.delitem(registry().tables["segmenters"], DEFAULT_SEGMENTER)
    return segmenter


def photo(k: int) -> Photo:
    return Photo(np.full((240, 320, 3), 90, np.uint8), focal_px=CAMERA.fx, name=f"{k}.png")


def config(*answers: list[HandObservation], **options: Any) -> SeeConfig:
    return SeeConfig(pose_source=Canned(*answers), segmenter="circle", **options)


def seen(seed: int, side: str = "right") -> HandObservation:
    return known_hand(seed, side)[0]


def test_one_photo_is_segmented_once_by_the_segmenter_that_was_chosen(circle: Circle) -> None:
    views = view_hands(photo(0), config([seen(1)]))
    assert len(views) == 1
    assert circle.asked == ["0.png"]  # the default is not even installed here
    mask, labels = views[0].outlined()
    assert set(np.unique(labels)) == {-1, 0}
    np.testing.assert_array_equal(labels == 0, mask > 0.5)


def test_a_pose_that_the_source_knows_is_segmented_once_too(circle: Circle) -> None:
    observation, truth = known_hand(3)
    known = dataclasses.replace(observation, theta=truth["theta"])
    views = view_hands(photo(0), config([known]))
    assert circle.asked == ["0.png"]
    assert views[0].outlined()[0].any()


def test_two_hands_are_told_apart_in_the_mask(circle: Circle) -> None:
    left = dataclasses.replace(
        seen(2, "left"), keypoints_2d=seen(2, "left").keypoints_2d * [0.5, 1] - [10, 0]
    )
    right = dataclasses.replace(seen(1), keypoints_2d=seen(1).keypoints_2d * [0.5, 1] + [160, 0])
    views = view_hands(photo(0), config([left, right]))
    assert [h.side for h in views[0].hands] == ["right", "left"]
    _, labels = views[0].outlined()
    columns = [np.nonzero(labels == k)[1].mean() for k in (0, 1)]
    assert columns[0] > columns[1] + 50


def test_several_photos_are_one_person_s_hand(circle: Circle) -> None:
    views = view_hands([photo(0), photo(1), photo(2)], config([seen(1)], [], [seen(4)]))
    assert [v.name for v in views] == ["0.png", "2.png"]
    shapes = [v.hands[0].shape for v in views]
    assert np.abs(shapes[0] - shapes[1]).max() < 0.02
    assert len(views.left_out) == 1
    assert "no hand was found in '1.png'" in views.left_out[0]
    assert circle.asked == ["0.png", "2.png"]


def test_a_photo_of_two_people_is_left_out_and_said(circle: Circle) -> None:
    def at(x: float) -> HandObservation:
        return dataclasses.replace(seen(1), keypoints_2d=seen(1).keypoints_2d * 0.4 + [x, 0])

    views = view_hands([photo(0), photo(1)], config([seen(1)], [at(0), at(90), at(180)]))
    assert [v.name for v in views] == ["0.png"]
    assert "'1.png' shows 3 hands" in views.left_out[0]
    assert "one person's hands" in views.left_out[0]


def test_of_many_photos_the_most_different_are_taken(circle: Circle) -> None:
    answers = [[seen(1)], [seen(1)], [seen(6)], [seen(1)]]
    views = view_hands([photo(k) for k in range(4)], config(*answers), max_views=2)
    assert len(views) == 2
    assert "2.png" in [v.name for v in views]
    assert any("of 4 pictures with hands the 2" in text for text in views.left_out)


def test_masks_that_are_given_win(circle: Circle) -> None:
    mask = np.zeros((240, 320), np.float32)
    mask[60:200, 100:240] = 1
    views = view_hands([photo(0), photo(1)], config([seen(1)], [seen(4)]), masks=[mask, None])
    assert circle.asked == ["1.png"]
    np.testing.assert_array_equal(views[0].outlined()[0], mask)
    with pytest.raises(InputError, match="give one for each"):
        view_hands([photo(0), photo(1)], config([seen(1)], [seen(4)]), masks=[mask])


def test_no_hand_anywhere(circle: Circle) -> None:
    with pytest.raises(NoHandError, match="no hand was found in") as caught:
        view_hands([photo(0), photo(1)], config([], []))
    assert "\n" not in str(caught.value)


def test_a_video_keeps_sides_through_a_gap(tmp_path: Path, circle: Circle) -> None:
    right = seen(1)
    flipped = dataclasses.replace(right, side="left")
    frames = [np.full((240, 320, 3), 90, np.uint8)] * 5
    path = write_video(tmp_path / "v.mp4", frames, 10.0)
    how = config([right], [flipped], [], [right], [right], focal_px=CAMERA.fx)
    views = view_poses(path, how)
    assert views.shows("right").tolist() == [True, True, False, True, True]
    assert not views.shows("left").any()
    assert views.gaps("right") == [(2, 2)]
    assert [v.time_s for v in views] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert described(views) == (
        "5 frames, the right hand in 4 of 5, the left hand in 0 of 5; "
        "right hand away 1 time(s), at most 1 frames"
    )
    assert circle.asked == []
    motion = motion_of(views)
    assert motion.fps == 10
    assert motion.present[:, 0].tolist() == views.shows("right").tolist()
    np.testing.assert_allclose(
        motion_of(views, smoothed=False).theta[0, 0], views[0].hands[0].theta
    )
    best = view_hands(path, how, max_views=2)
    assert len(best) == 2
    assert best.left_out[0] == "1 of 5 frames show no usable hand"
    assert sorted(set(circle.asked)) == circle.asked


def test_a_folder_is_written_with_every_documented_key(tmp_path: Path, circle: Circle) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(2):
        Image.fromarray(photo(k).pixels).save(folder / f"{k}.png")
    views = view_poses(folder, config([seen(1)], [seen(2, "left")], focal_px=CAMERA.fx))
    assert views.name == "photos"
    assert circle.asked == ["0.png", "1.png"]
    write_poses(tmp_path / "out.npz", views)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as stored:
        assert stored["present"].tolist() == [[True, False], [False, True]]
        assert stored["keypoints_2d"].shape == (2, 2, 21, 2)
        assert stored["frames"].tolist() == ["0.png", "1.png"]
        assert stored["camera"][0, 0] == pytest.approx(CAMERA.fx)
        assert str(stored["hand_model"]) == "default"
    assert len(load_motion(tmp_path / "out.npz")) == 2


def test_a_known_hand_projects_where_its_mesh_is() -> None:
    _, truth = known_hand(2)
    hand = posed_hand(
        "right", truth["theta"], truth["shape"], np.array([0.02, 0.06, 0.45]), "default", CAMERA
    )
    silhouette = hand_silhouettes([posed_mesh(hand)], CAMERA)[0][0]
    inside = (hand.keypoints_2d < [CAMERA.width, CAMERA.height]).all(axis=1)
    assert inside.sum() > 10
    columns, rows = hand.keypoints_2d[inside].astype(int).T
    assert silhouette[rows, columns].mean() > 0.8
