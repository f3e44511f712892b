"""Nail lacquer, freckles and veins."""

from __future__ import annotations

import numpy as np

from ..avatar import Avatar, AvatarHand, surface
from ..core.conventions import FINGERS
from ..core.errors import InputError
from ..geometry.colour import srgb_to_linear
from ..geometry.surfaces import at_surface
from ..hand_model import rest_hand
from ..skin.light import LUMINANCE
from ..skin.template import detail_log_albedo
from ..synth.markings import polyline_distance, smooth_curve
from ..synth.noise import noise
from ..synth.skin import MELANIN_ABSORPTION
from .apply import each_hand, linear_albedo, with_albedo
from .refine import FINE_M, is_loose, refined, rest_points, splat_uv
from .tone import hex_rgb, usual_skin
from .zones import MAPPED, zones_of

LACQUER_FINE = 0.3
"""Exponent of a nail's own relative brightness under lacquer: its curve and its ridges."""

FRECKLES = 260
"""Freckles of a hand at amount 1."""

VEIN_ABSORPTION = np.array([0.34, 0.19, 0.15])
"""Optical density of a vein at amount 1: it takes red most, so that it looks blue-green."""

HALO, HALO_WIDTH = 0.4, 2.2
"""Part of a vein's density that skin's scattering spreads, and over how many of its widths."""


def lacquered(avatar: Avatar, colours: str) -> Avatar:
    """The avatar with lacquer on its nails, or without.

    Args:
        avatar: the avatar.
        colours: ``#rrggbb`` or a colour's name for all nails, ``thumb=red,ring=#c0a020`` for some,
            or ``none`` for bare nails.

    Raises:
        InputError: an unknown colour or finger, or a hand model without a map of nails.
    """
    if avatar.hand_model not in MAPPED:
        raise InputError(
            f"the hand model {avatar.hand_model} has no map of nails; lacquer needs an avatar of "
            "the default hand, or paint"
        )
    wanted = _lacquers(colours)

    def change(hand: AvatarHand) -> AvatarHand:
        faces = np.zeros(len(surface(avatar.hand_model, hand.side, avatar.level).faces), bool)
        faces[
            hand.binding.triangle[zones_of(avatar.hand_model, avatar.level, hand).nail > 0.02]
        ] = True
        hand = refined(avatar, hand, faces)
        zones = zones_of(avatar.hand_model, avatar.level, hand)
        skin = linear_albedo(hand)
        back = np.median(np.log(np.maximum(skin[zones.back > 0.9], 3e-3)), axis=0)
        edge = np.clip((zones.nail - 0.3) / 0.4, 0, 1)
        edge = edge * edge * (3 - 2 * edge) * ~is_loose(hand)
        for finger, colour in wanted.items():
            on = (zones.finger == finger) & (edge > 0)
            if not on.any():
                continue
            if colour is None:
                model = surface(avatar.hand_model, hand.side, avatar.level)
                detail = detail_log_albedo(splat_uv(model, hand)[on])
                middle = np.median(detail[zones.nail[on] > 0.8], axis=0)
                new = np.exp(usual_skin("nail", back) + detail - middle)
            else:
                bright = skin[on] @ LUMINANCE
                fine = np.clip(bright / np.median(bright[zones.nail[on] > 0.8]), 0.5, 1.6)
                new = colour * fine[:, None] ** LACQUER_FINE
            skin[on] += edge[on, None] * (new - skin[on])
        return with_albedo(hand, skin)

    return each_hand(avatar, change, f"lacquer {colours}")


def _lacquers(text: str) -> dict[int, np.ndarray | None]:
    """Linear colour, or None for bare, by finger."""
    result: dict[int, np.ndarray | None] = {}
    for part in text.split(","):
        finger, equals, colour = part.strip().partition("=")
        if not equals:
            result.update(dict.fromkeys(range(5), _colour(finger)))
        elif finger.strip().lower() in FINGERS:
            result[FINGERS.index(finger.strip().lower())] = _colour(colour)
        else:
            raise InputError(f"no finger {finger!r}; give {', '.join(FINGERS)}")
    return result


def _colour(text: str) -> np.ndarray | None:
    word = text.strip().lower()
    if word == "none":
        return None
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(word)[:3]
    except ValueError:
        raise InputError(f"unknown colour {text!r}; give a name, #rrggbb or none") from None
    return np.asarray(srgb_to_linear(hex_rgb(f"#{red:02x}{green:02x}{blue:02x}")))


