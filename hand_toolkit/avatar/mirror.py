"""Hands that are each other's mirror image: one skin for both."""

from __future__ import annotations

import dataclasses

import numpy as np

from .avatar import Avatar, AvatarHand, surface


def same_skin(avatar: Avatar, side: str) -> str | None:
    """The other side, where ``side`` is its mirror image: then their textures are the same.

    Both models have the same UV layout, so that one picture shows both.
    """
    other = next((s for s in avatar.sides if s != side), None)
    if other is None or avatar.hand(side).observed:
        return None
    one, two = avatar.hand(side), avatar.hand(other)
    models = [surface(avatar.hand_model, s, avatar.level) for s in (side, other)]
    same = (
        len(one) == len(two)
        and np.array_equal(one.albedo, two.albedo)
        and np.array_equal(one.opacity, two.opacity)
        and np.array_equal(one.binding.triangle, two.binding.triangle)
        and np.array_equal(*(m.uvs[np.sort(m.uv_faces, axis=1)] for m in models))
    )
    return other if same else None


def dressed(hand: AvatarHand, other: AvatarHand) -> AvatarHand:
    """``hand`` in the mirrored splats of the other side's, at its own place and pose."""
    image = other.mirrored()
    names = ("binding", "opacity", "color", "albedo", "evidence", "shape", "hidden")
    return dataclasses.replace(hand, **{n: getattr(image, n) for n in names})
