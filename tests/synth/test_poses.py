"""Poses stay in range, hands end apart, and everything repeats from the seed."""

from __future__ import annotations

import numpy as np
import pytest

from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.hand_model.limits import HIGHEST, LOWEST, joint_angles
from hand_toolkit.synth.config import SynthConfig
from hand_toolkit.synth.interaction import TWO_HAND_NAMES, arrange, rotation_to
from hand_toolkit.synth.plan import make_plan, solve_pose
from hand_toolkit.synth.poses import FAMILIES, POSE_NAMES, TOUCHES, rest_theta, sample_angles
from hand_toolkit.synth.solve import HandSolver, regions
from hand_toolkit.synth.subjects import make_subjects

SHAPES = len(load_hand_model("default", "right").shape_names)


@pytest.fixture(scope="module")
def solver() -> HandSolver:
    return HandSolver(np.zeros(SHAPES))


@pytest.mark.parametrize("name", POSE_NAMES)
def test_families_stay_within_the_ranges_of_motion(name: str) -> None:
    angles = sample_angles(np.random.default_rng(3), name)
    assert (angles >= LOWEST - 1e-9).all()
    assert (angles <= HIGHEST + 1e-9).all()
    np.testing.assert_allclose(joint_angles(rest_theta(angles)), angles, atol=1e-6)
    np.testing.assert_array_equal(angles, sample_angles(np.random.default_rng(3), name))


def test_a_fist_is_closed_and_a_point_is_not() -> None:
    model = load_hand_model("default", "right")

    def reach(name: str) -> np.ndarray:
        angles = sample_angles(np.random.default_rng(0), name, jitter=0)
        keypoints = pose_hand_numpy(model, rest_theta(angles), np.zeros(SHAPES), np.zeros(3))[2]
        return np.linalg.norm(keypoints[[8, 12, 16, 20]], axis=1)

    flat, fist, point = reach("flat"), reach("fist"), reach("point")
    assert (fist < 0.62 * flat).all()
    assert point[0] > 0.95 * flat[0]
    assert (point[1:] < 0.62 * flat[1:]).all()


def test_regions_exist_for_every_contact() -> None:
    names = regions()
    assert all(len(vertices) >= 3 for vertices in names.values())
    for family in TWO_HAND_NAMES:
        start = arrange(np.random.default_rng(1), family)
        for contact in start.contacts:
            assert contact.first[1] in names
            assert contact.second[1] in names
    for touches in TOUCHES.values():
        assert all(first in names and second in names for first, second, _ in touches)
    assert set(TOUCHES) <= set(FAMILIES)


@pytest.mark.parametrize("side", ["right", "left"])
def test_rotation_to_points_fingers_and_palm(side: str) -> None:
    fingers, palm = np.array([0, 0.6, 0.8]), np.array([1.0, 0, 0])
    turn = rotation_to(fingers, palm, side)
    rest_fingers = np.array([-1.0 if side == "right" else 1.0, 0, 0])
    np.testing.assert_allclose(turn @ rest_fingers, fingers, atol=1e-12)
    np.testing.assert_allclose(turn @ [0, -1, 0], palm, atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_a_solved_fist_does_not_run_into_itself(solver: HandSolver) -> None:
    angles = sample_angles(np.random.default_rng(2), "fist")
    right = solver.solve_one(angles, "right", np.zeros(2))
    left = solver.solve_one(angles, "left", np.zeros(2))
    assert right.self_penetration_mm < 1.0
    assert right.gap_mm is None
    np.testing.assert_allclose(left.theta[0], right.theta[0] * [1, -1, -1], atol=1e-6)
    model = load_hand_model("default", "right")
    flat = pose_hand_numpy(model, np.zeros((16, 3)), np.zeros(SHAPES), np.zeros(3))[2]
    fist = pose_hand_numpy(model, right.theta[0], np.zeros(SHAPES), np.zeros(3))[2]
    assert np.linalg.norm(fist[12]) < 0.7 * np.linalg.norm(flat[12])


@pytest.mark.parametrize("family", ["prayer", "clasp"])
def test_two_hands_meet_without_interpenetration(solver: HandSolver, family: str) -> None:
    # Plans try again where a draw fails, and so does this.
    draws = (solver.solve_two(arrange(np.random.default_rng(seed), family)) for seed in (1, 2, 3))
    solved = next((pose for pose in draws if pose.penetration_mm < 1.5), None)
    assert solved is not None
    assert solved.sides == ("right", "left")
    assert solved.gap_mm is not None
    assert solved.gap_mm < 5


def test_subjects_and_plan_come_from_the_seed_alone() -> None:
    config = SynthConfig(train_subjects=6, test_subjects=4, poses=5, test_poses=2)
    first, second = make_subjects(config, 7), make_subjects(config, 7)
    assert [s.to_json() for s in first] == [s.to_json() for s in second]
    assert make_subjects(config, 8)[0].to_json() != first[0].to_json()
    assert [s.split for s in first] == ["train"] * 6 + ["test"] * 4
    assert any(s.unusual for s in first if s.split == "train")
    plan = make_plan(config, first)
    assert len(plan) == len(set(plan)) == 6 * 5 + 4 * 2
    start = plan[: 6 + 4 * 2]  # one round
    assert {unit.subject for unit in start} == set(range(10))
    assert sum(unit.subject >= 6 for unit in start) == 8  # the test subjects are complete


def test_test_subjects_wear_unseen_skins(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from hand_toolkit.synth.appearance import SKINS

    for name in SKINS:
        (tmp_path / f"{name}.png").write_bytes(b"")
    config = SynthConfig(train_subjects=16, test_subjects=8, skins=str(tmp_path))
    subjects = make_subjects(config, 0)
    train = {s.look.skin for s in subjects if s.split == "train"}
    unseen = [s for s in subjects if s.unseen_skin]
    assert len(unseen) == 4
    assert all(s.split == "test" and s.look.skin not in train for s in unseen)
    assert len({s.look.skin for s in unseen}) == 2


def test_solve_pose_repeats(solver: HandSolver) -> None:
    config = SynthConfig(train_subjects=1, test_subjects=0, poses=2, two_hands=0)
    unit = make_plan(config, make_subjects(config, 0))[0]
    family, pose = solve_pose(solver, config, 0, unit)
    again, same = solve_pose(solver, config, 0, unit)
    assert family == again
    np.testing.assert_array_equal(pose.theta, same.theta)
    assert pose.penetration_mm == 0
