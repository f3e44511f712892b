"""Real photos in training: parts without hands as backgrounds, hands with agreed classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .backdrops import Backdrops
from .samples import LabelledPhoto


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


def write_labelled(path: Path, photo: LabelledPhoto) -> None:
    """Keep one labelled photo as an NPZ."""
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(file, picture=photo.picture, labels=photo.labels, points=photo.points)
    unfinished.replace(path)


def read_labelled(folder: Path, known: list[LabelledPhoto] | None = None) -> list[LabelledPhoto]:
    """All labelled photos of a folder; ``known`` is returned where nothing was added."""
    paths = sorted(folder.glob("*.npz"))
    if known is not None and len(known) == len(paths):
        return known
    photos = []
    for path in paths:
        with np.load(path, allow_pickle=False) as data:
            photos.append(LabelledPhoto(data["picture"], data["labels"], data["points"]))
    return photos
