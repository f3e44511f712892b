"""The order of the work and what each pose is; everything follows from (seed, subject, pose)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from .config import SynthConfig
from .interaction import TWO_HAND_NAMES, Contact, arrange, choose_family
from .poses import FAMILIES, TOUCHES, sample_angles
from .solve import HandSolver, SolvedPose
from .subjects import Subject

MAX_PENETRATION_MM = 1.5
ATTEMPTS = 3


@dataclass(frozen=True)
class Unit:
    """One pose of one subject, the smallest piece of work.

    Attributes:
        subject: index into the list of subjects.
        pose: number of the pose, the same for every seed.
    """

    subject: int
    pose: int


def make_plan(config: SynthConfig, subjects: list[Subject]) -> list[Unit]:
    """Units in an order of which every prefix is useful.

    Subjects take turns, and test subjects take two for each of a train subject's, so they
    are complete early.
    """
    quota = [config.test_poses if s.split == "test" else config.poses for s in subjects]
    done = [0] * len(subjects)
    units: list[Unit] = []
    while any(d < q for d, q in zip(done, quota)):
        for subject in subjects:
            for _ in range(2 if subject.split == "test" else 1):
                if done[subject.index] < quota[subject.index]:
                    units.append(Unit(subject.index, done[subject.index]))
                    done[subject.index] += 1
    return units


def solve_pose(
    solver: HandSolver, config: SynthConfig, seed: int, unit: Unit
) -> tuple[str, SolvedPose]:
    """The pose of a unit: its family and the hands in world axes.

    Attempts with new noise follow while hands run into each other by more than
    MAX_PENETRATION_MM; the best one is kept.
    """
    pick = np.random.default_rng([seed, 2, unit.subject])
    # Every subject walks through the families in its own order, so a few poses differ well.
    ones = [*pick.permutation(np.array(list(FAMILIES))), *["random"] * 8]
    twos = list(pick.permutation(np.array(TWO_HAND_NAMES)))
    pattern = np.random.default_rng([seed, 3, unit.subject]).random(unit.pose + 1)
    two = bool(pattern[unit.pose] < config.two_hands)
    nth = int((pattern[: unit.pose] < config.two_hands).sum())
    best: tuple[float, str, SolvedPose] | None = None
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, 4, unit.subject, unit.pose, attempt])
        if two:
            family = str(twos[nth]) if nth < len(twos) else choose_family(rng)
            if attempt == ATTEMPTS - 1:
                family = "near"  # hard shapes: better apart than inside each other
            solved = solver.solve_two(arrange(rng, family))
            solved = _turn(solved, _world_turn(rng, 0.6))
        else:
            count = unit.pose - nth
            family = str(ones[count]) if count < len(ones) else str(rng.choice(ones))
            side = "right" if rng.random() < 0.5 else "left"
            bend = rng.normal(size=2) * np.radians([16, 8])
            touch = tuple(
                Contact((0, first), (0, second), 0.4, 3.0 * weight)
                for first, second, weight in TOUCHES.get(family, ())
            )
            solved = solver.solve_one(sample_angles(rng, family), side, bend, touch)
            solved = _turn(solved, _world_turn(rng, 3.0))
        depth = max(solved.penetration_mm, 0.5 * solved.self_penetration_mm)
        if best is None or depth < best[0]:
            best = (depth, family, solved)
        if depth <= MAX_PENETRATION_MM:
            break
    if best is None:  # ATTEMPTS is at least one
        raise RuntimeError("no attempt was made")
    return best[1], _rounded(best[2])


def _rounded(pose: SolvedPose) -> SolvedPose:
    """The pose with the digits that the files keep, so that a resumed pose is the same pose."""
    return dataclasses.replace(
        pose,
        theta=np.round(pose.theta, 7),
        translation=np.round(pose.translation, 7),
        wrist_bend=np.round(pose.wrist_bend, 6),
    )


def _world_turn(rng: np.random.Generator, tilt: float) -> np.ndarray:
    """(3, 3) random heading and a tilt away from the written orientation."""
    from scipy.spatial.transform import Rotation

    heading = Rotation.from_rotvec([0, 0, rng.uniform(-np.pi, np.pi)])
    axis = rng.normal(size=3) * [1, 1, 0.2]
    angle = min(abs(rng.normal()) * tilt, np.pi)
    return np.asarray(
        (heading * Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle)).as_matrix()
    )


def _turn(pose: SolvedPose, turn: np.ndarray) -> SolvedPose:
    """The pose turned about the middle of its wrists."""
    from scipy.spatial.transform import Rotation

    theta = pose.theta.copy()
    theta[:, 0] = (Rotation.from_matrix(turn) * Rotation.from_rotvec(theta[:, 0])).as_rotvec()
    center = pose.translation.mean(0)
    return dataclasses.replace(pose, theta=theta, translation=(pose.translation - center) @ turn.T)
