from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hand_toolkit.animate import load_motion
from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.core.types import Camera
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.synth.poses import family_angles, rest_theta
from hand_toolkit.systems.hhmr import uses
from hand_toolkit.systems.hhmr.config import PRESETS
from hand_toolkit.systems.hhmr.evaluate import near_faces, self_intersections
from hand_toolkit.systems.hhmr.files import read_skeletons, write_hands
from hand_toolkit.systems.hhmr.fits import fit_skeletons
from hand_toolkit.systems.hhmr.made import MadeHands
from hand_toolkit.systems.hhmr.network import HhmrNetwork
from hand_toolkit.systems.hhmr.skeletons import look_at, own_axes
from hand_toolkit.systems.hhmr.source import HhmrSource, central
from hand_toolkit.systems.hhmr.theta import fit_meshes


@pytest.fixture(scope="module")
def network() -> HhmrNetwork:
    """One that has learned nothing: shapes, frames and files do not depend on it."""
    torch.manual_seed(0)
    return HhmrNetwork(PRESETS["tiny"]).eval().requires_grad_(False)


def hand(name: str, wrist: tuple[float, float, float] = (0.4, -1.2, 0.6)) -> tuple[np.ndarray, ...]:
    """θ, vertices and keypoints of a family, before a camera."""
    model = load_hand_model("default", "right", 0)
    theta = rest_theta(family_angles(name))
    theta[0] = wrist
    shape = 0.5 * model.shape_sigmas.astype(float)
    vertices, _, points, _ = pose_hand_numpy(model, theta, shape, np.array([0.05, -0.02, 0.6]))
    return theta, vertices, points


def test_meshes_come_back_as_theta() -> None:
    names = ("fist", "spread", "pinch", "point")
    made = [hand(name) for name in names]
    found = fit_meshes(np.stack([vertices for _, vertices, _ in made]))
    assert found.residual_m.max() < 0.004  # the fit leaves pose correctives out
    for k, (theta, _, _) in enumerate(made):
        assert np.abs(found.theta[k] - theta).max() < 0.2
    noisy = made[0][1] + np.random.default_rng(0).normal(size=made[0][1].shape) * 0.003
    residual = fit_meshes(noisy[None]).residual_m[0]
    assert 0.003 < residual < 0.008  # the stated residual tells what θ cannot


def test_the_central_hypothesis_is_taken_though_an_outlier_is_likelier() -> None:
    made = [hand(name) for name in ("fist", "spread", "spread")]
    made[2] = (made[2][0], made[2][1] + 0.03, made[2][2])  # the same hand elsewhere
    theta, vertices, _ = (np.stack(part) for part in zip(*made))
    zeros, likelihood = np.zeros((3, 1)), np.array([0.8, 0.1, 0.1])
    hands = MadeHands("right", theta, zeros, zeros, vertices, zeros[:, 0], likelihood)
    assert central(hands) in (1, 2)
    assert central(hands.take(np.array([0]))) == 0


def test_self_intersections() -> None:
    model = load_hand_model("default", "right", 0)
    flat = self_intersections(model.template.astype(float), model.faces)
    vertices = model.template.astype(float).copy()
    index = model.weights[:, [2, 3]].sum(1) > 0.5
    middle = model.weights[:, [5, 6]].sum(1) > 0.5
    vertices[index] += vertices[middle].mean(0) - vertices[index].mean(0) + [0.02, 0, 0]
    assert flat < 1e-3 and self_intersections(vertices, model.faces) > 0.02


def test_near_faces_are_all_whose_boxes_overlap() -> None:
    rng = np.random.default_rng(0)
    corners = rng.normal(size=(150, 1, 3)) + rng.exponential(0.15, (150, 1, 1)) * rng.normal(
        size=(150, 3, 3)
    )
    low, high = corners.min(1), corners.max(1)
    meet = ((low[:, None] <= high[None]) & (low[None] <= high[:, None])).all(2)
    wanted = {(a, b) for a, b in zip(*np.nonzero(np.triu(meet, 1)))}
    found = [tuple(sorted(pair)) for pair in near_faces(corners).tolist()]
    assert len(found) == len(set(found)) and set(found) == wanted


