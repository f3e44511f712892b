"""Whether the confidence of a hand means something: of hands called 0.9, are nine in ten right?

Usage: python benchmarks/eyes_confidence.py --crops SHARDS [--photos ../shared/photos]
           [--count 160] [--fit] [--json FILE]

The pose source looks at rendered crops that never train (``python -m hand_toolkit.synth.crops
render --held-out``), composed into larger pictures with noise and JPEG, half of them turned, and
at the real photos whose keypoints are known. A hand that it announces is right where its side is
and its keypoints lie within 15 % of the hand's size on the mean. Odd pictures fit the logistic
regression of ``see/confidence.py`` (printed with ``--fit``), even ones are reported.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from outlines import read_outlines

from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.types import Photo
from hand_toolkit.media import load_photo
from hand_toolkit.see.backdrops import Backdrops
from hand_toolkit.see.confidence import FEATURES, RIGHT_WITHIN, evidence
from hand_toolkit.see.finder import NetworkSearch
from hand_toolkit.see.owners import owners_of
from hand_toolkit.see.training_photos import load_backdrops
from hand_toolkit.synth.crops.shards import open_shards

ROOT = Path(__file__).resolve().parents[1]
PICTURE = 384
LEAST_PIXELS = 700
"""A rendered hand of which less is seen is no truth."""

BINS = (0.0, 0.5, 0.7, 0.9, 1.0)


@dataclass(frozen=True)
class Known:
    """A picture whose hands are known.

    Attributes:
        kind: "rendered alone", "rendered pair" or "real".
        photo: the picture.
        hands: (left, (21, 2) pixels) of each.
    """

    kind: str
    photo: Photo
    hands: list[tuple[bool, np.ndarray]]


def rendered(folder: Path, count: int, seed: int, backdrops: Backdrops) -> Iterator[Known]:
    """Pictures of crops that never train, two pairs for each lone hand."""
    import cv2

    crops = open_shards(folder)
    rng = np.random.default_rng(seed)
    margin = (PICTURE - 256) // 2
    left_over = {"rendered pair": 2 * count // 3, "rendered alone": count - 2 * count // 3}
    for index in rng.permutation(len(crops)):
        crop = crops[int(index)]
        pair = bool(np.isfinite(crop.keypoints[1]).all())
        kind = "rendered pair" if pair else "rendered alone"
        seen = [(crop.labels == value).sum() for value in (1, 2)]
        if not crop.own or seen[0] < 2 * LEAST_PIXELS or (pair and seen[1] < LEAST_PIXELS):
            continue
        if not left_over[kind]:
            continue
        left_over[kind] -= 1
        behind = cv2.resize(backdrops.sample(rng).astype(np.float32), (PICTURE, PICTURE))
        rgba = cv2.copyMakeBorder(crop.rgba, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        alpha = rgba[..., 3:] / 255.0
        picture: Any = behind * (1 - alpha) + rgba[..., :3] * alpha
        picture = np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
        hands = [(False, crop.keypoints[0] + margin)]
        hands += [(True, crop.keypoints[1] + margin)] if pair else []
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
            hands = [(not left, k * [-1, 1] + [PICTURE, 0]) for left, k in hands]
        for _ in range(int(rng.integers(4)) if rng.random() < 0.5 else 0):
            picture = np.rot90(picture)
            hands = [(left, np.stack([k[:, 1], PICTURE - k[:, 0]], 1)) for left, k in hands]
        yield Known(kind, Photo(np.ascontiguousarray(picture), name=str(index)), hands)


def real(photos: Path) -> Iterator[Known]:
    """Photos with given keypoints and sides, and those whose keypoints were drawn by hand."""
    notes = json.loads((photos / "annotations.json").read_text(encoding="utf-8"))
    drawn: dict[str, list[tuple[bool, np.ndarray]]] = {}
    for hand in read_outlines():
        if hand.keypoints is not None and hand.photo != "two_people.jpg":
            drawn.setdefault(hand.photo, []).append((hand.side == "left", hand.keypoints[:, :2]))
    for name, note in notes.items():
        given = [
            (hand["side"] == "left", np.array(hand["keypoints_2d"], dtype=float)[:, :2])
            for hand in note["hands"] if hand["side"] != "unknown"
        ]  # fmt: skip
        hands = given or drawn.get(name, [])
        if hands:
            yield Known("real", load_photo(photos / name), hands)


def judged(known: Known) -> list[dict[str, Any]]:
    """Evidence, confidence and truth of every hand that is announced."""
    search = NetworkSearch(known.photo, 4)
    rows = []
    for hand in search.run():
        errors = [
            np.linalg.norm(hand.keypoints - truth, axis=1).mean()
            / np.linalg.norm(np.ptp(truth, axis=0))
            for left, truth in known.hands if left == hand.left
        ]  # fmt: skip
        rows.append(
            {
                "kind": known.kind,
                "evidence": evidence(owners_of(search.pyramid, hand)).tolist(),
                "confidence": hand.confidence,
                "right": bool(min(errors, default=np.inf) < RIGHT_WITHIN),
            }
        )
    return rows


def logistic(values: np.ndarray, right: np.ndarray, decay: float = 0.5) -> np.ndarray:
    """Weights and offset of a ridge-regularized logistic regression (Newton's method)."""
    design = np.column_stack([values, np.ones(len(values))])
    ridge = decay * np.diag([1.0] * values.shape[1] + [0.0])
    weights = np.zeros(design.shape[1])
    for _ in range(40):
        chance = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (chance - right) + ridge @ weights
        normal = (design * (chance * (1 - chance))[:, None]).T @ design + ridge
        weights -= np.linalg.solve(normal, gradient)
    return weights


def print_bins(rows: list[dict[str, Any]]) -> None:
    """How many hands of each confidence are right."""
    print("| called | hands | mean confidence | right |\n|---|---|---|---|")
    for low, high in itertools.pairwise(BINS):
        part = [r for r in rows if low <= r["confidence"] < high or r["confidence"] == high == 1]
        if part:
            called = np.mean([r["confidence"] for r in part])
            print(f"| {low:.1f} to {high:.1f} | {len(part)} | {called:.2f} "
                  f"| {np.mean([r['right'] for r in part]):.2f} |")  # fmt: skip


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=Path, help="rendered shards that never train")
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared" / "photos")
    parser.add_argument("--bodies", type=Path)
    parser.add_argument("--environments", type=Path)
    parser.add_argument("--count", type=int, default=160, help="rendered pictures")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--fit", action="store_true", help="print weights fitted to odd pictures")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pictures = list(real(options.photos))
    if options.crops:
        backdrops = load_backdrops(None, options.bodies, options.environments)
        pictures += rendered(options.crops, options.count, options.seed, backdrops)
    rows: list[dict[str, Any]] = []
    for number, known in enumerate(pictures):
        rows += [{"number": number, **row} for row in judged(known)]
    if options.json:
        atomic_write(options.json, json.dumps(rows).encode())
    odd = [r for r in rows if r["number"] % 2]
    if options.fit:
        weights = logistic(
            np.array([r["evidence"] for r in odd]), np.array([r["right"] for r in odd])
        )
        print("weights of", ", ".join(FEATURES), "and offset:", np.round(weights, 2).tolist())
    for kind in ("real", "rendered alone", "rendered pair"):
        part = [r for r in rows if r["kind"] == kind and r["number"] % 2 == 0]
        if part:
            print(f"\n{kind}, even pictures")
            print_bins(part)
    print("\nall even pictures")
    print_bins([r for r in rows if r["number"] % 2 == 0])


if __name__ == "__main__":
    main()
