"""Finer splats where new detail comes."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..avatar import Avatar, AvatarHand, SurfaceBinding, place, surface
from ..avatar.layout import lay_splats
from ..avatar.levels import LOOSE_M, joined_hand
from ..geometry.surfaces import at_surface, triangle_frames
from ..hand_model import HandModel, rest_hand

FINE_M, FINEST_M = 5e-4, 2.6e-4
"""Distance of splats for soft marks, and for drawn edges, metres."""


def splat_uv(model: HandModel, hand: AvatarHand) -> np.ndarray:
    """(N, 2) places of a hand's splats in the texture layout, origin at the lower left."""
    binding = hand.binding
    weights = binding.barycentric.astype(np.float64)
    return at_surface(model.uvs, model.uv_faces, binding.triangle, weights)


def rest_points(model: HandModel, hand: AvatarHand) -> np.ndarray:
    """(N, 3) places of the splats on the flat hand, metres."""
    vertices = rest_hand(model, hand.shape)[0]
    area = triangle_frames(vertices, model.faces)[1]
    return place(hand.binding, vertices, model.faces, area)[0].astype(np.float64)


def is_loose(hand: AvatarHand) -> np.ndarray:
    """(N,) splats that hang on the skin and are none: the dome at the wrist."""
    return np.asarray(np.linalg.norm(hand.binding.offset, axis=1) > LOOSE_M)


def refined(
    avatar: Avatar, hand: AvatarHand, faces: np.ndarray, spacing_m: float = FINEST_M
) -> AvatarHand:
    """The hand with splats so near on the triangles (F,) bool, looking as before.

    New splats take everything from the nearest old one.
    """
    from scipy.spatial import cKDTree

    model = surface(avatar.hand_model, hand.side, avatar.level)
    vertices = rest_hand(model, hand.shape)[0]
    loose = is_loose(hand)
    old = np.flatnonzero(~loose)
    there = np.bincount(hand.binding.triangle[old], minlength=len(faces))
    asked = triangle_frames(vertices, model.faces)[1] / spacing_m**2
    number = 4 ** np.ceil(np.log(np.maximum(asked, 1)) / np.log(4)).clip(0, 3).astype(int)
    wanted = faces & (there < number)
    if not wanted.any() or not len(old):
        return hand
    parts = []
    for per_face in np.unique(number[wanted]):
        which = np.flatnonzero(wanted & (number == per_face))
        laid = lay_splats(vertices, model.faces[which], int(per_face))
        parts.append(dataclasses.replace(laid, triangle=which[laid.triangle]))
    names = ("triangle", "barycentric", "offset", "quat", "scale")
    binding = SurfaceBinding(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))
    blank = np.zeros(len(binding))
    fine = dataclasses.replace(
        hand,
        binding=binding,
        opacity=blank,
        evidence=blank,
        albedo=np.zeros((len(blank), 3)),
        color=np.zeros((len(blank), *hand.color.shape[1:])),
        hidden=None,
    )
    nearest = old[cKDTree(rest_points(model, hand)[old]).query(rest_points(model, fine))[1]]
    own = ("opacity", "evidence", "albedo", "color")
    fine = dataclasses.replace(fine, **{n: getattr(hand, n)[nearest] for n in own})
    if hand.hidden is not None:
        fine = dataclasses.replace(fine, hidden=hand.hidden[nearest])
    keep = loose | ~wanted[hand.binding.triangle]
    return joined_hand(hand, keep, fine, np.arange(len(fine)))
