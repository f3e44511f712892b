"""Poses recorded from real hands, and words spelt with them.

The letters and numbers of the American Sign Language's manual alphabet, and a few more, were
recorded with a headset for handy.js (MIT) and fitted by ``scripts/record_poses.py``. J and Z, which
move, have the shapes that they begin with; the wrist is upright in all.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..core.errors import InputError

FILE = Path(__file__).with_name("recorded_poses.json")
SPELLING = "asl:"
"""What a motion's name begins with that spells the rest."""

HOLD_S, PASS_S = 0.4, 0.25
"""Seconds that a letter is held, and that the hand takes to the next."""


@lru_cache(maxsize=1)
def recorded_angles() -> dict[str, np.ndarray]:
    """(26,) joint angles, radians, of every recorded pose by name."""
    stored = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: np.array(values) for name, values in stored["poses"].items()}


def recorded_pose(name: str) -> np.ndarray:
    """θ (16, 3) of a right hand, wrist at zero.

    Raises:
        InputError: an unknown name.
    """
    from ..hand_model.limits import compose

    angles = recorded_angles()
    if name not in angles:
        raise InputError(f"unknown recorded pose {name!r}; there are: {', '.join(angles)}")
    return np.asarray(compose(angles[name]))


def spelt(text: str) -> list[str]:
    """Names of the poses that spell ``text``; spaces are "relaxed", 0 is the letter O.

    Raises:
        InputError: a character that is not spelt, or none.
    """
    words = []
    for character in text.lower():
        if character.isspace():
            words.append("relaxed")
        elif f"asl_{character}" in recorded_angles():
            words.append(f"asl_{character}")
        elif character == "0":
            words.append("asl_o")
        else:
            raise InputError(
                f"'{character}' is not spelt; accepted are the letters A to Z, digits and spaces"
            )
    if not words:
        raise InputError("nothing to spell; write it behind the colon, as asl:HELLO")
    return words
