"""What the class network sees, against hand-drawn outlines, given masks and rendered crops.

Usage: python benchmarks/eyes.py [all|outlines|heads|rendered|pairs] [--photos ../shared/photos]
           [--crops SHARDS] [--weights FILE] [--frames even|odd|all] [--seen FILE] [--json FILE]

Outlines: IoU and boundary F-score (2 px) of GrabCut, as the product uses it, of the network's map
from the same keypoints, and of the product's default, which is that map between wrist and edges
matted in the photo. The masks of ``one_subject`` come from GrabCut themselves and hold
background between the fingers; odd frames serve for choices, even ones for reports. Hand-drawn
ones are those of ``outlines.json``, a band about the wrist left out. A hand that the product does
not find is counted, and not in the means. ``--seen`` keeps what the product saw in a file, so
that other weights are scored on the same.

Rendered: IoU of owners on crops that never train (``python -m hand_toolkit.synth.crops render
--held-out``), pairs and lone hands.

Heads: on ``one_subject``, whether the hand is called there as its side and not as the other, and
how well the standard deviation of the landmark network's keypoints foretells their error.

Pairs: pictures of two whole hands, apart, touching and interlocked, in skins and poses that never
train (``--pair-skins NPY --contacts FOLDER``, see ``python -m hand_toolkit.synth.crops``): the
product with its own networks, and with ``--mediapipe`` with an installed mediapipe as well.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from heads import heads_scores
from outlines import read_outlines
from pairs import KINDS, SOURCES, PairInputs, pair_rows, print_pairs
from real_hand import one_subject

from hand_toolkit.core.errors import HandToolkitError
from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.metrics import boundary_f, silhouette_iou
from hand_toolkit.core.types import Photo, PoseEstimate
from hand_toolkit.geometry import hand_silhouettes, wrist_half_plane
from hand_toolkit.media import load_photo
from hand_toolkit.pose import estimate_pose, posed_mesh
from hand_toolkit.see import segment_hands
from hand_toolkit.see.classes import OWN, ClassNetwork, class_network, predict_classes
from hand_toolkit.see.segment import DEFAULT_SEGMENTER
from hand_toolkit.see.training import validate

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_PHOTOS = ROOT.parent / "shared" / "photos"

Outlined = tuple[str, Photo, str, np.ndarray, np.ndarray]
"""Name, photo, side, reference mask and where it counts."""


def subject_masks(photos: Path, frames: str) -> Iterator[Outlined]:
    """The masks of ``one_subject``, which are compared above the wrist."""
    for number, frame in enumerate(one_subject(photos)):
        wanted = frames == "all" or (number % 2 == 0) == (frames == "even")
        if frame.mask is not None and wanted:
            above = wrist_half_plane(frame.keypoints_2d, frame.photo.size)
            yield f"one_subject/{frame.name}.jpg", frame.photo, frame.side, frame.mask > 0.5, above


def drawn_masks(photos: Path, frames: str) -> Iterator[Outlined]:
    """The hand-drawn outlines; of ``one_subject`` those of the chosen frames."""
    order = sorted(json.loads((photos / "annotations.json").read_text(encoding="utf-8")))
    subject = [name for name in order if name.startswith("one_subject/")]
    for hand in read_outlines():
        even = hand.photo not in subject or subject.index(hand.photo) % 2 == 0
        if frames == ("odd" if even else "even") and hand.photo in subject:
            continue
        yield hand.photo, load_photo(photos / hand.photo), hand.side, hand.mask(), hand.counted()


@dataclass(frozen=True)
class Seen:
    """One hand as the product sees it.

    Attributes:
        side: "right" or "left".
        keypoints: (21, 2) pixels of the fitted hand.
        mask: (H, W) bool, GrabCut's.
        outline: (H, W) bool, the default segmenter's.
    """

    side: str
    keypoints: np.ndarray
    mask: np.ndarray
    outline: np.ndarray


class Product:
    """The product's hands of photos, kept in a file."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.seen: dict[str, list[Seen]] = {}
        if path is not None and path.is_file():
            with np.load(path, allow_pickle=False) as data:
                for key in data["names"]:
                    hands = range(int(data[f"{key}:hands"]))
                    self.seen[str(key)] = [
                        Seen(str(data[f"{key}:{i}:side"]), data[f"{key}:{i}:keypoints"],
                             data[f"{key}:{i}:mask"], data[f"{key}:{i}:outline"])
                        for i in hands
                    ]  # fmt: skip

    def look(self, name: str, photo: Photo) -> list[Seen]:
        """Hands of a photo; none where the product finds none."""
        if name not in self.seen:
            self.seen[name] = []
            for estimate in estimates(photo):
                masks = [product_masks(photo, estimate, k) for k in ("grabcut", DEFAULT_SEGMENTER)]
                self.seen[name] += [
                    Seen(hand.side, hand.keypoints_2d, mask, outline)
                    for hand, mask, outline in zip(estimate.hands, *masks)
                ]
            self._keep()
        return self.seen[name]

    def _keep(self) -> None:
        if self.path is None:
            return
        arrays: dict[str, Any] = {"names": np.array(list(self.seen))}
        for key, hands in self.seen.items():
            arrays[f"{key}:hands"] = len(hands)
            for i, hand in enumerate(hands):
                arrays[f"{key}:{i}:side"] = hand.side
                arrays[f"{key}:{i}:keypoints"] = hand.keypoints
                arrays[f"{key}:{i}:mask"] = hand.mask
                arrays[f"{key}:{i}:outline"] = hand.outline
        with self.path.open("wb") as file:
            np.savez_compressed(file, **arrays)


