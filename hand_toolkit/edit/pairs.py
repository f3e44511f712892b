"""Two hands of one: built-in poses in which a person's hands meet, solved for its shape."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..animate import Motion
from ..avatar import Avatar
from ..core.conventions import SIDES
from ..core.errors import InputError
from ..geometry.rotations import axis_angle_from_quat, matrix_from_axis_angle, quat_from_matrix
from ..synth.solve import SolvedPose
from .apply import recorded
from .zones import MAPPED

PAIRS = {
    "prayer": "prayer",
    "clasp": "clasp",
    "interlaced": "interlaced",
    "steeple": "steeple",
    "fist-in-palm": "fist_in_palm",
    "hand-on-hand": "hand_on_hand",
    "hold-wrist": "hold_wrist",
}
"""Names of pairs, with those of ``synth``'s arrangements."""

FROM_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""The solver's axes, z up, to the toolkit's, y down."""

DEEP_MM = 1.5
"""Penetration up to which a solution is taken at once."""

TRIES = 3


@dataclasses.dataclass(frozen=True)
class Pair:
    """A solved pair.

    Attributes:
        motion: one frame, both hands.
        penetration_mm: deepest vertex of one hand in the other.
        gap_mm: smallest distance between them.
    """

    motion: Motion
    penetration_mm: float
    gap_mm: float


def with_both_hands(avatar: Avatar) -> Avatar:
    """The avatar, with the mirror image of its hand where it has one alone."""
    if len(avatar.hands) == 2:
        return avatar
    hand = avatar.hands[0]
    other = hand.mirrored().beside(hand)
    both = dataclasses.replace(avatar, hands=(hand, other))
    return recorded(both, f"{other.side} hand mirrored")


def paired(avatar: Avatar, name: str, seed: int = 0) -> Pair:
    """Both hands of an avatar in a built-in pair, in contact.

    The hands are laid near each other as the pair says, then moved until what should touch touches
    and nothing runs into anything; both have the mean of their shapes while they are solved.

    Args:
        avatar: of the default hand, with both hands.
        name: one of :data:`PAIRS`.
        seed: which of many such poses.

    Raises:
        InputError: an unknown pair, a missing hand, or another hand model.
    """
    from ..synth.interaction import arrange
    from ..synth.solve import HandSolver

    if name not in PAIRS:
        raise InputError(f"unknown pair {name!r}; accepted are: {', '.join(PAIRS)}")
    if avatar.hand_model not in MAPPED:
        raise InputError(
            f"pairs are solved for the default hand, and the avatar's is {avatar.hand_model}; fit "
            "it with --hand-model default"
        )
    shape = np.mean([avatar.hand(side).shape for side in SIDES], axis=0)
    solver = HandSolver(shape)
    best: SolvedPose | None = None
    for attempt in range(TRIES):
        rng = np.random.default_rng([seed, attempt])
        solved = solver.solve_two(arrange(rng, PAIRS[name]))
        if best is None or _badness(solved) < _badness(best):
            best = solved
        if _badness(best) < DEEP_MM:
            break
    assert best is not None
    theta, where = np.array(best.theta), best.translation @ FROM_Z_UP.T
    turned = FROM_Z_UP @ matrix_from_axis_angle(theta[:, 0])
    theta[:, 0] = axis_angle_from_quat(quat_from_matrix(turned))
    motion = Motion(theta[None], where[None], np.ones((1, 2), bool), 30.0, name)
    return Pair(motion, float(best.penetration_mm), float(best.gap_mm or 0.0))


def _badness(solved: SolvedPose) -> float:
    """Millimetres by which hands are in each other, in themselves, or apart."""
    deep = max(solved.penetration_mm, solved.self_penetration_mm)
    return float(deep + max(0.0, (solved.gap_mm or 0.0) - 1.0))
