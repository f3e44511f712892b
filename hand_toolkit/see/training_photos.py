"""Real photos in training: parts without hands as backgrounds, hands with agreed classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..core.conventions import SIDES
from .backdrops import Backdrops
from .classes import FOREARM, OTHER, OWN, ClassNetwork, predict_classes
from .pools import IGNORED, PHOTO_PX, LabelledPhoto, write_labelled

SURE, LIKELY = 0.9, 0.6
"""Probabilities from which the network's word seeds GrabCut, and counts beside GrabCut's."""

LEAST_AGREEMENT = 0.85
"""Of the pixels about a hand, on how many both must agree."""

LEAST_INSIDE = 0.8
"""Of the keypoints, how many must lie on the agreed hand."""

BOX_MARGIN = 0.8
"""A labelled photo is the keypoints' box widened by this share of its size on each side."""


def load_backdrops(
    patches: Path | None, bodies: Path | None, environments: Path | None
) -> Backdrops:
    """Read what there is; without files, backgrounds are noise and shapes.

    Args:
        patches: NPZ of pictures, written by :func:`write_patches`.
        bodies: NPY (N, S, S, 4), written by ``synth.crops.bodies``.
        environments: folder of EXR maps.
    """
    found: list[np.ndarray] = []
    if patches is not None:
        with np.load(patches, allow_pickle=False) as data:
            found = [data[name] for name in data.files]
    drawn = np.zeros((0, 1, 1, 4), np.uint8)
    if bodies is not None:
        drawn = np.load(bodies, mmap_mode="r", allow_pickle=False)
    maps = np.zeros((0, 1, 1, 3), np.uint8)
    if environments is not None:
        maps = _tone_mapped(environments)
    return Backdrops(found, maps, drawn)


def write_patches(path: Path, patches: list[np.ndarray]) -> None:
    """Keep pictures of several sizes in one NPZ."""
    np.savez(path, *patches)  # type: ignore[arg-type]


def _tone_mapped(folder: Path) -> np.ndarray:
    """(E, H, W, 3) uint8 of a folder's environment maps, each exposed for its median."""
    import cv2

    from ..synth.crops.light import read_radiance

    pictures = []
    for path in sorted(folder.glob("*.exr")):
        radiance = read_radiance(path)
        linear = 0.25 * radiance / max(float(np.median(radiance)), 1e-6)
        tone = np.clip(1 - np.exp(-linear), 0, 1) ** (1 / 2.2)
        pictures.append(cv2.resize((255 * tone).astype(np.uint8), (512, 256)))
    return np.stack(pictures) if pictures else np.zeros((0, 1, 1, 3), np.uint8)


