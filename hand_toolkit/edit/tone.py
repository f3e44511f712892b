"""Skin tone: to a colour, to a number of a scale, or by melanin and haemoglobin.

The back of the hand moves to the tone. Palm and nails have a fifth and less than half of its
melanin, so they do not move with it: they are as much paler than the back as those of pictured
people of the tone (``skin.template``), with what is the person's own kept. A lacquered nail stays.
All moves are smooth over the skin, so freckles, folds and veins keep their contrast.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..avatar import Avatar, AvatarHand
from ..core.errors import InputError
from ..geometry.colour import lab_to_linear, linear_to_lab, linear_to_srgb, srgb_to_linear
from ..skin.light import LUMINANCE
from ..skin.template import template_log_albedo
from ..skin.uv_layout import uv_layout
from ..synth.skin import MELANIN_ABSORPTION
from .apply import each_hand, linear_albedo, with_albedo
from .zones import Zones, zones_at, zones_of

HAEMOGLOBIN_ABSORPTION = np.array([0.08, 1.0, 0.92])
"""Relative optical density of blood in the linear R, G, B channels."""

PALM_MELANIN, NAIL_MELANIN = 0.2, 0.4
"""Of the back's: what the template's light and dark people differ by there, over what their backs
differ by."""

FITZPATRICK_ITA = (62.0, 48.0, 34.5, 19.0, -10.0, -48.0)
"""Degrees of individual typology angle of types I to VI: inside the classes very light, light,
intermediate, tan, brown and dark of Chardon et al. (1991) and Del Bino and Bernerd (2013)."""

MONK_SWATCHES = (
    "#f6ede4", "#f3e7db", "#f7ead0", "#eadaba", "#d7bd96",
    "#a07e56", "#825c43", "#604134", "#3a312a", "#292420",
)  # fmt: skip
"""The Monk Skin Tone scale (E. Monk, 2019; CC BY 4.0) as it is shown on screens."""

LIGHTEST_SKIN_L, DARKEST_SKIN_L = 73.0, 24.0
"""CIE L* of skin between which the swatches, 94 to 15, are put: they are colours of photographs of
faces in good light, brighter than skin's reflectance at the top, darker at the bottom."""

LOCUS = np.array(
    [
        [74.0, 8.8, 13.2],
        [70.0, 9.8, 15.0],
        [66.0, 10.0, 16.0],
        [61.0, 11.3, 17.6],
        [55.0, 12.2, 18.8],
        [48.0, 12.4, 18.8],
        [41.0, 11.8, 16.8],
        [34.0, 10.8, 14.4],
        [28.0, 9.2, 11.2],
        [24.0, 7.8, 9.0],
    ]
)
"""L*, a*, b* along which the skin of people lies, from light to dark: yellowest and reddest at
medium brown, greyer at both ends (as in the database of Xiao et al. 2017)."""

ZONE_LAB = {"palm": np.array([0.0, 1.0, -3.0]), "nail": np.array([0.0, 3.0, -5.0])}
"""How much redder and less yellow than skin of their lightness palms and nails are, L*a*b*."""

OWN_KEEPS = 0.5
"""Part of a person's own difference between palm and back, from that of people of the same tone,
that is left at a very different tone."""

LACQUER = 0.4
"""Difference of colour in log reflectance, without brightness, from a natural nail's, at which a
nail is as likely lacquered as not."""


@dataclass(frozen=True)
class Tone:
    """What skin is changed to.

    Attributes:
        name: as the user wrote it.
        target: (3,) linear reflectance of the back of the hand, or None.
        density: (3,) optical density, natural logarithm, added to the back where there is no
            target.
    """

    name: str
    target: np.ndarray | None = None
    density: np.ndarray | None = None


def parse_tone(text: str) -> Tone:
    """A tone from ``monk:7``, ``fitzpatrick:5``, ``#a0714f``, or ``melanin=0.3,haemoglobin=-0.1``.

    Raises:
        InputError: nothing of the kind, or a number off the scale.
    """
    word = text.strip().lower()
    scale, _, number = word.partition(":")
    if scale in ("monk", "fitzpatrick"):
        count = 10 if scale == "monk" else 6
        if not re.fullmatch(r"\d+", number) or not 1 <= int(number) <= count:
            raise InputError(
                f"the {scale} scale has no {number!r}; accepted is {scale}:1 to {count}"
            )
        which = monk_lab if scale == "monk" else fitzpatrick_lab
        return Tone(word, target=lab_to_linear(which(int(number))))
    if re.fullmatch(r"#[0-9a-f]{6}", word):
        return Tone(word, target=srgb_to_linear(hex_rgb(word)))
    if "=" in word:
        return Tone(word, density=_density(word))
    raise InputError(
        f"{text!r} is no skin tone; give monk:1 to 10, fitzpatrick:1 to 6, #rrggbb, or "
        "melanin=AMOUNT,haemoglobin=AMOUNT"
    )


