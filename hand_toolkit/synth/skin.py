"""Bakes a subject's skin: albedo and a detail map per hand, from a skin picture or from nothing.

The skins give about one texel a millimetre on a hand, so everything finer is drawn here in
rest-surface coordinates: creases, knuckle folds, veins, nails, freckles, ink.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..geometry.colour import srgb_to_linear
from .appearance import Appearance
from .markings import (
    FLUSH,
    blood,
    creases,
    knuckle_wrinkles,
    mottle,
    palmar_share,
    tendons,
    veins,
)
from .noise import noise
from .texels import SKIN_SIZE, TexelMap

MELANIN_ABSORPTION = np.array([0.55, 0.95, 1.25])
"""Relative optical density of melanin in the linear R, G, B channels."""


@dataclass(frozen=True)
class BakedSkin:
    """Textures of one hand.

    Attributes:
        albedo: (H, W, 3) float32 linear reflectance, row 0 on top.
        detail: (H, W, 3) float32: relief in millimetres about 0, nail 0..1, gloss 0..1.
    """

    albedo: np.ndarray
    detail: np.ndarray


def load_skin(path: Path) -> np.ndarray:
    """(2048, 2048, 3) uint8 skin picture.

    Raises:
        InputError: not a readable square picture of at least 1024 pixels.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            pixels = picture.convert("RGB")
    except OSError as error:
        raise InputError(f"cannot read the skin {path.name}: {error}; give a PNG or JPEG") from None
    if pixels.width != pixels.height or pixels.width < 1024:
        raise InputError(
            f"the skin {path.name} is {pixels.width}x{pixels.height}; accepted are square "
            "pictures in MakeHuman's texture layout, 1024 pixels or more"
        )
    if pixels.width != SKIN_SIZE:
        pixels = pixels.resize((SKIN_SIZE, SKIN_SIZE), Image.Resampling.LANCZOS)
    return np.asarray(pixels)


def bake(texels: TexelMap, look: Appearance, skin: np.ndarray | None, side: str) -> BakedSkin:
    """Draw the skin of one hand.

    Args:
        texels: of that hand.
        look: the subject.
        skin: picture from :func:`load_skin`, None for the procedural skin.
        side: "right" or "left"; the two hands differ in noise, not in character.
    """
    seed = look.seed + (0 if side == "right" else 1)
    rng = np.random.default_rng([seed, 11])
    position = texels.position
    color = _base_color(texels, look, skin, seed)
    palmar = palmar_share(texels)
    density = look.melanin * (1 - 0.65 * palmar * float(look.melanin > 0))
    color = color * np.exp(-density[:, None] * MELANIN_ABSORPTION) * np.array(look.hue)

    spots = mottle(position, seed)
    flush = sum(FLUSH[name] * value[:, None] for name, value in spots.items())
    color = color * np.exp(look.mottling * flush)
    color = color * np.exp(-look.redness * blood(texels)[:, None] * np.array([0.02, 0.24, 0.22]))
    relief = 0.10 * spots["grain"] + 0.08 * spots["speckle"]

    fold = knuckle_wrinkles(texels, seed)
    relief -= 0.9 * look.wrinkles * fold
    color = color * np.exp(-look.wrinkles * 0.55 * fold[:, None] * np.array([0.30, 0.50, 0.55]))
    crease, fine = creases(texels, seed)
    relief -= 0.9 * look.creases * (crease + 0.3 * fine)
    tone = np.clip(crease + 0.3 * fine, 0, 1)
    color = color * np.exp(-look.creases * tone[:, None] * np.array([0.16, 0.42, 0.42]))
    if look.veins > 0.02:
        vein = veins(texels, seed)
        relief += 1.1 * look.veins * vein
        color = color * np.exp(-look.veins * vein[:, None] * np.array([0.30, 0.10, 0.03]))
    relief += 0.8 * look.tendons * tendons(texels)
    color = _spots(texels, look, rng, color, palmar)
    if look.tattoo != "none" and (side == "right" or rng.random() < 0.5):
        from .tattoos import ink_coverage

        cover = ink_coverage(texels, look.tattoo, rng)
        cover = cover * (0.86 + 0.1 * spots["speckle"].clip(-1, 1))
        color = color * (1 - cover[:, None]) + cover[:, None] * (
            np.array(look.tattoo_color) + 0.06 * color
        )
    color, relief, nail, gloss = _nails(texels, look, color, relief)
    color, relief, gloss = _rings(texels, look, color, relief, gloss)
    color = np.clip(color, 0.004, 0.92)
    detail = np.stack([relief, nail, gloss], axis=1)
    return BakedSkin(
        texels.image(color.astype(np.float32)), texels.image(detail.astype(np.float32))
    )


def _base_color(
    texels: TexelMap, look: Appearance, skin: np.ndarray | None, seed: int
) -> np.ndarray:
    """(n, 3) linear colour before shifts."""
    if skin is None:
        palmar = palmar_share(texels)[:, None]
        tone = np.array([0.60, 0.36, 0.25]) * (1 - palmar) + palmar * np.array([0.64, 0.38, 0.28])
        return tone * np.exp(0.05 * noise(texels.position, 20, seed + 9, 2))[:, None]
    import cv2

    height, width = texels.shape
    canvas = np.zeros((height, width, 3), dtype=np.float32)
    for island in texels.islands:
        x0, y0, x1, y1 = island.source
        padded = np.pad(skin, ((8, 8), (8, 8), (0, 0)), mode="edge")
        crop = padded[y0 + 8 : y1 + 8, x0 + 8 : x1 + 8].astype(np.float32) / 255
        a, b, c, d = island.target
        canvas[b:d, a:c] = cv2.resize(crop, (c - a, d - b), interpolation=cv2.INTER_CUBIC)
    return srgb_to_linear(np.clip(canvas.reshape(-1, 3)[texels.index], 0, 1))


