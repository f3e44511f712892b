"""What a crop shows: one or two posed hands, sleeves, gloves, held things."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ...core.conventions import MANO_JOINTS, SIDES, mirror_theta
from ...hand_model.limits import FREE_AXIS, FREE_HIGHEST, FREE_JOINT, FREE_LOWEST, compose
from ..interaction import rotation_to
from ..poses import FAMILIES, sample_angles
from .contacts import Contact, palm_length
from .mesh import PlacedHand, Sleeve
from .objects import HeldObject, sample_held

PAIR_SHARE = 0.55
TOUCHING_SHARE = 0.6
"""Of the pairs: solved poses of touching hands; the others are near or overlap in the picture."""

SAME_SIDE_SHARE = 0.2
"""Of the pairs that do not touch: two right or two left hands, of two people."""

WRONG_SIDE_SHARE = 0.1
"""Of the lone hands: shown mirrored, so that none in the crop is the asked-for right hand."""

SLEEVE_SHARE, BAND_SHARE, GLOVE_SHARE, HELD_SHARE = 0.5, 0.15, 0.07, 0.14
HOLDING = ("grip", "cup", "fist", "pinch", "asl_c", "claw", "asl_o", "hook")
FINGERS_APART_M = 0.016
"""Keypoints of hands that should not touch are pushed at least this far apart."""

FACING = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""Axes with z up, as touching poses have them, to a camera's that looks along +y."""


@dataclass(frozen=True)
class CropScene:
    """The hands of a crop, in axes of a camera (y down, z away).

    Attributes:
        hands: one or two.
        target: which one the crop is of.
        wrong_side: the target is shown as the other side than it is.
        shape: (S,) of both hands.
        sleeve: over all forearms, a band at the wrist, or None.
        gloves: hands in cloth.
        held: a thing in the target's hand, or None.
        two_people: the hands have skins of their own.
        touching: the hands are a solved pose, else they may overlap.
    """

    hands: tuple[PlacedHand, ...]
    target: int
    wrong_side: bool
    shape: np.ndarray
    sleeve: Sleeve | None
    gloves: bool
    held: HeldObject | None
    two_people: bool
    touching: bool


def sample_scene(
    rng: np.random.Generator,
    contacts: list[Contact],
    motion: np.ndarray,
    sigmas: np.ndarray,
) -> CropScene:
    """Draw a scene.

    Args:
        rng: source of all variation.
        contacts: solved touching poses; may be empty.
        motion: (N, 26) recorded finger angles; may be empty.
        sigmas: (S,) of the hand's shape parameters.
    """
    pair = rng.random() < PAIR_SHARE
    held, two_people, touching = None, False, False
    if not pair:
        side = str(rng.choice(SIDES))
        holding = rng.random() < HELD_SHARE
        theta = _fingers(rng, motion, HOLDING if holding else None)
        hands = [_placed(rng, side, theta, sample_rotation(rng), np.zeros(3))]
        if holding:
            held = sample_held(rng, palm_length())
    elif contacts and rng.random() < TOUCHING_SHARE:
        touching = True
        hands = _touching(rng, contacts[rng.integers(len(contacts))])
    else:
        hands, two_people = _near(rng, motion)
    shape = _shape(rng, sigmas)
    sleeve, worn = None, rng.random()
    if worn < SLEEVE_SHARE:
        sleeve = Sleeve(float(rng.uniform(0.015, 0.2)), float(rng.uniform(0.003, 0.010)))
    elif worn < SLEEVE_SHARE + BAND_SHARE:
        start, wide = float(rng.uniform(0.005, 0.06)), float(rng.uniform(0.008, 0.035))
        sleeve = Sleeve(start, float(rng.uniform(0.001, 0.006)), start + wide)
    return CropScene(
        hands=tuple(hands),
        target=int(rng.integers(len(hands))),
        wrong_side=bool(not pair and rng.random() < WRONG_SIDE_SHARE),
        shape=shape,
        sleeve=sleeve,
        gloves=bool(rng.random() < GLOVE_SHARE),
        held=held,
        two_people=two_people,
        touching=touching,
    )


def touching_scene(rng: np.random.Generator, contact: Contact, sigmas: np.ndarray) -> CropScene:
    """A right and a left hand that touch, bare; the target is the right one.

    Args:
        rng: of view and small changes of the pose.
        contact: a solved pose.
        sigmas: (S,) of the hand's shape parameters.
    """
    return _bare_pair(_touching(rng, contact), _shape(rng, sigmas), True)


def near_scene(rng: np.random.Generator, motion: np.ndarray, sigmas: np.ndarray) -> CropScene:
    """A right and a left hand near each other, as :func:`touching_scene`.

    Args:
        rng: of all.
        motion: (N, 26) recorded finger angles; may be empty.
        sigmas: (S,) of the hand's shape parameters.
    """
    while True:
        hands, two_people = _near(rng, motion)
        if not two_people:
            return _bare_pair(hands, _shape(rng, sigmas), False)


def _bare_pair(hands: list[PlacedHand], shape: np.ndarray, touching: bool) -> CropScene:
    order = sorted(hands, key=lambda hand: SIDES.index(hand.side))
    return CropScene(tuple(order), 0, False, shape, None, False, None, False, touching)


def _shape(rng: np.random.Generator, sigmas: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(rng.normal(size=len(sigmas)), -2, 2) * sigmas)


