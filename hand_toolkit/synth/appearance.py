"""What a subject's skin looks like, drawn from a seed; pure data, no pixels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SKINS = (
    "middleage_darkskinned_male_diffuse",
    "middleage_lightskinned_male_diffuse",
    "middleage_lightskinned_male_diffuse2",
    "young_darkskinned_male_diffuse",
    "young_lightskinned_female_diffuse2",
    "young_lightskinned_female_diffuse3",
    "young_lightskinned_male_diffuse",
    "young_lightskinned_male_diffuse2",
)
"""File stems of the MakeHuman skins (CC0) that ``--skins`` looks for."""


@dataclass(frozen=True)
class Appearance:
    """Skin, nails and drawings of one subject; amplitudes are 0 for none, 1 for strong.

    Attributes:
        skin: file stem of the skin, None for the procedural one.
        melanin: added melanin, optical-density units of the green channel; negative lightens.
        hue: (3,) factors per linear channel.
        redness: blood under knuckles, fingertips and the balls of the hand.
        mottling: blotches.
        wrinkles, creases: backs of the finger joints; palm lines.
        veins, tendons: on the back of the hand.
        freckles, moles: density.
        nail: (3,) linear colour of the nail bed factor, or of the polish.
        polish: 0 a natural nail, 1 lacquer.
        nail_length: share of free white edge.
        bump_mm: height of the relief.
        roughness, specular, subsurface_mm: surface optics.
        tattoo: "none", "band", "stripes", "star", "script", "dots" or "mandala".
        tattoo_color: (3,) linear colour of the ink.
        rings: (finger, phalanx, r, g, b, width) coloured bands, linear colours, metres.
        seed: of all noise.
    """

    skin: str | None = None
    melanin: float = 0.0
    hue: tuple[float, float, float] = (1.0, 1.0, 1.0)
    redness: float = 0.5
    mottling: float = 0.5
    wrinkles: float = 0.5
    creases: float = 0.5
    veins: float = 0.3
    tendons: float = 0.3
    freckles: float = 0.0
    moles: float = 0.2
    nail: tuple[float, float, float] = (1.0, 1.0, 1.0)
    polish: float = 0.0
    nail_length: float = 0.12
    bump_mm: float = 0.5
    roughness: float = 0.48
    specular: float = 0.4
    subsurface_mm: float = 1.8
    tattoo: str = "none"
    tattoo_color: tuple[float, float, float] = (0.02, 0.03, 0.05)
    rings: tuple[tuple[float, ...], ...] = field(default_factory=tuple)
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)


TATTOOS = ("band", "stripes", "star", "script", "dots", "mandala")


def sample_appearance(rng: np.random.Generator, skin: str | None, unusual: bool) -> Appearance:
    """Draw an appearance.

    Args:
        rng: the subject's own generator.
        skin: file stem of the skin or None.
        unusual: add tattoos, lacquer and rings, for out-of-distribution subjects.
    """
    dark = skin is not None and "dark" in skin
    melanin = float(np.clip(rng.normal(-0.1 if dark else 0.12, 0.28), -0.4, 0.9))
    if skin is None:
        melanin = float(rng.choice([rng.uniform(0, 0.5), rng.uniform(0.4, 1.9)]))
    polish = bool(rng.random() < (0.5 if unusual else 0.12))
    nail = _saturated(rng, 0.45) if polish else tuple(rng.normal([1, 1, 1], [0.04, 0.05, 0.06]))
    rings: list[tuple[float, ...]] = []
    if unusual:
        for _ in range(int(rng.integers(1, 6))):
            finger, phalanx = int(rng.integers(0, 5)), int(rng.integers(0, 3))
            width = float(rng.uniform(0.002, 0.012))
            rings.append((finger, phalanx, *_saturated(rng, 0.7), width))
    tattooed = rng.random() < (0.65 if unusual else 0.10)
    ink = (0.018, 0.028, 0.045) if rng.random() < 0.7 else _saturated(rng, 0.5)
    return Appearance(
        skin=skin,
        melanin=melanin,
        hue=_triple(np.exp(rng.normal(size=3) * [0.03, 0.03, 0.05])),
        redness=float(rng.uniform(0.1, 1.0)),
        mottling=float(rng.uniform(0.2, 1.0)),
        wrinkles=float(rng.uniform(0.25, 1.0)),
        creases=float(rng.uniform(0.4, 1.0)),
        veins=float(rng.beta(1.2, 2.0)),
        tendons=float(rng.beta(1.2, 2.2)),
        freckles=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.22 else 0.0,
        moles=float(rng.uniform(0, 1.0)),
        nail=_triple(nail),
        polish=float(polish),
        nail_length=float(rng.uniform(0.05, 0.2)),
        bump_mm=float(rng.uniform(0.35, 0.75)),
        roughness=float(rng.uniform(0.42, 0.58)),
        specular=float(rng.uniform(0.3, 0.5)),
        subsurface_mm=float(rng.uniform(1.3, 2.2)),
        tattoo=str(rng.choice(TATTOOS)) if tattooed else "none",
        tattoo_color=_triple(ink),
        rings=tuple(rings),
        seed=int(rng.integers(0, 2**31)),
    )


def _saturated(rng: np.random.Generator, strength: float) -> tuple[float, float, float]:
    """A random linear colour of high chroma."""
    hue = rng.uniform(0, 6)
    ramp = np.clip(np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    value = rng.uniform(0.25, 1.0)
    return _triple(strength * value * (0.06 + 0.94 * ramp))


def _triple(values: Any) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c
