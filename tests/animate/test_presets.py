"""Built-in poses end at contact, on hands of every proportion, and are kept with the avatar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.animate import POSES, avatar_pose, curl_limits, finger_pose, fitted_pose
from hand_toolkit.animate.presets import (
    CURL_DEGREES,
    MEAN_CURL_LIMITS,
    avatar_curl_limits,
    with_presets,
)
from hand_toolkit.avatar import Avatar
from hand_toolkit.core.conventions import mirror_theta
from hand_toolkit.core.errors import InputError
from hand_toolkit.hand_model import load_hand_model
from hand_toolkit.hand_model.contact import ContactHand
from hand_toolkit.hand_model.limits import FREE_ANGLES, FREE_HIGHEST, FREE_LOWEST, decompose
from hand_toolkit.testing.avatars import procedural_avatar

TOUCHING = ("fist", "pinch", "point", "victory", "thumbs_up")


def shape_of(seed: int) -> np.ndarray:
    """The mean hand, and hands that differ from it as people's do."""
    model = load_hand_model("default")
    if seed == 0:
        return np.zeros(len(model.shape_names))
    return np.random.default_rng(seed).normal(0, 0.8, len(model.shape_names)) * model.shape_sigmas


@pytest.fixture(scope="module")
def mean_hand() -> ContactHand:
    return ContactHand("default", shape_of(0))


@pytest.mark.parametrize("name", sorted(POSES))
def test_poses_of_the_mean_hand_are_free_of_overlap(mean_hand: ContactHand, name: str) -> None:
    angles = decompose(finger_pose(name))
    assert mean_hand.depth_mm(angles) <= 1.0
    assert (angles >= FREE_LOWEST - 1e-4).all() and (angles <= FREE_HIGHEST + 1e-4).all()


def test_the_tips_of_a_pinch_meet(mean_hand: ContactHand) -> None:
    angles = decompose(finger_pose("pinch"))
    assert mean_hand.gap_mm(angles, "thumb_pad", "index_pad") <= 3.0


def test_a_fist_holds_the_thumb_over_the_fingers(mean_hand: ContactHand) -> None:
    angles = decompose(finger_pose("fist"))
    assert mean_hand.gap_mm(angles, "thumb_pad", "middle_back") <= 3.0
    # no air in the palm
    assert mean_hand.gap_mm(angles, "ring_tip", "palm") <= 8.0


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", TOUCHING)
def test_poses_fit_hands_of_other_shapes(name: str, seed: int) -> None:
    shape = shape_of(seed)
    hand = ContactHand("default", shape)
    angles = decompose(fitted_pose(name, "default", shape))
    assert hand.depth_mm(angles) <= 1.0
    if name == "pinch":
        assert hand.gap_mm(angles, "thumb_pad", "index_pad") <= 3.0


def test_sliders_end_where_the_finger_meets_the_palm(mean_hand: ContactHand) -> None:
    limits = curl_limits("default", shape_of(0))
    assert limits.shape == (5,) and (limits > 0.6).all() and (limits <= 1).all()
    assert np.abs(limits - MEAN_CURL_LIMITS).max() < 0.1
    angles = np.zeros(26)
    for k, degrees in enumerate(CURL_DEGREES):
        place = FREE_ANGLES.index(f"ring{k + 1}_flexion")
        angles[place] = np.radians(degrees) * limits[3]
    assert mean_hand.depth_mm(np.minimum(angles, FREE_HIGHEST)) <= 1.0


def test_an_avatar_keeps_its_poses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    avatar = procedural_avatar(seed=3)
    from hand_toolkit.animate import presets

    made = finger_pose("victory") * 0.9
    monkeypatch.setattr(presets, "_settled", lambda name, model, shape: made)
    monkeypatch.setattr(presets, "_curl_limits", lambda model, shape: np.full(5, 0.75))
    loaded = Avatar.load(with_presets(avatar).save(tmp_path / "a.hand"))
    monkeypatch.undo()
    for side in avatar.sides:
        expected = made if side == "right" else mirror_theta(made)
        assert np.allclose(avatar_pose(loaded, side, "fist"), expected)
        assert np.allclose(avatar_curl_limits(loaded, side), 0.75)
    assert np.allclose(
        avatar_pose(avatar, avatar.sides[0], "flat", solve=False), finger_pose("flat")
    )


def test_an_unknown_pose_is_named() -> None:
    with pytest.raises(InputError, match="unknown pose 'jump'"):
        fitted_pose("jump", "default", shape_of(0))


def test_fingers_of_a_fist_lie_side_by_side_on_hands_of_other_shapes() -> None:
    mean = decompose(finger_pose("fist"))
    fingers = [f"{finger}1_abduction" for finger in ("index", "middle", "ring", "pinky")]
    at = [FREE_ANGLES.index(name) for name in fingers]
    for seed in (1, 2):
        angles = decompose(fitted_pose("fist", "default", shape_of(seed)))
        aside = np.degrees(angles - mean)[at]
        assert np.abs(aside).max() < 6, f"seed {seed}: {aside.round(1)} degrees aside"
