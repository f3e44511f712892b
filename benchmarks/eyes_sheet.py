"""Pages of photos with the outlines and keypoints that the product fits, to be looked at.

Usage: python benchmarks/eyes_sheet.py OUT [--shared ../shared] [--only photos/ ...]

The photos are those of ``hands_seen.json``; each is cut to its fitted hands. Right hands are
yellow and green, left ones cyan and red; beside a photo's name stand sides, confidences and
processor seconds of seeing and fitting, or why it was refused. ``OUT`` gets ``page_0.png`` and so
on, twelve photos each. Photos of ``../shared/photos`` may not be shown elsewhere.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from eyes_hands import BONES, COLOURS, ROOT, read_judged

from hand_toolkit.core.errors import HandToolkitError
from hand_toolkit.core.types import HandPose, Photo
from hand_toolkit.media import load_photo
from hand_toolkit.pose.estimate import see_hands

CELL, ACROSS, DOWN = 400, 4, 3
OUTLINES = {"right": (255, 255, 0), "left": (0, 255, 255)}
MARGIN = 0.25
"""Around the hands, of their extent."""


def cell_of(photo: Photo, name: str) -> np.ndarray:
    """(CELL, CELL, 3) uint8 of one photo."""
    import cv2

    start = time.process_time()
    hands: tuple[HandPose, ...] = ()
    shares: list[np.ndarray] = []
    refused = ""
    try:
        seen = see_hands(photo)
        hands = seen.estimate.hands
        shares = [] if seen.area is None else list(seen.area.shares)
    except HandToolkitError as error:
        refused = str(error)
    seconds = time.process_time() - start
    low, high = around(hands, photo.size)
    crop = photo.pixels[low[1] : high[1], low[0] : high[0]]
    scale = CELL / max(crop.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shown: Any = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=how)
    for share, hand in zip(shares, hands):
        part = share[low[1] : high[1], low[0] : high[0]]
        inside = cv2.resize(part, shown.shape[1::-1]) > 0.5
        lines, _ = cv2.findContours(
            inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
        )  # fmt: skip
        cv2.drawContours(shown, lines, -1, OUTLINES[hand.side], 1)
    for hand in hands:
        points = (hand.keypoints_2d - low) * scale
        for a, b in BONES:
            ends = [tuple(int(v) for v in points[k]) for k in (a, b)]
            cv2.line(shown, ends[0], ends[1], COLOURS[hand.side], 1, cv2.LINE_AA)
    out: Any = np.zeros((CELL, CELL, 3), np.uint8)
    out[: shown.shape[0], : shown.shape[1]] = shown[:CELL, :CELL]
    title = [Path(name).name[:16], *(f"{h.side[0]}{h.confidence:.2f}" for h in hands)]
    text = " ".join([*title, f"{seconds:.1f}s", refused[:40]])
    cv2.putText(out, text, (3, 12), 0, 0.38, (255, 0, 255), 1, cv2.LINE_AA)
    return np.asarray(out)


def around(hands: tuple[HandPose, ...], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Upper left and lower right pixel about all hands; of the picture where there is none."""
    if not hands:
        return np.zeros(2, int), np.array(size)
    points = np.concatenate([hand.keypoints_2d for hand in hands])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = MARGIN * float((high - low).max())
    return np.maximum(low - margin, 0).astype(int), np.minimum(high + margin, size).astype(int)


def main() -> None:
    """Write the pages."""
    from PIL import Image

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--only", nargs="*", default=[""], help="photos whose name starts so")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    names = [name for name in read_judged() if name.startswith(tuple(options.only))]
    for page, start in enumerate(range(0, len(names), ACROSS * DOWN)):
        some = names[start : start + ACROSS * DOWN]
        cells = [cell_of(load_photo(options.shared / name), name) for name in some]
        cells += [np.zeros_like(cells[0])] * (-len(cells) % ACROSS)
        lines = [np.concatenate(cells[k : k + ACROSS], 1) for k in range(0, len(cells), ACROSS)]
        path = options.out / f"page_{page}.png"
        Image.fromarray(np.concatenate(lines)).save(path)
        print(path)


if __name__ == "__main__":
    main()
