"""One person's own lines on skin that no photo shows.

The completion network's bank holds means of people: nobody's palm lines, the same streaks on every
hand. Here a seed that stands for the person draws a palm's lines, the fingers' creases, knuckles'
wrinkles, tendons and veins, in the strength that the photo's seen skin has. Meshes get relief from
it as from the photo's own lines: what is finely darker is deep (``export.skin_material``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..avatar import surface
from ..geometry.surfaces import vertex_normals
from ..synth.markings import (
    FLUSH,
    blood,
    creases,
    knuckle_wrinkles,
    mottle,
    palmar_share,
    skin_lines,
    tendons,
    uneven,
    veins,
)
from ..synth.surface import load_surface
from ..synth.texels import SkinPlaces
from .observe import smoothstep
from .uv_layout import LEVEL, UVLayout, uv_layout
from .uv_observation import CHANNELS, UVObservation, weighted_median

CREASE = {"light": np.array([0.52, 0.80, 0.85]), "dark": np.array([0.90, 1.00, 1.00])}
"""Log colour that the deepest line takes off a light palm, where blood shows, and off a dark one,
whose lines are pigmented."""

WRINKLE = {"light": np.array([0.40, 0.56, 0.60]), "dark": np.array([0.62, 0.70, 0.70])}
"""The same of knuckles' wrinkles."""

VEIN = np.array([0.27, 0.13, 0.08])
"""Log colour that veins take off light skin."""

RIDGE, VALLEY = 0.07, 0.03
"""Log luminance that the strongest tendon gains, and the hollows beside it lose: open sky is
smaller there. Hands at rest show little of them."""

NET = 0.16
"""Depth of the back's fine net, a knuckle's deepest wrinkle 1."""

UNEVEN = {"pads": (0.16, 0.15), "dents": (0.12, 0.16), "pores": (0.05, 0.07)}
"""Log luminance, of palm and of back, of a unit of noise of 1 cm, of 4 mm and of 2 mm; chosen by
drawing skin beside that of clear photos."""

RED = np.array([0.01, 0.10, 0.09])
"""Log colour that blood takes off knuckles and fingertips."""

BROAD_M, PLAIN = 0.006, 0.9
"""Standard deviation of the blur, metres, and part of it that is taken off again: the network knows
how dark a joint is with all its lines, and lines are to be no tone."""

LIGHT, DARK = 0.36, 0.12
"""Linear luminance of skin that is light, and that is dark, altogether."""


@dataclass(frozen=True)
class Person:
    """What one person's skin has of everything; 1 is the mean, 0 none.

    Attributes:
        seed: of all courses.
        creases, wrinkles, veins, tendons, mottle: strengths; flush may be below 0.
    """

    seed: int
    creases: float
    wrinkles: float
    veins: float
    tendons: float
    mottle: float
    flush: float

    @classmethod
    def of(cls, seed: int) -> Person:
        """The person whom a seed stands for."""
        rng = np.random.default_rng([seed, 5])
        return cls(
            seed,
            creases=rng.uniform(0.7, 1.2),
            wrinkles=rng.uniform(0.7, 1.3),
            veins=max(0.1, rng.normal(0.8, 0.45)),
            tendons=rng.uniform(0.5, 1.4),
            mottle=rng.uniform(0.6, 1.3),
            flush=rng.normal(0.2, 0.5),
        )


def person_of(pixels: np.ndarray) -> int:
    """A seed that is the same for the same picture (H, W, 3), whatever its hands."""
    data = (np.clip(pixels, 0, 1) * 255).astype(np.uint8).tobytes()
    return int.from_bytes(hashlib.blake2s(data, digest_size=4).digest(), "little")


TYPICAL = 0.04
"""Standard deviation of log luminance between ``BAND`` that a clear photo of a hand shows."""

STRENGTH = (0.45, 1.3)
"""Least and largest strength of detail for what the photo shows; it shows noise, too."""

PLAINLY = 0.7
"""Most strength of what has no lines: mottles and unevenness."""

LOOSELY = 0.6
"""Power of what is measured in the strength: palms have more lines than backs."""

BAND = (1.0, 5.0)
"""Standard deviations of the Gaussians, texels at 512, between which detail is measured."""

PIXEL = 0.45
"""Standard deviation of a photo's blur, pixels."""


TEXEL_M = 7.2e-4
"""Side of a texel of the layout at 512, on the mean."""

LEAST_BLUR = 0.3
"""Texels of blur that show."""


@dataclass(frozen=True)
class Clarity:
    """How clear detail is on the skin that a photo shows.

    Attributes:
        strength: of its detail over a typical photo's, within ``STRENGTH``.
        blur_m: standard deviation of the photo's blur on the skin, metres.
    """

    strength: float
    blur_m: float


