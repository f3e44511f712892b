"""Lights of a picture: a procedural room as an environment map, and area lights in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ENVIRONMENT_SHAPE = (64, 128)
"""Rows (row 0 straight down) and columns of the equirectangular environment."""


@dataclass(frozen=True)
class AreaLight:
    """A square lamp that faces the hands.

    Attributes:
        direction: (3,) unit vector from the hands to the lamp, world axes (z up).
        distance, size: metres.
        color: (3,) linear, luminance 1.
        energy: watts.
    """

    direction: np.ndarray
    distance: float
    size: float
    color: np.ndarray
    energy: float


@dataclass(frozen=True)
class Lighting:
    """Everything that shines.

    Attributes:
        environment: (64, 128, 3) linear radiance, equirectangular, row 0 straight down.
        lamps: area lights.
    """

    environment: np.ndarray
    lamps: tuple[AreaLight, ...]


def blackbody(kelvin: float) -> np.ndarray:
    """(3,) linear colour of luminance 1, fit of Tanner Helland to Planck's locus."""
    t = kelvin / 100
    red = 255.0 if t <= 66 else 329.7 * (t - 60) ** -0.133
    green = 99.47 * np.log(t) - 161.1 if t <= 66 else 288.1 * (t - 60) ** -0.0755
    blue = 255.0 if t >= 66 else (0.0 if t <= 19 else 138.5 * np.log(t - 10) - 305)
    color = (np.clip([red, green, blue], 1, 255) / 255) ** 2.2
    return np.asarray(color / (color @ [0.2126, 0.7152, 0.0722]))


def sample_lighting(rng: np.random.Generator) -> Lighting:
    """Draw a room: soft overcast, window, studio, evening lamp or sun."""
    kind = rng.choice(
        ["overcast", "window", "studio", "lamp", "sun"], p=[0.2, 0.3, 0.2, 0.15, 0.15]
    )
    lamps: list[AreaLight] = []
    key_kelvin = {"lamp": rng.uniform(2700, 4000), "sun": rng.uniform(4800, 6200)}.get(
        str(kind), rng.uniform(4000, 7500)
    )
    if kind != "overcast":
        size = {"window": rng.uniform(0.3, 0.8), "studio": rng.uniform(0.25, 0.7)}.get(
            str(kind), rng.uniform(0.03, 0.15)
        )
        power = rng.uniform(5, 12) if kind in ("window", "studio") else rng.uniform(8, 18)
        lamps.append(_lamp(rng, float(size), float(power), float(key_kelvin), (0.15, 0.95)))
    if kind == "studio" or rng.random() < 0.4:
        kelvin = float(key_kelvin * rng.uniform(0.8, 1.25))
        lamps.append(
            _lamp(rng, float(rng.uniform(0.3, 0.8)), float(rng.uniform(1, 4)), kelvin, (-0.6, 0.8))
        )
    if rng.random() < 0.25:
        lamps.append(
            _lamp(rng, 0.2, float(rng.uniform(3, 8)), float(rng.uniform(3500, 8000)), (-0.2, 0.9))
        )
    ambient = float(rng.uniform(0.5, 1.1)) if kind == "overcast" else float(rng.uniform(0.12, 0.5))
    return Lighting(_environment(rng, ambient), tuple(lamps))


def _lamp(
    rng: np.random.Generator, size: float, power: float, kelvin: float, height: tuple[float, float]
) -> AreaLight:
    z, azimuth = rng.uniform(*height), rng.uniform(0, 2 * np.pi)
    flat = np.sqrt(max(1 - z * z, 0.0))
    distance = float(rng.uniform(0.5, 1.2))
    return AreaLight(
        direction=np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), z]),
        distance=distance,
        size=size,
        color=blackbody(kelvin),
        energy=power * distance**2,
    )


def _environment(rng: np.random.Generator, ambient: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    rows, columns = ENVIRONMENT_SHAPE
    height = np.linspace(-1, 1, rows)[:, None, None]
    blend = 1 / (1 + np.exp(-height * rng.uniform(1.5, 7)))
    above = blackbody(float(rng.uniform(4500, 8500)))
    below = blackbody(float(rng.uniform(3000, 5500))) * rng.uniform(0.15, 0.7)
    room = (blend * above + (1 - blend) * below) * np.ones((rows, columns, 3))
    clutter = gaussian_filter(rng.normal(size=(rows, columns)), (6, 9), mode=("nearest", "wrap"))
    room *= np.exp(clutter / clutter.std() * 0.35)[..., None]
    for _ in range(int(rng.integers(0, 5))):
        high, wide = int(rng.integers(3, 14)), int(rng.integers(4, 18))
        top, left = int(rng.integers(rows // 2 - 6, rows - high - 2)), int(rng.integers(0, columns))
        panel = np.zeros((rows, columns))
        panel[top : top + high, :wide] = 1
        panel = gaussian_filter(np.roll(panel, left, axis=1), 0.8)
        room += panel[..., None] * blackbody(float(rng.uniform(3200, 8000))) * rng.uniform(2, 9)
    return (room * ambient).astype(np.float32)
