"""Finer splats where new detail comes."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..avatar import Avatar, AvatarHand, place, surface
from ..avatar.layout import lay_splats
from ..avatar.levels import LOOSE_M, joined_hand
from ..geometry.surfaces import at_surface, triangle_frames
from ..hand_model import HandModel, rest_hand

FINE, FINEST = 16, 64
"""Splats a triangle for soft marks, half a millimetre apart on the back, and for drawn edges."""


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
    avatar: Avatar, hand: AvatarHand, faces: np.ndarray, per_face: int = FINEST
) -> AvatarHand:
    """The hand with as many splats on each of the triangles (F,) bool, looking as before.

    New splats take everything from the nearest old one.
    """
    from scipy.spatial import cKDTree

    model = surface(avatar.hand_model, hand.side, avatar.level)
    loose = is_loose(hand)
    own = hand.binding.triangle[~loose]
    wanted = faces & (np.bincount(own, minlength=len(faces)) < per_face)
    which = np.flatnonzero(wanted)
    old = np.flatnonzero(~loose)
    if not len(which) or not len(old):
        return hand
    laid = lay_splats(rest_hand(model, hand.shape)[0], model.faces[which], per_face)
    binding = dataclasses.replace(laid, triangle=which[laid.triangle])
    blank = np.zeros(len(binding))
    fine = dataclasses.replace(
        hand,
        binding=binding,
        opacity=blank,
        evidence=blank,
        albedo=np.zeros((len(blank), 3)),
        color=np.zeros((len(blank), *hand.color.shape[1:])),
    )
    nearest = old[cKDTree(rest_points(model, hand)[old]).query(rest_points(model, fine))[1]]
    names = ("opacity", "evidence", "albedo", "color")
    fine = dataclasses.replace(fine, **{n: getattr(hand, n)[nearest] for n in names})
    keep = loose | ~wanted[hand.binding.triangle]
    return joined_hand(hand, keep, fine, np.arange(len(fine)))
