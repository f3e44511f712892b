"""Coloured blobs in a picture, and which finger joint each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

FINGER_HUES = {"thumb": 60, "index": 120, "middle": 180, "ring": 240, "pinky": 300}
"""Degrees. In the order of the keypoints: thumb first."""

WRIST_HUES = {"right": 210, "left": 270}
HUE_TOLERANCE = 12
"""Degrees; half of the distance between neighbours is 15."""

MIN_VALUE = 60
MIN_PIXELS = 12
FINGER_MARKERS = 4


@dataclass(frozen=True)
class Marker:
    """One blob.

    Attributes:
        center: (2,) pixels, pixel centres at .5.
        roundness: 0 to 1, how much of the smallest upright ellipse around it the blob fills.
        pixels: its area.
    """

    center: np.ndarray
    roundness: float
    pixels: int


def find_markers(pixels: np.ndarray, hue: float, min_saturation: int) -> list[Marker]:
    """Blobs of one hue, the largest first.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        hue: degrees.
        min_saturation: 1 to 255.

    Returns:
        Blobs of at least ``MIN_PIXELS`` and of at least a quarter of the largest one's area,
        which leaves out the specks that the blurred rim between two colours makes.
    """
    import cv2

    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    away = np.abs((hsv[..., 0].astype(np.int16) * 2 - hue + 180) % 360 - 180)
    mask = (away <= HUE_TOLERANCE) & (hsv[..., 1] >= min_saturation) & (hsv[..., 2] >= MIN_VALUE)
    _, _, stats, centers = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    markers = []
    for (_, _, width, height, area), center in zip(stats[1:], centers[1:]):
        if area >= MIN_PIXELS:
            roundness = min(1.0, float(area / (np.pi / 4 * width * height)))
            markers.append(Marker(center + 0.5, roundness, int(area)))
    markers.sort(key=lambda marker: -marker.pixels)
    return [m for m in markers if m.pixels >= markers[0].pixels / 4]


def order_finger(markers: list[Marker], wrist: np.ndarray) -> list[Marker]:
    """A finger's markers from knuckle to tip: the shortest way from the wrist through all."""

    def length(order: Sequence[Marker]) -> float:
        stops = np.array([wrist, *(marker.center for marker in order)])
        return float(np.linalg.norm(np.diff(stops, axis=0), axis=1).sum())

    return min((list(order) for order in permutations(markers)), key=length)


def read_hands(pixels: np.ndarray, min_saturation: int) -> list[tuple[str, list[Marker]]]:
    """Side and 21 markers, in keypoint order, of every hand whose markers are all in view.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        min_saturation: 1 to 255.
    """
    wrists = []
    for side, hue in WRIST_HUES.items():
        wrists += [(side, marker) for marker in find_markers(pixels, hue, min_saturation)[:1]]
    hands = {side: [wrist] for side, wrist in wrists}
    for hue in FINGER_HUES.values():
        markers = find_markers(pixels, hue, min_saturation)
        for side, wrist in wrists:
            others = [other.center for name, other in wrists if name != side]
            own = [m for m in markers if _nearest(m.center, wrist.center, others)]
            if len(own) >= FINGER_MARKERS:
                hands[side] += order_finger(own[:FINGER_MARKERS], wrist.center)
    complete = 1 + FINGER_MARKERS * len(FINGER_HUES)
    return [(side, markers) for side, markers in hands.items() if len(markers) == complete]


def _nearest(point: np.ndarray, wrist: np.ndarray, others: list[np.ndarray]) -> bool:
    distance = np.linalg.norm(point - wrist)
    return all(distance < np.linalg.norm(point - other) for other in others)
