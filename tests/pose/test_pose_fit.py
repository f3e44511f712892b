"""The fit recovers hands whose pose is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from known_hands import CAMERA, known_hand

from hand_toolkit.core.errors import InputError
from hand_toolkit.core.metrics import pa_mpjpe_mm, silhouette_iou
from hand_toolkit.geometry import hand_silhouettes
from hand_toolkit.hand_model.limits import FREE_HIGHEST, FREE_LOWEST, decompose
from hand_toolkit.pose import posed_mesh
from hand_toolkit.pose.fit import fit_hand, hand_chain, share_shape, to_hand_pose
from hand_toolkit.pose.outline import mask_view, refine_outline
from hand_toolkit.pose.solver import FitWeights

SEEDS = range(6)


@pytest.mark.parametrize("side", ["right", "left"])
def test_exact_observations_are_reproduced(side: str) -> None:
    errors, pixels = [], []
    for seed in SEEDS:
        observation, truth = known_hand(seed, side)
        hand = to_hand_pose(fit_hand(observation, CAMERA), CAMERA, "default")
        assert hand.side == side
        errors.append(pa_mpjpe_mm(hand.joints_cam_m, truth["points"]))
        pixels.append(np.abs(hand.keypoints_2d - CAMERA.project(truth["points"])).mean())
    assert np.mean(errors) < 2.0
    assert np.mean(pixels) < 1.5


def test_fit_beats_its_noisy_input() -> None:
    fitted, raw = [], []
    for seed in SEEDS:
        observation, truth = known_hand(seed, noise=6.0)
        assert observation.keypoints_3d is not None
        hand = to_hand_pose(fit_hand(observation, CAMERA), CAMERA, "default")
        fitted.append(pa_mpjpe_mm(hand.joints_cam_m, truth["points"]))
        raw.append(pa_mpjpe_mm(observation.keypoints_3d, truth["points"]))
    assert np.mean(fitted) < 0.75 * np.mean(raw)


def test_one_wild_keypoint_is_outvoted() -> None:
    observation, truth = known_hand(1)
    pixels = observation.keypoints_2d.copy()
    pixels[8] += 60
    wild = dataclasses.replace(observation, keypoints_2d=pixels)
    hand = to_hand_pose(fit_hand(wild, CAMERA), CAMERA, "default")
    rest = [k for k in range(21) if not 5 <= k <= 8]
    error = np.linalg.norm(hand.keypoints_2d - CAMERA.project(truth["points"]), axis=1)
    assert error[rest].mean() < 4
    assert error[8] < 45


def test_flat_keypoints_alone_give_a_plausible_hand() -> None:
    for seed in SEEDS:
        observation, truth = known_hand(seed)
        flat = dataclasses.replace(observation, keypoints_3d=None, keypoints_z=None)
        hand = to_hand_pose(fit_hand(flat, CAMERA), CAMERA, "default")
        assert np.abs(hand.keypoints_2d - observation.keypoints_2d).mean() < 6
        assert pa_mpjpe_mm(hand.joints_cam_m, truth["points"]) < 35
        assert 0.2 < hand.translation[2] < 0.9


def test_angles_stay_in_range() -> None:
    for seed in SEEDS:
        observation, _ = known_hand(seed, noise=10.0)
        hand = to_hand_pose(fit_hand(observation, CAMERA), CAMERA, "default")
        angles = decompose(hand.theta, hand.side)
        assert (angles > FREE_LOWEST - 0.12).all()
        assert (angles < FREE_HIGHEST + 0.12).all()


def test_given_theta_is_kept() -> None:
    observation, truth = known_hand(2, "left")
    given = dataclasses.replace(
        observation, theta=truth["theta"], keypoints_3d=None, keypoints_z=None
    )
    hand = to_hand_pose(fit_hand(given, CAMERA), CAMERA, "default")
    change = decompose(hand.theta, "left") - decompose(truth["theta"], "left")
    assert np.degrees(np.abs(change).max()) < 6
    assert np.abs(hand.keypoints_2d - observation.keypoints_2d).mean() < 2


def test_left_is_the_mirrored_right() -> None:
    right, _ = known_hand(3, noise=3.0)
    centre = CAMERA.cx
    assert right.keypoints_3d is not None
    left = dataclasses.replace(
        right,
        side="left",
        keypoints_2d=np.stack(
            [2 * centre - right.keypoints_2d[:, 0], right.keypoints_2d[:, 1]], axis=1
        ),
        keypoints_3d=right.keypoints_3d * [-1, 1, 1],
    )
    a = to_hand_pose(fit_hand(right, CAMERA), CAMERA, "default")
    b = to_hand_pose(fit_hand(left, CAMERA), CAMERA, "default")
    np.testing.assert_allclose(a.joints_cam_m * [-1, 1, 1], b.joints_cam_m, atol=1e-7)
    np.testing.assert_allclose(a.theta * [1, -1, -1], b.theta, atol=1e-6)


def test_degenerate_keypoints() -> None:
    observation, _ = known_hand(0)
    point = dataclasses.replace(observation, keypoints_2d=np.full((21, 2), 50.0))
    with pytest.raises(InputError, match="lie in one point"):
        fit_hand(point, CAMERA)


def test_shared_shape_is_nearly_one() -> None:
    fits = [fit_hand(known_hand(s, noise=3.0)[0], CAMERA) for s in range(4)]
    before = np.std([f.state.shape[0] for f in fits], axis=0).mean()
    after = np.std([f.state.shape[0] for f in share_shape(fits)], axis=0).mean()
    assert after < 0.4 * before


@pytest.mark.parametrize("side", ["right", "left"])
def test_outline_pulls_the_silhouette_onto_the_mask(side: str) -> None:
    before, after = [], []
    for seed in range(3):
        observation, _ = known_hand(seed, side, noise=4.0)
        exact = to_hand_pose(fit_hand(known_hand(seed, side)[0], CAMERA), CAMERA, "default")
        mask = hand_silhouettes([posed_mesh(exact)], CAMERA)[0][0]
        fit = fit_hand(observation, CAMERA)
        hand = to_hand_pose(fit, CAMERA, "default")
        before.append(silhouette_iou(hand_silhouettes([posed_mesh(hand)], CAMERA)[0][0], mask))
        view = mask_view(mask, CAMERA, hand.keypoints_2d, side == "left")
        state = refine_outline(
            hand_chain("default"), fit.state, fit.targets, view, FitWeights(outline_m=0.005)
        )
        refined = to_hand_pose(dataclasses.replace(fit, state=state), CAMERA, "default")
        silhouette = hand_silhouettes([posed_mesh(refined)], CAMERA)[0][0]
        after.append(silhouette_iou(silhouette, mask))
    assert np.mean(after) > np.mean(before) + 0.03
    assert np.mean(after) > 0.88


def test_empty_mask_changes_nothing() -> None:
    observation, _ = known_hand(0)
    fit = fit_hand(observation, CAMERA)
    hand = to_hand_pose(fit, CAMERA, "default")
    view = mask_view(np.zeros((240, 320)), CAMERA, hand.keypoints_2d, False)
    state = refine_outline(hand_chain("default"), fit.state, fit.targets, view, FitWeights())
    assert state is fit.state


def test_a_detectors_own_proportions_are_not_taken_for_the_shape() -> None:
    """Palms a quarter longer in 3D, as detectors have them, made fingers too short."""
    ratios = []
    for seed in SEEDS:
        observation, truth = known_hand(seed)
        assert observation.keypoints_3d is not None
        other = observation.keypoints_3d.copy()
        for finger in range(5):
            tip = slice(4 * finger + 1, 4 * finger + 5)
            other[tip] += 0.25 * (other[4 * finger + 1] - other[0])
        seen = dataclasses.replace(observation, keypoints_3d=other)
        hand = to_hand_pose(fit_hand(seen, CAMERA), CAMERA, "default")
        lengths = [
            sum(np.linalg.norm(p[k + 1] - p[k]) for k in (9, 10, 11)) / np.linalg.norm(p[9] - p[0])
            for p in (hand.joints_cam_m, truth["points"])
        ]
        ratios.append(lengths[0] / lengths[1])
    assert abs(np.mean(ratios) - 1) < 0.02  # measured: 1.009; 0.966 before
