"""Which hands the pose source finds in whole pictures, against a table judged by eye.

Usage: python benchmarks/eyes_hands.py [--shared ../shared] [--source network] [--sheet FILE.png]
           [--only photos/ ...] [--json FILE]

``hands_seen.json`` names every hand that a person sees at a glance in the single photos of
``shared/photos`` and in sixty of ``shared/found/photos``, its side and its box. A hand counts as
found where a hand that the source announces covers its box (intersection over union of the boxes
above .3, each used once), and its side as right where both agree; what is announced and lies on no
judged hand is false. Seconds are of the source alone, of the clock and of the processor.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.types import HandObservation, Photo
from hand_toolkit.media import load_photo
from hand_toolkit.pose import detect_hands

ROOT = Path(__file__).resolve().parents[1]
JUDGED = Path(__file__).with_name("hands_seen.json")
SAME_BOX = 0.3
QUICK = 0.4

BONES = [(0 if k == 0 else 4 * f + k, 4 * f + k + 1) for f in range(5) for k in range(4)]
COLOURS = {"right": (60, 220, 90), "left": (250, 90, 80)}


@dataclass(frozen=True)
class Judged:
    """A hand that a person sees.

    Attributes:
        side: "right" or "left".
        box: (4,) left, top, right, bottom in parts of the picture.
    """

    side: str
    box: np.ndarray


def read_judged(path: Path = JUDGED) -> dict[str, list[Judged]]:
    """Photo -> its hands."""
    photos = json.loads(path.read_text(encoding="utf-8"))["photos"]
    return {
        name: [Judged(hand["side"], np.array(hand["box"], dtype=float)) for hand in hands]
        for name, hands in photos.items()
    }


def matched(judged: Sequence[Judged], boxes: Sequence[np.ndarray], sides: Sequence[str]) -> Any:
    """Which announced hand is which judged one.

    Args:
        judged: hands of a photo.
        boxes: (4,) per announced hand, parts of the picture.
        sides: theirs.

    Returns:
        per judged hand the index of the announced one, or None; of several the most alike, those
        of the right side first.
    """
    pairs = sorted(
        (
            (sides[i] == hand.side, _overlap(hand.box, box), k, i)
            for k, hand in enumerate(judged)
            for i, box in enumerate(boxes)
            if _overlap(hand.box, box) > SAME_BOX
        ),
        reverse=True,
    )
    found: list[int | None] = [None] * len(judged)
    for _, _, k, i in pairs:
        if found[k] is None and i not in found:
            found[k] = i
    return found


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    areas = [float(np.prod(b[2:] - b[:2])) for b in (first, second)]
    return shared / max(sum(areas) - shared, 1e-9)


def box_of(hand: HandObservation, photo: Photo) -> np.ndarray:
    """(4,) of the keypoints, parts of the picture."""
    points = hand.keypoints_2d / np.array(photo.size)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def drawn(
    photo: Photo, hands: Sequence[HandObservation], title: str, size: int = 256
) -> np.ndarray:
    """(size, size, 3) uint8: the photo with what was announced."""
    import cv2

    scale = size / max(photo.size)
    small = cv2.resize(photo.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    out: Any = np.zeros((size, size, 3), np.uint8)
    out[: small.shape[0], : small.shape[1]] = small[:size, :size] * 0.8
    for hand in hands:
        points = hand.keypoints_2d * scale
        for a, b in BONES:
            ends = [tuple(int(v) for v in points[k]) for k in (a, b)]
            cv2.line(out, ends[0], ends[1], COLOURS[hand.side], 2, cv2.LINE_AA)
    text = title + " " + " ".join(f"{h.side[0].upper()}{h.confidence:.2f}" for h in hands)
    cv2.putText(out, text, (3, 12), 0, 0.36, (255, 255, 0), 1, cv2.LINE_AA)
    return np.asarray(out)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--source", default="network")
    parser.add_argument("--only", nargs="*", default=[""], help="photos whose name starts so")
    parser.add_argument("--sheet", type=Path, help="PNG of all photos with what was announced")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    table = {
        name: hands for name, hands in read_judged().items() if name.startswith(tuple(options.only))
    }
    rows, cells = [], []
    for name, judged in table.items():
        photo = load_photo(options.shared / name)
        start, busy = time.perf_counter(), time.process_time()
        announced = detect_hands(photo, options.source)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        sides = [hand.side for hand in announced]
        found = matched(judged, [box_of(hand, photo) for hand in announced], sides)
        hits = [k for k, i in enumerate(found) if i is not None]
        row = {
            "name": name,
            "hands": len(judged),
            "found": len(hits),
            "side right": sum(sides[found[k]] == judged[k].side for k in hits),
            "false": len(announced) - len(hits),
            "seconds": seconds,
            "processor seconds": busy,
        }
        rows.append(row)
        if row["side right"] < row["hands"] or row["false"]:
            print("  " + ", ".join(f"{k} {v}" for k, v in row.items() if "seconds" not in k))
        cells.append(drawn(photo, announced, f"{Path(name).name[:18]} {seconds:.1f}s"))
    total = {k: sum(row[k] for row in rows) for k in ("hands", "found", "side right", "false")}
    times = np.array([row["seconds"] for row in rows])
    print("| photos | hands | found | side right | false | seconds: median | longest |")
    print("|---|---|---|---|---|---|---|")
    print(f"| {len(rows)} | {total['hands']} | {total['found']} | {total['side right']} "
          f"| {total['false']} | {np.median(times):.2f} | {times.max():.2f} |")  # fmt: skip
    busy_times = np.array([row["processor seconds"] for row in rows if row["hands"] == 1])
    if len(busy_times):
        quick = 100 * np.mean(busy_times <= QUICK)
        print(f"photos with one hand, processor seconds: median {np.median(busy_times):.2f}, "
              f"longest {busy_times.max():.2f}, {quick:.0f} % within {QUICK}")  # fmt: skip
    if options.sheet:
        from PIL import Image

        across = 10
        cells += [np.zeros_like(cells[0])] * (-len(cells) % across)
        lines = [np.concatenate(cells[k : k + across], 1) for k in range(0, len(cells), across)]
        Image.fromarray(np.concatenate(lines)).save(options.sheet)
    if options.json:
        atomic_write(options.json, json.dumps(rows, indent=1).encode())


if __name__ == "__main__":
    main()
