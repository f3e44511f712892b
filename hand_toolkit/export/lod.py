"""Fewer splats for distant views: neighbours are merged, not thrown away."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..avatar import Avatar, AvatarHand, SurfaceBinding, place, surface
from ..geometry.rotations import covariances, quat_from_matrix
from ..geometry.surfaces import at_surface, triangle_frames
from ..hand_model import rest_hand

NORMAL_WEIGHT = 0.006
"""Metres that a unit difference of normals counts as when neighbours are grouped."""


def simplified(avatar: Avatar, lod: int) -> Avatar:
    """The avatar with about a ``4**lod``-th of its splats (at least one a hand)."""
    hands = tuple(_merge_hand(avatar, hand, 4**lod) for hand in avatar.hands)
    return dataclasses.replace(avatar, hands=hands, extras={})


def _merge_hand(avatar: Avatar, hand: AvatarHand, size: int) -> AvatarHand:
    """Merge groups of ``size`` neighbours on the rest surface.

    A merged splat has the mean and covariance of the mixture of its members, weighted by
    opacity x area (moment matching), their mean colour, and an opacity that keeps the sum of
    opacity x area where it can.
    """
    if not len(hand):
        return hand
    model = surface(avatar.hand_model, hand.side, avatar.level)
    vertices = rest_hand(model, hand.shape)[0]
    frames, area = triangle_frames(vertices, model.faces)
    means, quats, scales = place(hand.binding, vertices, model.faces, area)
    # the two sides of a finger are near each other, but face apart
    normals = frames[hand.binding.triangle][:, :, 2]
    reach = 2.5 * np.sqrt(area.sum() / len(hand) * size)
    features = np.concatenate([means, NORMAL_WEIGHT * normals], axis=1)
    group = _compact_groups(features, size, reach)
    count = int(group.max()) + 1

    footprint = _footprint(scales)
    weight = hand.opacity.astype(np.float64) * footprint + 1e-18

    def mean_of(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(len(values), -1).astype(np.float64)
        total = np.stack(
            [np.bincount(group, flat[:, c] * weight, count) for c in range(flat.shape[1])], 1
        )
        mean = total / np.bincount(group, weight, count)[:, None]
        return mean.reshape(count, *values.shape[1:])

    center = mean_of(means)
    spread = covariances(quats, scales)
    delta = means - center[group]
    covariance = mean_of(spread + np.einsum("ni,nj->nij", delta, delta))
    values, vectors = np.linalg.eigh(covariance)
    vectors = vectors * np.where(np.linalg.det(vectors) < 0, -1, 1)[:, None, None]
    scale = np.sqrt(np.maximum(values, 1e-18))
    total = np.bincount(group, hand.opacity * footprint, count)
    opacity = np.clip(total / np.maximum(_footprint(scale), 1e-18), 0.0, 0.995)

    # each merged splat hangs on the triangle of its member nearest to the new centre
    distance = np.linalg.norm(delta, axis=1)
    nearest = np.lexsort((distance, group))
    anchor = nearest[np.searchsorted(group[nearest], np.arange(count))]
    triangle = hand.binding.triangle[anchor]
    barycentric = hand.binding.barycentric[anchor].astype(np.float64)
    frame = frames[triangle]
    base = at_surface(vertices, model.faces, triangle, barycentric)
    offset = np.einsum("nji,nj->ni", frame, center - base)
    local = np.einsum("nji,njk->nik", frame, vectors)
    return dataclasses.replace(
        hand,
        binding=SurfaceBinding(triangle, barycentric, offset, quat_from_matrix(local), scale),
        opacity=opacity,
        color=mean_of(hand.color),
        albedo=mean_of(hand.albedo),
        evidence=np.clip(mean_of(hand.evidence[:, None])[:, 0], 0, 1),
        hidden=None if hand.hidden is None else mean_of(hand.hidden),
    )


def _footprint(scales: np.ndarray) -> np.ndarray:
    """Product of the two larger standard deviations, (N,) m²."""
    ordered = np.sort(np.asarray(scales, dtype=np.float64), axis=1)
    return ordered[:, 1] * ordered[:, 2]


def _compact_groups(points: np.ndarray, size: int, reach: float) -> np.ndarray:
    """(N,) group of each point (N, D): a k-d tree whose leaves hold ``size`` points each.

    Splits fall on multiples of ``size``; only leaves wider than ``reach``, which would bridge
    two fingers, are split further.
    """
    group = np.zeros(len(points), np.int64)
    todo = [np.arange(len(points))]
    leaf = 0
    while todo:
        members = todo.pop()
        here = points[members]
        widths = here.max(0) - here.min(0)
        axis = int(np.argmax(widths))
        if len(members) <= size:
            if len(members) == 1 or widths[axis] <= reach:
                group[members] = leaf
                leaf += 1
                continue
            cut = len(members) // 2
        else:
            cut = size * (-(-len(members) // size) // 2)
        order = np.argpartition(here[:, axis], cut)
        todo += [members[order[:cut]], members[order[cut:]]]
    return group
