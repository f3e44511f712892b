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

    blotch = noise(position, 45, seed + 1, 3)
    grain = noise(position, 420, seed + 2, 3, 0.7)
    speckle = noise(position, 160, seed + 3, 2)
    flush = np.exp(
        look.mottling
        * (
            blotch[:, None] * np.array([0.035, -0.075, -0.065])
            + speckle[:, None] * np.array([0.01, -0.045, -0.045])
            + grain[:, None] * np.array([0.030, 0.045, 0.050])
        )
    )
    color = color * flush
    color = color * np.exp(-look.redness * _blood(texels)[:, None] * np.array([0.02, 0.24, 0.22]))
    relief = 0.10 * grain + 0.08 * speckle

    fold, fold_tone = _knuckle_folds(texels, rng, seed)
    relief -= 0.9 * look.wrinkles * fold
    color = color * np.exp(-look.wrinkles * fold_tone[:, None] * np.array([0.30, 0.50, 0.55]))
    crease, crease_tone = _creases(texels, rng, seed)
    relief -= 0.9 * look.creases * crease
    color = color * np.exp(-look.creases * crease_tone[:, None] * np.array([0.16, 0.42, 0.42]))
    if look.veins > 0.02:
        vein = _veins(texels, rng, seed)
        relief += 1.1 * look.veins * vein
        color = color * np.exp(-look.veins * vein[:, None] * np.array([0.30, 0.10, 0.03]))
    relief += 0.8 * look.tendons * _tendons(texels)
    color = _spots(texels, look, rng, color, palmar)
    if look.tattoo != "none" and (side == "right" or rng.random() < 0.5):
        from .tattoos import ink_coverage

        cover = ink_coverage(texels, look.tattoo, rng)
        cover = cover * (0.86 + 0.1 * speckle.clip(-1, 1))
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


def palmar_share(texels: TexelMap) -> np.ndarray:
    """0 on the back to 1 on the palm and the pads, smooth."""
    dorsal = texels.back.copy()
    for f in range(5):
        share = texels.finger_weight[:, f]
        dorsal = dorsal * (1 - share) + texels.dorsal[:, f] * share
    forearm = np.clip(-texels.palm[:, 0] / 0.25, 0, 1)
    return np.clip(0.5 - 1.6 * (dorsal + 0.1), 0, 1) * (1 - forearm)


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


