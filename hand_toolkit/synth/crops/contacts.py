"""A pool of solved poses of two touching hands; each costs seconds and is used many times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...hand_model import load_hand_model
from ..interaction import TWO_HAND_NAMES, arrange, choose_family

ENTANGLED = (
    "clasp", "interlaced", "prayer", "hand_on_hand", "fist_in_palm", "cupped", "steeple",
)  # fmt: skip
ENTANGLED_SHARE = 0.6
"""Share of poses from the families whose hands hide each other most."""

ITERATIONS = 55
DEEPEST_MM = 8.0
"""Poses whose hands run deeper into each other are thrown away."""

FILE_POSES = 8
MIDDLE_KNUCKLE = 9


@dataclass(frozen=True)
class Contact:
    """A touching pose, for hands of any size.

    Attributes:
        theta: (2, 16, 3) of the right and the left hand, toolkit convention of each side; the
            wrist row is the hand's rotation in world axes.
        translation: (2, 3) wrists, in lengths from the wrist to the middle knuckle.
        bend: (2, 3) axis-angle of the forearms, rest axes of each side.
        family: its name.
    """

    theta: np.ndarray
    translation: np.ndarray
    bend: np.ndarray
    family: str


def palm_length() -> float:
    """Metres from the wrist to the middle knuckle of the mean default hand."""
    points = load_hand_model("default", "right").keypoint_template
    return float(np.linalg.norm(points[MIDDLE_KNUCKLE] - points[0]))


def solve_contacts(seed: int) -> Iterator[Contact]:
    """Endless touching poses, one in one to four seconds."""
    from ..solve import HandSolver

    rng = np.random.default_rng([seed, 23])
    model = load_hand_model("default", "right")
    solver, length = HandSolver(np.zeros(len(model.shape_names))), palm_length()
    while True:
        entangled = rng.random() < ENTANGLED_SHARE
        family = str(rng.choice(ENTANGLED)) if entangled else choose_family(rng)
        pose = solver.solve_two(arrange(rng, family), ITERATIONS)
        if pose.penetration_mm <= DEEPEST_MM:
            yield Contact(pose.theta, pose.translation / length, pose.wrist_bend, family)


def write_contacts(folder: Path, seed: int, seconds: float) -> int:
    """Solve poses into ``folder`` for a while; returns how many were written.

    Files carry the seed and a running number; a second call with the same seed overwrites.
    """
    folder.mkdir(parents=True, exist_ok=True)
    end, kept, written = time.monotonic() + seconds, [], 0
    for contact in solve_contacts(seed):
        kept.append(contact)
        if len(kept) == FILE_POSES:
            _write(folder / f"{seed:04d}_{written // FILE_POSES:05d}.npz", kept)
            written, kept = written + len(kept), []
        if time.monotonic() > end:
            break
    return written


def _write(path: Path, contacts: list[Contact]) -> None:
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(
            file,
            theta=np.stack([c.theta for c in contacts]).astype(np.float32),
            translation=np.stack([c.translation for c in contacts]).astype(np.float32),
            bend=np.stack([c.bend for c in contacts]).astype(np.float32),
            family=np.array([TWO_HAND_NAMES.index(c.family) for c in contacts]),
        )
    unfinished.replace(path)


def read_contacts(folder: Path) -> list[Contact]:
    """Every pose of a folder, in the order of its files; empty where there are none."""
    contacts = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as data:
            rows = zip(data["theta"], data["translation"], data["bend"], data["family"])
            contacts += [
                Contact(theta.astype(float), place.astype(float), bend.astype(float),
                        TWO_HAND_NAMES[int(family)])
                for theta, place, bend, family in rows
            ]  # fmt: skip
    return contacts
