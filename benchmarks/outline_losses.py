"""Where the product's outlines lose against hand-drawn ones, in per cent of the union.

Usage: python benchmarks/outline_losses.py --seen FILE [--photos ../shared/photos]
           [--frames even|odd|all]

``FILE`` is what ``python benchmarks/eyes.py outlines --seen FILE`` keeps (or what this command
makes, where there is none). Each wrong pixel counts once, in the first of these columns that it
belongs to: another drawn hand's, below the wrist line, in a hole, within 2 pixels of the drawn
line, missing further inside, taken further outside.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from eyes import DEFAULT_PHOTOS, Product, find_hand
from outlines import OutlinedHand, read_outlines

from hand_toolkit.core.metrics import silhouette_iou
from hand_toolkit.media import load_photo

COLUMNS = ("other hand", "below wrist", "holes", "within 2 px", "inside", "outside")
EDGE_PX = 2.0


def losses(mask: np.ndarray, hand: OutlinedHand, others: np.ndarray) -> dict[str, float]:
    """Per cent of the union in each of ``COLUMNS``.

    Args:
        mask: (H, W) bool, an outline of the hand.
        hand: as drawn.
        others: (H, W) bool, the other drawn hands of the photo.
    """
    import cv2

    drawn, counted = hand.mask(), hand.counted()
    left = (mask != drawn) & counted
    union = max(int(((mask | drawn) & counted).sum()), 1)
    inner = cv2.distanceTransform(drawn.astype(np.uint8), cv2.DIST_L2, 5)
    outer = cv2.distanceTransform((~drawn).astype(np.uint8), cv2.DIST_L2, 5)
    holes: np.ndarray = np.zeros(drawn.shape, np.uint8)
    for hole in hand.holes:
        cv2.fillPoly(holes, [np.round(hole - 0.5).astype(np.int32)], (1,))
    edge = np.where(drawn, inner, outer) <= EDGE_PX
    regions = (others & mask, below_wrist(hand), holes > 0, edge, drawn, ~drawn)
    out = {}
    for name, region in zip(COLUMNS, regions):
        out[name] = 100 * float((left & region).sum()) / union
        left &= ~region
    return out


def below_wrist(hand: OutlinedHand) -> np.ndarray:
    """(H, W) bool: the side of the wrist line on which the hand is not."""
    width, height = hand.size
    if hand.wrist is None:
        return np.zeros((height, width), bool)
    start, end = hand.wrist
    normal = np.array([-(end - start)[1], (end - start)[0]])
    middle = np.argwhere(hand.mask())[:, ::-1].mean(axis=0) + 0.5
    if (middle - start) @ normal < 0:
        normal = -normal
    y, x = np.mgrid[:height, :width] + 0.5
    return np.asarray((x - start[0]) * normal[0] + (y - start[1]) * normal[1] < 0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=DEFAULT_PHOTOS)
    parser.add_argument("--seen", type=Path, required=True)
    parser.add_argument("--frames", default="even", choices=["even", "odd", "all"])
    options = parser.parse_args()
    product, hands = Product(options.seen), read_outlines()
    notes = json.loads((options.photos / "annotations.json").read_text(encoding="utf-8"))
    subject = [name for name in sorted(notes) if name.startswith("one_subject/")]
    rows: dict[str, list[list[float]]] = {"one_subject": [], "other photos": []}
    for hand in hands:
        ours = hand.photo in subject
        if ours and options.frames == ("odd", "even")[subject.index(hand.photo) % 2]:
            continue
        seen = product.look(hand.photo, load_photo(options.photos / hand.photo))
        found = find_hand(seen, hand.side, hand.mask())
        if found is None:
            continue
        beside = [h.mask() for h in hands if h.photo == hand.photo and h is not hand]
        others = np.any([np.zeros_like(hand.mask()), *beside], axis=0)
        lost = losses(found.outline, hand, others)
        score = silhouette_iou(found.outline, hand.mask(), hand.counted())
        rows["one_subject" if ours else "other photos"].append([score, *lost.values()])
    print("| | hands | IoU | " + " | ".join(COLUMNS) + " |\n|---|---|---|" + "---|" * len(COLUMNS))
    for name, values in rows.items():
        if values:
            mean = np.mean(values, axis=0)
            cells = " | ".join(f"{v:.1f}" for v in mean[1:])
            print(f"| {name} | {len(values)} | {mean[0]:.3f} | {cells} |")


if __name__ == "__main__":
    main()