def estimates(photo: Photo) -> list[PoseEstimate]:
    """The product's hands; of a photo that it refuses for its many hands the best of each side."""
    out: list[PoseEstimate] = []
    for hands in (("auto",), ("right", "left")):
        for wanted in hands if not out else ():
            with contextlib.suppress(HandToolkitError):
                out.append(estimate_pose(photo, hands=wanted))
    return out


def find_hand(hands: list[Seen], side: str, mask: np.ndarray) -> Seen | None:
    """The hand of ``side``, or without one any, that has most keypoints in the mask."""
    found = [hand for hand in hands if hand.side == side] or hands
    if not found:
        return None
    best = max(found, key=lambda hand: _share(hand.keypoints, mask))
    return best if _share(best.keypoints, mask) > 0.3 else None


def _share(keypoints: np.ndarray, mask: np.ndarray) -> float:
    """Of a hand's keypoints, how many lie in the mask."""
    x, y = np.floor(keypoints).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    return float(mask[y[inside], x[inside]].sum()) / len(x)


def product_masks(photo: Photo, estimate: PoseEstimate, segmenter: str) -> list[np.ndarray]:
    """The product's masks, one (H, W) bool a hand."""
    meshes = [posed_mesh(hand) for hand in estimate.hands]
    silhouettes, nearest = hand_silhouettes(meshes, estimate.camera)
    area = segment_hands(photo, estimate, list(silhouettes), nearest, segmenter=segmenter)
    return list(area.shares > 0.5)


def outline_rows(
    outlined: Iterator[Outlined], product: Product, network: ClassNetwork
) -> list[dict[str, Any]]:
    """Scores of each outlined hand."""
    rows: list[dict[str, Any]] = []
    for name, photo, side, reference, counted in outlined:
        hand = find_hand(product.look(name, photo), side, reference)
        row: dict[str, Any] = {"name": name, "side": side, "found": hand is not None}
        if hand is not None:
            region = predict_classes(network, photo.pixels, hand.keypoints, hand.side)
            high, wide = reference.shape
            own = region.whole((high, wide), OWN) > 0.5
            for key, mask in (
                ("grabcut", hand.mask), ("network", own), ("product", hand.outline)
            ):  # fmt: skip
                row[f"{key} IoU"] = silhouette_iou(mask, reference, counted)
                row[f"{key} F"] = boundary_f(mask & counted, reference & counted)
        rows.append(row)
    return rows


