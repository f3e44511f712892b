"""Light, camera and outline of a synthetic photo: from skin pixels to the picture and its mask."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ...avatar import surface
from ...avatar.lighting import LAMBERT_BANDS, sh_basis, shade
from ...geometry.colour import linear_to_srgb
from ...geometry.sh import C0
from ..light import visibility
from ..observe import depth_behind, smoothstep
from ..uv_layout import LEVEL, bilinear
from .backdrop import noise_picture, paint_backdrop

SLEEVES = 0.25
NO_REST = 9.0
"""Coordinates of pixels that show no texel of the hand, metres."""


@dataclass(frozen=True)
class SkinPixels:
    """The M pixels that show skin, of either hand or the forearm."""

    hit: np.ndarray
    own: np.ndarray
    point: np.ndarray
    normal: np.ndarray
    uv: np.ndarray
    rest: np.ndarray
    openness: np.ndarray


def tint(rng: np.random.Generator, amount: float) -> np.ndarray:
    return np.exp(rng.normal(size=3) * [amount, 0.3 * amount, amount])


def soft_light(rng: np.random.Generator) -> np.ndarray:
    """(9, 3) ambient light, three soft lobes, often a strongly coloured surrounding."""
    bands = np.pi * LAMBERT_BANDS[[0, 1, 1, 1, 2, 2, 2, 2, 2]]
    lobe = lambda: (sh_basis(unit(rng.normal(size=3)), 9) * bands)[:, None]  # noqa: E731
    light = np.zeros((9, 3))
    light[0] = rng.uniform(0.25, 0.9) / C0 * tint(rng, 0.12)
    for _ in range(3):
        light += lobe() * rng.uniform(0, 0.45) * tint(rng, 0.15)
    if rng.random() < 0.6:
        light += lobe() * rng.uniform(0, 0.4) * np.exp(rng.normal(size=3) * 0.6)
    return light


def lit_skin(
    rng: np.random.Generator,
    pixels: SkinPixels,
    vertices: np.ndarray,
    skin: np.ndarray,
) -> np.ndarray:
    """(M, 3) linear colour of the covered pixels."""
    faces = surface("default", "right", LEVEL).faces
    at_uv = lambda image: bilinear(  # noqa: E731
        image, np.stack([pixels.uv[:, 0], 1 - pixels.uv[:, 1]], axis=1) * len(image)
    )
    # tendons and flesh that the mesh lacks: form of 6 mm and more, to be taken off as shade
    bumps = blurred(noise_picture(rng, (384, 384), (12, 24)), 5.0) * rng.uniform(0, 0.8)
    normal = unit(unit(pixels.normal) + at_uv(bumps))
    view = -unit(pixels.point)
    light = np.maximum(shade(soft_light(rng), normal), 0.03)
    light = light * visibility(pixels.openness)[:, None]
    rough = at_uv(noise_picture(rng, (384, 384), (2, 5))[..., :1])[:, 0]
    gloss = np.zeros(len(normal))
    for _ in range(int(rng.integers(0, 3))):
        direction = unit(rng.normal(size=3) * [1, 1, 0.8] + [0, -0.5, -0.6])
        reached = reached_by(rng, pixels.point, normal, vertices, faces, direction)
        direct = np.maximum(normal @ direction, 0) * reached
        light = light + direct[:, None] * rng.uniform(0.1, 1.1) * tint(rng, 0.15)
        half = np.maximum((normal * unit(direction + view)).sum(1), 0)
        shine = half ** rng.uniform(8, 60) * rng.uniform(0, 0.25)
        gloss += shine * reached * np.exp(0.5 * rough)
    linear = np.exp(at_uv(skin)) * light + (gloss * rng.uniform(0.3, 1))[:, None]
    middle = max(float(np.median(linear.mean(1))), 1e-6)
    return linear * (rng.uniform(0.12, 0.5) / middle) * tint(rng, 0.06)


def reached_by(
    rng: np.random.Generator,
    point: np.ndarray,
    normal: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    direction: np.ndarray,
) -> np.ndarray:
    """(M,) 0 to 1, how much of a lamp reaches each point past the hand and things elsewhere."""
    softness, reached = rng.uniform(0.0, 0.12), np.zeros(len(point))
    for _ in range(2):
        toward = unit(direction + rng.normal(size=3) * softness)
        slack = 0.003 + 0.004 * (1 - np.abs(normal @ toward))
        reached += 0.5 * (depth_behind(point, vertices, faces, toward, 256) < slack)
    if rng.random() < 0.3:
        wave = np.sin(point @ (rng.normal(size=3) * 40) + rng.uniform(0, 6))
        reached = reached * smoothstep(wave, -0.1, rng.uniform(-0.05, 0.4))
    return reached


def sleeved(
    rng: np.random.Generator, pixels: SkinPixels, linear: np.ndarray, size: int
) -> tuple[SkinPixels, np.ndarray]:
    """The pixels and their colours (M, 3), in a quarter of the photos with a sleeve or a cuff.

    It covers the forearm and often some millimetres of the wrist, and the outline that is found
    may take it for the hand.
    """
    rng = rng.spawn(1)[0]  # its draws move no other's
    if rng.random() >= SLEEVES:
        return pixels, linear
    own = pixels.own[pixels.hit]
    wrist = surface("default", "right", LEVEL).template[:, 0].max()
    reach = max(0.0, rng.uniform(-0.005, 0.018))
    under = (pixels.rest == NO_REST).all(1) | (own & (pixels.rest[:, 0] > wrist - reach))
    cloth = paint_backdrop(rng, size, np.median(linear, axis=0))[pixels.hit]
    linear, uv, rest, mask = linear.copy(), pixels.uv.copy(), pixels.rest.copy(), pixels.own.copy()
    linear[under], uv[under], rest[under] = cloth[under] * rng.uniform(0.2, 1), 9.0, NO_REST
    if rng.random() < 0.5:
        mask[pixels.hit] &= ~under
    return dataclasses.replace(pixels, uv=uv, rest=rest, own=mask), linear


def compose_picture(
    rng: np.random.Generator, pixels: SkinPixels, linear: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The linear picture (H, W, 3), and (H, W) bool where a thing is in front of the hand."""
    import cv2

    tone = np.median(linear, axis=0)
    picture = paint_backdrop(rng, size, tone)
    picture[pixels.hit] = linear
    occluded = np.zeros((size, size), np.uint8)
    if rng.random() < 0.3:
        centre = (rng.uniform(0, 1, 2) * size).astype(int).tolist()
        axes = ((rng.uniform(0.03, 0.16, 2) * size).astype(int) + 1).tolist()
        cv2.ellipse(occluded, centre, axes, rng.uniform(0, 180), 0, 360, (1,), -1)
        thing = paint_backdrop(rng, size, tone)
        picture[occluded > 0] = thing[occluded > 0]
    return picture, occluded > 0


