"""Joint angles: lossless, mirrored, limited, and bending the way their names say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_toolkit.core.conventions import MANO_JOINTS
from hand_toolkit.core.errors import InputError
from hand_toolkit.hand_model import limits, load_hand_model, pose_hand_numpy

SIDES = ["right", "left"]


def _matrices(theta: np.ndarray) -> np.ndarray:
    return Rotation.from_rotvec(theta.reshape(-1, 3)).as_matrix()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), side=st.sampled_from(SIDES))
def test_angles_to_theta_and_back(seed: int, side: str) -> None:
    rng = np.random.default_rng(seed)
    angles = rng.uniform(limits.FREE_LOWEST, limits.FREE_HIGHEST, (3, 26))
    theta = limits.compose(angles, side=side)
    assert np.abs(limits.decompose(theta, side) - angles).max() < 1e-9
    assert np.abs(theta[:, 0]).max() == 0
    assert limits.limit_loss(theta, side).max() < 1e-12


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), side=st.sampled_from(SIDES))
def test_any_theta_survives(seed: int, side: str) -> None:
    theta = np.random.default_rng(seed).normal(0, 1.0, (2, 16, 3))
    back = limits.theta_from_joint_angles(limits.joint_angles(theta, side), theta[:, 0], side)
    assert np.abs(_matrices(back) - _matrices(theta)).max() < 1e-7


def test_torch_equals_numpy_and_keeps_precision() -> None:
    theta = np.random.default_rng(0).normal(0, 0.5, (4, 16, 3))
    tensor = torch.tensor(theta)
    for function in (limits.joint_angles, limits.limit_loss, limits.pose_prior, limits.clamp_theta):
        assert np.allclose(function(tensor).numpy(), function(theta), atol=1e-12)
    assert limits.decompose(tensor.float()).dtype == torch.float32


@pytest.mark.parametrize("side", SIDES)
def test_losses_have_right_gradients(side: str) -> None:
    rng = np.random.default_rng(1)
    theta = torch.tensor(rng.normal(0, 0.8, (2, 16, 3)), requires_grad=True)
    for loss in (limits.limit_loss, limits.pose_prior):
        assert torch.autograd.gradcheck(lambda t, f=loss: f(t, side), (theta,), atol=1e-4)


def test_gradients_are_finite_at_rest() -> None:
    theta = torch.zeros(1, 16, 3, requires_grad=True)
    (limits.limit_loss(theta) + limits.pose_prior(theta)).sum().backward()
    assert theta.grad is not None and torch.isfinite(theta.grad).all()
    assert theta.grad.abs().max() > 0.1  # the prior's mean is a slightly bent hand


@pytest.mark.parametrize("side", SIDES)
def test_clamping_ends_inside_and_leaves_valid_poses_alone(side: str) -> None:
    rng = np.random.default_rng(2)
    wild = rng.normal(0, 1.0, (20, 16, 3))
    clamped = limits.clamp_theta(wild, side)
    assert limits.limit_loss(wild, side).min() > 1
    assert limits.limit_loss(clamped, side).max() < 1e-12
    assert np.array_equal(clamped[:, 0], wild[:, 0])
    valid = limits.compose(rng.uniform(limits.FREE_LOWEST, limits.FREE_HIGHEST, (5, 26)), side=side)
    assert np.abs(limits.clamp_theta(valid, side) - valid).max() < 1e-9


def test_prior_prefers_its_mean() -> None:
    mean = limits.compose(limits.FREE_MEAN[None])
    far = limits.compose(limits.FREE_MEAN[None] + 2 * limits.FREE_SIGMA)
    flat = np.zeros((1, 16, 3))
    assert limits.pose_prior(mean)[0] < limits.pose_prior(flat)[0] < limits.pose_prior(far)[0]


def test_there_are_26_freedoms_with_sane_ranges() -> None:
    assert len(limits.FREE_ANGLES) == len(set(limits.FREE_ANGLES)) == 26
    assert (limits.LOWEST < limits.HIGHEST).all()
    assert (limits.PRIOR_MEAN >= limits.LOWEST).all() and (
        limits.PRIOR_MEAN <= limits.HIGHEST
    ).all()
    mcp = limits.FREE_ANGLES.index("index1_flexion")
    assert np.degrees(limits.FREE_HIGHEST[mcp]) == pytest.approx(90)


def test_frames_are_rotations() -> None:
    frames = limits.joint_frames()
    assert np.allclose(frames @ frames.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(frames), 1)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("finger", ["index", "middle", "ring", "pinky"])
def test_fingers_bend_to_the_palm_and_spread_to_the_thumb(finger: str, side: str) -> None:
    model = load_hand_model(side=side)
    tip = 4 + 4 * ["thumb", "index", "middle", "ring", "pinky"].index(finger)

    def tip_of(axis: str) -> np.ndarray:
        angles = np.zeros((15, 3))
        angles[MANO_JOINTS.index(f"{finger}1") - 1, limits.AXES.index(axis)] = 0.4
        theta = limits.theta_from_joint_angles(angles, side=side)
        return pose_hand_numpy(model, theta, np.zeros(34), np.zeros(3))[2][tip]

    rest = model.keypoint_template[tip]
    assert tip_of("flexion")[1] < rest[1] - 0.02
    assert tip_of("abduction")[2] > rest[2] + 0.015
    assert np.abs(tip_of("twist") - rest).max() < 1e-6


def test_thumb_bends_across_and_abducts_away_from_the_palm() -> None:
    model = load_hand_model()

    def tip_of(axis: int) -> np.ndarray:
        angles = np.zeros((15, 3))
        angles[12, axis] = 0.4
        theta = limits.theta_from_joint_angles(angles)
        return pose_hand_numpy(model, theta, np.zeros(34), np.zeros(3))[2][4]

    rest = model.keypoint_template[4]
    assert tip_of(0)[2] < rest[2] - 0.01
    assert tip_of(1)[1] < rest[1] - 0.01


def test_finger_theta_checks_its_input() -> None:
    theta = limits.finger_theta({"index": (0.2, 0.3, 0.1)}, {"index": 0.1})
    assert theta.shape == (16, 3) and np.abs(theta[4:]).max() == 0
    assert limits.decompose(theta)[:5] == pytest.approx([0.2, 0.1, 0, 0.3, 0.1])
    with pytest.raises(InputError, match="unknown finger"):
        limits.finger_theta({"toe": (0, 0, 0)})
    with pytest.raises(InputError, match="shape"):
        limits.finger_theta({"index": (0, 0)})
    with pytest.raises(InputError, match=r"16, 3"):
        limits.joint_angles(np.zeros((15, 3)))
