"""What differs between two avatars, in figures and as a picture."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..avatar import Avatar, surface
from ..core.cameras import orbit_camera
from ..core.metrics import delta_e_2000
from ..export.bake import bake_color
from ..export.scene import build_scene
from ..geometry.colour import linear_to_lab, srgb_to_linear
from ..hand_model import rest_hand
from ..pictures.drawing import picture_of, points_of, shown_upright
from ..skin.uv_layout import bilinear, uv_layout
from .apply import EDITS_KEY, with_albedo
from .refine import splat_uv
from .size import hand_length
from .tone import described, tone_of

SIZE = 512
FULL_DELTA_E = 20.0
"""CIEDE2000 that is drawn in the last colour."""

BACKGROUND = (0.30, 0.30, 0.31)


def compared(first: Avatar, second: Avatar) -> dict[str, Any]:
    """Figures of both and of their difference, for programs and for printing.

    Returns:
        ``both``: what each is; ``hands``: by side that both have, lengths in millimetres, tone of
        the back and its CIEDE2000, CIEDE2000 of the skin over the layout (mean, 95 %), distance
        of the flat surfaces in millimetres, shape parameters that differ by more than a tenth of a
        standard deviation, evidence, whether the splats are the same.
    """
    sides = [s for s in first.sides if s in second.sides]
    both = {
        "hand_model": [first.hand_model, second.hand_model],
        "sides": [list(first.sides), list(second.sides)],
        "splats": [len(first), len(second)],
        "edits": [a.provenance.get(EDITS_KEY, "") for a in (first, second)],
        "photo": [a.provenance.get("photo", "") for a in (first, second)],
    }
    return {"both": both, "hands": {s: _hand_difference(first, second, s) for s in sides}}


def _hand_difference(first: Avatar, second: Avatar, side: str) -> dict[str, Any]:
    pair = (first, second)
    tones = [linear_to_lab(tone_of(a, side)) for a in pair]
    result: dict[str, Any] = {
        "length_mm": [round(1000 * hand_length(a, side), 1) for a in pair],
        "tone": [described(a, side) for a in pair],
        "tone_delta_e": round(float(delta_e_2000(*tones)), 2),
        "seen": [round(float((a.hand(side).evidence > 0.5).mean()), 3) for a in pair],
    }
    if first.hand_model != second.hand_model:
        return result
    off = skin_delta_e(first, second, side)
    result["skin_delta_e"] = [round(float(off.mean()), 2), round(float(np.quantile(off, 0.95)), 2)]
    model = surface(first.hand_model, side, 0)
    shapes = [a.hand(side).shape for a in pair]
    a, b = (rest_hand(model, s)[0] for s in shapes)
    result["surface_mm"] = round(1000 * float(np.linalg.norm(a - b, axis=1).mean()), 2)
    sigmas = (shapes[1] - shapes[0]) / np.maximum(model.shape_sigmas, 1e-9)
    result["shape"] = {
        n: round(float(v), 2) for n, v in zip(model.shape_names, sigmas) if abs(v) > 0.1
    }
    result["identical"] = _same(first, second, side)
    return result


def skin_delta_e(first: Avatar, second: Avatar, side: str, size: int = 256) -> np.ndarray:
    """(T,) CIEDE2000 of two avatars' reflectance over the covered texels of their layout."""
    layout = uv_layout(first.hand_model, size)
    lab = []
    for avatar in (first, second):
        scene = build_scene(avatar, sides=(side,)).hands[0]
        color = bake_color(avatar, scene, size).reshape(-1, 3)[layout.index] / 255
        lab.append(linear_to_lab(srgb_to_linear(color)))
    return delta_e_2000(*lab)


def _same(first: Avatar, second: Avatar, side: str) -> bool:
    a, b = first.hand(side), second.hand(side)
    return len(a) == len(b) and all(
        np.array_equal(getattr(a, n), getattr(b, n)) for n in ("albedo", "color", "opacity")
    )


def comparison(first: Avatar, second: Avatar, light: str = "studio") -> np.ndarray:
    """Both from the palm and the back in one light and size, then where their skin differs.

    Args:
        first, second: the avatars, which have a side in common.
        light: see :func:`hand_toolkit.avatar.lighting.shading_of`.

    Returns:
        (H, W, 3) uint8: a row of palms and a row of backs; the third column is the second avatar in
        colours from black over red to yellow for CIEDE2000 0 to 20 where the hand models are the
        same.
    """
    from ..core.errors import InputError

    sides = [s for s in first.sides if s in second.sides]
    if not sides:
        raise InputError(
            f"the avatars have no side in common: {', '.join(first.sides)} and "
            f"{', '.join(second.sides)}"
        )
    shown = [s for s in sides if any(a.hand(s).observed for a in (first, second))] or sides
    poses = [shown_upright(a, sides=tuple(shown)) for a in (first, second)]
    points = np.concatenate([points_of(a, *p) for a, p in zip((first, second), poses)])
    drawn: list[tuple[Avatar, Any, str]] = [
        (first, poses[0], light),
        (second, poses[1], light),
    ]
    if first.hand_model == second.hand_model:
        drawn.append((_heated(first, second, shown), poses[1], "flat"))
    rows = []
    for azimuth in (0.0, np.pi):
        camera = orbit_camera(points, SIZE, SIZE, azimuth)
        rows.append(
            np.concatenate(
                [picture_of(a, p[0], p[1], camera, BACKGROUND, lit).copy() for a, p, lit in drawn],
                1,
            )
        )
    return np.concatenate(rows)


def _heated(first: Avatar, second: Avatar, sides: list[str]) -> Avatar:
    """The second avatar in the colours of its difference from the first."""
    hands = []
    for hand in second.hands:
        if hand.side in sides:
            layout = uv_layout(first.hand_model, 256)
            off = skin_delta_e(first, second, hand.side)
            picture = layout.image((off / FULL_DELTA_E)[:, None])
            uv = splat_uv(surface(second.hand_model, hand.side, second.level), hand)
            heat = bilinear(picture, uv * [256, -256] + [0, 256]).clip(0, 1)
            colour = np.concatenate([heat * 2, heat * 2 - 1, heat * 0], axis=1).clip(0.01, 1)
            hand = with_albedo(hand, srgb_to_linear(colour))
        hands.append(hand)
    return dataclasses.replace(second, hands=tuple(hands))
