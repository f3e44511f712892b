"""Motions of two hands whose skin goes through each other, repaired."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..animate import Motion
from ..core.conventions import SIDES
from ..core.errors import InputError
from ..hand_model import load_hand_model
from ..hand_model.crossing import TOUCH_M, Crossing, crossing_volume
from ..hand_model.limits import decompose
from .parting import HandPair, PartingWeights, part_hands

ENOUGH_M = 0.0005
"""Skin that is less deep inside the other hand is left: it does not show."""

PAD_S = 0.4
"""Before and after frames that are repaired, those in which the correction comes and goes."""


@dataclass(frozen=True)
class Repaired:
    """A repaired motion, and what was measured.

    Attributes:
        motion: the new one; frames that needed nothing are as they were.
        depth_mm: (T, 2) deepest skin inside the other hand, before and after.
        volume_cm3: (T, 2) what both hands claim, before and after.
        contact: (T, 2) bool, whether the hands touch.
        moved_mm: (T,) most that a wrist was moved.
        turned_deg: (T,) most that a joint angle was changed.
    """

    motion: Motion
    depth_mm: np.ndarray
    volume_cm3: np.ndarray
    contact: np.ndarray
    moved_mm: np.ndarray
    turned_deg: np.ndarray

    @property
    def kept(self) -> float:
        """Share of the frames with contact that still have it; 1 where there was none."""
        had = self.contact[:, 0]
        return float(self.contact[had, 1].mean()) if had.any() else 1.0


def repair_motion(
    motion: Motion,
    shapes: Mapping[str, np.ndarray] | None = None,
    hand_model: str = "default",
    *,
    frames: tuple[int, int] | None = None,
    weights: PartingWeights | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Repaired:
    """Take out what of two hands goes through each other.

    Contacts stay, joints stay within their limits (or where they were past them), and what is
    changed comes and goes smoothly.

    Args:
        motion: of both hands; frames with one hand stay as they are.
        shapes: side -> (S,) shape parameters; the mean hand's where a side is missing.
        hand_model: name of the hand model.
        frames: first and last frame that may change; all if None.
        weights: what may change how much.
        progress: told a fraction and what is being done.

    Raises:
        InputError: no frame has both hands, or a frame range that is not in the motion.
    """
    report = progress or (lambda part, what: None)
    both = motion.present.all(axis=1)
    if not both.any():
        raise InputError(
            f"'{motion.name}' never shows both hands at once; hands are parted from each other, so "
            "give a motion of two hands"
        )
    first, last = (0, len(motion) - 1) if frames is None else frames
    if not 0 <= first <= last < len(motion):
        raise InputError(
            f"frames {first} to {last} are not in the motion; it has 0 to {len(motion) - 1}"
        )
    count = len(load_hand_model(hand_model, "right").shape_names)
    beta = np.stack([np.asarray((shapes or {}).get(s, np.zeros(count)), float) for s in SIDES])
    pair = HandPair(motion.theta, motion.translation, beta, hand_model)
    depth, volume = np.zeros((len(motion), 2)), np.zeros((len(motion), 2))
    contact = np.zeros((len(motion), 2), bool)
    allowed = both & (np.arange(len(motion)) >= first) & (np.arange(len(motion)) <= last)
    report(0.0, "looking for skin inside the other hand")
    for t in np.flatnonzero(both):
        _note(pair, int(t), pair.crossing(int(t), TOUCH_M), 0, depth, volume, contact)
    depth[:, 1], volume[:, 1], contact[:, 1] = depth[:, 0], volume[:, 0], contact[:, 0]
    theta, place = motion.theta.copy(), motion.translation.copy()
    moved, turned = np.zeros(len(motion)), np.zeros(len(motion))
    spans = _spans(allowed & (depth[:, 0] > 1e3 * ENOUGH_M), allowed, round(PAD_S * motion.fps) + 1)
    for number, (start, stop) in enumerate(spans):

        def tell(part: float, at: int = number) -> None:
            report(0.1 + 0.9 * (at + part) / len(spans), "parting the hands")

        part = HandPair(theta[start:stop], place[start:stop], beta, hand_model)
        held = (start > 0, stop < len(motion))
        found = part_hands(
            part, motion.fps, weights=weights, enough_m=ENOUGH_M, held=held, progress=tell
        )
        theta[start:stop], place[start:stop] = found.pair.theta, found.pair.translation
        moved[start:stop] = 1e3 * np.linalg.norm(found.change[..., 3:6], axis=-1).max(1)
        turned[start:stop] = np.degrees(np.abs(found.change[..., 6:]).max((1, 2)))
        after = HandPair(theta, place, beta, hand_model)
        for t in range(start, stop):
            _note(after, t, after.crossing(t, TOUCH_M), 1, depth, volume, contact)
    report(1.0, "hands parted")
    repaired = dataclasses.replace(motion, theta=theta, translation=place)
    return Repaired(repaired, depth, volume, contact, moved, turned)


def compare_motions(before: Motion, after: Motion, hand_model: str = "default") -> Repaired:
    """Two motions of the mean hands, frame by frame, measured as :func:`repair_motion` does.

    Args:
        before: as it was.
        after: the same frames, repaired.
        hand_model: name of the hand model.

    Raises:
        InputError: motions of different length.
    """
    if len(before) != len(after):
        raise InputError(
            f"'{before.name}' has {len(before)} frames and '{after.name}' {len(after)}; compare a "
            "motion with its repaired version"
        )
    beta = np.zeros((2, len(load_hand_model(hand_model, "right").shape_names)))
    depth, volume = np.zeros((len(before), 2)), np.zeros((len(before), 2))
    contact = np.zeros((len(before), 2), bool)
    for column, motion in enumerate((before, after)):
        pair = HandPair(motion.theta, motion.translation, beta, hand_model)
        for t in np.flatnonzero(motion.present.all(axis=1)):
            _note(pair, int(t), pair.crossing(int(t), TOUCH_M), column, depth, volume, contact)
    moved = np.linalg.norm(after.translation - before.translation, axis=-1).max(1)
    turned = [
        np.abs(decompose(after.theta[:, k], side) - decompose(before.theta[:, k], side)).max(1)
        for k, side in enumerate(SIDES)
    ]
    return Repaired(
        after, depth, volume, contact, 1e3 * moved, np.degrees(np.maximum(turned[0], turned[1]))
    )


def _note(
    pair: HandPair, frame: int, crossing: Crossing, column: int, depth: np.ndarray,
    volume: np.ndarray, contact: np.ndarray,
) -> None:  # fmt: skip
    depth[frame, column] = 1e3 * crossing.depth_m
    contact[frame, column] = len(crossing) > 0
    volume[frame, column] = 0.0
    if crossing.depth_m:
        skin = pair.vertices(frame)
        volume[frame, column] = 1e6 * crossing_volume(skin, crossing, pair.hand_model)


def _spans(needed: np.ndarray, allowed: np.ndarray, pad: int) -> list[tuple[int, int]]:
    """Runs of frames about those that are needed, within runs of those that are allowed."""
    from scipy.ndimage import binary_dilation, label

    if not needed.any():
        return []
    wide = binary_dilation(needed, np.ones(2 * pad + 1)) & allowed
    runs, count = label(wide)
    found = [np.flatnonzero(runs == k + 1) for k in range(count)]
    return [(int(r[0]), int(r[-1]) + 1) for r in found if needed[r].any()]
