"""An avatar's skin moved onto the surfaces of its photo: a D per vertex, bound to the rig.

D is along the rest pose's normals, as the baked displacement of :mod:`..xhand.bake` is, so it bends
with the hand in every pose and file. Only flesh that is near its surface moves.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from ...core.conventions import SIDES
from ...core.errors import InputError
from ...geometry.surfaces import at_surface, vertex_normals

if TYPE_CHECKING:
    from ...avatar import Avatar
    from ...core.types import Photo
    from .network import Im2HandsNetwork

MOST_M = 0.008
"""Skin farther from the surface keeps its place: it is another part's."""

SMOOTHING = 6
"""Rounds in which each vertex takes half of its neighbours' mean: the network's surface wavers by
some tenths of a millimetre from vertex to vertex."""

WRIST_M = 0.02
"""The open end of the wrist stays: skin that is this near to it along the flat hand."""


def normal_offsets(
    gap: np.ndarray, outward: np.ndarray, normals: np.ndarray, faces: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """(V,) metres along the normals that bring skin to a surface, smooth over the mesh.

    Args:
        gap: (V,) signed distances of the skin from the surface, positive outside.
        outward: (V, 3) directions in which they grow.
        normals: (V, 3) of the skin.
        faces: (F, 3) of the skin.
        free: (V,) bool, what may move.
    """
    from scipy.sparse import coo_matrix

    along = (outward * normals).sum(1)
    known = free & (np.abs(gap) < MOST_M) & (along > 0.5)
    wanted = np.where(known, -gap * along, 0.0)
    count = len(gap)
    a, b = faces.ravel(), np.roll(faces, 1, axis=1).ravel()
    links = coo_matrix((np.ones(2 * len(a)), (np.r_[a, b], np.r_[b, a])), (count, count)).tocsr()
    links.data[:] = 1
    links = links.multiply(1 / np.maximum(links.sum(1), 1)).tocsr()
    for _ in range(SMOOTHING):
        wanted = np.where(free, 0.5 * wanted + 0.5 * (links @ wanted), 0.0)
    return np.asarray(wanted.clip(-MOST_M, MOST_M))


def offset_avatar(
    avatar: Avatar, photo: Photo, *, network: Im2HandsNetwork | None = None
) -> Avatar:
    """The avatar of a photo of two hands, its skin where the networks' surfaces are.

    Each hand's D (V, 3), metres of the rest pose, is kept as the array ``displacement.SIDE``.

    Args:
        avatar: of both hands, in its photo's pose.
        photo: the photo.
        network: the shipped one if None.

    Raises:
        InputError: an avatar of one hand, or whose hands are not one person's.
    """
    import torch

    from ...avatar.avatar import surface
    from ...hand_model import load_hand_model, pose_hand_numpy, rest_hand
    from ..xhand.bake import displaced
    from .contact import surface_gap
    from .image import ImageFeatures, crop_about, features_of
    from .surfaces import checked_keypoints
    from .weights import load_network

    if avatar.sides != SIDES:
        raise InputError(
            f"the avatar has the {' and '.join(avatar.sides)} hand; surfaces that touch need both"
        )
    network = load_network() if network is None else network
    matrix = avatar.camera.world_to_camera
    points = []
    for hand in avatar.hands:
        plain = load_hand_model(avatar.hand_model, hand.side, 0)
        joints = pose_hand_numpy(plain, hand.source_theta, hand.shape, hand.source_translation)[2]
        points.append(joints @ matrix[:3, :3].T + matrix[:3, 3])
    given = checked_keypoints(np.stack(points))
    view = dataclasses.replace(avatar.camera, world_to_camera=np.eye(4))
    crop, lens = crop_about(photo.pixels, view, view.project(given.reshape(-1, 3)))
    coarse, fine = features_of(torch.from_numpy(crop)[None])
    images = ImageFeatures(coarse, fine, torch.from_numpy(lens)[None])
    with torch.no_grad():
        frames = network.frame(torch.as_tensor(given).float()[None], images)
        field = (network, frames, network.context(frames))
    hands, extras = [], dict(avatar.extras)
    for k, hand in enumerate(avatar.hands):
        model = surface(avatar.hand_model, hand.side, avatar.level)
        posed = avatar.mesh(hand.side, hand.source_theta, hand.source_translation)
        normals = vertex_normals(posed, model.faces) @ matrix[:3, :3].T
        rest = rest_hand(model, hand.shape)[0]
        gap, outward = surface_gap(field, k, posed @ matrix[:3, :3].T + matrix[:3, 3])
        free = np.abs(rest[:, 0]) > WRIST_M
        moved = normal_offsets(gap, outward, normals, model.faces, free)
        offset = moved[:, None] * vertex_normals(rest, model.faces)
        binding = hand.binding
        at = at_surface(offset, model.faces, binding.triangle, binding.barycentric)
        hands.append(dataclasses.replace(hand, binding=displaced(binding, rest, model.faces, at)))
        extras[f"displacement.{hand.side}"] = offset.astype(np.float32)
    return dataclasses.replace(avatar, hands=tuple(hands), extras=extras)