def sample_rotation(rng: np.random.Generator) -> np.ndarray:
    """(3, 3) rotation of a right hand: two in five any, else palm or back to the camera."""
    from scipy.spatial.transform import Rotation

    if rng.random() < 0.4:
        return np.asarray(Rotation.random(random_state=int(rng.integers(1 << 31))).as_matrix())
    fingers = np.array([0, -1.0, 0]) + rng.normal(size=3) * 0.45
    palm = np.array([0, 0, float(rng.choice([-1.0, 1.0]))]) + rng.normal(size=3) * 0.45
    return rotation_to(fingers, palm, "right")


def _fingers(
    rng: np.random.Generator, motion: np.ndarray, families: tuple[str, ...] | None = None
) -> np.ndarray:
    """(16, 3) θ of a right hand, wrist zero: recorded, or a family, or mixed finger by finger."""
    names = families or (*FAMILIES, "random", "random", "random", "random")

    def draw() -> np.ndarray:
        if families is None and len(motion) and rng.random() < 0.4:
            recorded = motion[rng.integers(len(motion))]
            return np.asarray(recorded + rng.normal(size=26) * 0.06)
        angles = sample_angles(rng, str(rng.choice(names)), float(rng.uniform(0.6, 1.6)))
        return np.asarray(angles[FREE_JOINT, FREE_AXIS])

    angles, mix = draw(), rng.random()
    if mix < 0.25:
        angles = angles + (draw() - angles) * rng.random()
    elif mix < 0.5:
        other = draw()
        for first in range(0, 15, 3):
            if rng.random() < 0.4:
                chosen = (first <= FREE_JOINT) & (first + 3 > FREE_JOINT)
                angles = np.where(chosen, other, angles)
    return np.asarray(compose(np.clip(angles, FREE_LOWEST, FREE_HIGHEST)))


def _placed(
    rng: np.random.Generator,
    side: str,
    theta: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
) -> PlacedHand:
    """A hand of ``side`` from a right hand's θ and rotation, mirrored for a left."""
    from scipy.spatial.transform import Rotation

    theta = theta.copy()
    theta[0] = Rotation.from_matrix(rotation).as_rotvec()
    bend = rng.normal(size=3) * [0.08, 0.2, 0.38]
    if side == SIDES[1]:
        theta, bend = mirror_theta(theta), mirror_theta(bend)
    return PlacedHand(side, theta, translation, bend)


def _touching(rng: np.random.Generator, contact: Contact) -> list[PlacedHand]:
    from scipy.spatial.transform import Rotation

    if rng.random() < 0.4:
        turn = Rotation.random(random_state=int(rng.integers(1 << 31))).as_matrix()
    else:
        turn = Rotation.from_rotvec(rng.normal(size=3) * [0.5, 0.8, 0.3]).as_matrix() @ FACING
    hands, length = [], palm_length()
    for k, side in enumerate(SIDES):
        theta = contact.theta[k] + rng.normal(size=(len(MANO_JOINTS), 3)) * 0.03
        wrist = turn @ Rotation.from_rotvec(contact.theta[k, 0]).as_matrix()
        theta[0] = Rotation.from_matrix(wrist).as_rotvec()
        place = turn @ contact.translation[k] * length
        bend = contact.bend[k] + rng.normal(size=3) * [0.05, 0.12, 0.15]
        hands.append(PlacedHand(side, theta, place, bend))
    return hands


def _near(rng: np.random.Generator, motion: np.ndarray) -> tuple[list[PlacedHand], bool]:
    """Two hands of any pose whose palms are 5 to 20 cm apart; True if of two people."""
    two_people = bool(rng.random() < SAME_SIDE_SHARE)
    sides = (str(rng.choice(SIDES)),) * 2 if two_people else SIDES
    offset = rng.normal(size=3) * [1, 0.8, 0.8]
    offset *= rng.uniform(0.04, 0.2) / np.linalg.norm(offset)
    hands = [
        _placed(rng, side, _fingers(rng, motion), sample_rotation(rng), sign * offset / 2)
        for side, sign in zip(sides, (-1, 1))
    ]
    return hands, two_people


def pushed_apart(first: np.ndarray, second: np.ndarray, step_m: float = 0.004) -> np.ndarray:
    """(3,) how far to move the second hand so that no keypoints come too near.

    Args:
        first, second: (21, 3) keypoints, metres.
        step_m: of the search.
    """
    direction = second[[0, 5, 9, 13, 17]].mean(0) - first[[0, 5, 9, 13, 17]].mean(0)
    direction /= np.linalg.norm(direction) + 1e-9
    a, b = _beads(first), _beads(second)
    moved = np.zeros(3)
    for _ in range(60):  # a hand is 0.19 m long
        if np.linalg.norm(a[:, None] - (b + moved)[None], axis=-1).min() > FINGERS_APART_M:
            break
        moved = moved + step_m * direction
    return moved


def _beads(points: np.ndarray) -> np.ndarray:
    """Keypoints and the middles of bones and of the palm's rays."""
    fingers = points[1:].reshape(5, 4, 3)
    middles = 0.5 * (fingers[:, 1:] + fingers[:, :-1])
    palm = 0.5 * (points[0] + fingers[:, 0])
    return np.concatenate([points, middles.reshape(-1, 3), palm])


def with_moved(scene: CropScene, index: int, shift: np.ndarray) -> CropScene:
    """The scene with one hand shifted by (3,) metres."""
    hands = list(scene.hands)
    hands[index] = dataclasses.replace(hands[index], translation=hands[index].translation + shift)
    return dataclasses.replace(scene, hands=tuple(hands))