def label_photo(
    network: ClassNetwork, picture: np.ndarray, points: np.ndarray, side: str
) -> LabelledPhoto | None:
    """Classes of a photo of one hand where the network and GrabCut agree.

    The photo holds one hand only, so what the network takes for another is this one, too.

    Args:
        network: trained so far.
        picture: (H, W, 3) uint8 sRGB.
        points: (21, 2+) keypoints, pixels.
        side: of the hand.

    Returns:
        None where they agree too little.
    """
    import cv2

    picture, points = _about_hand(picture, np.asarray(points, float)[:, :2], side)
    region = predict_classes(network, picture, points, SIDES[0])
    chance = np.zeros((*picture.shape[:2], 4), np.float32)
    chance[..., 0] = 1
    chance[region.rows, region.columns] = region.chance
    skin = 1 - chance[..., 0]
    if (skin > SURE).sum() < 200:
        return None
    seeds = np.where(skin > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    seeds[skin > SURE] = cv2.GC_FGD
    near = cv2.dilate((skin > 0.3).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=12)
    seeds[(near == 0) & (skin < 1 - SURE)] = cv2.GC_BGD
    # the surest pixels may be wrong, too: a face; colour decides inside an eroded core only
    core = cv2.erode((skin > SURE).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=3)
    seeds[(seeds == cv2.GC_FGD) & (core == 0)] = cv2.GC_PR_FGD
    if not (seeds == cv2.GC_FGD).any() or not (seeds == cv2.GC_BGD).any():
        return None
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(picture[..., ::-1])
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(bgr, seeds, (0, 0, 1, 1), *models, 3, cv2.GC_INIT_WITH_MASK)
    colored = (seeds == cv2.GC_FGD) | (seeds == cv2.GC_PR_FGD)
    labels = np.full(picture.shape[:2], IGNORED, np.uint8)
    labels[~colored & (chance[..., 0] > LIKELY)] = 0
    labels[colored & (chance[..., OWN] + chance[..., OTHER] > LIKELY)] = OWN
    labels[colored & (chance[..., FOREARM] > LIKELY)] = FOREARM
    about = near > 0
    own = chance[..., OWN].sum() / max(float((chance[..., OWN] + chance[..., OTHER]).sum()), 1e-6)
    x, y = np.clip(points, 0, np.array(picture.shape[1::-1]) - 1).astype(int).T
    inside = (labels[y, x] == OWN).mean()
    agreed = (labels[about] != IGNORED).mean()
    if own < LIKELY or inside < LEAST_INSIDE or agreed < LEAST_AGREEMENT:
        return None
    return LabelledPhoto(picture, labels, points.astype(np.float32))


def _about_hand(
    picture: np.ndarray, points: np.ndarray, side: str
) -> tuple[np.ndarray, np.ndarray]:
    """The part about a hand, a left one mirrored, and the keypoints in it."""
    import cv2

    low, high = points.min(0), points.max(0)
    margin = BOX_MARGIN * float((high - low).max())
    x0, y0 = np.maximum(np.floor(low - margin), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(high + margin), picture.shape[1::-1]).astype(int)
    part, points = picture[y0:y1, x0:x1], points - [x0, y0]
    scale = min(1.0, PHOTO_PX / max(part.shape[:2]))
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    part = cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_AREA)
    points = points * (np.array(size) / [x1 - x0, y1 - y0])
    if side == SIDES[1]:
        part = np.ascontiguousarray(part[:, ::-1])
        points = points * [-1.0, 1.0] + [size[0], 0.0]
    return part, points


def find_known_hands(photos: Path) -> dict[str, Any]:
    """Hands of a folder's photos, as :func:`backdrops.photo_patches` takes them.

    Args:
        photos: a folder; its folders are looked through, too.

    Returns:
        name below ``photos`` -> {"hands": [{"points": (21, 2), "side": side}, ...]}.
    """
    from ..core.errors import HandToolkitError
    from ..media import load_photo
    from .finder import NetworkSearch

    known: dict[str, Any] = {}
    for path in sorted(photos.rglob("*.jp*g")):
        try:
            found = NetworkSearch(load_photo(path), 2).run()
        except HandToolkitError:
            continue
        hands = [{"points": hand.keypoints, "side": SIDES[int(hand.left)]} for hand in found]
        known[str(path.relative_to(photos))] = {"hands": hands}
    return known


def main(arguments: list[str] | None = None) -> int:
    """``python -m hand_toolkit.see.training_photos patches|label``; returns the exit code."""
    import argparse

    from ..media import load_photo
    from .backdrops import photo_patches
    from .classes import class_network

    parser = argparse.ArgumentParser(
        prog="python -m hand_toolkit.see.training_photos",
        description="Prepare real photos of single hands for the class network's training.",
    )
    parser.add_argument("job", choices=["patches", "label"])
    parser.add_argument("out", type=Path, help="NPZ of patches, or folder of labelled photos")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos")
    parser.add_argument("--weights", type=Path, help="checkpoint that labels (default: installed)")
    options = parser.parse_args(arguments)
    known = find_known_hands(options.photos)
    if options.job == "patches":
        patches = photo_patches(options.photos, known)
        write_patches(options.out, patches)
        print(f"{len(patches)} patches of {len(known)} photos")
        return 0
    network, count = class_network(options.weights), 0
    options.out.mkdir(parents=True, exist_ok=True)
    for name, entry in known.items():
        if len(entry["hands"]) != 1:
            continue
        hand = entry["hands"][0]
        pixels = load_photo(options.photos / name).pixels
        photo = label_photo(network, pixels, hand["points"], hand["side"])
        if photo is not None:
            write_labelled(options.out / (name.replace("/", "_") + ".npz"), photo)
            count += 1
    print(f"{count} of {len(known)} photos labelled")
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main())
