"""The fitted hands as an ordinary avatar: splats that stand where D moved the skin."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import torch

from ...avatar import Avatar, AvatarHand, SurfaceBinding, surface
from ...avatar.levels import thinned
from ...avatar.stump import closed
from ...core.types import Camera, HandPose
from ...geometry.colour import linear_to_srgb
from ...geometry.surfaces import at_surface, triangle_frames
from ...hand_model import HandModel, rest_hand
from ...skin.uv_layout import LEVEL
from ..texture.one_photo import lay_on_hand
from .losses import laplacian
from .person import Person
from .skin import Skin, shaded, visible_part

NEIGHBOURS = 3


def bake(
    people: Mapping[str, Person],
    skins: Mapping[str, Skin],
    hands: tuple[HandPose, ...],
    light: np.ndarray,
    camera: Camera,
    provenance: Mapping[str, str],
    extras: Mapping[str, np.ndarray],
    dims: Mapping[str, np.ndarray],
    per_face: int = 16,
) -> Avatar:
    """Make the avatar.

    Args:
        people: side -> fitted hand.
        skins: side -> its skin; detail finer than the mesh comes from here.
        hands: of the reference view, as placed; a person's hand that it does not show is put
            beside.
        light: (9, 3) of the reference view.
        camera: of the reference view.
        provenance, extras: of the avatar.
        dims: side -> (V,) how much of the light reaches each vertex at most. Splats are
            lit without obstruction, so their albedo has it; folds between fingers stay dark.
        per_face: splats on a triangle: 1, 4 or 16.
    """
    parts = []
    for side, person in people.items():
        hand = next((h for h in hands if h.side == side), None) or hands[0]
        parts.append(_hand(person, skins[side], hand, light, dims[side], per_face))
    if len(parts) == 1:
        parts.append(parts[0].mirrored().beside(parts[0]))
    return Avatar(
        hand_model=hands[0].hand_model,
        level=LEVEL,
        hands=tuple(parts),
        light=light,
        camera=camera,
        provenance=dict(provenance),
        extras=dict(extras),
    )


def _hand(
    person: Person,
    skin: Skin,
    hand: HandPose,
    light: np.ndarray,
    dim: np.ndarray,
    per_face: int,
) -> AvatarHand:
    side = person.side
    shape = person.shape.detach().numpy().astype(np.float64)
    model = surface(hand.hand_model, side, LEVEL)
    own = dataclasses.replace(hand, side=side, shape=shape)
    binding = lay_on_hand(own, per_face)
    where = finder(person.model, model, binding)
    uv = np.einsum("nk,nkc->nc", binding.barycentric, model.uvs[model.uv_faces[binding.triangle]])
    start = skin.at_vertices(person.model, skin.log_albedo)
    learned = _evened(person.albedo.average.detach() - torch.tensor(start).float(), person)
    log = skin.at(skin.log_albedo, uv) + where(learned)
    albedo = np.exp(log)
    moved = person.average_displacement()
    if moved is not None:
        binding = displaced(binding, rest_hand(model, shape)[0], model.faces, where(moved))
    with torch.no_grad():
        theta, place = (torch.tensor(a, dtype=torch.float32) for a in (own.theta, own.translation))
        posed = person.still(theta, place)
    vertices, normals = posed.vertices.numpy(), posed.normals.numpy()
    visible = visible_part([own], [vertices], [normals], [person.model.faces])[0]
    shading = where(shaded(light, normals.astype(np.float64), visible))
    evidence = skin.at(skin.evidence[:, None], uv)[:, 0]
    made = AvatarHand(
        side=side,
        shape=shape,
        binding=binding,
        opacity=np.full(len(binding), OPAQUE, np.float32),
        color=linear_to_srgb(albedo * shading),
        albedo=linear_to_srgb(albedo * where(dim[:, None])),
        evidence=np.clip(evidence, 0, 1),
        source_theta=own.theta,
        source_translation=own.translation,
    )
    return closed(thinned(made), model)


EVENED = 8
"""Rounds of smoothing of what the fit changed in albedo, before splats take it: common to all views
it is blurred by as much as their hands are off each other, and would take the finer skin away."""


def _evened(values: torch.Tensor, person: Person) -> np.ndarray:
    matrix = laplacian(person.model.faces, len(values))
    for _ in range(EVENED):
        values = values - 0.5 * (matrix @ values)
    return values.numpy()


OPAQUE = 0.993


def displaced(
    binding: SurfaceBinding, rest: np.ndarray, faces: np.ndarray, moved: np.ndarray
) -> SurfaceBinding:
    """The splats moved by (N, 3) metres of the rest pose."""
    frames, _ = triangle_frames(rest, faces)
    local = np.einsum("nji,nj->ni", frames[binding.triangle], moved)
    return dataclasses.replace(binding, offset=binding.offset + local)


def finder(
    fine: HandModel, coarse: HandModel, binding: SurfaceBinding
) -> Callable[[np.ndarray], np.ndarray]:
    """Vertex values (V, C) of the fine mesh to (N, C) at splats of the coarse one."""
    from scipy.spatial import cKDTree

    place = at_surface(coarse.template, coarse.faces, binding.triangle, binding.barycentric)
    distance, near = cKDTree(fine.template).query(place, k=NEIGHBOURS)
    share = 1 / (distance + 2e-5) ** 2
    share /= share.sum(1, keepdims=True)
    return lambda values: np.einsum("nk,nkc->nc", share, np.asarray(values)[near])
