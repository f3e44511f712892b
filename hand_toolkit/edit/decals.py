"""Tattoos, henna, logos: a picture laid on the skin around a point."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..avatar import Avatar, surface
from ..core.errors import InputError
from ..geometry.colour import srgb_to_linear
from ..geometry.surfaces import at_surface
from ..hand_model import rest_hand
from ..skin.light import LUMINANCE
from ..skin.uv_layout import bilinear
from .apply import linear_albedo, recorded, with_albedo
from .chart import flattened, point_at
from .refine import is_loose, refined
from .size import photo_hand

SMALLEST_MM, LARGEST_MM = 2.0, 200.0
PIXEL_M = 2.5e-4
"""To which a decal is reduced: as far as splats are apart, so that its lines do not alias."""

BLACKEST = 0.035
"""Reflectance of black ink under skin, on light skin; it is never quite black."""

FINE = 0.4
"""Exponent of the skin's own relative brightness that shows through covering paint."""


@dataclass(frozen=True)
class Decal:
    """A picture on the skin.

    Attributes:
        picture: (H, W, 4) uint8 sRGB with straight alpha.
        place: as :func:`hand_toolkit.edit.chart.point_at` reads it.
        size_mm: its longer side on the skin.
        angle: degrees counterclockwise seen from outside; at 0 its top points to the fingertips.
        ink: whether it stains the skin, as tattoos and henna do, or covers it.
        name: for the record.
    """

    picture: np.ndarray
    place: str
    size_mm: float
    angle: float = 0.0
    ink: bool = False
    name: str = "picture"

    def __post_init__(self) -> None:
        if not SMALLEST_MM <= self.size_mm <= LARGEST_MM:
            raise InputError(
                f"a decal of {self.size_mm:g} mm; accepted is {SMALLEST_MM:g} to {LARGEST_MM:g}"
            )
        if not np.isfinite(self.angle):
            raise InputError(f"a decal's angle is {self.angle}; give degrees")


def read_decal(path: str | Path) -> np.ndarray:
    """(H, W, 4) uint8 of a picture with transparency.

    Raises:
        InputError: no picture, or one without transparency.
    """
    from PIL import Image

    path = Path(path)
    if not path.is_file():
        raise InputError(f"the decal {path} does not exist; check the path")
    try:
        with Image.open(path) as picture:
            if "A" not in picture.getbands() and "transparency" not in picture.info:
                raise InputError(
                    f"{path.name} has no transparency and would be a square patch; give a PNG with "
                    "alpha"
                )
            picture.thumbnail((4096, 4096))
            return np.asarray(picture.convert("RGBA"))
    except OSError as error:
        raise InputError(f"cannot read {path.name}: {error}; give a PNG") from None


def decalled(avatar: Avatar, decal: Decal, side: str | None = None) -> Avatar:
    """The avatar with a decal on one hand.

    Args:
        avatar: the avatar.
        decal: the picture and where it goes.
        side: which hand; None is the one that the photo showed, or the right one.

    Raises:
        InputError: a place that is not on the skin.
    """
    if side is None:
        side = photo_hand(avatar).side
    hand = avatar.hand(side)
    model = surface(avatar.hand_model, side, avatar.level)
    vertices = rest_hand(model, hand.shape)[0]
    point = point_at(model, hand.shape, decal.place)
    picture, pixel = _reduced(decal)
    half = np.array([picture.shape[1], picture.shape[0]]) * pixel / 2
    flat = flattened(model, vertices, point, float(np.linalg.norm(half)) + 0.006)
    turn = np.radians(-decal.angle)
    cos, sin = np.cos(turn), np.sin(turn)
    flat = flat @ np.array([[cos, -sin], [sin, cos]]).T
    inside = (np.abs(flat) < half + 0.003).all(axis=1)
    faces = np.isin(model.faces, np.flatnonzero(inside)).any(axis=1)
    faces &= np.isfinite(flat[model.faces]).all(axis=(1, 2))
    hand = refined(avatar, hand, faces)
    binding = hand.binding
    on = faces[binding.triangle] & ~is_loose(hand)
    at = at_surface(flat, model.faces, binding.triangle[on], binding.barycentric[on])
    at = np.stack([at[:, 0] + half[0], half[1] - at[:, 1]], axis=1) / pixel
    seen = bilinear(np.pad(picture, ((1, 1), (1, 1), (0, 0))), at + 1)
    alpha = seen[:, 3:]
    paint = seen[:, :3] / np.maximum(alpha, 1e-6)
    skin = linear_albedo(hand)
    albedo = skin.copy()
    albedo[on] = (1 - alpha) * skin[on] + alpha * _laid(skin[on], paint, alpha, decal.ink)
    changed = with_albedo(hand, albedo)
    hands = tuple(changed if h.side == side else h for h in avatar.hands)
    kind = "ink" if decal.ink else "decal"
    record = f"{kind} {decal.name} on the {side} {decal.place}, {decal.size_mm:g} mm"
    return recorded(dataclasses.replace(avatar, hands=hands), record)


def _laid(skin: np.ndarray, paint: np.ndarray, alpha: np.ndarray, ink: bool) -> np.ndarray:
    """Linear reflectance (N, 3) of paint (N, 3) on skin (N, 3)."""
    if ink:
        # light passes the ink on its way into the skin and back
        return skin * np.clip(BLACKEST / 0.4 + (1 - BLACKEST / 0.4) * paint, 0, 1)
    bright = skin @ LUMINANCE
    usual = np.average(bright, weights=alpha[:, 0] + 1e-9)
    fine = np.clip(bright / max(usual, 1e-4), 0.4, 1.3) ** FINE
    return paint * fine[:, None]


def _reduced(decal: Decal) -> tuple[np.ndarray, float]:
    """(H, W, 4) linear colours times alpha, and alpha, and the size of a pixel in metres."""
    import cv2

    rgb, alpha = decal.picture[..., :3] / 255, decal.picture[..., 3:] / 255
    whole = np.concatenate([srgb_to_linear(rgb) * alpha, alpha], axis=2)
    longest = max(whole.shape[:2])
    wanted = max(8, round(decal.size_mm / 1000 / PIXEL_M))
    if wanted < longest:
        high, wide = (max(1, round(n * wanted / longest)) for n in whole.shape[:2])
        whole = cv2.resize(whole, (wide, high), interpolation=cv2.INTER_AREA)
        longest = wanted
    return whole, decal.size_mm / 1000 / longest
