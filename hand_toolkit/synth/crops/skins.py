"""A bank of baked skins for crops: many looks, baked once and kept on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..appearance import sample_appearance
from ..skin import bake, load_skin
from ..subjects import HELD_OUT, find_skins
from .mesh import load_crop_mesh

PROCEDURAL_EVERY, UNUSUAL_EVERY = 6, 7
"""One look in so many has no skin picture; one in so many has tattoos, lacquer and rings."""


RETONED = 6
"""Looks that take the tone of each picture of a folder of tones."""


def retoned(bank: np.ndarray, pictures: Path, rng: np.random.Generator) -> np.ndarray:
    """Looks in the tones of skin pictures that fit no UVs of ours.

    Args:
        bank: (K, H, W, 3) linear reflectance.
        pictures: folder of skin pictures; their darkest third and brightest tenth, which are
            seams and gloss, do not count.
        rng: of which looks.

    Returns:
        (N, H, W, 3) float16, ``RETONED`` for each picture.
    """
    import cv2

    from ..skin import srgb_to_linear

    out = []
    for file in sorted(pictures.iterdir()):
        picture = cv2.imread(str(file))
        if picture is None:
            continue
        small = cv2.resize(picture, (512, 512), interpolation=cv2.INTER_AREA)[..., ::-1]
        linear = srgb_to_linear(small.reshape(-1, 3) / 255.0)
        bright = linear.mean(1)
        low, high = np.percentile(bright, [30, 90])
        tone = np.log(linear[(bright >= low) & (bright <= high)] + 1e-3)
        for row in rng.choice(len(bank), RETONED, replace=len(bank) < RETONED):
            own = np.log(bank[row].astype(np.float32) + 1e-3)
            spread = np.sqrt(np.clip(tone.std(0) / np.maximum(own.std((0, 1)), 1e-6), 0.5, 2))
            moved = (own - own.mean((0, 1))) * spread + tone.mean(0) + rng.normal() * 0.15
            out.append(np.clip(np.exp(moved), 0, 1).astype(np.float16))
    return np.stack(out) if out else bank[:0]


def bake_bank(
    path: Path,
    folder: str | None,
    count: int,
    seed: int,
    held_out: bool,
    tones: Path | None = None,
) -> np.ndarray:
    """Baked albedos, read from ``path`` if it is there and written to it if not.

    Args:
        path: an NPY file.
        folder: with skin pictures in MakeHuman's layout; None for procedural skins only.
        count: how many looks.
        seed: of the looks.
        held_out: use the pictures that never train instead of the others.
        tones: folder of further skin pictures, see :func:`retoned`; None for none.

    Returns:
        (count or more, H, W, 3) float16 linear reflectance.
    """
    if path.is_file():
        return np.asarray(np.load(path, allow_pickle=False))
    skins = {
        name: file for name, file in find_skins(folder).items() if (name in HELD_OUT) == held_out
    }
    pictures = {name: load_skin(file) for name, file in skins.items()}
    texels = load_crop_mesh().texels
    rng = np.random.default_rng([seed, 29])
    names, baked = list(pictures), []
    for index in range(count):
        procedural = not names or index % PROCEDURAL_EVERY == PROCEDURAL_EVERY - 1
        name = None if procedural else names[index % len(names)]
        look = sample_appearance(rng, name, index % UNUSUAL_EVERY == UNUSUAL_EVERY - 1)
        picture = None if name is None else pictures[name]
        baked.append(bake(texels, look, picture, "right").albedo.astype(np.float16))
    bank = np.stack(baked)
    if tones is not None:
        bank = np.concatenate([bank, retoned(bank, tones, rng)])
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.save(file, bank)
    unfinished.replace(path)
    return bank
