"""Surfaces: extraction, what is refused, and the shipped weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.core.types import Camera, HandPose, Photo, PoseEstimate
from hand_toolkit.geometry.surfaces import vertex_normals
from hand_toolkit.hand_model import load_hand_model
from hand_toolkit.systems.im2hands.contact import close_hands, refine_contact
from hand_toolkit.systems.im2hands.extract import extract_surface
from hand_toolkit.systems.im2hands.offset import normal_offsets, offset_avatar
from hand_toolkit.systems.im2hands.surfaces import (
    checked_keypoints,
    pair_keypoints,
    reconstruct_pair,
)
from hand_toolkit.systems.im2hands.truth import PosedPair, parted, posed_pair, signed_distance
from hand_toolkit.systems.im2hands.weights import SHIPPED, read_network
from hand_toolkit.testing.look import laid_avatar

RADIUS = 0.04


def ball(places: np.ndarray) -> np.ndarray:
    return 1e3 * (RADIUS - np.linalg.norm(places - 0.01, axis=1))


@pytest.mark.parametrize("cells", [32, 128])
def test_a_ball_is_found_watertight(cells: int) -> None:
    asked = []

    def counted(places: np.ndarray) -> np.ndarray:
        asked.append(len(places))
        return ball(places)

    low = np.array([-0.05, -0.04, -0.06])
    vertices, faces = extract_surface(counted, low, np.array([0.06, 0.07, 0.06]), cells)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0
    off = np.linalg.norm(vertices - 0.01, axis=1) - RADIUS
    assert np.abs(off).max() < 0.12 / cells / 4
    if cells == 128:
        assert sum(asked) < 0.25 * cells**3, "only cells about the surface are asked"


def test_what_reaches_the_box_is_closed_there_and_crumbs_go() -> None:
    def bar(places: np.ndarray) -> np.ndarray:
        rod = 1e3 * (0.01 - np.linalg.norm(places[:, :2], axis=1))
        crumb = 1e3 * (0.004 - np.linalg.norm(places - [0.03, 0.03, 0.0], axis=1))
        return np.maximum(rod, crumb)

    vertices, faces = extract_surface(bar, np.full(3, -0.04), np.full(3, 0.04), 64)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.is_watertight and mesh.body_count == 1
    assert vertices[:, 0].max() < 0.02


def test_extraction_refuses() -> None:
    with pytest.raises(InputError, match="powers of two"):
        extract_surface(ball, np.zeros(3), np.ones(3), 100)
    with pytest.raises(InputError, match="nothing inside"):
        extract_surface(lambda p: np.full(len(p), -5.0), np.zeros(3), np.ones(3), 32)


def test_bad_keypoints_are_refused_in_a_sentence(pair: PosedPair) -> None:
    good = pair.keypoints
    assert checked_keypoints(good).shape == (2, 21, 3)
    broken = good.copy()
    broken[1, 4, 0] = np.nan
    larger = np.stack([good[0], good[1, :1] + 1.6 * (good[1] - good[1, :1])])
    for points, what in (
        (good[0], "one hand"), (good[:, :20], "shape"), (broken, "1 of 42"),
        (good - [0, 0, 2.0], "behind"), (1000 * good, "give metres"), (larger, "two people"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=what) as error:
            checked_keypoints(points)
        assert "\n" not in str(error.value)


def estimate_of(
    pair: PosedPair, theta: np.ndarray, place: np.ndarray, sides: tuple[str, ...]
) -> PoseEstimate:
    camera = Camera(600, 600, 256, 256, 512, 512)
    hands = []
    for k, side in enumerate(("right", "left")):
        if side in sides:
            points = pair.keypoints[k]
            flat = camera.project(points)
            hands.append(
                HandPose(side, theta[k], np.zeros(34), place[k], "default", 1.0, flat, points)
            )
    return PoseEstimate(tuple(hands), camera)


def test_one_hand_is_refused_and_never_refined(
    pair: PosedPair, theta_and_place: tuple[np.ndarray, np.ndarray]
) -> None:
    alone = estimate_of(pair, *theta_and_place, ("left",))
    with pytest.raises(InputError, match="left alone"):
        pair_keypoints(alone)
    assert not close_hands(alone)
    assert refine_contact(None, alone) is alone  # type: ignore[arg-type]


def test_hands_apart_and_hands_of_two_people(
    pair: PosedPair, theta_and_place: tuple[np.ndarray, np.ndarray]
) -> None:
    theta, place = theta_and_place
    away = place + np.array([[0, 0, 0], [0.2, 0, 0]])
    far = estimate_of(pair, theta, away, ("right", "left"))
    assert not close_hands(far)
    assert refine_contact(None, far) is far  # type: ignore[arg-type]
    near = estimate_of(pair, theta, place, ("right", "left"))
    grown = near.hands[1].joints_cam_m
    other = dataclasses.replace(near.hands[1], joints_cam_m=grown[:1] + 1.6 * (grown - grown[:1]))
    with pytest.raises(InputError, match="two people") as error:
        refine_contact(
            Photo(np.zeros((512, 512, 3), np.uint8)),
            dataclasses.replace(near, hands=(near.hands[0], other)),
        )
    assert "\n" not in str(error.value)


def test_offsets_bring_skin_to_a_surface() -> None:
    model = load_hand_model("default", "right", 0)
    vertices = model.template.astype(float)
    normals = vertex_normals(vertices, model.faces)
    free = np.abs(vertices[:, 0]) > 0.02
    even = normal_offsets(np.full(len(vertices), 0.002), normals, normals, model.faces, free)
    inner = np.abs(vertices[:, 0]) > 0.08
    np.testing.assert_allclose(even[inner], -0.002, atol=1e-6)
    assert not even[~free].any()
    far = normal_offsets(np.full(len(vertices), 0.03), normals, normals, model.faces, free)
    assert not far.any(), "what is far off is another part's surface"


def test_an_avatar_of_one_hand_has_no_offset() -> None:
    with pytest.raises(InputError, match="need both"):
        offset_avatar(laid_avatar(1), None)  # type: ignore[arg-type]


def test_truth_parts_hands_by_a_small_move(theta_and_place: tuple[np.ndarray, np.ndarray]) -> None:
    theta, place = theta_and_place
    closer = place + np.array([[-0.002, 0, 0], [0.002, 0, 0]])
    moved = parted(posed_pair(theta, np.zeros(34), closer))
    assert moved is not None and np.linalg.norm(moved) < 0.02
    apart = posed_pair(theta, np.zeros(34), closer + np.array([np.zeros(3), moved]))
    depth = signed_distance(apart.vertices[1], apart.vertices[0], apart.faces[0])[0].min()
    assert depth > -0.001


@pytest.mark.skipif(not SHIPPED.is_file(), reason="no weights in this checkout")
class TestShipped:
    def test_surfaces_follow_true_keypoints(self, pair: PosedPair) -> None:
        torch.manual_seed(0)
        found = reconstruct_pair(None, None, pair.keypoints, resolution=64)
        assert np.allclose(found.keypoints, pair.keypoints, atol=1e-6)
        rng = np.random.default_rng(0)
        for k in range(2):
            vertices, faces = found.surfaces[k].vertices, found.surfaces[k].faces
            mesh = trimesh.Trimesh(vertices, faces, process=False)
            assert mesh.is_watertight and mesh.volume > 0
            low, high = pair.vertices[k].min(0), pair.vertices[k].max(0)
            places = rng.uniform(low, high, (4000, 3))
            own = signed_distance(places, vertices, faces)[0] < 0
            real = signed_distance(places, pair.vertices[k], pair.faces[k])[0] < 0
            assert (own & real).sum() / (own | real).sum() > 0.8

    def test_touching_hands_are_refined(
        self, pair: PosedPair, theta_and_place: tuple[np.ndarray, np.ndarray]
    ) -> None:
        given = estimate_of(pair, *theta_and_place, ("right", "left"))
        photo = Photo(np.full((512, 512, 3), 90, np.uint8))
        found = refine_contact(photo, given, refine_keypoints=False)
        assert found is not given and len(found.hands) == 2
        for before, after in zip(given.hands, found.hands):
            gap = np.linalg.norm(after.joints_cam_m - before.joints_cam_m, axis=1)
            assert gap.mean() < 0.006, "true keypoints pull the hands back to them"

    def test_skin_moves_to_the_surfaces(
        self, theta_and_place: tuple[np.ndarray, np.ndarray]
    ) -> None:
        theta, place = theta_and_place
        both = [laid_avatar(1, side=side).hands[0] for side in ("right", "left")]
        hands = tuple(
            dataclasses.replace(hand, source_theta=theta[k], source_translation=place[k])
            for k, hand in enumerate(both)
        )
        given = dataclasses.replace(laid_avatar(1), hands=hands)
        found = offset_avatar(given, Photo(np.full((512, 512, 3), 90, np.uint8)))
        for side in ("right", "left"):
            moved = np.linalg.norm(found.extras[f"displacement.{side}"], axis=1)
            assert 1e-5 < moved.mean() < 0.002 and moved.max() <= 0.008
            before, after = (a.hand(side).binding.offset for a in (given, found))
            assert 1e-5 < np.linalg.norm(after - before, axis=1).mean() < 0.002

    def test_damaged_weights_are_told_of(self, tmp_path: Path) -> None:
        path = tmp_path / "im2hands.safetensors"
        path.write_bytes(SHIPPED.read_bytes()[:5000])
        with pytest.raises(FileFormatError):
            read_network(path)
