"""Light as real spherical harmonics: shading of a normal, conversion from pictures and files.

A light is an array (K, 3), K = 4, 9 or 16, of *shading* coefficients: the linear colour that a
white Lambertian surface with unit normal n shows is ``sum_k light[k] * Y_k(n)``, i.e. radiance
already convolved with the cosine lobe and divided by pi (Ramamoorthi and Hanrahan 2001, eq. 8).
Directions are in world axes (OpenCV: x right, y down, z forward).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..core.errors import PARSER_FAULTS, FileFormatError, InputError, first_line
from ..geometry.colour import srgb_to_linear
from ..geometry.sh import C0, LAMBERT_BANDS, bands, sh_basis

Light = np.ndarray | str | None
"""What :func:`shading_of` takes."""


def shade(light: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Linear shading (..., 3) of unit normals (..., 3) under ``light`` (K, 3), never below 0."""
    return np.maximum(sh_basis(normals, len(light)) @ light, 0.0)


def rotate(light: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The light (K, 3) turned with everything that shines: L'(n) = L(R^T n).

    Bands do not mix under rotation, so values at more directions than coefficients determine it.

    Args:
        light: (K, 3).
        turn: (3, 3) rotation R.
    """
    count = 4 * len(light)
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    angle = np.pi * (1 + 5**0.5) * k
    r = np.sqrt(1 - z * z)
    directions = np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=1)
    values = sh_basis(directions @ np.asarray(turn), len(light)) @ light
    return np.linalg.lstsq(sh_basis(directions, len(light)), values, rcond=None)[0]


def constant_light(level: float = 1.0) -> np.ndarray:
    """(9, 3) light that shades every normal with ``level``."""
    light = np.zeros((9, 3))
    light[0] = level / C0
    return light


def studio_light() -> np.ndarray:
    """(9, 3) soft key from the upper left of the camera, cool fill, warm bounce from below."""
    lights = (
        ((-0.5, -0.6, -0.62), (0.95, 0.90, 0.84), 1.0),
        ((0.7, -0.2, -0.5), (0.42, 0.46, 0.52), 1.0),
        ((0.0, 0.8, -0.2), (0.20, 0.17, 0.15), 1.0),
        ((0.1, -0.5, 0.9), (0.45, 0.47, 0.50), 1.0),
    )
    light = constant_light(0.30)
    for direction, colour, strength in lights:
        unit = np.asarray(direction) / np.linalg.norm(direction)
        # a distant light of irradiance pi shades a facing normal with exactly its colour
        basis = sh_basis(unit, 9) * LAMBERT_BANDS[bands(9)] * np.pi
        light += strength * basis[:, None] * np.asarray(colour)
    return light


def from_environment(radiance: np.ndarray, count: int = 9) -> np.ndarray:
    """Light of an equirectangular map (H, W, 3), linear, +up in the first row.

    The middle column faces the camera's view direction (+z), rows go from up (-y) to down.
    """
    height, width = radiance.shape[:2]
    theta = (np.arange(height) + 0.5) / height * np.pi
    phi = ((np.arange(width) + 0.5) / width * 2 - 1) * np.pi
    y = -np.cos(theta)[:, None] * np.ones(width)
    x = np.sin(theta)[:, None] * np.sin(phi)
    z = np.sin(theta)[:, None] * np.cos(phi)
    solid = (np.sin(theta) * (np.pi / height) * (2 * np.pi / width))[:, None]
    basis = sh_basis(np.stack([x, y, z], axis=-1), count)
    coefficients = np.einsum("hwk,hwc,hw->kc", basis, radiance, solid * np.ones((1, width)))
    return coefficients * LAMBERT_BANDS[bands(count)][:, None]


def shading_of(light: Light, photo: np.ndarray) -> np.ndarray | None:
    """Shading SH (K, 3) of a light, or None for the colours as photographed.

    Args:
        light: "baked" (or None), "photo", "flat" (every normal alike, the bare albedo), "studio",
            the name of a file, or (K, 3) shading SH in world axes.
        photo: the photo's light.

    Raises:
        InputError: an unknown word, a missing file, or an array of another shape.
        FileFormatError: a file that holds no light.
    """
    light = load_light(light) if isinstance(light, str) else light
    if light is None or isinstance(light, str):
        return {None: None, "baked": None, "photo": photo, "flat": constant_light()[:1]}[light]
    if light.ndim != 2 or light.shape[1] != 3 or len(light) not in (1, 4, 9, 16):
        raise InputError(
            f"the light has shape {light.shape}; accepted is (K, 3) with K = 1, 4, 9 or 16"
        )
    return light


def load_light(spec: str) -> np.ndarray | str:
    """A light by name: ``studio`` and .hdr, .exr and .json files as (K, 3) shading SH.

    The words that depend on an avatar, ``baked``, ``photo`` and ``flat``, come back as they are.

    Raises:
        InputError: an unknown word or a missing file.
        FileFormatError: a file that holds no light.
    """
    if spec in ("baked", "photo", "flat"):
        return spec
    if spec == "studio":
        return studio_light()
    path = Path(spec)
    suffix = path.suffix.lower()
    if suffix not in (".hdr", ".exr", ".json", ".png", ".jpg"):
        raise InputError(
            f"unknown light {spec!r}; give photo, baked, flat, studio, an equirectangular .hdr "
            "file or a .json file with SH coefficients"
        )
    if not path.is_file():
        raise InputError(f"the light file {spec} does not exist; check the path")
    if suffix == ".json":
        return _light_from_json(path)
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3:
        raise FileFormatError(f"{path.name} is not an RGB picture; give an equirectangular .hdr")
    radiance = picture[..., 2::-1].astype(np.float64)
    if picture.dtype == np.uint8:
        radiance = srgb_to_linear(radiance / 255.0)
    return from_environment(radiance)


def _light_from_json(path: Path) -> np.ndarray:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        light = np.asarray(data["sh"] if isinstance(data, dict) else data, dtype=np.float64)
    except PARSER_FAULTS as error:
        raise FileFormatError(
            f"{path.name} holds no light ({first_line(error)}); give {{'sh': [[r, g, b], ...]}} "
            "with 4, 9 or 16 rows"
        ) from error
    if light.ndim != 2 or light.shape[1] != 3 or light.shape[0] not in (1, 4, 9, 16):
        raise FileFormatError(
            f"{path.name} has SH coefficients of shape {light.shape}; accepted is (K, 3) with "
            "K = 1, 4, 9 or 16"
        )
    if not np.isfinite(light).all():
        raise FileFormatError(f"{path.name} has coefficients that are NaN or infinite")
    return light
