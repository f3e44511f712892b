"""What the class network sees, against hand-drawn outlines, given masks and rendered crops.

Usage: python benchmarks/eyes.py [all|outlines|rendered] [--photos ../shared/photos]
           [--outlines benchmarks/outlines.json] [--crops SHARDS] [--weights FILE]
           [--frames even|odd|all] [--json FILE]

Outlines: IoU and boundary F-score (2 px) of GrabCut, as the product uses it, and of the network
from the same keypoints. The masks of ``one_subject`` come from GrabCut themselves and hold
background between the fingers; odd frames serve for choices, even ones for reports. The
hand-drawn ones are polygons: {"photo.jpg": [{"side": "right", "polygons": [[[x, y], ...], ...],
"holes": [...]}]}. A hand that the product does not find is counted, and not in the means.

Rendered: IoU of owners on crops that never train (``python -m hand_toolkit.synth.crops render
--held-out``), touching pairs, pairs apart and lone hands.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from real_hand import one_subject

from hand_toolkit.core.errors import HandToolkitError
from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.metrics import boundary_f, silhouette_iou
from hand_toolkit.core.types import HandPose, Photo, PoseEstimate
from hand_toolkit.geometry import hand_silhouettes, wrist_half_plane
from hand_toolkit.media import load_photo
from hand_toolkit.pose import estimate_pose, posed_mesh
from hand_toolkit.see import label_hands, segment_photo
from hand_toolkit.see.classes import OWN, ClassNetwork, class_network, predict_classes
from hand_toolkit.see.training import validate

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_PHOTOS = ROOT.parent / "shared" / "photos"
DEFAULT_OUTLINES = Path(__file__).with_name("outlines.json")

Outlined = tuple[str, Photo, str, np.ndarray, np.ndarray | None]
"""Name, photo, side, reference mask and where it counts (None: everywhere)."""


def subject_masks(photos: Path, frames: str) -> Iterator[Outlined]:
    """The masks of ``one_subject``, which are compared above the wrist."""
    for number, frame in enumerate(one_subject(photos)):
        wanted = frames == "all" or (number % 2 == 0) == (frames == "even")
        if frame.mask is not None and wanted:
            above = wrist_half_plane(frame.keypoints_2d, frame.photo.size)
            yield frame.name, frame.photo, frame.side, frame.mask > 0.5, above


def drawn_masks(photos: Path, path: Path) -> Iterator[Outlined]:
    """The hand-drawn outlines as masks."""
    import cv2

    for name, hands in json.loads(path.read_text(encoding="utf-8")).items():
        photo = load_photo(photos / name)
        for hand in hands:
            mask = np.zeros(photo.pixels.shape[:2], np.uint8)
            for value, key in ((1, "polygons"), (0, "holes")):
                for polygon in hand.get(key, []):
                    cv2.fillPoly(mask, [np.round(np.array(polygon)).astype(np.int32)], (value,))
            yield name, photo, hand["side"], mask > 0, None


def find_hand(estimate: PoseEstimate, side: str, mask: np.ndarray) -> int | None:
    """Number of the hand of ``side``, or of the one that covers the mask best."""
    found = [i for i, hand in enumerate(estimate.hands) if hand.side == side]
    if not found:
        found = list(range(len(estimate.hands)))
    inside = [_share(estimate.hands[i], mask) for i in found]
    return found[int(np.argmax(inside))] if max(inside) > 0.3 else None


def _share(hand: HandPose, mask: np.ndarray) -> float:
    """Of a hand's keypoints, how many lie in the mask."""
    x, y = np.round(hand.keypoints_2d - 0.5).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    return float(mask[y[inside], x[inside]].sum()) / len(x)


def grabcut_masks(photo: Photo, estimate: PoseEstimate) -> list[np.ndarray]:
    """The product's masks, one (H, W) bool a hand."""
    meshes = [posed_mesh(hand) for hand in estimate.hands]
    silhouettes, nearest = hand_silhouettes(meshes, estimate.camera)
    mask = segment_photo(photo, estimate, list(silhouettes), segmenter="grabcut")
    owner = label_hands(mask, nearest)
    return [owner == number for number in range(len(meshes))]


