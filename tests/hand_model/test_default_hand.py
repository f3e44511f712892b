"""The shipped default hand: contract, mirror symmetry, shape parameters, forearm, loading."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hand_toolkit.core.conventions import KEYPOINT_TO_MANO
from hand_toolkit.core.errors import InputError
from hand_toolkit.hand_model import (
    load_default_forearm,
    load_hand_model,
    pose_hand_numpy,
    rest_hand,
)
from hand_toolkit.hand_model.default import DATA_FILE, FOREARM_FILE, DefaultHandProvider
from hand_toolkit.hand_model.extract.anthropometry import SEGMENTS, adult_mean_m
from hand_toolkit.hand_model.surface import boundary_loop, signed_volume
from hand_toolkit.testing.hand_model import check_arrays, check_hand_model


def test_keeps_the_contract() -> None:
    check_hand_model(DefaultHandProvider())


def test_left_is_exactly_the_mirrored_right() -> None:
    right, left = load_hand_model(side="right"), load_hand_model(side="left")
    flip = np.array([-1, 1, 1])
    assert np.array_equal(left.template * flip, right.template)
    assert np.array_equal(left.shape_dirs * flip, right.shape_dirs)
    assert np.array_equal(left.keypoint_template * flip, right.keypoint_template)
    assert np.array_equal(left.weights, right.weights)
    assert {tuple(sorted(f)) for f in left.faces} == {tuple(sorted(f)) for f in right.faces}
    rng = np.random.default_rng(3)
    theta, shape = rng.normal(0, 0.4, (16, 3)), rng.normal(0, 0.3, 34)
    a = pose_hand_numpy(right, theta, shape, np.array([0.1, 0.2, 0.3]))
    b = pose_hand_numpy(left, theta * [1, -1, -1], shape, np.array([-0.1, 0.2, 0.3]))
    assert np.abs(a[0] - b[0] * flip).max() < 1e-12
    assert np.abs(a[2] - b[2] * flip).max() < 1e-12


def test_a_texture_dresses_both_hands_and_the_atlas_keeps_them_apart() -> None:
    right, left = load_hand_model(side="right"), load_hand_model(side="left")
    assert np.array_equal(right.uvs, left.uvs)
    assert right.atlas_uvs is not None and left.atlas_uvs is not None
    assert right.atlas_uvs[:, 0].max() < left.atlas_uvs[:, 0].min()
    # the left island is the right one mirrored in u
    total = right.atlas_uvs[:, 0] + left.atlas_uvs[:, 0]
    assert np.ptp(total) < 1e-5
    assert right.uvs.min(0).max() < 0.02 and right.uvs.max(0).min() > 0.98


def test_it_has_the_mean_adults_measures() -> None:
    """ANSUR II's hand length and breadth, Buchholz's segments, the crease of the finger."""
    model = load_hand_model()
    keypoints, vertices = model.keypoint_template, model.template
    length = adult_mean_m("hand length")
    assert -vertices[:, 0].min() == pytest.approx(length, abs=5e-4)
    assert np.linalg.norm(keypoints[9]) / length == pytest.approx(0.446, abs=0.01)
    for finger in range(1, 5):
        first = 1 + 4 * finger
        bones = np.linalg.norm(np.diff(keypoints[first : first + 3], axis=0), axis=1)
        assert np.allclose(bones / length, SEGMENTS[finger][:2], atol=0.006)
    # across the metacarpals' heads, below the fingers' webs and before the thumb's
    hand = (model.weights[:, 13:].sum(1) < 0.3) & (np.abs(vertices[:, 0] + 0.078) < 0.012)
    breadth = np.ptp(vertices[hand, 2])
    assert breadth == pytest.approx(adult_mean_m("hand breadth"), abs=5e-3)
    # the skin between two fingers lies at the end of ANSUR II's palm
    web = (model.weights[:, 4:7].sum(1) > 0.3) & (model.weights[:, 10:13].sum(1) > 0.3)
    assert -vertices[web, 0].min() == pytest.approx(adult_mean_m("palm length"), abs=8e-3)


def test_the_first_default_hand_is_a_model_of_its_own() -> None:
    first, mean = load_hand_model("default_1"), load_hand_model("default")
    assert first.name == "default_1"
    assert -first.template[:, 0].min() == pytest.approx(0.2117, abs=1e-3)
    assert np.array_equal(first.faces, mean.faces) and np.array_equal(first.uvs, mean.uvs)


@pytest.mark.parametrize("finger", [1, 2, 3, 4])
def test_finger_joints_lie_in_the_middle_of_the_finger(finger: int) -> None:
    model = load_hand_model()
    first = 1 + 4 * finger
    joint = int(KEYPOINT_TO_MANO[first])
    own = model.weights[:, joint : joint + 3].sum(1) > 0.5
    for k in (1, 2):
        centre = model.keypoint_template[first + k]
        bone = model.keypoint_template[first + 3] - centre
        bone /= np.linalg.norm(bone)
        side = np.cross(bone, [0.0, 1.0, 0.0])
        offset = model.template[own] - centre
        ring = offset[np.abs(offset @ bone) < 0.005]
        for across in (np.array([0.0, 1.0, 0.0]), side):
            extent = ring @ across
            assert abs(extent.max() + extent.min()) / 2 < 0.1 * np.ptp(extent)


def test_fingers_are_straight_at_rest() -> None:
    keypoints = load_hand_model().keypoint_template
    for knuckle in (5, 9, 13, 17):
        bones = np.diff(keypoints[knuckle : knuckle + 4], axis=0)
        bones /= np.linalg.norm(bones, axis=1, keepdims=True)
        assert np.abs(bones[1:] - bones[0]).max() < 1e-3
        assert abs(bones[0, 1]) < 1e-6


@pytest.mark.parametrize("finger", ["thumb", "index", "middle", "ring", "pinky"])
def test_length_and_thickness_act_on_their_bone(finger: str) -> None:
    model = load_hand_model()
    names = list(model.shape_names)
    first = 1 + 4 * ["thumb", "index", "middle", "ring", "pinky"].index(finger)

    def bones(shape: np.ndarray) -> np.ndarray:
        keypoints = rest_hand(model, shape)[2]
        return np.linalg.norm(np.diff(keypoints[first : first + 4], axis=0), axis=1)

    mean = bones(np.zeros(len(names)))
    for k in range(3):
        shape = np.zeros(len(names))
        shape[names.index(f"length_{finger}{k + 1}")] = 1
        ratio = bones(shape) / mean
        expected = np.ones(3)
        expected[k] = 1.25
        assert np.allclose(ratio, expected, atol=2e-3)
    shape = np.zeros(len(names))
    shape[names.index(f"thickness_{finger}")] = 1
    assert np.allclose(bones(shape), mean)
    thicker = signed_volume(rest_hand(model, shape)[0], model.faces)
    assert thicker > signed_volume(model.template, model.faces) * 1.005


def test_every_parameter_alone_and_all_together_keep_a_volume() -> None:
    model = load_hand_model()
    rng = np.random.default_rng(0)
    for _ in range(50):
        shape = np.clip(rng.normal(size=34), -3, 3) * model.shape_sigmas
        assert signed_volume(rest_hand(model, shape)[0], model.faces) > 5e-5


def test_forearm_begins_with_the_hand() -> None:
    for side in ("right", "left"):
        hand, arm = load_hand_model(side=side), load_default_forearm(side)
        count = len(hand.template)
        assert np.array_equal(arm.template[:count], hand.template)
        assert np.array_equal(arm.weights[:count], hand.weights)
        assert np.array_equal(arm.shape_dirs[:, :count], hand.shape_dirs)
        assert (arm.weights[count:, 0] == 1).all()
        ahead = 1 if side == "right" else -1
        assert (arm.template[:, 0] * ahead).max() > 0.4
        directed = np.concatenate([arm.faces[:, [k, (k + 1) % 3]] for k in range(3)])
        assert len(np.unique(directed, axis=0)) == len(directed)
        assert signed_volume(arm.template, arm.faces) > 1e-3


def test_wrist_is_one_open_loop() -> None:
    model = load_hand_model()
    loop = boundary_loop(model.faces)
    assert len(loop) == 20
    assert np.abs(model.template[loop, 0]).max() < 0.02


def test_data_are_small() -> None:
    assert DATA_FILE.stat().st_size + FOREARM_FILE.stat().st_size < 1_000_000


def test_loading_is_cached_and_names_are_checked() -> None:
    assert load_hand_model("default", "left", 1) is load_hand_model("default", "left", 1)
    with pytest.raises(InputError, match="installed are"):
        load_hand_model("no such model")
    with pytest.raises(InputError, match="upper"):
        load_hand_model(side="upper")
    with pytest.raises(InputError, match="level is 4"):
        load_hand_model(level=4)


def test_loading_needs_neither_anny_nor_torch() -> None:
    code = (
        "import sys; from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy;"
        "import numpy as np; m = load_hand_model(level=1);"
        "pose_hand_numpy(m, np.zeros((16, 3)), np.zeros(34), np.zeros(3));"
        "print([n for n in ('anny', 'torch', 'trimesh', 'smplx') if n in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.strip() == "[]"


def test_contract_notices_faults() -> None:
    import dataclasses

    model = load_hand_model()
    for change in (
        {"faces": model.faces[:, ::-1].copy()},
        {"weights": model.weights * 1.01},
        {"uvs": model.uvs + 0.5},
        {"uv_faces": model.uv_faces + 10},
    ):
        with pytest.raises(AssertionError):
            check_arrays(dataclasses.replace(model, **change))
