"""Reader of ``outlines.json``: hands outlined by eye in the development photos.

The file's note says how they were drawn and where a hand ends. The pictures themselves are not
part of the repository; names are those of ``annotations.json`` beside them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DEFAULT_OUTLINES = Path(__file__).with_name("outlines.json")

WRIST_BAND = 0.15
"""Half width of the ignored band as a share of the wrist line, about 9 mm of 60."""

_FINE = 8
"""Polygons are filled on a grid this much finer than the pixels."""


@dataclass(frozen=True)
class OutlinedHand:
    """One hand of one photo.

    Attributes:
        photo: file name within the photos' folder.
        size: width and height of the photo, pixels.
        side: ``left`` or ``right``.
        polygons: (N, 2) pixels each, the visible parts of the hand; not closed twice.
        holes: (N, 2) pixels each, what is seen through the hand.
        wrist: (2, 2) pixels, ends of the wrist line; None where the wrist is not visible.
        keypoints: (21, 3) pixels and visibility (0 or 1) in MediaPipe's order, or None.
    """

    photo: str
    size: tuple[int, int]
    side: str
    polygons: tuple[np.ndarray, ...]
    holes: tuple[np.ndarray, ...]
    wrist: np.ndarray | None
    keypoints: np.ndarray | None

    def __post_init__(self) -> None:
        if self.side not in ("left", "right"):
            raise ValueError(f"{self.photo}: side is {self.side!r}; give 'left' or 'right'")
        if not self.polygons:
            raise ValueError(f"{self.photo}: a hand without polygons; draw one or drop the hand")
        for polygon in (*self.polygons, *self.holes):
            if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3:
                raise ValueError(f"{self.photo}: polygon of shape {polygon.shape}; give (N>2, 2)")
        for name, array, shape in (
            ("wrist", self.wrist, (2, 2)),
            ("keypoints", self.keypoints, (21, 3)),
        ):
            if array is not None and array.shape != shape:
                raise ValueError(f"{self.photo}: {name} of shape {array.shape}; give {shape}")

    def mask(self) -> np.ndarray:
        """(H, W) bool: pixels of which at least half lies in the hand."""
        import cv2

        width, height = self.size
        fine = np.zeros((height * _FINE, width * _FINE), np.uint8)
        for value, polygons in ((1, self.polygons), (0, self.holes)):
            for polygon in polygons:
                # fillPoly's whole numbers are pixel centres; ours are pixel corners
                corners = np.round(polygon * _FINE - 0.5).astype(np.int32)
                cv2.fillPoly(fine, [corners], (value,))
        share = fine.reshape(height, _FINE, width, _FINE).mean((1, 3))
        return share >= 0.5

    def counted(self) -> np.ndarray:
        """(H, W) bool: pixels to compare masks on, all but a band around the wrist line."""
        width, height = self.size
        if self.wrist is None:
            return np.ones((height, width), dtype=bool)
        y, x = np.mgrid[:height, :width] + 0.5
        points = np.stack([x, y], axis=-1)
        start, end = self.wrist
        along = end - start
        length = max(float(np.linalg.norm(along)), 1e-9)
        share = np.clip((points - start) @ along / length**2, 0.0, 1.0)
        distance = np.linalg.norm(points - start - share[..., None] * along, axis=-1)
        return distance > WRIST_BAND * length


def read_outlines(path: Path = DEFAULT_OUTLINES) -> list[OutlinedHand]:
    """All hands of an outline file, photo by photo.

    Args:
        path: JSON as ``outlines.json`` beside this module.

    Raises:
        ValueError: an entry is malformed.
    """
    hands = []
    for photo, entry in json.loads(path.read_text(encoding="utf-8"))["photos"].items():
        width, height = entry["size"]
        for hand in entry["hands"]:
            hands.append(
                OutlinedHand(
                    photo=photo,
                    size=(width, height),
                    side=hand["side"],
                    polygons=tuple(np.array(p, dtype=float) for p in hand["polygons"]),
                    holes=tuple(np.array(p, dtype=float) for p in hand.get("holes", [])),
                    wrist=_array(hand.get("wrist")),
                    keypoints=_array(hand.get("keypoints")),
                )
            )
    return hands


def _array(value: list | None) -> np.ndarray | None:
    return None if value is None else np.array(value, dtype=float)
