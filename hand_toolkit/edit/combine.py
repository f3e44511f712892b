"""Several avatars made one: hands of two, and by evidence what several photos show of one person.

Of each texel the avatar counts whose photo saw it; what no photo saw is the mean of what each made
up. Photos differ in light and white balance, so skins are first brought to one tone: where one saw
skin and another invented it, both mean the same skin. Broad differences are blended over a
centimetre, detail over a millimetre (Burt and Adelson 1983), so that no seam is seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..avatar import Avatar, AvatarHand, surface
from ..avatar.mirror import dressed
from ..core.conventions import SIDES
from ..core.errors import InputError
from ..export.bake import bake_skin
from ..export.scene import build_scene
from ..geometry.colour import linear_to_srgb, srgb_to_linear
from ..geometry.surfaces import face_normals
from ..hand_model import rest_hand
from ..skin.uv_layout import LEVEL, UVLayout, bilinear, uv_layout, weld
from .apply import linear_albedo, recorded, with_albedo
from .refine import FINE_M, is_loose, refined, splat_uv
from .size import reshaped

SIZE = 1024
BROAD_M, FINE_BLEND_M = 0.010, 0.0012
"""Standard deviations over which broad differences and detail are blended, metres."""

SHARP = 3.0
"""Exponent of evidence: of two photos that saw a place the better one counts for most of it."""

NONE = 0.02
"""Evidence that every avatar has: where no photo saw, what each made up counts alike."""

AGREE = 0.25
"""Difference of log reflectance at which a texel counts half for the tone: paint and shadows."""


def combined(
    right: Avatar | None = None, left: Avatar | None = None, match_tone: bool = False
) -> Avatar:
    """The right hand of one avatar and the left hand of another.

    Args:
        right, left: whose hand; both are needed, and the same hand model. The right one's light and
            camera are kept.
        match_tone: move the left hand's skin to the right one's tone.

    Raises:
        InputError: a missing avatar or hand, or different hand models.
    """
    if right is None or left is None:
        raise InputError("two avatars are needed; give one for the right and one for the left hand")
    _same_model([right, left])
    a, b = right.hand("right"), left.hand("left")
    if match_tone:
        from .tone import tone_of, toned

        target = (linear_to_srgb(tone_of(right, "right")) * 255 + 0.5).astype(int)
        alone = dataclasses.replace(left, hands=(b,))
        b = toned(alone, "#{:02x}{:02x}{:02x}".format(*target)).hands[0]
    b = dataclasses.replace(b.beside(a), source_theta=b.source_theta)
    whole = dataclasses.replace(right, hands=(a, b), extras={})
    record = f"right hand of {_name(right)}, left hand of {_name(left)}"
    return recorded(whole, record + (", tone matched" if match_tone else ""))


def merged(avatars: Sequence[Avatar]) -> Avatar:
    """One avatar of what several show of one person's hands.

    Args:
        avatars: of the same hand model; the first one's light, camera and pose are kept.

    Raises:
        InputError: fewer than two avatars, or different hand models.
    """
    if len(avatars) < 2:
        raise InputError(f"{len(avatars)} avatar to merge; give two or more .hand files")
    _same_model(avatars)
    hands: dict[str, AvatarHand] = {}
    for side in SIDES:
        own = [a for a in avatars if side in a.sides and a.hand(side).observed]
        if own:
            hands[side] = _merged_hand(own, side)
    if not hands:  # nothing was observed: what is there, of the first
        hands = {h.side: h for h in avatars[0].hands}
    for side in SIDES:
        other = SIDES[1 - SIDES.index(side)]
        if side not in hands and any(side in a.sides for a in avatars):
            image = hands[other].mirrored().beside(hands[other])
            first = next(a for a in avatars if side in a.sides).hand(side)
            hands[side] = dressed(dataclasses.replace(image, observed=first.observed), hands[other])
    if len(hands) == 2 and not any(len(a.sides) == 2 for a in avatars):
        hands["left"] = hands["left"].beside(hands["right"])
    base = avatars[0]
    whole = dataclasses.replace(base, hands=tuple(hands.values()), extras={})
    return recorded(whole, "merged " + ", ".join(_name(a) for a in avatars))


def _merged_hand(avatars: list[Avatar], side: str) -> AvatarHand:
    base = avatars[0]
    hand = base.hand(side)
    if len(avatars) == 1:
        return hand
    layout = uv_layout(base.hand_model, SIZE)
    texel = _texel_m(base, side, layout)
    skins = [_skin(a, side, layout) for a in avatars]
    logs = _one_tone([s[0] for s in skins], [s[1] for s in skins])
    weights = np.stack([(s[1] + NONE) ** SHARP for s in skins])
    merged_log = np.zeros_like(logs[0])
    mask = layout.covered.astype(np.float64)
    broad = [_blurred(layout.image(log) * mask[..., None], mask, BROAD_M / texel) for log in logs]
    for sigma, part in (
        (BROAD_M / texel, broad),
        (FINE_BLEND_M / texel, [layout.image(log) - b for log, b in zip(logs, broad)]),
    ):
        share = [_blurred(layout.image(w[:, None]) * mask[..., None], mask, sigma) for w in weights]
        total = np.maximum(sum(share), 1e-12)
        picture = sum(p * s for p, s in zip(part, share)) / total
        merged_log += picture.reshape(-1, 3)[layout.index]
    evidence = np.max([s[1] for s in skins], axis=0)
    merged_log = weld(merged_log, evidence, layout)
    shares = np.array([float(s[1].sum()) for s in skins])
    shape = np.average([a.hand(side).shape for a in avatars], axis=0, weights=shares + 1e-6)
    hand = reshaped(base, hand, shape)
    model = surface(base.hand_model, side, base.level)
    # detail that another photo saw needs splats for it
    foreign = layout.image((weights[0] < 0.5 * weights.max(axis=0))[:, None].astype(np.float64))
    uv = splat_uv(model, hand) * [SIZE, -SIZE] + [0, SIZE]
    faces = np.zeros(len(model.faces), bool)
    faces[hand.binding.triangle[bilinear(foreign, uv)[:, 0] > 0.3]] = True
    hand = refined(base, hand, faces, FINE_M)
    uv = splat_uv(model, hand) * [SIZE, -SIZE] + [0, SIZE]
    step = layout.image(np.concatenate([merged_log - skins[0][0], evidence[:, None]], axis=1))
    found = bilinear(step, uv)
    skin = linear_albedo(hand)
    lit = with_albedo(hand, np.exp(np.log(np.maximum(skin, 3e-3)) + found[:, :3]))
    seen = np.where(is_loose(hand), hand.evidence, np.clip(found[:, 3], 0, 1))
    return dataclasses.replace(lit, evidence=seen)


def _skin(avatar: Avatar, side: str, layout: UVLayout) -> tuple[np.ndarray, np.ndarray]:
    """Log reflectance (T, 3) and evidence (T,) of the layout's texels."""
    scene = build_scene(avatar, sides=(side,)).hands[0]
    picture = bake_skin(avatar, scene, layout.size).reshape(-1, 4)[layout.index]
    log = np.log(np.maximum(srgb_to_linear(picture[:, :3].astype(np.float64)), 3e-3))
    return log, np.clip(picture[:, 3].astype(np.float64), 0, 1)