def hex_rgb(text: str) -> np.ndarray:
    """(3,) sRGB in [0, 1] of ``#rrggbb``."""
    return np.array([int(text[k : k + 2], 16) for k in (1, 3, 5)]) / 255


def _density(word: str) -> np.ndarray:
    vectors = {"melanin": MELANIN_ABSORPTION, "haemoglobin": HAEMOGLOBIN_ABSORPTION}
    total = np.zeros(3)
    for part in word.split(","):
        name, _, amount = part.partition("=")
        try:
            value = float(amount)
        except ValueError:
            value = np.nan
        name = "haemoglobin" if name.strip() == "hemoglobin" else name.strip()
        if name not in vectors or not abs(value) <= 3:
            raise InputError(
                f"{part!r} is no amount; give melanin=AMOUNT or haemoglobin=AMOUNT, -3 to 3"
            )
        total += value * vectors[name]
    return total


def monk_lab(number: int) -> np.ndarray:
    """(3,) L*a*b* of skin of a Monk tone, 1 to 10."""
    light = [float(linear_to_lab(srgb_to_linear(hex_rgb(s)))[0]) for s in MONK_SWATCHES]
    part = (light[number - 1] - min(light)) / (max(light) - min(light))
    return _on_locus(DARKEST_SKIN_L + part * (LIGHTEST_SKIN_L - DARKEST_SKIN_L))


def fitzpatrick_lab(number: int) -> np.ndarray:
    """(3,) L*a*b* of skin of a Fitzpatrick type, 1 to 6, by its typology angle."""
    lightness = np.linspace(LOCUS[-1, 0], LOCUS[0, 0], 2000)
    lab = np.stack([_on_locus(v) for v in lightness])
    off = np.degrees(np.arctan2(lab[:, 0] - 50, lab[:, 2])) - FITZPATRICK_ITA[number - 1]
    return np.asarray(lab[np.abs(off).argmin()])


def _on_locus(lightness: float) -> np.ndarray:
    order = LOCUS[::-1]
    return np.array([np.interp(lightness, order[:, 0], order[:, k]) for k in range(3)])


def toned(avatar: Avatar, tone: Tone | str) -> Avatar:
    """The avatar with another skin tone; its light, nail lacquer and evidence stay.

    Args:
        avatar: the avatar.
        tone: what it becomes, or how :func:`parse_tone` reads it.

    Raises:
        InputError: a text that is no tone.
    """
    tone = parse_tone(tone) if isinstance(tone, str) else tone

    def change(hand: AvatarHand) -> AvatarHand:
        zones = zones_of(avatar.hand_model, avatar.level, hand)
        log = np.log(np.maximum(linear_albedo(hand), 3e-3))
        return with_albedo(hand, np.exp(log + _moves(log, hand.evidence, zones, tone)))

    return each_hand(avatar, change, f"tone {tone.name}")


def tone_of(avatar: Avatar, side: str) -> np.ndarray:
    """(3,) linear reflectance of the back of a hand: its median."""
    hand = avatar.hand(side)
    zones = zones_of(avatar.hand_model, avatar.level, hand)
    return np.exp(_middle(np.log(np.maximum(linear_albedo(hand), 3e-3)), zones.back > 0.9))


def described(avatar: Avatar, side: str) -> str:
    """The back's colour as #rrggbb."""
    red, green, blue = (linear_to_srgb(tone_of(avatar, side)) * 255 + 0.5).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _moves(log: np.ndarray, evidence: np.ndarray, zones: Zones, tone: Tone) -> np.ndarray:
    """(N, 3) what is added to log reflectance (N, 3)."""
    back = _middle(log, zones.back > 0.9)
    if tone.density is not None:
        share = zones.back + PALM_MELANIN * zones.palm * (1 - zones.nail)
        unpainted = 1 - _lacquer(log, zones, back)
        melanin, blood = _amounts(tone.density)
        # blood is under every skin, and shows through nails
        share = share + NAIL_MELANIN * zones.nail * unpainted
        bare = 1 - zones.nail * (1 - unpainted)
        return -(
            share[:, None] * melanin * MELANIN_ABSORPTION
            + bare[:, None] * blood * HAEMOGLOBIN_ABSORPTION
        )
    assert tone.target is not None
    step = np.log(np.maximum(tone.target, 3e-3)) - back
    keeps = OWN_KEEPS + (1 - OWN_KEEPS) * float(np.exp(-np.abs(step).mean() / 0.4))
    moves = np.tile(step, (len(log), 1))
    palm = (zones.palm > 0.9) & (zones.nail < 0.1)
    if palm.any():
        move = _zone_move(_middle(log, palm), "palm", back, step, keeps)
        moves += (zones.palm * (1 - zones.nail))[:, None] * (move - step)
    for finger in range(5):
        where = (zones.finger == finger) & (zones.nail > 0.8)
        if where.any():
            own = _middle(log, where)
            natural = 1 - _lacquer_of(own, back)
            here = (zones.nail * (zones.finger == finger))[:, None]
            move = natural * _zone_move(own, "nail", back, step, keeps)
            moves = moves * (1 - here) + here * move
    return moves


