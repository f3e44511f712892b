"""Pose correctives: fingers keep their volume, older hands bend as they did, the flesh rests."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hand_toolkit.core.errors import InputError
from hand_toolkit.hand_model import HandModel, load_hand_model, pose_features, pose_hand_numpy
from hand_toolkit.hand_model.extract import correctives, flesh
from hand_toolkit.hand_model.limits import finger_theta, theta_from_joint_angles
from hand_toolkit.hand_model.surface import signed_volume

FINGERS = ("index", "middle", "ring", "pinky", "thumb")


def posed(model: HandModel, theta: np.ndarray) -> np.ndarray:
    return pose_hand_numpy(model, theta, np.zeros(34), np.zeros(3))[0]


def lost(model: HandModel, bends: dict[str, list[float]]) -> float:
    """Millilitres that bending costs."""
    still = signed_volume(model.template, model.faces)
    theta = finger_theta({finger: np.radians(angles) for finger, angles in bends.items()})
    return 1e6 * (still - signed_volume(posed(model, theta), model.faces))


@pytest.mark.parametrize("finger", FINGERS)
def test_a_bent_finger_keeps_its_volume(finger: str) -> None:
    flesh_like, tube = load_hand_model("default"), load_hand_model("default_2")
    bends = {finger: [0.0, 90.0, 60.0]}
    assert abs(lost(flesh_like, bends)) < 0.4 * lost(tube, bends)
    assert abs(lost(flesh_like, {finger: [0.0, 90.0, 0.0]})) < 0.9


def test_a_fist_keeps_the_palm_and_shows_the_knuckles() -> None:
    flesh_like, tube = load_hand_model("default"), load_hand_model("default_2")
    bends = {finger: [90.0, 0.0, 0.0] for finger in FINGERS[:4]}
    assert abs(lost(flesh_like, bends)) < 0.4 * lost(tube, bends)
    theta = finger_theta({f: np.radians(a) for f, a in bends.items()})
    # the back of the hand over the knuckle of the middle finger, seen from the fingers' side
    over = np.flatnonzero(np.abs(tube.template - [-0.0825, 0.010, 0.0014]).max(1) < 0.006)
    ahead = posed(tube, theta)[over, 0].min() - posed(flesh_like, theta)[over, 0].min()
    assert ahead > 0.001


def test_the_second_default_hand_bends_as_files_of_version_2_were_drawn() -> None:
    new, old = load_hand_model("default", "left", 1), load_hand_model("default_2", "left", 1)
    assert old.pose_dirs is None and new.pose_dirs is not None
    for name in ("template", "faces", "weights", "shape_dirs", "uvs", "keypoint_template"):
        assert np.array_equal(getattr(new, name), getattr(old, name))
    theta = finger_theta({"index": [0.4, 1.0, 0.5]}) * [1, -1, -1]
    bare = dataclasses.replace(new, pose_dirs=None, pose_joints=None, pose_axes=None)
    assert np.array_equal(posed(old, theta), posed(bare, theta))
    assert np.abs(posed(old, theta) - posed(new, theta)).max() > 0.002


def test_features_are_the_change_of_the_bones_direction() -> None:
    model = load_hand_model("default")
    angles = np.zeros((15, 3))
    angles[1] = 0.7, 0.0, 0.02
    from hand_toolkit.geometry.rotations import matrix_from_axis_angle

    got = pose_features(model, matrix_from_axis_angle(theta_from_joint_angles(angles)))
    assert model.pose_joints is not None
    own = model.pose_joints == 2
    assert np.allclose(got[own], [0.5 * np.sin(0.7), 0.5 * (1 - np.cos(0.7))], atol=1e-6)
    assert np.abs(got[~own]).max() < 1e-7


def test_drivers_come_in_pairs() -> None:
    model = load_hand_model("default")
    with pytest.raises(InputError, match="give both or none"):
        dataclasses.replace(model, pose_axes=None)


def test_a_linear_dependence_is_found_again() -> None:
    rng = np.random.default_rng(2)
    angles = np.zeros((9, 15, 2))
    angles[:, 1, 0] = np.linspace(-0.2, 1.8, 9)
    truth = rng.normal(size=(2, 5, 3))
    found = np.einsum("pk,kvc->pvc", correctives.features(angles[:, 1])[:, [1, 2]], truth)
    names, basis = correctives.fitted((2,), angles, found, np.ones(9))
    assert names == [(2, 1), (2, 2)]
    assert np.abs(basis - truth).max() < 0.06 * np.abs(truth).max()


def test_forces_are_the_slope_of_the_energy() -> None:
    rng = np.random.default_rng(0)
    edges = np.eye(3) + 0.2 * rng.normal(size=(1, 3, 3))
    gradients = np.zeros((1, 4, 3))
    gradients[:, 1:] = np.linalg.inv(edges)
    gradients[:, 0] = -gradients[:, 1:].sum(1)
    corners, volume = rng.normal(size=(1, 4, 3)), np.array([1.3])

    def energy(x: np.ndarray) -> float:
        f = np.einsum("eka,ekb->eab", x, gradients)[0]
        j = np.linalg.det(f)
        shear, bulk = flesh.SHEAR, 14 * flesh.SHEAR
        return 1.3 * (shear / 2 * ((f**2).sum() - 3) - shear * (j - 1) + bulk / 2 * (j - 1) ** 2)

    force, hessian = flesh._neo_hookean(corners, gradients, volume, 14.0)
    step = 1e-5 * rng.normal(size=corners.shape)
    slope = (energy(corners + step) - energy(corners - step)) / 2
    assert np.isclose(slope, (force * step).sum(), rtol=1e-5)
    flat = hessian.reshape(12, 12)
    assert np.allclose(flat, flat.T) and np.linalg.eigvalsh(flat).min() > -1e-6
