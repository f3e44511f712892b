"""Light of a crop: an environment cut into a few directional lights, and a lamp."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..lighting import blackbody, sample_lighting

ROWS, COLUMNS = 32, 64
"""Size that environments are averaged to; a light of theirs is never sharper."""

DIRECTIONS = 5
AMBIENT_SHARE = 0.3
"""Of an environment's light, how much comes evenly from everywhere, without shadow."""

BRIGHTEST = 60.0
"""Radiance above this many times the mean is cut: a sun would leave nothing else to see."""


@dataclass(frozen=True)
class DirectionalLight:
    """Light from far away.

    Attributes:
        direction: (3,) unit, from the scene to the light, scene axes.
        color: (3,) linear irradiance on a surface that faces it.
        sharp: a lamp, whose shadow is drawn finely and which shines back.
    """

    direction: np.ndarray
    color: np.ndarray
    sharp: bool


@dataclass(frozen=True)
class CropLight:
    """Everything that shines.

    Attributes:
        ambient: (3,) linear irradiance from everywhere.
        lights: with shadows.
    """

    ambient: np.ndarray
    lights: tuple[DirectionalLight, ...]


def read_environments(folder: Path | None) -> np.ndarray:
    """(N, ROWS, COLUMNS, 3) linear radiance of a folder's EXR pictures, row 0 straight up.

    Raises:
        MissingDependencyError: OpenEXR is not installed and the folder holds EXR files.
    """
    paths = [] if folder is None else sorted(folder.glob("*.exr"))
    if not paths:
        return np.zeros((0, ROWS, COLUMNS, 3))
    return np.stack([_average(read_radiance(path)) for path in paths])


def read_radiance(path: Path) -> np.ndarray:
    """(H, W, 3) linear radiance of an EXR picture, negative values cut.

    Raises:
        MissingDependencyError: OpenEXR is not installed.
    """
    try:
        import OpenEXR
    except ImportError as error:
        from ...core.errors import missing_dependency

        raise missing_dependency("reading environment maps", "OpenEXR", "synth") from error
    with OpenEXR.File(str(path)) as file:
        channels = file.channels()
        name = next(n for n in ("RGB", "RGBA") if n in channels)
        pixels = np.asarray(channels[name].pixels[..., :3], np.float64)
    return np.maximum(pixels, 0)


def _average(pixels: np.ndarray) -> np.ndarray:
    high, wide = pixels.shape[0] // ROWS, pixels.shape[1] // COLUMNS
    cut = pixels[: high * ROWS, : wide * COLUMNS]
    small = cut.reshape(ROWS, high, COLUMNS, wide, 3).mean((1, 3))
    luminance = small.mean(-1, keepdims=True)
    limit = BRIGHTEST * luminance.mean()
    return np.asarray(small * np.minimum(1.0, limit / np.maximum(luminance, 1e-9)))


def sample_crop_light(rng: np.random.Generator, environments: np.ndarray) -> CropLight:
    """Draw an environment, real or procedural, any way up to a tilt, and often a lamp.

    Args:
        rng: source of all variation.
        environments: from :func:`read_environments`; may be empty.
    """
    if len(environments) and rng.random() < 0.6:
        radiance = environments[rng.integers(len(environments))]
    else:
        radiance = _average(sample_lighting(rng).environment[::-1].astype(np.float64))
    elevation = (0.5 - (np.arange(ROWS) + 0.5) / ROWS) * np.pi
    area = np.cos(elevation)[:, None] * np.ones(COLUMNS)
    area = area / area.sum()
    mean = (radiance * area[..., None]).sum((0, 1))
    power = area * radiance.mean(-1)
    chosen = rng.choice(power.size, size=DIRECTIONS, p=(power / power.sum()).ravel())
    row, column = np.divmod(chosen, COLUMNS)
    azimuth = (column + rng.random(DIRECTIONS)) / COLUMNS * 2 * np.pi
    tilt = _tilt(rng)
    # scene axes are a camera's: y down
    away = np.stack(
        [
            np.cos(elevation[row]) * np.cos(azimuth),
            -np.sin(elevation[row]),
            np.cos(elevation[row]) * np.sin(azimuth),
        ],
        axis=1,
    )
    tint = radiance.reshape(-1, 3)[chosen]
    tint = tint / tint.mean(-1, keepdims=True)
    total = float(mean.mean()) * 4 * (1 - AMBIENT_SHARE)
    lights = [
        DirectionalLight(tilt @ direction, total / DIRECTIONS * color, False)
        for direction, color in zip(away, tint)
    ]
    if rng.random() < 0.6:
        direction = rng.normal(size=3) - [0, 0.5, 0.7]
        kelvin = float(rng.uniform(2600, 8000))
        strength = total * np.exp(rng.uniform(np.log(0.3), np.log(4.0)))
        lights.append(
            DirectionalLight(
                direction / np.linalg.norm(direction), strength * blackbody(kelvin), True
            )
        )
    return CropLight(mean * AMBIENT_SHARE * rng.uniform(0.3, 1.2), tuple(lights))


def _tilt(rng: np.random.Generator) -> np.ndarray:
    """(3, 3) rotation: cameras are mostly level, sometimes look down at a table."""
    from scipy.spatial.transform import Rotation

    pitch = rng.normal() * 0.35 + (rng.random() < 0.25) * rng.uniform(0.6, 1.5)
    roll = rng.normal() * 0.2
    return np.asarray(Rotation.from_euler("xz", [pitch, roll]).as_matrix())
