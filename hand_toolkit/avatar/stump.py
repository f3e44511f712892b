"""Closing the hand at the wrist, where the mesh ends: a dome of splats over the opening."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..geometry.closing import dome, open_edges, rim_loop
from ..geometry.rotations import matrix_from_quat, quat_from_matrix
from ..geometry.surfaces import triangle_frames
from ..hand_model import HandModel, rest_hand
from .avatar import AvatarHand
from .binding import SurfaceBinding, place
from .layout import lay_splats
from .levels import LOOSE_M, joined_hand


def is_closed(hand: AvatarHand, faces: np.ndarray) -> bool:
    """Whether nothing shows a hand's inside: its mesh has no opening, or splats close it."""
    rim = np.unique(open_edges(faces))
    if not len(rim):
        return True
    at_rim = np.isin(faces, rim).any(axis=1)[hand.binding.triangle]
    far = np.linalg.norm(hand.binding.offset, axis=1) > LOOSE_M
    return int((at_rim & far).sum()) > len(rim)


def closed(hand: AvatarHand, model: HandModel) -> AvatarHand:
    """The hand with a dome over the wrist's opening; as it is where there is none.

    The dome's splats hang on the triangles around the opening, which the wrist alone moves. They
    have the skin's colours there, evened toward the middle.

    Args:
        hand: laid out on its mesh.
        model: that mesh.
    """
    edges = open_edges(model.faces)
    if not len(edges) or is_closed(hand, model.faces):
        return hand
    vertices = rest_hand(model, hand.shape)[0]
    loop = rim_loop(edges)
    around = np.flatnonzero(np.isin(model.faces, loop).sum(axis=1) == 2)
    cover, faces = dome(vertices[loop], vertices.mean(axis=0))
    laid = lay_splats(cover, faces, 1)
    means, quats, scales = place(laid, cover, faces, triangle_frames(cover, faces)[1])
    frames, _ = triangle_frames(vertices, model.faces)
    centres = vertices[model.faces].mean(axis=1)
    anchor = around[np.linalg.norm(means[:, None] - centres[around], axis=2).argmin(axis=1)]
    frame = frames[anchor]
    offset = np.einsum("nji,nj->ni", frame, means - centres[anchor])
    turn = frame.transpose(0, 2, 1) @ matrix_from_quat(quats.astype(np.float64))
    count = len(anchor)
    # near the rim the colours of the splats there, in the middle all of them alike
    rim = np.isin(hand.binding.triangle, around)
    where = np.argsort(hand.binding.triangle[rim], kind="stable")
    first = np.searchsorted(hand.binding.triangle[rim][where], anchor)
    own = np.flatnonzero(rim)[where[np.minimum(first, rim.sum() - 1)]]
    inward = np.linalg.norm(means - vertices[loop].mean(axis=0), axis=1)
    inward = 1 - np.clip(inward / inward.max(), 0, 1)

    def even(values: np.ndarray) -> np.ndarray:
        part = np.sqrt(inward).reshape(-1, *[1] * (values.ndim - 1))
        return (1 - part) * values[own] + part * values[rim].mean(axis=0)

    cap = dataclasses.replace(
        hand,
        binding=SurfaceBinding(
            anchor, np.full((count, 3), 1 / 3), offset, quat_from_matrix(turn), scales
        ),
        opacity=np.full(count, float(np.median(hand.opacity))),
        color=even(hand.color),
        albedo=even(hand.albedo),
        evidence=np.zeros(count),
        hidden=None if hand.hidden is None else even(hand.hidden),
    )
    return joined_hand(hand, np.arange(len(hand)), cap, np.arange(count))
