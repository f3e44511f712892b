"""Fast training crops: what they show is what their targets say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.core.conventions import mirror_theta
from hand_toolkit.hand_model.limits import FREE_HIGHEST, FREE_LOWEST
from hand_toolkit.pose.fit import hand_chain
from hand_toolkit.pose.kinematics import State
from hand_toolkit.synth.crops.contacts import Contact, read_contacts
from hand_toolkit.synth.crops.contacts import _write as write_contact_file
from hand_toolkit.synth.crops.kernels import add_light
from hand_toolkit.synth.crops.light import CropLight, sample_crop_light
from hand_toolkit.synth.crops.mesh import PlacedHand, load_crop_mesh
from hand_toolkit.synth.crops.motion import fit_angles
from hand_toolkit.synth.crops.objects import superellipsoid
from hand_toolkit.synth.crops.render import (
    CLASSES,
    SIZE,
    CropAssets,
    aligned_frame,
    render_crop,
    render_scene,
)
from hand_toolkit.synth.crops.scenes import CropScene, pushed_apart
from hand_toolkit.synth.crops.shards import open_shards, render_shard

SKINS = np.full((2, 8, 8, 3), 0.3, np.float32)


@pytest.fixture(scope="module")
def assets() -> CropAssets:
    return CropAssets([], np.zeros((0, 26)), np.zeros((0, 32, 64, 3)), SKINS)


def _scene(side: str, theta: np.ndarray, wrong_side: bool = False) -> CropScene:
    shape = np.zeros(len(load_crop_mesh().model.shape_names))
    hand = PlacedHand(side, theta, np.zeros(3), np.zeros(3))
    return CropScene((hand,), 0, wrong_side, shape, None, False, None, False, False)


def _light() -> CropLight:
    return CropLight(np.ones(3), ())


def test_a_crop_is_the_same_for_the_same_seed(assets: CropAssets) -> None:
    first, second = (render_crop(np.random.default_rng(5), assets) for _ in range(2))
    assert np.array_equal(first.rgba, second.rgba)
    assert np.array_equal(first.labels, second.labels)
    assert np.array_equal(first.keypoints, second.keypoints, equal_nan=True)


def test_labels_are_covered_and_keypoints_lie_on_their_hand(assets: CropAssets) -> None:
    inside, total = 0, 0
    for seed in range(12):
        crop = render_crop(np.random.default_rng([seed, 1]), assets)
        assert (crop.rgba[..., 3][crop.labels > 0] > 0).all()
        assert crop.labels.max() < len(CLASSES)
        two = np.isfinite(crop.keypoints[1]).all()
        if two or not crop.own:
            continue
        for x, y in crop.keypoints[0]:
            if 1 <= x < SIZE - 1 and 1 <= y < SIZE - 1:
                total += 1
                inside += crop.rgba[int(y), int(x), 3] > 0
    assert total > 60
    assert inside / total > 0.9


def test_a_left_hand_is_shown_as_the_right_one_that_it_mirrors() -> None:
    theta = np.zeros((16, 3))
    theta[0] = [0.3, 0.2, -1.2]
    theta[1:4, 2] = 0.4
    right = render_scene(np.random.default_rng(3), _scene("right", theta), _light(), SKINS)
    # the mirrored scene: x changes its sign, and so does the camera's view
    left = render_scene(
        np.random.default_rng(3), _scene("left", mirror_theta(theta)), _light(), SKINS
    )
    assert right.own and left.own
    assert np.abs(right.keypoints[0] - left.keypoints[0]).max() < 1e-3
    assert (right.labels != left.labels).mean() < 0.002
    assert np.allclose(right.theta, left.theta, atol=1e-5)


def test_a_hand_shown_on_the_wrong_side_is_another_hand() -> None:
    theta = np.zeros((16, 3))
    theta[0] = [0.1, 0.0, -1.4]
    crop = render_scene(np.random.default_rng(4), _scene("right", theta, True), _light(), SKINS)
    assert not crop.own
    assert not (crop.labels == CLASSES.index("own")).any()
    assert (crop.labels == CLASSES.index("other")).sum() > 1000


def test_the_aligned_frame_puts_the_wrist_below_the_knuckles() -> None:
    points = hand_chain("default").rest[:, :2] * 1000
    turn, centre, side = aligned_frame(points)
    turned = (points - centre) @ turn.T
    assert np.linalg.det(turn) == pytest.approx(1)
    assert turned[0, 1] > turned[9, 1] + 10
    assert np.abs(turned).max() < side / 2 * 1.1


def test_recorded_keypoints_give_their_angles_back() -> None:
    rng = np.random.default_rng(0)
    chain = hand_chain("default")
    angles = FREE_LOWEST + rng.uniform(0.3, 0.7, (20, 26)) * (FREE_HIGHEST - FREE_LOWEST)
    state = State(np.tile(np.eye(3), (20, 1, 1)), np.zeros((20, 3)), angles,
                  np.zeros((20, chain.shape_count)))  # fmt: skip
    points = chain.pose(state, derivatives=False).points
    turned = 1000 * points @ np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]]) + 70
    found, errors = fit_angles(turned)
    assert errors.max() < 0.05
    # the thumb's twist trades with its neighbours; flexion of the fingers is what is seen
    assert np.degrees(np.abs(found - angles)).mean() < 6


def test_contacts_come_back_from_their_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    contact = Contact(rng.normal(size=(2, 16, 3)), rng.normal(size=(2, 3)),
                      rng.normal(size=(2, 3)), "prayer")  # fmt: skip
    write_contact_file(tmp_path / "0000_00000.npz", [contact, contact])
    read = read_contacts(tmp_path)
    assert [c.family for c in read] == ["prayer", "prayer"]
    assert np.allclose(read[0].theta, contact.theta, atol=1e-6)
    assert np.allclose(read[1].translation, contact.translation, atol=1e-6)


def test_hands_that_overlap_are_pushed_apart() -> None:
    points = hand_chain("default").rest
    other = points + np.array([0.01, 0.0, 0.0])
    shift = pushed_apart(points, other)
    assert np.linalg.norm(points[:, None] - (other + shift)[None], axis=-1).min() > 0.015
    assert not pushed_apart(points, points + np.array([0, 0.5, 0])).any()


def test_a_light_behind_another_surface_is_in_shadow() -> None:
    normals = np.array([[0.0, 0, -1], [0, 0, -1]])
    seen = np.array([[2.5, 2.5, 1.0], [2.5, 2.5, 2.0]])
    depth = np.full((5, 5), 1.0, np.float32)
    irradiance = np.zeros((2, 3))
    add_light(irradiance, normals, seen, depth, np.array([0.0, 0, -1]), np.ones(3), 0.0, 0.01)
    assert irradiance[0] == pytest.approx(1)
    assert irradiance[1] == pytest.approx(0)


def test_light_comes_from_unit_directions_and_is_positive() -> None:
    for seed in range(5):
        light = sample_crop_light(np.random.default_rng(seed), np.zeros((0, 32, 64, 3)))
        assert (light.ambient > 0).all()
        for one in light.lights:
            assert np.linalg.norm(one.direction) == pytest.approx(1)
            assert (one.color >= 0).all()


def test_held_things_are_closed_and_face_outwards() -> None:
    solid = superellipsoid(np.array([0.02, 0.03, 0.05]), 0.2, 0.4)
    a, b, c = (solid.vertices[solid.faces[:, k]] for k in range(3))
    volume = (a * np.cross(b, c)).sum() / 6
    assert 0.8 * 8 * 0.02 * 0.03 * 0.05 < volume < 8 * 0.02 * 0.03 * 0.05


def test_shards_give_the_crops_back(tmp_path: Path, assets: CropAssets) -> None:
    path = render_shard(tmp_path, 1, 0, assets, count=3)
    render_shard(tmp_path, 1, 1, assets, count=2)
    before = (path / "rgba.npy").stat().st_mtime_ns
    assert render_shard(tmp_path, 1, 0, assets, count=3) == path
    assert (path / "rgba.npy").stat().st_mtime_ns == before
    shards = open_shards(tmp_path)
    assert len(shards) == 5
    crop = render_crop(np.random.default_rng([1, 0, 31]), assets)
    for field in dataclasses.fields(crop):
        first, second = getattr(crop, field.name), getattr(shards[0], field.name)
        assert np.array_equal(np.nan_to_num(first), np.nan_to_num(second)), field.name
    with pytest.raises(IndexError):
        shards[5]
