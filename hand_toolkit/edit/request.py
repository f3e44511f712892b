"""Edits asked for by name: the one way of the command line, the worker and Blender."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..avatar import Avatar
from ..core.errors import InputError
from ..core.options import split_settings
from .card import with_card_of
from .decals import Decal, decalled, read_decal
from .hair import haired
from .marks import freckled, lacquered, veined
from .metric import parse_ruler, with_ruler
from .paint import painted
from .size import parse_length, scaled, shaped, with_hand_length
from .tone import toned
from .trust import painted_out, trusted


@dataclass(frozen=True)
class EditRequest:
    """What is asked for, as users write it; done in this order.

    Attributes:
        scale: factor, or None.
        shapes: ``PARAMETER=SIGMAS`` each.
        hand_length: as :func:`parse_length` reads it, or "".
        card: the photo that shows a card, or the card's corners, or "".
        ruler: as :func:`parse_ruler` reads it, or "".
        tone: as :func:`parse_tone` reads it, or "".
        paints: painted pictures.
        freckles, veins, hair: amounts, or None.
        decals: picture, place, millimetres and degrees each.
        ink: whether decals stain the skin.
        lacquer: as :func:`lacquered` reads it, or "".
        side: hand of paint and decals, or None.
        seed: of freckles, veins and hair.
        trust: in the photo, or None; see :func:`trusted`.
        paint_outs: pictures of the photo's size, white where the photo is not believed.
        paint_out_skins: the same in the texture layout.
    """

    scale: float | None = None
    shapes: tuple[str, ...] = ()
    hand_length: str = ""
    card: str = ""
    ruler: str = ""
    tone: str = ""
    paints: tuple[Path, ...] = ()
    freckles: float | None = None
    veins: float | None = None
    hair: float | None = None
    decals: tuple[tuple[str, str, str, str], ...] = ()
    ink: bool = False
    lacquer: str = ""
    side: str | None = None
    seed: int = 0
    trust: float | None = None
    paint_outs: tuple[Path, ...] = ()
    paint_out_skins: tuple[Path, ...] = ()


def edited(avatar: Avatar, asked: EditRequest) -> Avatar:
    """The avatar after every edit that was asked for; the same one where none was.

    Raises:
        InputError: an edit that cannot be made.
    """
    # first what the photo says, then what is done to it
    if asked.trust is not None:
        avatar = trusted(avatar, asked.trust)
    for mask in asked.paint_outs:
        avatar = painted_out(avatar, mask)
    for mask in asked.paint_out_skins:
        avatar = painted_out(avatar, mask, layout=True, side=asked.side)
    if asked.scale is not None:
        avatar = scaled(avatar, asked.scale)
    if asked.shapes:
        changes = {n: number(n, v) for n, v in split_settings(asked.shapes).items()}
        avatar = shaped(avatar, changes)
    if asked.hand_length:
        avatar = with_hand_length(avatar, parse_length(asked.hand_length))
    if asked.card:
        avatar = with_card_of(avatar, asked.card)
    if asked.ruler:
        avatar = with_ruler(avatar, *parse_ruler(asked.ruler))
    if asked.tone:
        avatar = toned(avatar, asked.tone)
    for paint in asked.paints:
        avatar = painted(avatar, paint, asked.side)
    if asked.freckles is not None:
        avatar = freckled(avatar, asked.freckles, asked.seed)
    if asked.veins is not None:
        avatar = veined(avatar, asked.veins, asked.seed)
    for picture, place, size, angle in asked.decals:
        size_mm, degrees = number("the decal's size", size), number("its angle", angle)
        pixels = read_decal(picture)
        decal = Decal(pixels, place, size_mm, degrees, asked.ink, Path(picture).name)
        avatar = decalled(avatar, decal, asked.side)
    if asked.hair is not None:
        avatar = haired(avatar, asked.hair, asked.seed)
    if asked.lacquer:
        avatar = lacquered(avatar, asked.lacquer)
    return avatar


def number(name: str, text: str) -> float:
    """A number of a text.

    Raises:
        InputError: it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{name} is {text!r}; give a number") from None
