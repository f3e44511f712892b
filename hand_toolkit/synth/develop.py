"""From linear radiance to an 8-bit picture: exposure, white balance, shoulder, background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.types import Camera
from ..geometry.colour import linear_to_srgb
from .lighting import ENVIRONMENT_SHAPE
from .scene import Passes

SHOULDER = 0.6
"""Linear values below this stay as they are; above they roll off towards 1."""


@dataclass(frozen=True)
class Development:
    """How a lighting's radiance becomes colour.

    Attributes:
        gain: (3,) factor per linear channel: exposure times white balance.
    """

    gain: np.ndarray


def meter(passes: Passes, rng: np.random.Generator) -> Development:
    """Expose for the skin: mid tones near the albedo, highlights held, 65 % white balance."""
    solid = passes.alpha > 0.9
    color, albedo = passes.color[solid], np.maximum(passes.albedo[solid], 0.01)
    ratio = max(float(np.median(color.mean(1) / albedo.mean(1))), 1e-4)
    highlight = float(np.percentile(color.max(1) / ratio, 97))
    exposure = min(float(rng.uniform(0.72, 1.0)), 1.05 / max(highlight, 1e-3)) / ratio
    cast = np.maximum(color.mean(0), 1e-6) / albedo.mean(0)
    balance = (cast / cast.mean()) ** -0.65
    return Development(np.round(exposure * balance, 6))


def tone(linear: np.ndarray) -> np.ndarray:
    """Identity below SHOULDER, then an exponential roll-off below 1."""
    linear = np.maximum(linear, 0)
    rest = 1 - SHOULDER
    return np.where(
        linear < SHOULDER, linear, SHOULDER + rest * (1 - np.exp(-(linear - SHOULDER) / rest))
    )


def develop(passes: Passes, development: Development) -> np.ndarray:
    """(H, W, 4) uint8 sRGB with straight alpha; empty pixels are black."""
    color = _bleed(passes.color * development.gain, passes.alpha)
    rgb = linear_to_srgb(tone(color)) * (passes.alpha[..., None] > 0)
    return to_bytes(np.concatenate([rgb, passes.alpha[..., None]], axis=-1))


def develop_albedo(passes: Passes) -> np.ndarray:
    """(H, W, 3) uint8 sRGB reflectance, black outside."""
    albedo = _bleed(passes.albedo, passes.alpha) * (passes.alpha[..., None] > 0)
    return to_bytes(linear_to_srgb(albedo))


def compose_photo(
    passes: Passes,
    development: Development,
    environment: np.ndarray,
    camera: Camera,
    rng: np.random.Generator,
) -> np.ndarray:
    """(H, W, 3) uint8: the hands before a defocused room, with sensor noise."""
    from scipy.ndimage import gaussian_filter

    color = _bleed(passes.color * development.gain, passes.alpha)
    alpha = gaussian_filter(passes.alpha, 0.5)[..., None]
    behind = background(environment, camera, rng)
    level = float(np.median(color[passes.alpha > 0.9])) if (passes.alpha > 0.9).any() else 0.3
    behind *= level * np.exp(rng.normal() * 0.6) / max(float(behind.mean()), 1e-6)
    mixed = tone(color * alpha + behind * (1 - alpha))
    sigma = rng.uniform(0.002, 0.008)
    mixed = mixed + rng.normal(size=mixed.shape) * sigma * np.sqrt(np.clip(mixed, 0.02, 1))
    return to_bytes(linear_to_srgb(mixed))


def background(environment: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) linear: what the lens sees of the room, out of focus."""
    from scipy.ndimage import gaussian_filter

    height, width = camera.height, camera.width
    rows, columns = np.mgrid[:height, :width]
    rays = np.stack(
        [
            (columns + 0.5 - camera.cx) / camera.fx,
            (rows + 0.5 - camera.cy) / camera.fy,
            np.ones((height, width)),
        ],
        axis=-1,
    )
    world = rays @ camera.world_to_camera[:3, :3]
    world /= np.linalg.norm(world, axis=-1, keepdims=True)
    deep, wide = ENVIRONMENT_SHAPE
    u = ((np.arctan2(world[..., 1], -world[..., 0]) / (2 * np.pi) + 0.5) * wide).astype(int) % wide
    v = np.clip(((np.arcsin(world[..., 2]) / np.pi + 0.5) * deep).astype(int), 0, deep - 1)
    room = np.log(np.maximum(environment[v, u], 1e-3)) * 0.5
    scale = width / 256
    seen = np.exp(gaussian_filter(room, (9 * scale, 9 * scale, 0)))
    seen /= seen.mean()
    blur = rng.uniform(4, 16) * scale
    for _ in range(int(rng.integers(2, 9))):
        # Furniture and frames: tilted rectangles of muted colour.
        angle = rng.normal() * 0.25
        x, y = columns - rng.uniform(0, width), rows - rng.uniform(0, height)
        along = np.abs(x * np.cos(angle) + y * np.sin(angle)) - rng.uniform(0.04, 0.35) * width
        across = np.abs(y * np.cos(angle) - x * np.sin(angle)) - rng.uniform(0.03, 0.4) * height
        soft = np.clip(0.5 - np.maximum(along, across) / blur, 0, 1)[..., None]
        paint = np.exp(rng.normal() * 0.55 + rng.normal(size=3) * rng.uniform(0.02, 0.12))
        seen = seen * (1 - soft) + soft * paint * seen.mean()
    for _ in range(int(rng.integers(0, 7)) if rng.random() < 0.35 else 0):
        gap = np.hypot(columns - rng.uniform(0, width), rows - rng.uniform(0, height))
        disc = np.clip(rng.uniform(3, 11) * scale - gap, 0, 1)[..., None]
        seen = seen + disc * rng.uniform(0.3, 2.0) * np.exp(rng.normal(size=3) * 0.15)
    cloud = gaussian_filter(rng.normal(size=(height, width)), rng.uniform(8, 30) * scale)
    fine = gaussian_filter(rng.normal(size=(height, width)), rng.uniform(0.8, 3) * scale)
    seen = gaussian_filter(seen, (0.4 * blur, 0.4 * blur, 0))
    texture = cloud / cloud.std() * rng.uniform(0.05, 0.3)
    texture += fine / fine.std() * rng.uniform(0, 0.02)
    return np.asarray(seen * np.exp(texture)[..., None])


def to_bytes(values: np.ndarray) -> np.ndarray:
    """uint8 of values in [0, 1], rounded."""
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _bleed(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colour of thin edge pixels from their solid neighbours; few samples make them noisy."""
    from scipy.ndimage import gaussian_filter

    solid = (alpha > 0.6).astype(np.float64)
    weight = np.maximum(gaussian_filter(solid, 1.2), 1e-4)[..., None]
    spread = gaussian_filter(color * solid[..., None], (1.2, 1.2, 0)) / weight
    return np.where(solid[..., None] > 0, color, spread)