def _zone_move(
    own: np.ndarray, zone: str, back: np.ndarray, step: np.ndarray, keeps: float
) -> np.ndarray:
    """(3,) move of a zone of log reflectance ``own`` (3,) when its ``back`` (3,) moves by ``step``.

    What the back lies off skin's locus is the light's cast or the user's wish, of all zones alike.
    """
    before, after = (_usual(zone, _luminance(v)) for v in (back, back + step))
    cast, wish = (v - _skin(_luminance(v)) for v in (back, back + step))
    return after + wish - before - cast - (1 - keeps) * (own - before - cast)


def usual_skin(zone: str, back: np.ndarray) -> np.ndarray:
    """(3,) log reflectance of palms ("palm") or natural nails ("nail") of people with such a back.

    Args:
        zone: which.
        back: (3,) log reflectance of the back of the hand; a cast of its colour is kept.
    """
    luminance = _luminance(back)
    return _usual(zone, luminance) + back - _skin(luminance)


def _usual(zone: str, luminance: float) -> np.ndarray:
    """(3,) log reflectance of palms or nails of people whose back has that luminance.

    Their lightness is the template's; their colour lies on skin's locus there, redder: the
    template's dark palms are nearly grey.
    """
    lighter = float(np.exp(_offset(zone, luminance) @ LUMINANCE)) * luminance
    lightness = float(linear_to_lab(np.full(3, min(lighter, 0.75)))[0])
    lab = _on_locus(lightness) + ZONE_LAB[zone]
    return np.log(np.maximum(lab_to_linear(lab), 3e-3))


def _skin(luminance: float) -> np.ndarray:
    """(3,) log reflectance of skin of a linear luminance, on the locus."""
    lightness = float(linear_to_lab(np.full(3, luminance))[0])
    return np.log(np.maximum(lab_to_linear(_on_locus(lightness)), 3e-3))


def _luminance(log: np.ndarray) -> float:
    return float(np.exp(log) @ LUMINANCE)


def _offset(zone: str, luminance: float) -> np.ndarray:
    """(3,) log reflectance of palms or nails over the back's, of people of that tone."""
    places = _places()
    log = template_log_albedo(uv_layout("default", 256).uv, luminance)
    offset = np.median(log[places[zone]], axis=0) - np.median(log[places["back"]], axis=0)
    # pictured light palms are paler than other people's (docs/skin.md)
    return np.asarray(offset - (0.5 * _excess() if zone == "palm" else 0.0))


@lru_cache(maxsize=1)
def _excess() -> np.ndarray:
    places = _places()
    log = template_log_albedo(uv_layout("default", 256).uv, 1.0)
    return np.median(log[places["palm"]], axis=0) - np.median(log[places["back"]], axis=0)


@lru_cache(maxsize=1)
def _places() -> dict[str, np.ndarray]:
    from ..avatar import surface

    layout = uv_layout("default", 256)
    zones = zones_at(surface("default", "right", 1), layout.face, layout.barycentric)
    return {
        "back": zones.back > 0.9,
        "palm": (zones.palm > 0.9) & (zones.nail < 0.1),
        "nail": zones.nail > 0.8,
    }


def _lacquer(log: np.ndarray, zones: Zones, back: np.ndarray) -> np.ndarray:
    """(N,) how surely the nail at each place is lacquered."""
    result = np.zeros(len(log))
    for finger in range(5):
        where = (zones.finger == finger) & (zones.nail > 0.8)
        if where.any():
            own = _middle(log, where)
            result[zones.finger == finger] = _lacquer_of(own, back)
    return result


def _lacquer_of(own: np.ndarray, back: np.ndarray) -> float:
    """0 to 1 of a nail (3,) log: by its colour against a natural nail's beside such a back."""
    odd = own - usual_skin("nail", back)
    chroma = np.linalg.norm(odd - odd.mean())
    return float(1 / (1 + np.exp(-(chroma - LACQUER) / (0.15 * LACQUER))))


def _amounts(density: np.ndarray) -> tuple[float, float]:
    """Melanin and haemoglobin of a density that is a sum of the two."""
    both = np.stack([MELANIN_ABSORPTION, HAEMOGLOBIN_ABSORPTION], axis=1)
    melanin, blood = np.linalg.lstsq(both, density, rcond=None)[0]
    return float(melanin), float(blood)


def _middle(log: np.ndarray, where: np.ndarray) -> np.ndarray:
    """(3,) median; of everything where nothing is ``where``."""
    return np.median(log[where] if where.any() else log, axis=0)
