"""Scores of rendered pairs of hands: who is found, whose pixels are whose, where the joints are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit.core.conventions import SIDES
from hand_toolkit.core.errors import HandToolkitError
from hand_toolkit.core.metrics import silhouette_iou
from hand_toolkit.core.types import HandPose, Photo
from hand_toolkit.pose import estimate_pose
from hand_toolkit.see.backdrops import SIZE, Backdrops
from hand_toolkit.see.classes import OWN, ClassNetwork, predict_classes
from hand_toolkit.synth.crops.pairs import KINDS, PairPicture, render_pair
from hand_toolkit.synth.crops.render import CropAssets, load_assets

NEAR = 0.25
"""A found hand is one of the picture's if its keypoints lie this near on the average, in units of
the true hand's box."""

SOURCES = ("network", "mediapipe")


@dataclass(frozen=True)
class PairInputs:
    """Where pairs come from.

    Attributes:
        skins: NPY of baked skins that never train.
        contacts: folder of solved poses that never train.
        environments: folder of EXR maps, or None.
    """

    skins: Path
    contacts: Path
    environments: Path | None

    def assets(self) -> CropAssets:
        """All that is drawn from."""
        skins = np.load(self.skins, allow_pickle=False)
        return load_assets(skins, self.contacts, None, self.environments)


def composed(rng: np.random.Generator, pair: PairPicture) -> Photo:
    """The pair before a background, as a photo with its focal length."""
    import cv2

    none = np.zeros((0, 1, 1, 4), np.uint8)
    back = Backdrops([], none, none).sample(rng)
    size = pair.rgba.shape[0]
    back = cv2.resize(back.astype(np.float32), (size, size)) if size != SIZE else back
    alpha = pair.rgba[..., 3:].astype(np.float32) / 255
    pixels = pair.rgba[..., :3] * alpha + back * (1 - alpha)
    return Photo(np.clip(pixels, 0, 255).astype(np.uint8), focal_px=pair.focal_px)


def matched(hands: list[HandPose], truth: np.ndarray) -> dict[int, HandPose]:
    """Found hands by the row of (2, 21, 2) true keypoints that they lie on, sides apart."""
    gaps = []
    for number, hand in enumerate(hands):
        for row in range(2):
            size = float(np.ptp(truth[row], axis=0).max())
            gap = np.linalg.norm(hand.keypoints_2d - truth[row], axis=1).mean() / size
            gaps.append((float(gap), number, row))
    out: dict[int, HandPose] = {}
    used: set[int] = set()
    for gap, number, row in sorted(gaps):
        if gap < NEAR and row not in out and number not in used:
            out[row] = hands[number]
            used.add(number)
    return out


def pair_row(
    pair: PairPicture, photo: Photo, source: str, network: ClassNetwork | None
) -> dict[str, float]:
    """Scores of one picture: found, side, owner IoU and joints, NaN where there is none."""
    try:
        found = matched(list(estimate_pose(photo, source=source).hands), pair.keypoints)
    except HandToolkitError:
        found = {}
    sides = [hand.side == SIDES[row] for row, hand in found.items()]
    ious, gaps = [], []
    for row in range(2):
        hand = found.get(row)
        if hand is None:
            ious.append(0.0)
            continue
        truth = pair.joints_cam_m[row]
        gap = (hand.joints_cam_m - hand.joints_cam_m[0]) - (truth - truth[0])
        gaps.append(float(np.linalg.norm(gap, axis=1).mean()))
        if network is not None:
            region = predict_classes(network, photo.pixels, hand.keypoints_2d, hand.side)
            high, wide = pair.owner.shape
            own = region.whole((high, wide), OWN) > 0.5
            ious.append(silhouette_iou(own, pair.owner == row + 1))
    return {
        "found": len(found) / 2,
        "both": float(len(found) == 2),
        "side": float(np.mean(sides)) if sides else np.nan,
        "owner IoU": float(np.mean(ious)) if network is not None else np.nan,
        "joints mm": 1e3 * float(np.mean(gaps)) if len(gaps) == 2 else np.nan,
    }


def pair_rows(
    inputs: PairInputs,
    network: ClassNetwork,
    count: int,
    sources: tuple[str, ...],
    kinds: Sequence[str] = KINDS,
) -> list[dict[str, Any]]:
    """Rows of ``count`` pictures of each kind, for each source."""
    assets, rows = inputs.assets(), []
    for kind in kinds:
        for number in range(count):
            rng = np.random.default_rng([KINDS.index(kind), number, 53])
            pair = render_pair(rng, kind, assets)
            photo = composed(rng, pair)
            for source in sources:
                own = network if source == "network" else None
                rows.append({"kind": kind, "number": number, "source": source,
                             **pair_row(pair, photo, source, own)})  # fmt: skip
    return rows


def add_shared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the joints' error of the pictures in which every source finds both hands.

    A source that finds more pairs finds harder ones, so errors of its own pictures say less.
    """
    sources = {row["source"] for row in rows}
    seen = Counter((r["kind"], r["number"]) for r in rows if r["both"] == 1.0)
    return [
        {**row, "shared mm": row["joints mm"] if common else np.nan}
        for row in rows
        for common in [seen[row["kind"], row["number"]] == len(sources) > 1]
    ]


def print_pairs(rows: list[dict[str, Any]]) -> None:
    """A table of means."""
    names = ("found", "both", "side", "owner IoU", "joints mm", "shared mm")
    print("\nrendered pairs: hands found, pictures with both, sides right, IoU of each hand's")
    print("pixels (0 where it is missed), 42 joints from their wrists where the source finds both")
    print("hands, and of the pictures in which every source does (their number)")
    print(
        "| | pictures | source | " + " | ".join(names) + " |\n|---|---|---|" + "---|" * len(names)
    )
    rows = add_shared(rows)
    for kind in KINDS:
        for source in SOURCES:
            some = [r for r in rows if r["kind"] == kind and r["source"] == source]
            if some:
                cells = " | ".join(_mean([r[n] for r in some], n.endswith("mm")) for n in names)
                print(f"| {kind} | {len(some)} | {source} | {cells} |")


def _mean(values: list[float], errors: bool) -> str:
    """Of the numbers among them; of errors with their number."""
    known = [v for v in values if np.isfinite(v)]
    if not known:
        return ""
    return f"{np.mean(known):.1f} ({len(known)})" if errors else f"{np.mean(known):.2f}"