def freckled(avatar: Avatar, amount: float, seed: int = 0) -> Avatar:
    """The avatar with freckles on the backs of its hands.

    Args:
        avatar: the avatar.
        amount: 0 to 3; 1 is a freckled hand.
        seed: where they are.

    Raises:
        InputError: an amount out of range.
    """
    check_amount("freckles", amount)

    def change(hand: AvatarHand) -> AvatarHand:
        from scipy.spatial import cKDTree

        rng = np.random.default_rng([seed, 5])
        zones = zones_of(avatar.hand_model, avatar.level, hand)
        model = surface(avatar.hand_model, hand.side, avatar.level)
        vertices = rest_hand(model, hand.shape)[0]
        corners = vertices[model.faces]
        area = np.linalg.norm(
            np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
        )
        share = np.zeros(len(area))
        np.maximum.at(share, hand.binding.triangle, zones.back * ~is_loose(hand))
        chance = area * share**2
        count = round(FRECKLES * amount)
        face = rng.choice(len(area), count, p=chance / chance.sum())
        centre = at_surface(vertices, model.faces, face, rng.dirichlet([1, 1, 1], count))
        near = np.zeros(len(area), bool)
        near[face] = True
        near = np.isin(model.faces, model.faces[near]).any(axis=1)
        hand = refined(avatar, hand, near, FINE_M)
        points = rest_points(model, hand)
        density = np.zeros(len(hand))
        tree = cKDTree(points)
        wobble = noise(points, 900, seed + 1, 2)
        for at, radius, dark in zip(
            centre, rng.lognormal(np.log(0.0007), 0.35, count), rng.uniform(0.12, 0.55, count)
        ):
            close = np.array(tree.query_ball_point(at, 2.2 * radius), int)
            gap = np.linalg.norm(points[close] - at, axis=1) / radius
            spot = np.exp(-((gap * (1 + 0.35 * wobble[close])) ** 4))
            density[close] = np.maximum(density[close], dark * spot)
        density *= zones_of(avatar.hand_model, avatar.level, hand).back
        return with_albedo(
            hand, linear_albedo(hand) * np.exp(-density[:, None] * MELANIN_ABSORPTION)
        )

    return each_hand(avatar, change, f"freckles {amount:g}")


def veined(avatar: Avatar, amount: float, seed: int = 0) -> Avatar:
    """The avatar with veins under the skin of the back of its hands.

    Args:
        avatar: the avatar.
        amount: 0 to 3; 1 is a hand whose veins are plainly seen.
        seed: how they run.

    Raises:
        InputError: an amount out of range.
    """
    check_amount("veins", amount)

    def change(hand: AvatarHand) -> AvatarHand:
        model = surface(avatar.hand_model, hand.side, avatar.level)
        zones = zones_of(avatar.hand_model, avatar.level, hand)
        faces = np.zeros(len(model.faces), bool)
        faces[hand.binding.triangle[(zones.back > 0.3) & (zones.finger < 0)]] = True
        hand = refined(avatar, hand, faces, FINE_M)
        zones = zones_of(avatar.hand_model, avatar.level, hand)
        keypoints = rest_hand(model, hand.shape)[2]
        flat = hand_plane(rest_points(model, hand), keypoints)
        vein = np.zeros(len(flat))
        for path, width in _vein_paths(hand_plane(keypoints, keypoints), seed):
            gap = polyline_distance(flat, smooth_curve(path), 5 * width) / width
            # they rise and sink under the skin, and are lost in places
            sunk = np.cos(170 * flat[:, 1] + 900 * path[0, 0]) * np.cos(110 * flat[:, 0] + width)
            line = (1 - HALO) * np.exp(-(gap**2)) + HALO * np.exp(-((gap / HALO_WIDTH) ** 2))
            vein = np.maximum(vein, (0.62 + 0.38 * sunk) * line)
        wrist, knuckles = np.clip(flat[:, 1] / 0.02, 0, 1), np.clip(1.6 - flat[:, 1] / 0.07, 0, 1)
        density = amount * vein * wrist * knuckles * (zones.finger < 0) * zones.back**2
        density[density < 0.003] = 0
        tint = np.exp(-density[:, None] * VEIN_ABSORPTION)
        return with_albedo(hand, linear_albedo(hand) * tint)

    return each_hand(avatar, change, f"veins {amount:g}")


def hand_plane(points: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """(N, 2) metres toward the index finger's side and from the wrist to the fingers."""
    along = keypoints[9] - keypoints[0]
    along = along / np.linalg.norm(along)
    across = keypoints[5] - keypoints[17]
    across = across - along * (across @ along)
    return (points - keypoints[0]) @ np.stack([across / np.linalg.norm(across), along], axis=1)


def _vein_paths(knuckles: np.ndarray, seed: int) -> list[tuple[np.ndarray, float]]:
    """Dorsal metacarpal veins: they leave between the knuckles, join and go on.

    Args:
        knuckles: (21, 2) keypoints in the hand's plane.
        seed: how they wander.

    Returns:
        Points (K, 2) and a half width for each, metres.
    """
    rng = np.random.default_rng([seed, 9])
    high = float(knuckles[9, 1])
    starts = [(knuckles[a] + knuckles[b]) / 2 for a, b in ((5, 9), (9, 13), (13, 17))]
    trunks = np.array([[0.010, 0.0], [-0.012, 0.0]]) + rng.normal(0, 0.003, (2, 2)) * [1, 0]
    joins = [trunks[0] * [1, 0] + [0.004, 0.45 * high], trunks[1] * [1, 0] + [0, 0.55 * high]]
    joins = [j + rng.normal(0, 0.004, 2) for j in joins]
    paths = []
    for start, into in zip(starts, (joins[0], joins[int(rng.random() < 0.5)], joins[1])):
        middle = start + (into - start) * [[0.3], [0.65]] + rng.normal(0, 0.0022, (2, 2))
        paths.append((np.vstack([start - [0, 0.004], middle, into]), 0.0015))
    for join, trunk in zip(joins, trunks):
        middle = join + (trunk - join) * [[0.35], [0.7]] + rng.normal(0, 0.002, (2, 2))
        paths.append((np.vstack([join, middle, trunk]), 0.0019))
    link = joins[1] + (joins[0] - joins[1]) * [[0.3], [0.7]] + rng.normal(0, 0.002, (2, 2))
    paths.append((np.vstack([joins[1], link, joins[0] - [0, 0.012]]), 0.0013))
    return paths


def check_amount(name: str, amount: float) -> None:
    if not 0 <= amount <= 3:
        raise InputError(f"the amount of {name} is {amount:g}; accepted is 0 to 3")
