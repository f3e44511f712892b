"""Two-hand families: how the hands start, what should touch, and with what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .poses import sample_angles


@dataclass(frozen=True)
class Contact:
    """Surface regions that should meet.

    Attributes:
        first, second: (hand 0 or 1, region name); see ``solve.Regions``.
        share: part of the first region's vertices that must meet, nearest first.
        weight: strength, 1 is a firm touch.
    """

    first: tuple[int, str]
    second: tuple[int, str]
    share: float = 0.6
    weight: float = 1.0


@dataclass(frozen=True)
class Placement:
    """A hand's start: where its fingers and its palm point.

    Attributes:
        fingers, palm: directions in world axes (z up); made orthogonal, fingers lead.
        region: which region's centre is put at ``center``.
        center: (3,) metres.
    """

    fingers: tuple[float, float, float]
    palm: tuple[float, float, float]
    region: str
    center: tuple[float, float, float]


@dataclass(frozen=True)
class Arrangement:
    """Start of a two-hand pose.

    Attributes:
        family: its name.
        angles: (2, 15, 3) joint angles of the right and the left hand.
        placements: right, left.
        contacts: what should touch.
        bends: (2, 2) wrist flexion and radial deviation of each forearm, radians.
        opening: (2, 15, 3) joint angles before the fingers close, None to start closed.
        sides: which hands they are.
    """

    family: str
    angles: np.ndarray
    placements: tuple[Placement, Placement]
    contacts: tuple[Contact, ...]
    bends: np.ndarray
    opening: np.ndarray | None = None
    sides: tuple[str, str] = ("right", "left")


HANDSHAKE = "handshake"
"""Two right hands, of two people; no family of the two hands of one."""

TWO_HAND_NAMES = (
    "prayer", "clasp", "interlaced", "hand_on_hand", "fist_in_palm", "steeple", "pinch_finger",
    "point_at_palm", "cupped", "hold_wrist", "fingertips", "near",
)  # fmt: skip

_WEIGHTS = np.array([1.3, 1.5, 1.3, 1.5, 1.0, 1.0, 1.0, 0.9, 0.8, 0.9, 0.8, 1.6])


def choose_family(rng: np.random.Generator) -> str:
    """A two-hand family, the touching ones about eight times in nine."""
    return str(rng.choice(TWO_HAND_NAMES, p=_WEIGHTS / _WEIGHTS.sum()))


def rotation_to(fingers: np.ndarray, palm: np.ndarray, side: str) -> np.ndarray:
    """(3, 3) rotation that takes the rest hand's fingers and palm to these directions."""
    target = _frame(np.asarray(fingers, float), np.asarray(palm, float))
    rest = _frame(np.array([-1.0 if side == "right" else 1.0, 0, 0]), np.array([0, -1.0, 0]))
    return np.asarray(target @ rest.T)


def _frame(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    first = first / np.linalg.norm(first)
    second = second - (second @ first) * first
    second = second / np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)], axis=1)