def _finger_frame(texels: TexelMap, f: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance along finger ``f`` and the masks (dorsal, palmar) of its texels."""
    own = np.clip(texels.finger_weight[:, f] * 1.5, 0, 1)
    angle = texels.dorsal[:, f]
    return (
        texels.along[:, f],
        own * np.clip(angle * 1.5, 0, 1),
        own * np.clip(-angle * 1.4 + 0.15, 0, 1),
    )


def _blood(texels: TexelMap) -> np.ndarray:
    out = np.zeros(len(texels.index))
    for f in range(5):
        along, dorsal, palmar = _finger_frame(texels, f)
        reach = texels.bones[f].sum()
        joints = np.cumsum(texels.bones[f])
        out += 0.8 * dorsal * np.exp(-(((along - joints[0]) / 0.008) ** 2))
        out += 0.5 * dorsal * np.exp(-(((along - joints[1]) / 0.006) ** 2))
        out += palmar * np.clip((along - 0.72 * reach) / (0.2 * reach), 0, 1)
        knuckle = np.exp(-((along / 0.011) ** 2) - (texels.lateral[:, f] / 0.010) ** 2)
        if f:
            out += 0.7 * knuckle * np.clip(texels.back * 1.5, 0, 1)
    u, v = texels.palm.T
    palm = np.clip(-texels.back * 1.5, 0, 1) * (texels.finger == 0)
    out += palm * 0.7 * np.exp(-(((u - 0.25) / 0.3) ** 2) - ((np.abs(v) - 0.75) / 0.45) ** 2)
    return np.clip(out, 0, 1.2)


def _knuckle_folds(
    texels: TexelMap, rng: np.random.Generator, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Folds across the backs of the finger joints: relief depth and tone, 0 to 1."""
    warp = noise(texels.position, 170, seed + 20, 2) * 0.0011
    breaks = 0.65 + 0.5 * noise(texels.position, 300, seed + 21, 1)
    depth = np.zeros(len(texels.index))
    for f in range(5):
        along, dorsal, _ = _finger_frame(texels, f)
        own = np.flatnonzero(dorsal > 0.01)
        along, dorsal, lateral = along[own], dorsal[own], texels.lateral[own, f]
        for joint, (spread, count, amount) in enumerate(((0.0058, 6, 1.0), (0.0036, 4, 0.8))):
            centre = texels.bones[f][: joint + 1].sum() - 0.001
            for k in range(count):
                offset = (k - (count - 1) / 2) / count * 2 * spread + rng.normal() * 0.0003
                curve = np.sign(offset + 1e-9) * 9.0 * lateral**2
                width = rng.uniform(0.00028, 0.00042)
                line = np.exp(-(((along - centre - offset - curve + warp[own]) / width) ** 2))
                envelope = np.exp(-((offset / (1.1 * spread)) ** 2))
                depth[own] += amount * envelope * line * dorsal * rng.uniform(0.6, 1.0)
    depth = np.clip(depth * breaks, 0, 1)
    return depth, 0.55 * depth


def _creases(
    texels: TexelMap, rng: np.random.Generator, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Flexion creases of fingers, palm and wrist: relief depth and tone, 0 to 1."""
    warp = noise(texels.position, 120, seed + 30, 2) * 0.0013
    breaks = np.clip(0.8 + 0.5 * noise(texels.position, 210, seed + 31, 2), 0.15, 1)
    depth = np.zeros(len(texels.index))
    for f in range(5):
        along, _, palmar = _finger_frame(texels, f)
        own = np.flatnonzero(palmar > 0.01)
        along, palmar = along[own], palmar[own]
        first, second = texels.bones[f][0], texels.bones[f][:2].sum()
        places = [(0.45 * first, 0.7), (first - 0.001, 1.0), (first + 0.0022, 0.75), (second, 0.9)]
        for centre, amount in places[1 if f == 0 else 0 :]:
            line = np.exp(-(((along - centre + warp[own]) / 0.00055) ** 2))
            depth[own] = np.maximum(depth[own], amount * line * palmar)
    u, v = texels.palm.T
    palm = np.clip(-texels.back * 2.0 + 0.1, 0, 1)
    plane = np.stack([u + warp * 9, v + warp * 12], axis=1)
    jitter = lambda points: np.array(points) + rng.normal(size=np.shape(points)) * 0.025  # noqa: E731
    lines = (
        (jitter([[0.74, -1.02], [0.82, -0.5], [0.88, 0.05], [0.97, 0.42]]), 1.0),
        (jitter([[0.72, 1.0], [0.68, 0.5], [0.58, -0.1], [0.42, -0.65]]), 0.9),
        (jitter([[0.74, 1.0], [0.66, 0.48], [0.45, 0.10], [0.22, 0.03], [0.04, 0.18]]), 1.0),
        (jitter([[0.70, 0.05], [0.45, -0.05], [0.2, -0.08]]), 0.35),
        (jitter([[0.0, 1.1], [-0.02, 0.0], [0.0, -1.1]]), 0.7),
        (jitter([[-0.05, 1.1], [-0.065, 0.0], [-0.05, -1.1]]), 0.5),
    )
    metric = np.array([0.095, 0.036])
    for points, amount in lines:
        gap = polyline_distance(plane * metric, smooth_curve(points) * metric, 0.003)
        on_palm = palm * (texels.finger_weight[:, 1:].sum(1) < 0.5)
        depth = np.maximum(depth, amount * np.exp(-((gap / 0.0008) ** 2)) * on_palm)
    depth *= breaks
    fine = np.clip(1 - np.abs(noise(texels.position, 140, seed + 33, 2)) * 9, 0, 1)
    return depth + 0.12 * fine * palm, np.clip(depth, 0, 1)


def _veins(texels: TexelMap, rng: np.random.Generator, seed: int) -> np.ndarray:
    u, v = texels.palm.T
    warp = np.stack(
        [noise(texels.position, 30, seed + 40, 2), noise(texels.position, 30, seed + 41, 2)], 1
    )
    metric = np.array([0.095, 0.036])
    plane = np.stack([u, v], 1) * metric + warp * 0.004
    out = np.zeros(len(u))
    trunks = []
    for start in (-0.78, -0.12, 0.45, 0.95):
        end = 0.55 * start + rng.normal() * 0.3
        middle = start + rng.normal(size=3) * 0.16
        points = [
            [0.93, start],
            [0.66, middle[0]],
            [0.36, 0.8 * middle[1]],
            [0.0, end],
            [-0.9, end],
        ]
        trunks.append(smooth_curve(np.array(points)) * metric)
    joints = [np.array([trunks[i][14 + 6 * i], trunks[i + 1][6 + 9 * i]]) for i in range(3)]
    for path, width in [(t, rng.uniform(0.0011, 0.0019)) for t in trunks] + [
        (j, 0.0010) for j in joints
    ]:
        out = np.maximum(out, np.exp(-((polyline_distance(plane, path, 0.006) / width) ** 2)))
    back = np.clip((texels.back - 0.25) * 2.0, 0, 1) * (texels.finger_weight.sum(1) < 0.6)
    fade = np.clip(0.75 + 0.8 * noise(texels.position, 25, seed + 42, 1), 0, 1)
    return out * back * fade


def _tendons(texels: TexelMap) -> np.ndarray:
    u, v = texels.palm.T
    out = np.zeros(len(u))
    for end in (0.85, 0.25, -0.32, -0.85):
        line = 0.30 * end * (1 - u) + end * u
        out = np.maximum(out, np.exp(-(((v - line) / 0.075) ** 2)))
    back = np.clip((texels.back - 0.3) * 2, 0, 1) * (texels.finger_weight.sum(1) < 0.5)
    return out * back * np.clip((u - 0.1) / 0.3, 0, 1) * np.clip((0.98 - u) / 0.15, 0, 1)


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


def smooth_curve(points: np.ndarray, count: int = 40) -> np.ndarray:
    """(count, 2) cubic curve through (k, 2) points."""
    from scipy.interpolate import CubicSpline

    knots = np.linspace(0, 1, len(points))
    return CubicSpline(knots, points)(np.linspace(0, 1, count))


def polyline_distance(points: np.ndarray, path: np.ndarray, cutoff: float) -> np.ndarray:
    """(n,) distance of points (n, 2) from a polyline (k, 2); infinite beyond ``cutoff``."""
    from scipy.spatial import cKDTree

    steps = np.linspace(0, len(path) - 1, 12 * len(path))
    dense = np.stack([np.interp(steps, np.arange(len(path)), path[:, k]) for k in range(2)], 1)
    out = np.full(len(points), np.inf)
    low, high = dense.min(0) - cutoff, dense.max(0) + cutoff
    near = np.flatnonzero(((points > low) & (points < high)).all(1))
    out[near] = cKDTree(dense).query(points[near], distance_upper_bound=cutoff)[0]
    return out