def _one_tone(logs: list[np.ndarray], evidence: list[np.ndarray]) -> list[np.ndarray]:
    """The skins (T, 3), each moved by one colour so that they agree where any of them was seen.

    Each pair says by how much its two differ: on skin that both saw, and, for less, on skin that
    one saw and the other invented. They all move to their mean, weighted by what each saw.
    """
    count = len(logs)
    seen = np.array([e.sum() for e in evidence]) + 1e-6
    rows, values, trust = [], [], []
    for a in range(count):
        for b in range(a + 1, count):
            weight = evidence[a] * evidence[b] + 0.15 * np.maximum(evidence[a], evidence[b])
            difference = logs[a] - logs[b]
            middle = _weighted_median(difference, weight)
            odd = np.linalg.norm(difference - middle, axis=1) / AGREE
            weight = weight / (1 + odd**2)
            row = np.zeros(count)
            row[a], row[b] = 1, -1
            rows.append(row)
            values.append((difference * weight[:, None]).sum(0) / max(weight.sum(), 1e-9))
            trust.append(float(weight.sum()))
    rows.append(seen / seen.sum())
    values.append(np.zeros(3))
    trust.append(max(trust))
    root = np.sqrt(trust)[:, None]
    moves = np.linalg.lstsq(np.array(rows) * root, np.array(values) * root, rcond=None)[0]
    return [log - move for log, move in zip(logs, moves)]


def _weighted_median(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    result = []
    for column in values.T:
        order = np.argsort(column)
        total = np.cumsum(weight[order])
        result.append(column[order][np.searchsorted(total, 0.5 * total[-1])])
    return np.array(result)


def _blurred(picture: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """A masked picture (S, S, C) blurred within the mask."""
    import cv2

    both = np.dstack([picture, mask]).astype(np.float32)
    step = max(1, int(sigma // 4))
    size = len(mask) // step
    # broad blurs need no fine picture
    small = cv2.resize(both, (size, size), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma * size / len(mask))
    whole = cv2.resize(small, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole[..., :-1] / np.maximum(whole[..., -1:], 1e-6), np.float64)


def _texel_m(avatar: Avatar, side: str, layout: UVLayout) -> float:
    model = surface(avatar.hand_model, side, LEVEL)
    area = face_normals(rest_hand(model, avatar.hand(side).shape)[0], model.faces)[1].sum()
    return float(np.sqrt(area / len(layout.index)))


def _same_model(avatars: Sequence[Avatar]) -> None:
    models = sorted({a.hand_model for a in avatars})
    if len(models) > 1:
        raise InputError(
            f"the avatars have different hand models, {' and '.join(models)}; fit them with one"
        )
    levels = sorted({a.level for a in avatars})
    if len(levels) > 1:
        raise InputError(f"the avatars' meshes have levels {levels}; fit them with the same method")


def _name(avatar: Avatar) -> str:
    return avatar.provenance.get("photo", "an avatar") or "an avatar"