def arrange(rng: np.random.Generator, family: str) -> Arrangement:
    """Draw the start of a two-hand pose.

    Args:
        rng: source of all variation.
        family: one of TWO_HAND_NAMES, or HANDSHAKE.
    """

    def jitter(amount: float) -> float:
        return float(rng.normal() * amount)

    def posed(first: str, second: str, amount: float = 0.6) -> np.ndarray:
        return np.stack([sample_angles(rng, first, amount), sample_angles(rng, second, amount)])

    bends = rng.normal(size=(2, 2)) * np.radians([10, 6])
    half = 0.017
    opening: np.ndarray | None = None
    sides = ("right", "left")
    if family == HANDSHAKE:
        # thumbs up, palms upon each other as far as the webs of the thumbs, fingers around the
        # other's edge onto its back
        sides = ("right", "right")
        angles = posed("rest", "rest", 0.3)
        opening = angles.copy()
        opening[:, [0, 3, 6, 9], 0] = np.radians(12)
        opening[:, [1, 4, 7, 10, 2, 5, 8, 11], 0] = np.radians(8)
        angles[:, [0, 3, 6, 9], 0] = np.radians([38, 40, 42, 44]) + rng.normal(size=(2, 4)) * 0.05
        angles[:, [1, 4, 7, 10], 0] = np.radians(32) + rng.normal(size=(2, 4)) * 0.05
        angles[:, [2, 5, 8, 11], 0] = np.radians(16)
        down = rng.uniform(0.3, 0.45)
        lap = rng.uniform(0.018, 0.023)
        right = Placement((1, 0, -down), (0, 1, 0), "palm", (-lap, -half, 0))
        left = Placement((-1, 0, -down), (0, -1, 0), "palm", (lap, half, jitter(0.003)))
        contacts = [Contact((0, "palm"), (1, "palm"), 0.5, 1.5)]
        for one, other in ((0, 1), (1, 0)):
            contacts.append(Contact((one, "thumb_pad"), (other, "skin"), 0.5, 0.4))
            for finger in ("index", "middle", "ring", "pinky"):
                contacts.append(Contact((one, f"{finger}_pad"), (other, "skin"), 0.5, 0.4))
    elif family == "prayer":
        angles = posed("flat", "flat", 0.35)
        angles[:, [0, 3, 6, 9], 0] -= np.radians(4)
        bends[:, 0] = -np.radians(rng.uniform(15, 45)) + rng.normal(size=2) * 0.05
        right = Placement((jitter(0.04), jitter(0.06), 1), (1, 0, 0), "palm", (-half, 0, 0))
        left = Placement(
            (jitter(0.04), jitter(0.06), 1), (-1, 0, 0), "palm", (half, 0, jitter(0.004))
        )
        contacts = [Contact((0, "palm"), (1, "palm"), 0.55, 2.0), *_finger_pairs(1.0)]
    elif family in ("clasp", "interlaced"):
        # Fingers pass between each other only where they are slim and far enough apart:
        # spread wide, crossing beyond the middle of the first phalanx.
        angles = posed("flat", "flat", 0.3)
        angles[:, [0, 3, 9, 6], 1] = np.radians([20, 7, -7, -19])
        opening = angles.copy()
        opening[:, [0, 3, 6, 9], 0] = np.radians(-6)
        fold = rng.uniform(0.8, 1.1) if family == "clasp" else rng.uniform(0.15, 0.45)
        noise = rng.normal(size=(2, 12)) * np.radians(4)
        angles[:, [0, 3, 6, 9], 0] = np.radians(24) * fold + noise[:, :4]
        angles[:, [1, 4, 7, 10], 0] = np.radians(70) * fold + noise[:, 4:8]
        angles[:, [2, 5, 8, 11], 0] = np.radians(38) * fold + noise[:, 8:]
        lean = rng.uniform(0.5, 0.7)
        bends[:, 0] = rng.normal(size=2) * 0.1
        shift = 0.011 * float(rng.choice([-1, 1]))
        gap = 0.060 * lean
        right = Placement((lean, 0, 1), (1, 0, -lean), "palm_front", (-gap, shift / 2, 0))
        left = Placement(
            (-lean, 0, 1), (-1, 0, -lean), "palm_front", (gap, -shift / 2, jitter(0.002))
        )
        contacts = [
            Contact((0, "palm_front"), (1, "palm_front"), 0.4, 0.25 if family == "clasp" else 0.08)
        ]
        for finger in ("index", "middle", "ring", "pinky"):
            for one, other in ((0, 1), (1, 0)):
                contacts.append(
                    Contact((one, f"{finger}_pad"), (other, "hand_back"), 0.5, 0.3 * fold)
                )
    elif family == "hand_on_hand":
        angles = posed("cup", "flat", 0.7)
        angles[0, [0, 3, 6, 9], 0] -= np.radians(14)
        yaw = rng.uniform(-1.2, 1.2)
        right = Placement((-np.sin(yaw), np.cos(yaw), 0), (jitter(0.08), jitter(0.08), -1), "palm",
                          (jitter(0.012), 0.02 + jitter(0.015), 0.020))  # fmt: skip
        left = Placement((0, 1, 0), (0, 0, -1), "back", (0, 0, 0))
        contacts = [
            Contact((0, "palm"), (1, "back"), 0.5),
            Contact((0, "middle_pad"), (1, "skin"), 0.5, 0.3),
            Contact((0, "index_pad"), (1, "skin"), 0.5, 0.3),
        ]
    elif family == "fist_in_palm":
        angles = posed("fist", "cup", 0.5)
        right = Placement((1, 0.5 + jitter(0.2), 0.4), (0.2, 0, -1), "knuckles", (-0.016, 0, 0))
        left = Placement((0.2, jitter(0.25), 1), (-1, 0, 0.1), "palm", (half, 0, 0))
        contacts = [Contact((0, "knuckles"), (1, "palm"), 0.7)]
        for finger in ("index", "middle", "ring"):
            contacts.append(Contact((1, f"{finger}_pad"), (0, "skin"), 0.5, 0.3))
    elif family in ("steeple", "fingertips"):
        angles = posed("rest", "rest", 0.35)
        spread = np.radians([8, 2, -4, -12])
        angles[:, [0, 3, 9, 6], 1] = spread
        apart = rng.uniform(0.028, 0.045)
        lean = rng.uniform(0.15, 0.4)
        bends[:, 0] = -np.radians(rng.uniform(0, 30))
        right = Placement((lean, 0, 1), (1, 0, -lean), "palm", (-apart, 0, 0))
        left = Placement((-lean, jitter(0.05), 1), (-1, 0, -lean), "palm", (apart, 0, 0))
        contacts = _tip_pairs(1.0 if family == "steeple" else 0.7)
        if family == "fingertips":
            kept = rng.choice(5, size=2, replace=False)
            contacts = [contacts[int(k)] for k in kept]
    elif family == "pinch_finger":
        angles = posed("pinch", "rest", 0.6)
        finger = str(rng.choice(["index", "middle", "ring", "pinky"]))
        turn = rng.uniform(-0.9, 0.9)
        left = Placement((0, 0, 1), (0, -1, 0), f"{finger}_tip", (0, 0, 0))
        right = Placement(
            (np.cos(turn), 0.25, -np.sin(turn)), (0.1, -0.6, -0.8), "pinch_gap", (-0.002, 0, 0.0)
        )
        contacts = [Contact((0, "thumb_pad"), (1, f"{finger}_tip"), 0.4, 1.0),
                    Contact((0, "index_pad"), (1, f"{finger}_tip"), 0.4, 1.0)]  # fmt: skip
    elif family == "point_at_palm":
        angles = posed("point", "rest", 0.5)
        left = Placement((jitter(0.2), 0, 1), (-1, 0, 0.1), "palm", (0, 0, 0))
        right = Placement(
            (1, jitter(0.3), jitter(0.3)),
            (0, jitter(0.4), -1),
            "index_tip",
            (-0.012, jitter(0.015), jitter(0.02)),
        )
        contacts = [Contact((0, "index_tip"), (1, "palm"), 0.3, 1.0)]
    elif family == "cupped":
        angles = posed("cup", "cup", 0.5)
        right = Placement((0.25, 1, 0.35), (0.35, -0.35, 1), "edge", (-0.009, 0, 0))
        left = Placement((-0.25, 1, 0.35), (-0.35, -0.35, 1), "edge", (0.009, jitter(0.006), 0))
        contacts = [Contact((0, "edge"), (1, "edge"), 0.5, 1.5)]
    elif family == "hold_wrist":
        angles = posed("grip", str(rng.choice(["rest", "fist", "flat"])), 0.6)
        angles[0, [1, 4, 7, 10], 0] *= 0.8
        left = Placement((0, 0, 1), (0, -1, 0), "wrist", (0, 0, 0))
        right = Placement(
            (1, 0.1, jitter(0.2)), (0.15, float(rng.choice([-1, 1])), 0), "palm", (-0.02, 0, 0.01)
        )
        sign = -right.palm[1]
        right = Placement(
            right.fingers, right.palm, "palm", (-0.01, 0.042 * sign, 0.015 + jitter(0.01))
        )
        contacts = [Contact((0, "palm"), (1, "wrist"), 0.3, 0.8)]
        for finger in ("index", "middle", "thumb"):
            contacts.append(Contact((0, f"{finger}_pad"), (1, "wrist"), 0.4, 0.35))
    else:
        names = (
            "flat",
            "rest",
            "spread",
            "fist",
            "point",
            "claw",
            "grip",
            "random",
            "ok",
            "asl_v",
            "asl_l",
        )
        angles = posed(str(rng.choice(names)), str(rng.choice(names)), 1.0)
        direction = rng.normal(size=(4, 3))
        distance = rng.uniform(0.05, 0.12)
        side = rng.normal(size=3) * [1, 0.6, 0.6]
        offset = side / np.linalg.norm(side) * distance / 2
        right = Placement(
            _tuple(direction[0] + [0.6, 0, 0.8]), _tuple(direction[1]), "palm", _tuple(-offset)
        )
        left = Placement(
            _tuple(direction[2] + [-0.6, 0, 0.8]), _tuple(direction[3]), "palm", _tuple(offset)
        )
        contacts = []
    return Arrangement(family, angles, (right, left), tuple(contacts), bends, opening, sides)


def _finger_pairs(weight: float) -> list[Contact]:
    return [
        Contact((0, f"{f}_front"), (1, f"{f}_front"), 0.5, weight)
        for f in ("index", "middle", "ring", "pinky")
    ]


def _tip_pairs(weight: float) -> list[Contact]:
    return [
        Contact((0, f"{f}_pad"), (1, f"{f}_pad"), 0.4, weight)
        for f in ("thumb", "index", "middle", "ring", "pinky")
    ]


def _tuple(values: np.ndarray) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c