def _spots(
    texels: TexelMap,
    look: Appearance,
    rng: np.random.Generator,
    color: np.ndarray,
    palmar: np.ndarray,
) -> np.ndarray:
    """Freckles and moles at random surface points, none on the palm."""
    from scipy.spatial import cKDTree

    tree = cKDTree(texels.position)
    counts = (int(420 * look.freckles), int(rng.poisson(5 * look.moles)))
    ranges = (((0.0005, 0.0013), (0.15, 0.5)), ((0.0006, 0.0017), (0.6, 1.6)))
    for count, (radii, strengths) in zip(counts, ranges):
        for centre in rng.integers(0, len(texels.index), count):
            radius, strength = rng.uniform(*radii), rng.uniform(*strengths)
            near = np.array(tree.query_ball_point(texels.position[centre], 2.4 * radius))
            gap = np.linalg.norm(texels.position[near] - texels.position[centre], axis=1)
            amount = strength * np.exp(-((gap / radius) ** 4)) * (1 - palmar[near])
            color[near] *= np.exp(-amount[:, None] * MELANIN_ABSORPTION)
    return color


def nail_coordinates(texels: TexelMap, f: int) -> tuple[np.ndarray, np.ndarray]:
    """Across (-1..1 inside) and along (0 root .. 1 edge) coordinates of finger ``f``'s nail."""
    tip = texels.bones[f].sum()
    own = texels.finger_weight[:, f] > 0.5
    dorsal = texels.dorsal[:, f]
    distal = own & (texels.along[:, f] > texels.bones[f][:2].sum()) & (dorsal > 0.2)
    # The outermost texel stands for the fingertip; the keypoint lies inside the flesh.
    end = texels.along[own, f].max() if own.any() else tip
    length = 0.62 * texels.bones[f][2] + 0.001
    half = np.abs(texels.lateral[distal, f]).max() * 0.80 if distal.any() else 0.005
    centre = np.median(texels.lateral[distal, f]) if distal.any() else 0.0
    along = (texels.along[:, f] - (end - 0.0012 - length)) / length
    across = (texels.lateral[:, f] - centre) / half
    across = np.where(distal | (own & (dorsal > -0.1)), across, 9.0)
    return across, along


def _nails(
    texels: TexelMap, look: Appearance, color: np.ndarray, relief: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    nail = np.zeros(len(texels.index))
    gloss = np.zeros(len(texels.index))
    for f in range(5):
        across, along = nail_coordinates(texels, f)
        centred = 2 * along - 1
        root = np.clip(-centred, 0, 1)
        outline = np.abs(across) ** (2.6 + 2 * np.clip(centred, 0, 1)) + np.abs(centred) ** 3.2
        inside = np.clip((1.0 - outline) / 0.16, 0, 1)
        fold = np.exp(-(((outline - 1.12) / 0.17) ** 2)) * (np.abs(across) < 1.5)
        fold = fold * (along < 0.9)
        if look.polish:
            plate = np.broadcast_to(np.array(look.nail), color.shape)
        else:
            bed = color * np.array([1.06, 0.86, 0.86]) * np.array(look.nail)
            bed = 0.55 * bed + 0.45 * bed.mean(0)
            pale = 0.35 * color + 0.65 * np.array([0.66, 0.52, 0.43]) * np.clip(
                color.mean() / 0.32, 0.45, 1.1
            )
            moon = np.exp(-(((along - 0.03) / 0.14) ** 2) - (across / 0.5) ** 2)
            edge = np.clip((along - (1 - look.nail_length) - 0.05 * across**2) / 0.05, 0, 1)
            mix = np.clip(0.55 * moon + 0.9 * edge, 0, 1)[:, None]
            plate = bed * (1 - mix) + pale * mix
        color = color * (1 - inside[:, None]) + plate * inside[:, None]
        color = color * np.exp(-0.5 * fold * inside * (1 - root * 0.4))[:, None] ** np.array(
            [0.6, 1.0, 1.0]
        )
        color = color * np.exp(-0.22 * fold[:, None] * np.array([0.5, 1.2, 1.2]))
        relief = relief * (1 - inside) + inside * 0.15 - 0.25 * fold * (1 - inside)
        nail = np.maximum(nail, inside)
        gloss = np.maximum(gloss, inside * (1.0 if look.polish else 0.55))
    return color, relief, nail, gloss


def _rings(
    texels: TexelMap, look: Appearance, color: np.ndarray, relief: np.ndarray, gloss: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    for ring in look.rings:
        f, phalanx, width = int(ring[0]), int(ring[1]), ring[5]
        start = texels.bones[f][:phalanx].sum()
        centre = start + 0.5 * texels.bones[f][phalanx]
        own = texels.finger_weight[:, f] > 0.5
        inside = own * np.clip((0.5 * width - np.abs(texels.along[:, f] - centre)) / 0.0005, 0, 1)
        color = color * (1 - inside[:, None]) + inside[:, None] * np.array(ring[2:5])
        relief = relief + 0.3 * inside
        gloss = np.maximum(gloss, 0.5 * inside)
    return color, relief, gloss