def develop(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    """The photo (H, W, 3) sRGB that a camera makes of linear light."""
    import cv2

    if rng.random() < 0.5:
        shoulder = max(float(linear.max()), 1.3)
        linear = linear / (1 + (linear / shoulder) ** 4) ** 0.25
    linear = blurred(linear.astype(np.float32), rng.uniform(0.4, 0.8) + (rng.random() < 0.25))
    grain = rng.normal(size=linear.shape) * np.sqrt(np.maximum(linear, 0.01))
    encoded = linear_to_srgb(linear + rng.uniform(0, 0.015) * grain)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 98))]
    packed = cv2.imencode(".jpg", (encoded * 255 + 0.5).astype(np.uint8), quality)[1]
    return cv2.imdecode(packed, cv2.IMREAD_COLOR).astype(np.float32) / 255


def found_outline(
    rng: np.random.Generator, own: np.ndarray, occluded: np.ndarray, size: int
) -> np.ndarray:
    """(H, W) the mask as it is found: it bridges gaps and spills over here, erodes there."""
    import cv2

    disc = lambda r: cv2.getStructuringElement(  # noqa: E731
        cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1)
    )
    mask = (own & ~occluded if rng.random() < 0.6 else own).astype(np.uint8)
    # a good network's outline errs by a pixel or two, a colour model's by much
    reach = max(1, int(size * rng.uniform(0, 0.05 if rng.random() < 0.5 else 0.012)))
    wide = cv2.dilate(
        cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc(reach)), disc(max(1, reach // 3))
    )
    thin = cv2.erode(mask, disc(max(1, reach // 4)))
    field = noise_picture(rng, (size, size), (max(size // 4, 2), max(size // 8, 2)))[..., 0]
    level = rng.normal() * 0.4
    mask = np.where(field > level, wide, np.where(field < level - 0.6, thin, mask))
    return blurred(mask.astype(np.float32), 0.7)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(image, (0, 0), sigma)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