def print_outlines(title: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A table of means and medians."""
    found = [row for row in rows if row["found"]]
    print(f"\n{title}: {len(found)} of {len(rows)} hands found")
    out: dict[str, Any] = {"hands": len(rows), "found": len(found), "rows": rows}
    print("| | IoU mean | median | lowest | boundary F mean | median |\n|---|---|---|---|---|---|")
    for key in ("grabcut", "network", "product"):
        iou = np.array([row[f"{key} IoU"] for row in found])
        edge = np.array([row[f"{key} F"] for row in found])
        if len(iou):
            print(f"| {key} | {iou.mean():.3f} | {np.median(iou):.3f} | {iou.min():.3f} "
                  f"| {edge.mean():.3f} | {np.median(edge):.3f} |")  # fmt: skip
            out[key] = {"iou": float(iou.mean()), "f": float(edge.mean())}
    if found:
        better = np.mean([row["product IoU"] > row["grabcut IoU"] for row in found])
        print(f"the product is better than GrabCut on {100 * better:.0f} % of them")
    return out


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "part", nargs="?", default="all", choices=["all", "outlines", "heads", "rendered", "pairs"]
    )
    parser.add_argument("--photos", type=Path, default=DEFAULT_PHOTOS)
    parser.add_argument("--crops", type=Path, help="rendered shards that never train")
    parser.add_argument("--weights", type=Path, help="other weights than the installed ones")
    parser.add_argument("--frames", default="even", choices=["even", "odd", "all"])
    parser.add_argument("--seen", type=Path, help="NPZ that keeps what the product saw")
    parser.add_argument("--pair-skins", type=Path, help="NPY of baked skins that never train")
    parser.add_argument("--contacts", type=Path, help="poses that never train")
    parser.add_argument("--environments", type=Path, help="folder of EXR maps")
    parser.add_argument("--pairs", type=int, default=12, help="pictures of each kind")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these pairs")
    parser.add_argument("--mediapipe", action="store_true", help="pairs with mediapipe as well")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    network = class_network(options.weights)
    results: dict[str, Any] = {}
    if options.part in ("all", "outlines"):
        product = Product(options.seen)
        rows = outline_rows(drawn_masks(options.photos, options.frames), product, network)
        title = f"hand-drawn outlines, {options.frames} frames of one_subject and the others"
        results["drawn"] = print_outlines(title, rows)
        rows = outline_rows(subject_masks(options.photos, options.frames), product, network)
        title = f"given masks of one_subject, {options.frames} frames"
        results["one_subject"] = print_outlines(title, rows)
    if options.part in ("all", "heads"):
        results["heads"] = heads_scores(options.photos, options.frames, network)
        print(f"\nheads on one_subject, {options.frames} frames\n| | |\n|---|---|")
        for name, value in results["heads"].items():
            print(f"| {name} | {value:.3g} |")
    if options.part in ("all", "rendered") and options.crops is not None:
        scores = validate(network, options.crops)
        results["rendered"] = scores
        print("\nrendered crops that never train\n| | |\n|---|---|")
        for name, value in scores.items():
            print(f"| {name} | {value:.3f} |")
    if options.part in ("all", "pairs") and options.pair_skins and options.contacts:
        inputs = PairInputs(options.pair_skins, options.contacts, options.environments)
        sources = SOURCES if options.mediapipe else SOURCES[:1]
        results["pairs"] = pair_rows(inputs, network, options.pairs, sources, options.kind or KINDS)
        print_pairs(results["pairs"])
    if options.json:
        atomic_write(options.json, json.dumps(results, indent=1).encode())


if __name__ == "__main__":
    main()
