"""Hands that meet: built-in poses of one person's two hands, and of two people's right hands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from ..animate import Motion
from ..avatar import Avatar
from ..avatar.lighting import Light
from ..core.conventions import SIDES
from ..core.errors import InputError
from ..core.types import Splats
from ..geometry.rotations import axis_angle_from_quat, matrix_from_axis_angle, quat_from_matrix
from ..synth.interaction import HANDSHAKE
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
        motion: one frame, both hands; the first person's right hand where two people meet.
        penetration_mm: deepest vertex of one hand in the other.
        gap_mm: smallest distance between them.
        other: the second person's frame, where hands of two people meet.
    """

    motion: Motion
    penetration_mm: float
    gap_mm: float
    other: Motion | None = None


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
    if name not in PAIRS:
        raise InputError(f"unknown pair {name!r}; accepted are: {', '.join(PAIRS)}")
    _check_model(avatar)
    shape = np.mean([avatar.hand(side).shape for side in SIDES], axis=0)
    best = _solved(shape, PAIRS[name], seed)
    theta, where = _upright(best)
    motion = Motion(theta[None], where[None], np.ones((1, 2), bool), 30.0, name)
    return Pair(motion, float(best.penetration_mm), float(best.gap_mm or 0.0))


def shaken(avatar: Avatar, other: Avatar, seed: int = 0) -> Pair:
    """Two people's right hands in a handshake, in contact; both in one world.

    Args:
        avatar, other: of the default hand, with right hands.
        seed: which of many handshakes.

    Raises:
        InputError: a missing right hand, or another hand model.
    """
    for one in (avatar, other):
        _check_model(one)
    shape = np.mean([one.hand("right").shape for one in (avatar, other)], axis=0)
    best = _solved(shape, HANDSHAKE, seed)
    theta, where = _upright(best)
    alone = np.array([[True, False]])
    motions = [
        Motion(
            np.stack([theta[k]] * 2)[None], np.stack([where[k]] * 2)[None], alone, 30.0, HANDSHAKE
        )
        for k in range(2)
    ]
    return Pair(motions[0], float(best.penetration_mm), float(best.gap_mm or 0.0), motions[1])


@dataclasses.dataclass(frozen=True)
class Together:
    """Right hands of two avatars, drawn as one.

    Attributes:
        first: drawn as side "right".
        second: whose right hand is drawn as side "left".
    """

    first: Avatar
    second: Avatar
    sides: tuple[str, ...] = SIDES
    antialiased: bool = True

    @property
    def photo_light(self) -> np.ndarray:
        """(K, 3) of the first one's photo."""
        return self.first.photo_light

    def splats(
        self,
        theta: Mapping[str, np.ndarray],
        translation: Mapping[str, np.ndarray] | None = None,
        light: Light = "baked",
    ) -> Splats:
        """Splats of one pose; see :class:`hand_toolkit.avatar.Drawable`."""
        parts = [
            one.splats(
                {"right": theta[side]},
                None if translation is None else {"right": translation[side]},
                light,
            )
            for side, one in zip(SIDES, (self.first, self.second))
            if side in theta
        ]
        fields = [f.name for f in dataclasses.fields(Splats)]
        return Splats(*(np.concatenate([getattr(p, n) for p in parts]) for n in fields))


def shake_picture(pair: Pair, avatar: Avatar, other: Avatar, size: int = 768) -> np.ndarray:
    """(H, W, 3) uint8 of a handshake, seen from the side in studio light."""
    from ..core.cameras import orbit_camera
    from ..pictures.drawing import picture_of

    assert pair.other is not None
    motions = pair.motion, pair.other
    theta = {side: m.theta[0, 0] for side, m in zip(SIDES, motions)}
    where = {side: m.translation[0, 0] for side, m in zip(SIDES, motions)}
    points = [
        one.mesh("right", theta[side], where[side]) for side, one in zip(SIDES, (avatar, other))
    ]
    camera = orbit_camera(np.concatenate(points), size, size, elevation=0.25)
    together = Together(avatar, other)
    return picture_of(together, theta, where, camera, (0.16, 0.165, 0.173), "studio").copy()


def _check_model(avatar: Avatar) -> None:
    if avatar.hand_model not in MAPPED:
        raise InputError(
            f"pairs are solved for the default hand, and the avatar's is {avatar.hand_model}; fit "
            "it with --hand-model default"
        )


def _solved(shape: np.ndarray, family: str, seed: int) -> SolvedPose:
    """The best of a few arrangements, or the first good one."""
    from ..synth.interaction import arrange
    from ..synth.solve import HandSolver

    solver = HandSolver(shape)
    best: SolvedPose | None = None
    for attempt in range(TRIES):
        rng = np.random.default_rng([seed, attempt])
        solved = solver.solve_two(arrange(rng, family))
        if best is None or _badness(solved) < _badness(best):
            best = solved
        if _badness(best) < DEEP_MM:
            break
    assert best is not None
    return best


def _upright(solved: SolvedPose) -> tuple[np.ndarray, np.ndarray]:
    """θ (H, 16, 3) and wrists (H, 3) in the toolkit's axes."""
    theta, where = np.array(solved.theta), solved.translation @ FROM_Z_UP.T
    turned = FROM_Z_UP @ matrix_from_axis_angle(theta[:, 0])
    theta[:, 0] = axis_angle_from_quat(quat_from_matrix(turned))
    return theta, where


def _badness(solved: SolvedPose) -> float:
    """Millimetres by which hands are in each other, in themselves, or apart."""
    deep = max(solved.penetration_mm, solved.self_penetration_mm)
    return float(deep + max(0.0, (solved.gap_mm or 0.0) - 1.0))
