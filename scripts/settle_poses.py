"""Print the built-in poses that touch, settled on the mean default hand, for ``animate.builtin``.

The fingers close first, with the thumb out of their way; then the thumb comes over them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hand_toolkit.animate.presets import goals, settle_in_turn
from hand_toolkit.core.conventions import FINGERS
from hand_toolkit.hand_model.contact import ContactHand
from hand_toolkit.hand_model.limits import FREE_ANGLES

CURLED = {
    "index": (80, 104, 60),
    "middle": (84, 104, 60),
    "ring": (86, 104, 58),
    "pinky": (86, 100, 56),
}
STRAIGHT = (2, 4, 2)
OVER = (30, 45, 40, 0, 10)
"""Thumb, degrees: three flexions, abduction and twist of the first joint."""

PINCH = {"index": (46, 48, 24), "middle": (22, 24, 12), "ring": (18, 20, 10), "pinky": (14, 18, 10)}
PINCH_THUMB = (30, 16, 18, 0, 0)
UP_THUMB = (-18, -6, -8, 10, 0)
PLAN = {
    "fist": (CURLED, OVER),
    "point": ({**CURLED, "index": STRAIGHT}, OVER),
    "victory": ({**CURLED, "index": STRAIGHT, "middle": STRAIGHT}, OVER),
    "thumbs_up": (CURLED, UP_THUMB),
}
ENDS = ("1_flexion", "2_flexion", "3_flexion", "1_abduction", "1_twist", "2_abduction")


def angles_of(fingers: Mapping[str, tuple[int, ...]], thumb: tuple[int, ...]) -> np.ndarray:
    """(26,) radians."""
    angles = np.zeros(26)
    for finger, degrees in {**fingers, "thumb": thumb}.items():
        for end, value in zip(ENDS, degrees):
            angles[FREE_ANGLES.index(finger + end)] = np.radians(value)
    return angles


def main() -> None:
    """Settle and print."""
    hand = ContactHand("default", np.zeros(34))
    pinch = hand.settle(angles_of(PINCH, PINCH_THUMB), goals("pinch"))
    show(hand, "pinch", pinch)
    print(f"# pinch gap {hand.gap_mm(pinch, 'thumb_pad', 'index_pad'):.2f} mm")
    for name, (fingers, thumb) in PLAN.items():
        show(hand, name, settle_in_turn(hand, angles_of(fingers, thumb), goals(name)))


def show(hand: ContactHand, name: str, angles: np.ndarray) -> None:
    """As source text."""
    print(f"{name.upper()}: Pose = {{  # {hand.depth_mm(angles):.2f} mm inside")
    for finger in FINGERS[1:] + FINGERS[:1]:
        names = [finger + end for end in ENDS if finger + end in FREE_ANGLES]
        values = [round(float(np.degrees(angles[FREE_ANGLES.index(n)])), 1) for n in names]
        print(f'    "{finger}": {tuple(values)},')
    print("}")


if __name__ == "__main__":
    main()
