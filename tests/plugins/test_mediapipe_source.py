"""MediaPipe on real photos, through both of its interfaces."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hand_toolkit_plugins import mediapipe_models
from hand_toolkit_plugins.mediapipe_models import (
    SolutionsDetector,
    TasksDetector,
    fetch_task_file,
    make_detector,
    quiet_stderr,
    read_task_file,
)
from hand_toolkit_plugins.mediapipe_source import MediapipeSource

from hand_toolkit.core.errors import FileFormatError, InputError, MissingDependencyError
from hand_toolkit.core.metrics import keypoint_error_px
from hand_toolkit.core.registry import registry
from hand_toolkit.core.types import Photo
from hand_toolkit.media import load_photo
from hand_toolkit.testing.pose_source import check_pose_source


@pytest.fixture(scope="module")
def source() -> MediapipeSource:
    return MediapipeSource()


def crop(photo: Photo, rows: slice, columns: slice, name: str) -> Photo:
    return Photo(np.ascontiguousarray(photo.pixels[rows, columns]), name=name)


def test_keeps_the_contract(source: MediapipeSource, photos: Path) -> None:
    photo = load_photo(photos / "one_subject" / "00054.jpg")
    people = load_photo(photos / "two_people.jpg")
    check_pose_source(source, photo, crop(people, slice(0, 120), slice(650, None), "corner"))


def test_is_the_installed_default() -> None:
    assert "mediapipe" in registry().names("pose_sources")


def test_sides_and_keypoints_on_given_hands(source: MediapipeSource, photos: Path) -> None:
    notes = json.loads((photos / "annotations.json").read_text())
    errors = []
    for key in ("one_subject/00006.jpg", "one_subject/00510.jpg", "freihand_00017620.jpg"):
        photo = load_photo(photos / key)
        found = source.detect(photo, 2)
        assert [o.side for o in found] == [notes[key]["hands"][0]["side"]]
        given = np.array(notes[key]["hands"][0]["keypoints_2d"])[:, :2]
        errors.append(keypoint_error_px(found[0].keypoints_2d, given))
    assert np.mean(errors) < 8


def test_mirrored_photo_mirrors_the_side(source: MediapipeSource, photos: Path) -> None:
    photo = load_photo(photos / "one_subject" / "00054.jpg")
    mirrored = Photo(np.ascontiguousarray(photo.pixels[:, ::-1]), name="mirrored")
    plain, flipped = source.detect(photo, 1)[0], source.detect(mirrored, 1)[0]
    assert (plain.side, flipped.side) == ("left", "right")
    back = flipped.keypoints_2d * [-1, 1] + [photo.size[0], 0]
    assert np.abs(back - plain.keypoints_2d).mean() < 3


def test_a_small_hand_is_found_closer(source: MediapipeSource, photos: Path) -> None:
    """A hand of 60 pixels in a megapixel, on plain ground."""
    import cv2

    hand = cv2.resize(load_photo(photos / "onehand10k_1402.jpg").pixels, (75, 112), None, 0, 0, 3)
    pixels = np.full((800, 1300, 3), 245, np.uint8)
    pixels[600:712, 1000:1075] = hand
    found = source.detect(Photo(pixels, name="far.png"), 1)
    assert len(found) == 1
    centre = found[0].keypoints_2d.mean(axis=0)
    assert np.abs(centre - [1037, 645]).max() < 30


def test_nothing_is_printed(
    source: MediapipeSource, photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photo = load_photo(photos / "one_subject" / "00054.jpg")
    MediapipeSource().detect(photo, 3)
    assert capfd.readouterr() == ("", "")


def test_quiet_stderr_shows_what_came_before_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    import os

    with quiet_stderr():
        os.write(2, b"chatter")
    assert capfd.readouterr().err == ""
    with pytest.raises(ValueError, match="x"), quiet_stderr():
        os.write(2, b"reason")
        raise ValueError("x")
    assert capfd.readouterr().err == "reason"


@pytest.fixture(scope="module")
def task_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task bundle of the models inside MediaPipe's own wheel."""
    spec = find_spec("mediapipe")
    assert spec is not None
    assert spec.origin is not None
    modules = Path(spec.origin).parent / "modules"
    if not (modules / "hand_landmark" / "hand_landmark_full.tflite").is_file():
        pytest.skip("this MediaPipe has no models inside")
    path = tmp_path_factory.mktemp("task") / "hand_landmarker.task"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as bundle:
        for name, model in (
            ("hand_detector.tflite", "palm_detection/palm_detection_full.tflite"),
            ("hand_landmarks_detector.tflite", "hand_landmark/hand_landmark_full.tflite"),
        ):
            bundle.write(modules / model, name)
    return path


def test_both_interfaces_agree(task_file: Path, photos: Path) -> None:
    photo = load_photo(photos / "one_subject" / "00054.jpg")
    image = np.ascontiguousarray(photo.pixels)
    old = SolutionsDetector().find(image, 1)[0]
    new = TasksDetector(read_task_file(task_file)).find(image, 1)[0]
    assert old.left is True
    assert new.left is True
    assert np.abs(old.keypoints - new.keypoints).mean() < 3
    assert np.abs(old.world - new.world).mean() < 0.004


def test_a_given_task_file_is_used(task_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_detector(task_file), TasksDetector)
    monkeypatch.setenv(mediapipe_models.TASK_ENV, str(task_file))
    assert isinstance(make_detector(), TasksDetector)
    assert MediapipeSource().configured("x.task").task_file == "x.task"


def test_bad_task_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the task file"):
        make_detector(tmp_path / "none.task")
    words = tmp_path / "words.task"
    words.write_text("no model")
    with pytest.raises(FileFormatError, match=r"not a hand_landmarker\.task"):
        make_detector(words)
    empty = tmp_path / "empty.task"
    with zipfile.ZipFile(empty, "w") as bundle:
        bundle.writestr("a", "b")
    with pytest.raises(FileFormatError, match="MediaPipe refuses"):
        make_detector(empty).find(np.zeros((64, 64, 3), np.uint8), 1)


def test_fetched_file_is_checked_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"PK" + b"x" * 100
    opened: list[str] = []

    def fake(url: str, timeout: float) -> io.BytesIO:
        opened.append(url)
        return io.BytesIO(content)

    monkeypatch.setattr(mediapipe_models.urllib.request, "urlopen", fake)
    with pytest.raises(FileFormatError, match="it was not kept"):
        fetch_task_file(tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(mediapipe_models, "TASK_SHA256", hashlib.sha256(content).hexdigest())
    assert fetch_task_file(tmp_path / "cache") == content
    assert fetch_task_file(tmp_path / "cache") == content
    assert len(opened) == 2


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(url: str, timeout: float) -> None:
        raise OSError("no route")

    monkeypatch.setattr(mediapipe_models.urllib.request, "urlopen", fail)
    with pytest.raises(InputError, match=r"cannot be fetched .*HAND_TOOLKIT_MEDIAPIPE_TASK"):
        fetch_task_file(tmp_path)


def test_mediapipe_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediapipe_models.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"hand-toolkit\[mediapipe\]"):
        make_detector()
