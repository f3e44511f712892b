"""What each part of the class network's training is worth: tiny trainings of equal budget.

Usage: python benchmarks/eyes_ablations.py CROPS HELD_OUT --apart CROPS_WITHOUT_CONTACTS
           --photos LABELS --patches NPZ --bodies NPY --out FOLDER [--steps 100] [--only NAME ...]
           [--shared ../shared/photos] [--seen FILE] [--json FILE]

Every training starts from MediaPipe's landmark network and sees the same number of samples; each
leaves out one thing. ``CROPS`` are shards as docs/eyes.md renders them, ``CROPS_WITHOUT_CONTACTS``
the same seed rendered without ``--contacts``: as many pairs, which do not touch. Scored are the
crops that never train (the IoUs of own alone, own in pairs and other, and the depth), and the
hand-drawn outlines of the photos at the product's own keypoints (odd frames of ``one_subject``,
since this is a choice among trainings). Half of the samples give the error against crops
seen. A training that is already in ``--out`` goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from eyes import DEFAULT_PHOTOS, Product, drawn_masks, find_hand

from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.metrics import silhouette_iou
from hand_toolkit.learn import run_training, training_of
from hand_toolkit.see.classes import OWN, ClassNetwork, predict_classes
from hand_toolkit.see.eyes import export_weights
from hand_toolkit.see.eyes_config import SYSTEM, EyesConfig, EyesSettings
from hand_toolkit.see.networks import load_weights
from hand_toolkit.see.training import validate

VARIANTS: dict[str, dict[str, Any]] = {
    "all features trained": {"frozen_stride": 0, "fixed_filters": False},
    "features frozen to stride 8": {},
    "all features frozen": {"frozen_stride": 32},
    "no real photos": {"photos": "", "patches": ""},
    "no contacts": {"crops": "apart"},
    "no heads as clutter": {"bodies": ""},
    "half the crops": {"crops": "half"},
    "half of the samples": {"steps": 0.5},
}
"""What differs from features frozen to stride 8 with everything, which CPU trainings are."""

COLUMNS = ("own_alone", "own_pair", "other", "depth_mm", "drawn_mean", "drawn_median")


def folder_of(options: argparse.Namespace, kind: str) -> Path:
    """The shards of a variant; half of them as links in a folder of their own."""
    if kind == "apart":
        return Path(options.apart)
    if kind == "half":
        half = Path(options.out) / "half"
        half.mkdir(parents=True, exist_ok=True)
        shards = sorted(Path(options.crops).glob("[0-9]*_[0-9]*"))
        for shard in shards[: len(shards) // 2]:
            link = half / shard.name
            if not link.exists():
                link.symlink_to(shard.resolve())
        return half
    return Path(options.crops)


def trained(options: argparse.Namespace, name: str) -> ClassNetwork:
    """The network of a variant, trained now or before."""
    changes = dict(VARIANTS[name])
    crops = folder_of(options, changes.pop("crops", ""))
    steps = int(options.steps * changes.pop("steps", 1.0))
    settings = EyesSettings(
        steps=steps, average=0.98, checkpoint_every=60, photos=str(options.photos or ""),
        patches=str(options.patches or ""), bodies=str(options.bodies or ""),
    )  # fmt: skip
    settings = dataclasses.replace(settings, **changes)
    run = Path(options.out) / name.replace(" ", "_")
    checkpoint = run_training(
        training_of(SYSTEM), [crops], run, config=EyesConfig(), settings=settings, device="cpu"
    )
    weights = export_weights(checkpoint, run / "weights.safetensors", {})
    network = ClassNetwork()
    load_weights(network, weights)
    return network.eval().requires_grad_(False)


def drawn_scores(network: ClassNetwork, photos: Path, product: Product) -> dict[str, float]:
    """Mean and median IoU with the hand-drawn outlines, odd frames of ``one_subject``."""
    scores = []
    for name, photo, side, reference, counted in drawn_masks(photos, "odd"):
        hand = find_hand(product.look(name, photo), side, reference)
        if hand is not None:
            region = predict_classes(network, photo.pixels, hand.keypoints, hand.side)
            own = region.whole(reference.shape, OWN) > 0.5  # type: ignore[arg-type]
            scores.append(silhouette_iou(own, reference, counted))
    return {"drawn_mean": float(np.mean(scores)), "drawn_median": float(np.median(scores))}


def main() -> None:
    """Train and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("crops", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--apart", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="labelled photos")
    parser.add_argument("--patches", type=Path)
    parser.add_argument("--bodies", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps the trainings")
    parser.add_argument("--steps", type=int, default=100, help="of 16 samples each")
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--shared", type=Path, default=DEFAULT_PHOTOS)
    parser.add_argument("--seen", type=Path, help="NPZ that keeps what the product saw")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    product, results = Product(options.seen), {}
    print("| | " + " | ".join(COLUMNS) + " |\n|---|" + "---|" * len(COLUMNS))
    for name in options.only:
        network = trained(options, name)
        scores = {**validate(network, options.held_out, count=192),
                  **drawn_scores(network, options.shared, product)}  # fmt: skip
        results[name] = scores
        cells = [f"{scores[c]:.1f}" if c == "depth_mm" else f"{scores[c]:.3f}" for c in COLUMNS]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        if options.json:
            atomic_write(options.json, json.dumps(results, indent=1).encode())


if __name__ == "__main__":
    main()
