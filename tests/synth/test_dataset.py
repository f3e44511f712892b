"""The folder format: round trip, camera axes, damaged files, configuration errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.synth import SynthConfig, open_dataset, read_sample
from hand_toolkit.synth.dataset import (
    FORMAT,
    VERSION,
    model_fingerprint,
    sample_json,
    view_set,
    write_json,
    write_picture,
)
from hand_toolkit.synth.views import sample_view


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    model = load_hand_model("default", "right")
    shape = rng.normal(size=len(model.shape_names)) * 0.2
    theta, place = rng.normal(size=(2, 16, 3)) * 0.3, rng.normal(size=(2, 3)) * 0.1
    points = pose_hand_numpy(model, theta[0], shape, place[0])[0]
    camera = sample_view(rng, points, np.array([[0, 0, -1.0]]), 96)
    target = tmp_path / "train" / "anna"
    target.mkdir(parents=True)
    write_json(tmp_path / "dataset.json", {"format": FORMAT, "version": VERSION})
    write_picture(target / "000_00.png", np.full((96, 96, 4), 200, np.uint8))
    write_picture(target / "000_00_albedo.png", np.full((96, 96, 3), 90, np.uint8))
    value = sample_json(
        split="train",
        subject="anna",
        pose="000",
        view="00",
        family="rest",
        present=np.array([True, False]),
        theta=theta,
        shape=shape,
        translation=place,
        camera=camera,
        lighting="home",
        note="kept",
    )
    write_json(target / "000_00.json", value)
    return tmp_path


def test_round_trip(folder: Path) -> None:
    dataset = open_dataset(folder)
    assert dataset.subjects("train") == ["anna"]
    assert dataset.subjects("test") == []
    (sample,) = dataset.samples("train")
    assert (sample.split, sample.subject, sample.pose, sample.view) == (
        "train",
        "anna",
        "000",
        "00",
    )
    assert sample.present.tolist() == [True, False]
    assert sample.extra["note"] == "kept"
    assert sample.picture().shape == (96, 96, 4)
    assert (sample.picture("albedo") == 90).all()
    with pytest.raises(FileFormatError, match="labels"):
        sample.picture("labels")
    with pytest.raises(InputError, match="depth"):
        sample.picture("depth")


def test_hands_in_camera_project_to_the_same_pixels(folder: Path) -> None:
    (sample,) = open_dataset(folder).samples()
    model = load_hand_model("default", "right")
    world = pose_hand_numpy(model, sample.theta[0], sample.shape, sample.translation[0])[0]
    theta, place = sample.hands_in_camera()
    local = pose_hand_numpy(model, theta[0], sample.shape, place[0])[0]
    pixels = local[:, :2] / local[:, 2:] * [sample.camera.fx, sample.camera.fy]
    pixels = pixels + np.array([sample.camera.cx, sample.camera.cy])
    np.testing.assert_allclose(pixels, sample.camera.project(world), atol=1e-6)
    assert (pixels > 0).all()
    assert (pixels < 96).all()
    assert not theta[1].any()
    assert not place[1].any()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("theta", [[1, 2], [3]]),
        ("present", [False, False]),
        ("camera", {"fx": -1}),
        ("translation", "far"),
        ("shape", None),
    ],
)
def test_damaged_samples_are_named(folder: Path, key: str, value: object) -> None:
    path = folder / "train" / "anna" / "000_00.json"
    data = json.loads(path.read_text())
    data[key] = value
    path.write_text(json.dumps(data))
    with pytest.raises(FileFormatError, match="000_00"):
        read_sample(path)


def test_foreign_folders_are_refused(folder: Path) -> None:
    (folder / "dataset.json").write_text('{"format": "other", "version": 1}')
    with pytest.raises(FileFormatError, match="other"):
        open_dataset(folder)
    (folder / "dataset.json").write_text("{")
    with pytest.raises(FileFormatError, match="JSON"):
        open_dataset(folder)
    with pytest.raises(FileFormatError, match=r"dataset\.json"):
        open_dataset(folder / "nowhere")


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    class Unwritable:
        pass

    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": Unwritable()})
    with pytest.raises(TypeError):
        write_picture(tmp_path / "a.png", np.zeros((4, 4, 7), np.uint8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "settings",
    [{"size": 8}, {"samples": 0}, {"two_hands": 1.5}, {"train_subjects": 0, "test_subjects": 0},
     {"skins": "/nowhere/at/all"}],
)  # fmt: skip
def test_configuration_is_checked(settings: dict[str, object]) -> None:
    with pytest.raises(InputError):
        SynthConfig(**settings)  # type: ignore[arg-type]


def test_fingerprint_is_stable() -> None:
    assert model_fingerprint() == model_fingerprint()
    assert len(model_fingerprint()) == 16


@pytest.mark.parametrize("seed", range(6))
def test_views_hold_the_hands(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, size=(400, 3)) * [0.09, 0.03, 0.06] + rng.normal(size=3)
    camera = sample_view(rng, points, np.array([[0, 0, -1.0]]), 200)
    pixels = camera.project(points)
    assert pixels.min() > 0
    assert pixels.max() < 200
    assert (pixels.max(0) - pixels.min(0)).max() > 0.55 * 200


def test_a_data_set_is_a_view_set(folder: Path) -> None:
    (sample,) = open_dataset(folder).samples("train")
    with pytest.raises(FileFormatError, match="cannot read 000_00_labels"):
        view_set([sample])
    labels = np.zeros((96, 96), np.uint8)
    labels[20:50, 30:60], labels[50:60, 30:60] = 1, 3
    write_picture(sample.picture_path("labels"), labels)
    views = view_set([sample])
    assert views.name == "anna"
    assert views.sides == ("right",)
    mask, index = views[0].outlined()
    assert mask.sum() == 30 * 30  # the forearm is no part of the avatar
    assert set(np.unique(index)) == {-1, 0}
    hand = views[0].hands[0]
    np.testing.assert_allclose(views[0].camera.world_to_camera, np.eye(4))
    turned = sample.camera.project(_keypoints(sample.theta[0], sample.shape, sample.translation[0]))
    np.testing.assert_allclose(hand.keypoints_2d, turned, atol=1e-6)
    picture = views[0].read()
    assert picture.pixels.shape == (96, 96, 3)
    # straight alpha of 200 over black
    assert int(picture.pixels[0, 0, 0]) == round(200 * 200 / 255)
    with pytest.raises(InputError, match="0 subjects"):
        view_set([])


def _keypoints(theta: np.ndarray, shape: np.ndarray, place: np.ndarray) -> np.ndarray:
    return pose_hand_numpy(load_hand_model("default", "right", 0), theta, shape, place)[2]