def clarity(
    seen: UVObservation, shade: np.ndarray, belief: np.ndarray, layout: UVLayout
) -> Clarity:
    """Measure seen skin.

    Args:
        seen: the photo; shade: (N, 3) what is taken off it; belief: (N,) 0 to 1.
        layout: of all of them.
    """
    from scipy.ndimage import gaussian_filter

    rim = seen.inputs[:, [CHANNELS.index("rim"), CHANNELS.index("beside")]].max(axis=1)
    facing = smoothstep(seen.inputs[:, CHANNELS.index("facing")], 0.3, 0.7)
    sure = belief * smoothstep(seen.seen, 0.3, 0.9) * (1 - rim) * facing
    if sure.sum() < 1e-3 * len(sure):
        return Clarity(1.0, 0.0)
    value = (seen.log_albedo - shade).mean(axis=1)
    mask = layout.image(sure[:, None])[..., 0] * layout.covered
    scaled = [b * layout.size / 512 for b in BAND]
    soft = [
        gaussian_filter(layout.image(value[:, None])[..., 0] * mask, b)
        / np.maximum(gaussian_filter(mask, b), 1e-3)
        for b in scaled
    ]
    inside = (mask * smoothstep(gaussian_filter(mask, scaled[1]), 0.5, 0.9)).ravel()[layout.index]
    band = (soft[0] - soft[1]).ravel()[layout.index]
    if inside.sum() < 1e-3 * len(sure):
        return Clarity(1.0, 0.0)
    # without nails' edges, rings and specks, which are no skin
    spread = 1.4826 * weighted_median(np.abs(band)[:, None], inside)[0]
    per_mm = np.exp(2 * np.average(seen.inputs[:, CHANNELS.index("resolution")], weights=inside))
    strength = np.clip((spread / TYPICAL) ** LOOSELY, *STRENGTH)
    return Clarity(float(strength), float(PIXEL * 1e-3 / per_mm))


@lru_cache(maxsize=2)
def places_of(layout: UVLayout) -> SkinPlaces:
    """Where a layout's texels lie on the hand; of the default hand's layout."""
    model, drawn = surface("default", "right", LEVEL), load_surface("right")
    normals = vertex_normals(model.template, model.faces)
    return SkinPlaces.of(
        layout.rest,
        layout.at(normals),
        layout.at(model.weights),
        drawn.keypoints,
        drawn.flexion_axes,
    )


def own_detail(
    person: Person, luminance: float, layout: UVLayout, clear: Clarity | None = None
) -> np.ndarray:
    """(N, 3) log albedo of a person's detail about none.

    Args:
        person: whose.
        luminance: linear luminance of the skin's albedo.
        layout: of any hand model.
        clear: what the photo shows of detail; None: a clear photo.
    """
    from scipy.ndimage import gaussian_filter

    own = uv_layout("default", layout.size)
    detail = _drawn(person, luminance, own, 1.0 if clear is None else clear.strength)
    if clear is not None:
        sigma = clear.blur_m / TEXEL_M * own.size / 512
        if sigma > LEAST_BLUR:
            wide = gaussian_filter(own.image(detail), (sigma, sigma, 0))
            detail = wide.reshape(-1, 3)[own.index]
    if layout is not own:
        detail = own.look_up(own.image(detail), layout.uv)
    return detail


@dataclass(frozen=True, eq=False)
class _Maps:
    """What a person's skin shows where, at N texels: depths, 0 to 1, and log colours (N, 3)."""

    crease: np.ndarray
    fold: np.ndarray
    vein: np.ndarray
    plain: np.ndarray


@lru_cache(maxsize=1)
def _maps(person: Person, layout: UVLayout) -> _Maps:
    """Kept for the other hand."""
    places, seed = places_of(layout), person.seed % 2**31
    palm = _palm(layout)
    ridge = tendons(places, 0.1, seed)
    hollow = tendons(places, 0.3, seed) * (1 - ridge)
    line, fine = creases(places, seed)
    fold = knuckle_wrinkles(places, seed) + NET * skin_lines(places, seed)
    spots = mottle(places.position, seed)
    flush = sum(FLUSH[name] * value[:, None] for name, value in spots.items())
    scales = zip(UNEVEN.values(), uneven(places.position, seed))
    bumps = sum((back + (front - back) * palm) * value for (front, back), value in scales)
    bumps = person.mottle * bumps + person.tendons * (RIDGE * ridge - VALLEY * hollow)
    return _Maps(
        crease=person.creases * (line + 0.35 * fine),
        fold=person.wrinkles * fold,
        vein=person.veins * veins(places, seed),
        plain=person.mottle * flush + bumps[:, None],
    )


@lru_cache(maxsize=2)
def _palm(layout: UVLayout) -> np.ndarray:
    return palmar_share(places_of(layout))


@lru_cache(maxsize=2)
def _blood(layout: UVLayout) -> np.ndarray:
    return blood(places_of(layout))


def _drawn(person: Person, luminance: float, layout: UVLayout, strength: float) -> np.ndarray:
    maps = _maps(person, layout)
    span = np.log(LIGHT) - np.log(DARK)
    light = float(np.clip((np.log(max(luminance, 1e-3)) - np.log(DARK)) / span, 0, 1))
    lines = maps.crease[:, None] * _between(CREASE, light)
    lines = lines + maps.fold[:, None] * _between(WRINKLE, light)
    lines += light * (person.flush * _blood(layout)[:, None] * RED + maps.vein[:, None] * VEIN)
    # a wrinkled palm tells of lines, not of blotches
    total = min(strength, PLAINLY) * maps.plain - strength * lines
    return total - PLAIN * _broad(total, layout)


def _broad(values: np.ndarray, layout: UVLayout) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    sigma = BROAD_M / TEXEL_M * layout.size / 512
    mask = layout.covered.astype(np.float64)
    share = np.maximum(gaussian_filter(mask, sigma), 1e-3)
    wide = gaussian_filter(layout.image(values) * mask[..., None], (sigma, sigma, 0))
    return np.asarray((wide / share[..., None]).reshape(-1, values.shape[1])[layout.index])


def _between(pair: dict[str, np.ndarray], light: float) -> np.ndarray:
    return light * pair["light"] + (1 - light) * pair["dark"]
