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


def bake_bank(path: Path, folder: str | None, count: int, seed: int, held_out: bool) -> np.ndarray:
    """Baked albedos, read from ``path`` if it is there and written to it if not.

    Args:
        path: an NPY file.
        folder: with skin pictures in MakeHuman's layout; None for procedural skins only.
        count: how many looks.
        seed: of the looks.
        held_out: use the pictures that never train instead of the others.

    Returns:
        (count, H, W, 3) float16 linear reflectance.
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
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.save(file, bank)
    unfinished.replace(path)
    return bank