def test_hands_that_cross_are_drawn_again(
    network: HhmrNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first draws cross, the third of the second hand crosses least."""
    told = iter(([1.5, 2.0], [0.2, 3.0], [1.3], [1.8]))
    monkeypatch.setattr(uses, "crossed", lambda theta, shape: np.array(next(told)))
    drawn = []
    whole = uses.fit_points

    def noted(*given: object, seed: int, **more: object) -> object:
        drawn.append(seed)
        return whole(*given, seed=seed, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(uses, "fit_points", noted)
    made = uses.complete(hand("pinch")[0], ["index"], count=2, steps=1, network=network)
    assert len(drawn) == 4 and len(set(drawn)) == 4
    third = whole(
        indexed_points("pinch"), count=1, seed=drawn[2], steps=1, network=network, own=True
    )
    np.testing.assert_allclose(made.theta[1, 5], third.theta[0, 5], atol=1e-6)
    assert made.likelihood.sum() == pytest.approx(1)


def indexed_points(name: str) -> np.ndarray:
    """What :func:`uses.complete` gives the network where the index finger stays."""
    model = load_hand_model("default", "right", 0)
    theta = hand(name)[0].copy()
    theta[0] = 0
    points = pose_hand_numpy(model, theta, np.zeros(34), np.zeros(3))[2]
    return np.where(uses.placed_keypoints(uses.kept_joints(["index"]))[:, None], points, np.nan)


def test_generate_is_seeded_and_mirrors(network: HhmrNetwork) -> None:
    right = uses.generate(2, seed=5, steps=2, network=network, screen=False)
    left = uses.generate(2, side="left", seed=5, steps=2, network=network, screen=False)
    assert len(right) == 2 and not right.theta[:, 0].any()
    np.testing.assert_allclose(left.theta, right.theta * [1, -1, -1])
    np.testing.assert_allclose(left.vertices, right.vertices * [-1, 1, 1])
    again = uses.generate(2, seed=5, steps=2, network=network, screen=False)
    np.testing.assert_array_equal(again.theta, right.theta)
    assert right.likelihood.sum() == pytest.approx(1)


def test_completion_keeps_what_is_given(network: HhmrNetwork) -> None:
    theta = hand("pinch")[0]
    made = uses.complete(theta, ["index", "thumb1"], count=2, steps=2, network=network)
    np.testing.assert_array_equal(
        made.theta[:, [0, 1, 2, 3, 13]], np.stack([theta] * 2)[:, [0, 1, 2, 3, 13]]
    )
    assert np.abs(made.theta[:, 4] - theta[4]).max() > 1e-3
    seen = uses.placed_keypoints(uses.kept_joints(["index1", "index3"]))
    assert seen[6] and not seen[7] and not seen[8]  # index3's place needs index2
    with pytest.raises(InputError, match="unknown joint 'toe'"):
        uses.complete(theta, ["toe"], network=network)
    with pytest.raises(InputError, match="finite"):
        uses.complete(theta * np.nan, ["index"], network=network)


def test_given_vertices_are_kept_near(network: HhmrNetwork) -> None:
    _, vertices, _ = hand("cup")
    model = load_hand_model("default", "right", 0)
    given = model.weights[:, [0, 7, 8, 9, 10, 11, 12]].sum(1) > 0.5
    made = uses.complete_mesh(vertices, given, count=1, steps=2, network=network)
    assert made.vertices.shape == (1, *vertices.shape)
    with pytest.raises(InputError, match="NaN"):
        uses.complete_mesh(vertices * np.nan, given, network=network)
    with pytest.raises(InputError, match="palm"):
        uses.complete_mesh(vertices, model.weights[:, 1:4].sum(1) > 0.5, network=network)


def test_frames_of_skeletons() -> None:
    theta, _, points = hand("rest")
    camera = Camera(900.0, 900.0, 320.0, 240.0, 640, 480)
    skeleton = look_at(camera.project(points), camera, "right")
    upright = (points - points[[0, 5, 9, 13, 17]].mean(0)) @ skeleton.turn.T
    assert upright[9, 1] < upright[0, 1]
    model = load_hand_model("default", "right", 0)
    rest = model.keypoint_template.astype(float)
    own, seen, turn = own_axes(points, rest)
    assert seen.all() and np.allclose(turn.T @ turn, np.eye(3), atol=1e-9)
    flat = pose_hand_numpy(
        model, np.concatenate([[[0, 0, 0]], theta[1:]]), np.zeros(34), np.zeros(3)
    )[2]
    assert np.linalg.norm(own - (flat - flat[[0, 5, 9, 13, 17]].mean(0)), axis=1).mean() < 0.006


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p[:20], r"shape \(20, 2\)"),
        (lambda p: p * np.nan, "shows 0 of 21"),
        (lambda p: p * np.inf, "infinite"),
        (lambda p: p * 0 + 5, "all lie in one place"),
    ],
)
def test_bad_skeletons_are_refused(network: HhmrNetwork, change: object, said: str) -> None:
    camera = Camera(900.0, 900.0, 320.0, 240.0, 640, 480)
    points = camera.project(hand("rest")[2])
    with pytest.raises(InputError, match=said):
        uses.fit_picture(change(points), camera, network=network)  # type: ignore[operator]


def test_contradictory_points_still_give_a_hand(network: HhmrNetwork) -> None:
    points = hand("rest")[2]
    points[8], points[20] = points[20], points[8] + [0.3, 0, 0]
    made = uses.fit_points(points, steps=2, network=network)
    assert np.isfinite(made.vertices).all() and np.isfinite(made.theta).all()


def test_files(network: HhmrNetwork, tmp_path: Path) -> None:
    points = hand("rest")[2]
    listed = points.tolist()
    listed[8] = [None, None, None]
    path = tmp_path / "skeleton.json"
    path.write_text(json.dumps({"keypoints": [listed, listed]}))
    read = read_skeletons(path)
    assert read.shape == (2, 21, 3) and np.isnan(read[:, 8]).all()
    with pytest.raises(InputError, match="--size"):
        fit_skeletons(read[..., :2])
    made = uses.fit_points(read[0], count=2, side="left", steps=2, network=network)
    out = write_hands(tmp_path / "hands.npz", made, "fitted")
    motion = load_motion(out)
    assert len(motion) == 2 and motion.present[:, 1].all() and not motion.present[:, 0].any()
    with np.load(out, allow_pickle=False) as data:
        assert data["vertices"].shape[0] == len(data["residual_mm"]) == len(data["likelihood"]) == 2
    for text, said in (("[1, 2]", "shape"), ("{}", "no 'keypoints'"), ("nothing", "no JSON")):
        path.write_text(text)
        with pytest.raises((InputError, FileFormatError), match=said):
            read_skeletons(path)


def test_source_takes_a_number_of_hypotheses() -> None:
    assert HhmrSource().configured("16").samples == 16
    with pytest.raises(InputError, match="number of hypotheses"):
        HhmrSource().configured("many")