def outline_rows(outlined: Iterator[Outlined], network: ClassNetwork) -> list[dict[str, Any]]:
    """Scores of each outlined hand."""
    rows: list[dict[str, Any]] = []
    kept: tuple[str, PoseEstimate | None, list[np.ndarray]] = ("", None, [])
    for name, photo, side, reference, where in outlined:
        if kept[0] != name:
            try:
                estimate = estimate_pose(photo)
                kept = (name, estimate, grabcut_masks(photo, estimate))
            except HandToolkitError:
                kept = (name, None, [])
        seen = kept[1]
        number = None if seen is None else find_hand(seen, side, reference)
        row: dict[str, Any] = {"name": name, "side": side, "found": number is not None}
        if seen is not None and number is not None:
            hand = seen.hands[number]
            region = predict_classes(network, photo.pixels, hand.keypoints_2d, hand.side)
            high, wide = reference.shape
            own = region.whole((high, wide), OWN) > 0.5
            for key, mask in (("grabcut", kept[2][number]), ("network", own)):
                if where is not None:
                    mask, compared = mask & where, reference & where
                else:
                    compared = reference
                row[f"{key} IoU"] = silhouette_iou(mask, compared)
                row[f"{key} F"] = boundary_f(mask, compared)
        rows.append(row)
    return rows


def print_outlines(title: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A table of means and medians."""
    found = [row for row in rows if row["found"]]
    print(f"\n{title}: {len(found)} of {len(rows)} hands found")
    out: dict[str, Any] = {"hands": len(rows), "found": len(found), "rows": rows}
    print("| | IoU mean | median | lowest | boundary F mean | median |\n|---|---|---|---|---|---|")
    for key in ("grabcut", "network"):
        iou = np.array([row[f"{key} IoU"] for row in found])
        edge = np.array([row[f"{key} F"] for row in found])
        if len(iou):
            print(f"| {key} | {iou.mean():.3f} | {np.median(iou):.3f} | {iou.min():.3f} "
                  f"| {edge.mean():.3f} | {np.median(edge):.3f} |")  # fmt: skip
            out[key] = {"iou": float(iou.mean()), "f": float(edge.mean())}
    if found:
        better = np.mean([row["network IoU"] > row["grabcut IoU"] for row in found])
        print(f"the network is better on {100 * better:.0f} % of them")
    return out


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="?", default="all", choices=["all", "outlines", "rendered"])
    parser.add_argument("--photos", type=Path, default=DEFAULT_PHOTOS)
    parser.add_argument("--outlines", type=Path, default=DEFAULT_OUTLINES)
    parser.add_argument("--crops", type=Path, help="rendered shards that never train")
    parser.add_argument("--weights", type=Path, help="other weights than the installed ones")
    parser.add_argument("--frames", default="even", choices=["even", "odd", "all"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    network = class_network(options.weights)
    results: dict[str, Any] = {}
    if options.part in ("all", "outlines"):
        rows = outline_rows(subject_masks(options.photos, options.frames), network)
        results["one_subject"] = print_outlines(f"one_subject, {options.frames} frames", rows)
        if options.outlines.is_file():
            rows = outline_rows(drawn_masks(options.photos, options.outlines), network)
            results["drawn"] = print_outlines("hand-drawn outlines", rows)
    if options.part in ("all", "rendered") and options.crops is not None:
        scores = validate(network, options.crops)
        results["rendered"] = scores
        print("\nrendered crops that never train\n| | |\n|---|---|")
        for name, value in scores.items():
            print(f"| {name} | {value:.3f} |")
    if options.json:
        atomic_write(options.json, json.dumps(results, indent=1).encode())


if __name__ == "__main__":
    main()
