"""Families of skins, and the training subjects made of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ...core.errors import InputError
from ...synth.appearance import Appearance, sample_appearance
from ...synth.skin import load_skin
from .godot_hands import GODOT_MESH, godot_skin
from .pictured_arms import reom_skin
from .subjects import NAIL_FACTOR, Subject, drawn, pictured

FAMILIES: dict[str, tuple[str, ...]] = {
    "light_men": (
        "young_lightskinned_male_diffuse",
        "young_lightskinned_male_diffuse2",
        "middleage_lightskinned_male_diffuse",
        "middleage_lightskinned_male_diffuse2",
    ),
    "light_women": ("young_lightskinned_female_diffuse2", "young_lightskinned_female_diffuse3"),
    "dark_men": ("young_darkskinned_male_diffuse", "middleage_darkskinned_male_diffuse"),
    "real_hands": ("caucasian_realistic_baseColor", "african_realistic_baseColor"),
    "painted_hands": ("caucasian_baseColor", "african_baseColor"),
    "reom": ("LightSkin_Arms_BaseColor", "DarkSkin_Arms_BaseColor"),
}
"""File stems of each family: MakeHuman's skins, the Godot XR hands' (both CC0), and CharMorph's
Reom (CC BY)."""


CANONICAL_SEED = 7
"""The one seed of all detail that is drawn where nothing was seen: detail that varied in place
would have a mean of nothing."""


def read_skins(folders: list[Path], stems: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Log albedo (N, 3) of each skin picture that one of the folders holds.

    Raises:
        InputError: none of them is there.
    """
    found: dict[str, np.ndarray] = {}
    for stem in stems:
        for folder in folders:
            path = folder / f"{stem}.png"
            if (folder / f"{stem}.jpg").is_file():
                found[stem] = reom_skin(folder / f"{stem}.jpg")
                break
            if path.is_file():
                godot = (folder / GODOT_MESH).is_file()
                found[stem] = godot_skin(path) if godot else pictured(load_skin(path))
                break
    if not found:
        raise InputError(
            f"no skins in {', '.join(f.name for f in folders)}; expected files such as "
            f"{stems[0]}.png"
        )
    return found


def make_subjects(
    folders: list[Path], families: tuple[str, ...], count: int, seed: int
) -> list[Subject]:
    """Every picture of the families as it is, and drawn subjects up to a count.

    Args:
        folders: with the pictures; Godot's beside their mesh.
        families: keys of ``FAMILIES``.
        count: subjects in all.
        seed: of the drawn subjects.
    """
    stems = {stem: family for family in families for stem in FAMILIES[family]}
    skins = read_skins(folders, tuple(stems))
    subjects = [Subject(stems[stem], log, log) for stem, log in skins.items()]
    # drawn detail belongs on MakeHuman's soft pictures; the Godot hands have their own
    paths = {
        stem: folder / f"{stem}.png"
        for stem in skins
        for folder in folders
        if (folder / f"{stem}.png").is_file() and not (folder / GODOT_MESH).is_file()
    }
    names: list[str] = sorted(paths)
    for k in range(count - len(subjects)):
        rng = np.random.default_rng([seed, k])
        stem = names[k % len(names)] if names and rng.random() < 0.9 else None
        look = _realistic(sample_appearance(rng, stem, rng.random() < 0.15), rng)
        plain = dataclasses.replace(
            look, seed=CANONICAL_SEED, tattoo="none", rings=(), freckles=0.0, moles=0.0
        )
        skin = None if stem is None else load_skin(paths[stem])
        family = "drawn" if stem is None else stems[stem]
        subjects.append(Subject(family, drawn(plain, skin), drawn(look, skin)))
    return subjects


def _realistic(look: Appearance, rng: np.random.Generator) -> Appearance:
    """Nails paler than skin, little flush; faint detail teaches the network to draw none."""
    nail = look.nail
    if not look.polish:
        r, g, b = (float(v) for v in NAIL_FACTOR * np.exp(rng.normal(size=3) * 0.06))
        nail = (r, g, b)
    return dataclasses.replace(
        look,
        nail=nail,
        redness=0.5 * look.redness,
        wrinkles=0.25 + 0.7 * look.wrinkles,
        creases=0.25 + 0.6 * look.creases,
    )
