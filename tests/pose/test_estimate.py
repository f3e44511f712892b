"""Choosing hands, errors, sequences; and real photos where they are at hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from known_hands import CAMERA, known_hand

from hand_toolkit.core.errors import InputError, NoHandError, PluginError
from hand_toolkit.core.metrics import pa_mpjpe_mm
from hand_toolkit.core.types import HandObservation, Photo
from hand_toolkit.hand_model import load_hand_model
from hand_toolkit.media import load_photo
from hand_toolkit.pose import default_focal_px, estimate_pose, estimate_sequence, photo_camera
from hand_toolkit.pose.camera import rotation_to_ray
from hand_toolkit.pose.person import PersonSource


class Canned:
    """A source that returns what it was given, one list per call."""

    name = "canned"
    description = "for tests"

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.photos: list[Photo] = []

    def detect(self, photo: Photo, max_hands: int, progress: Any = None) -> Any:
        self.photos.append(photo)
        return self.answers[min(len(self.photos), len(self.answers)) - 1]


def grey(focal_px: float | None = CAMERA.fx) -> Photo:
    return Photo(np.full((240, 320, 3), 90, np.uint8), focal_px=focal_px, name="grey.png")


def moved(observation: HandObservation, x: float, **changes: Any) -> HandObservation:
    return dataclasses.replace(
        observation, keypoints_2d=observation.keypoints_2d + np.array([x, 0]), **changes
    )


def test_two_hands_come_right_first_with_one_shape() -> None:
    left, right = known_hand(1, "left")[0], known_hand(2, "right")[0]
    estimate = estimate_pose(grey(), source=Canned([left, right]), refine=False)
    assert [h.side for h in estimate.hands] == ["right", "left"]
    sigmas = np.abs(estimate.hands[0].shape - estimate.hands[1].shape)
    assert sigmas.max() < 0.3
    assert estimate.camera.fx == CAMERA.fx


def test_the_most_prominent_of_one_side_is_taken() -> None:
    sure = known_hand(1)[0]
    weak = moved(sure, 40, confidence=0.2)
    estimate = estimate_pose(grey(), source=Canned([weak, sure]), refine=False)
    assert len(estimate.hands) == 1
    assert estimate.hands[0].confidence == sure.confidence


@pytest.mark.parametrize(
    ("hands", "sides", "message"),
    [
        ("left", ["right"], "the left hand was asked for"),
        ("both", ["right"], "only the right side"),
        ("auto", [], "no hand was found in 'grey.png'"),
    ],
)
def test_missing_hands(hands: str, sides: list[str], message: str) -> None:
    source = Canned([known_hand(1, side)[0] for side in sides])
    with pytest.raises(NoHandError, match=message) as caught:
        estimate_pose(grey(), source=source, hands=hands, refine=False)
    assert "\n" not in str(caught.value)


def test_one_side_of_two() -> None:
    source = Canned([known_hand(1, "left")[0], known_hand(2)[0]])
    estimate = estimate_pose(grey(), source=source, hands="left", refine=False)
    assert [h.side for h in estimate.hands] == ["left"]


def test_a_wrong_side_is_mended() -> None:
    for seed, side in ((1, "right"), (2, "left"), (5, "left")):
        observation = known_hand(seed, side, noise=3.0)[0]
        other = "left" if side == "right" else "right"
        wrong = dataclasses.replace(observation, side=other)
        estimate = estimate_pose(grey(), source=Canned([wrong]), refine=False)
        assert [h.side for h in estimate.hands] == [side]


def test_bad_options() -> None:
    source = Canned([known_hand(1)[0]])
    with pytest.raises(InputError, match="accepted are auto, left, right, both"):
        estimate_pose(grey(), source=source, hands="three")
    with pytest.raises(InputError, match="positive number of pixels"):
        estimate_pose(grey(), source=source, focal_px=-1.0)
    with pytest.raises(InputError, match="no pose source 'nonsense' is installed"):
        estimate_pose(grey(), source="nonsense")
    with pytest.raises(InputError, match="the mask has shape"):
        estimate_pose(grey(), source=source, mask=np.ones((5, 5)))


def test_a_source_that_lies() -> None:
    with pytest.raises(PluginError, match="'canned' returned dict"):
        estimate_pose(grey(), source=Canned({}))
    with pytest.raises(PluginError, match="list of HandObservation"):
        estimate_pose(grey(), source=Canned([1, 2]))


def test_a_known_persons_shape_is_kept() -> None:
    observation, truth = known_hand(5, noise=1.0)
    model = load_hand_model("default", "right", 0)
    sigmas = model.shape_sigmas.astype(float)
    found = estimate_pose(grey(), source=Canned([observation]), refine=False).hands[0].shape
    known = PersonSource.of(Canned([observation]), truth["shape"], "default")
    kept = estimate_pose(grey(), source=known, refine=False).hands[0].shape
    off, off_known = (np.abs((s - truth["shape"]) / sigmas).mean() for s in (found, kept))
    assert off_known < 0.1 < off


def test_focal_order() -> None:
    source = Canned([known_hand(1)[0]])
    assert estimate_pose(grey(), source=source, refine=False).camera.fx == CAMERA.fx
    camera = estimate_pose(grey(), source=source, focal_px=700.0, refine=False).camera
    assert camera.fx == 700
    assert source.photos[-1].focal_px == 700
    assert photo_camera(grey(None)).fx == default_focal_px((320, 240))


def test_same_seed_same_numbers() -> None:
    photo = grey()
    source = Canned([known_hand(4, noise=3.0)[0]])
    mask = np.zeros((240, 320))
    mask[60:200, 100:240] = 1
    first = estimate_pose(photo, source=source, mask=mask, seed=3).hands[0]
    second = estimate_pose(photo, source=source, mask=mask, seed=3).hands[0]
    np.testing.assert_array_equal(first.theta, second.theta)


def test_progress_reaches_the_end_and_can_stop() -> None:
    parts: list[float] = []
    source = Canned([known_hand(1)[0]])
    estimate_pose(grey(), source=source, progress=lambda part, what: parts.append(part))
    assert parts == sorted(parts)
    assert parts[-1] == 1

    def stop(part: float, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimate_pose(grey(), source=source, progress=stop)


def test_rotation_to_ray() -> None:
    for ray in np.array([[0, 0, 1], [0.3, -0.2, 1], [-1, 2, 0.5], [0, 0, -1]]):
        turn = rotation_to_ray(ray)
        np.testing.assert_allclose(turn @ [0, 0, 1], ray / np.linalg.norm(ray), atol=1e-9)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(turn) == pytest.approx(1)


def test_sequence_keeps_sides_and_gaps() -> None:
    right = known_hand(1)[0]
    flipped = dataclasses.replace(right, side="left")
    source = Canned([right], [moved(right, 3)], [moved(flipped, 6)], [], [moved(right, 9)])
    estimates = estimate_sequence([grey()] * 5, source=source)
    assert [[h.side for h in e.hands] for e in estimates] == [
        ["right"],
        ["right"],
        ["right"],
        [],
        ["right"],
    ]
    shapes = np.array([e.hands[0].shape for e in estimates if e.hands])
    assert shapes.std(axis=0).max() < 0.1


def test_wrong_sides_are_mended_in_a_folder_as_in_a_photo() -> None:
    right = known_hand(1)[0]
    source = Canned([right], [dataclasses.replace(right, side="left")])
    estimates = estimate_sequence([grey()] * 2, source=source, video=False)
    assert [e.hands[0].side for e in estimates] == ["right", "right"]


def test_sequence_has_one_focal_length() -> None:
    source = Canned([known_hand(1)[0]])
    frames = [grey(600.0), grey(None)]
    cameras = [e.camera.fx for e in estimate_sequence(frames, source=source)]
    assert cameras == [600.0, 600.0]


# Real photos -------------------------------------------------------------------------------


def test_real_frames_of_one_hand(photos: Path) -> None:
    """A floor under what benchmarks/real_hand.py measures on all frames."""
    import json

    notes = json.loads((photos / "annotations.json").read_text())
    errors = []
    for name in ("00054", "00198", "00270"):
        key = f"one_subject/{name}.jpg"
        estimate = estimate_pose(load_photo(photos / key))
        assert [h.side for h in estimate.hands] == ["left"]
        joints = np.array(notes[key]["hands"][0]["joints_3d_camera_mm"]) / 1000
        errors.append(pa_mpjpe_mm(estimate.hands[0].joints_cam_m, joints))
    assert np.mean(errors) < 9.0


def test_real_photo_without_hands(photos: Path) -> None:
    photo = load_photo(photos / "two_people.jpg")
    sky = Photo(np.ascontiguousarray(photo.pixels[:120, 650:]), name="corner.png")
    with pytest.raises(NoHandError, match=r"corner\.png"):
        estimate_pose(sky)


def test_real_two_hands(photos: Path) -> None:
    estimate = estimate_pose(load_photo(photos / "crossed_fingers.jpg"), hands="both")
    right, left = estimate.hands
    assert right.keypoints_2d[:, 0].mean() < left.keypoints_2d[:, 0].mean()
    assert abs(right.translation[2] - left.translation[2]) < 0.12
