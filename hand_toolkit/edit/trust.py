"""Trusting the photo less: skin goes back to what would be there if the photo had not shown it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ..avatar import Avatar, AvatarHand, surface
from ..avatar.lighting import shade
from ..avatar.mirror import dressed, same_skin
from ..core.errors import InputError
from ..geometry.colour import linear_to_srgb, srgb_to_linear
from ..geometry.raster import rasterize_mesh
from ..geometry.sh import C0
from ..geometry.surfaces import at_surface, vertex_normals
from ..skin.complete import LEAST_BELIEF
from ..skin.light import visibility
from ..skin.observe import DEPTH_TOLERANCE_M, near_depth, openness_of, sample
from ..skin.uv_layout import bilinear
from .apply import recorded
from .refine import splat_uv

FAINT = 2e-3
"""Least linear colour of which the logarithm is taken."""

LAYOUT_SIDE = 2048
"""Texels to which a picture in the texture layout is read."""


def trusted(avatar: Avatar, trust: float) -> Avatar:
    """The avatar with less of what the photo showed.

    Args:
        avatar: fitted so that it keeps hidden skin.
        trust: .5 leaves it as it is; towards 0 little but the skin's tone stays of the photo.

    Raises:
        InputError: trust is not in [0, .5], or the avatar keeps no hidden skin.
    """
    if not 0 <= trust <= 0.5:
        raise InputError(
            f"trust is {trust}; a .hand file keeps what the photo was believed to show, so that "
            "accepted is 0 to .5; for more fit again with --trust"
        )
    part = max(2 * trust, LEAST_BELIEF)
    if part == 1:
        return avatar
    kept = {h.side: np.full(len(h), part) for h in avatar.hands}
    return recorded(_less(avatar, kept), f"trust {trust:g}")


def painted_out(
    avatar: Avatar,
    picture: str | Path | np.ndarray,
    layout: bool = False,
    side: str | None = None,
) -> Avatar:
    """The avatar with hidden skin where a picture is white, or opaque if it has transparency.

    Args:
        avatar: fitted so that it keeps hidden skin.
        picture: of the photo's size; a file or (H, W) in [0, 1].
        layout: the picture is in the texture layout instead, square.
        side: of pictures in the layout, the hand; None: all.

    Raises:
        InputError: a picture of another shape or that marks nothing, a hand that is not there, or
            an avatar that keeps no hidden skin.
    """
    size = (LAYOUT_SIDE,) * 2 if layout else (avatar.camera.width, avatar.camera.height)
    if isinstance(picture, np.ndarray):
        name, mask = "mask", picture
    else:
        from ..media import load_mask

        name, mask = Path(picture).name, load_mask(picture, size, "what is not believed")
    if not layout and mask.shape != (avatar.camera.height, avatar.camera.width):
        raise InputError(
            f"the picture of what is not believed is {mask.shape[1]}x{mask.shape[0]} pixels and "
            f"the photo {size[0]}x{size[1]}; give one of the photo's size"
        )
    if side is not None:
        avatar.hand(side)
    marked = _in_layout(avatar, mask, side) if layout else _in_photo(avatar, mask)
    kept = {name: 1 - np.clip(values, 0, 1) for name, values in marked.items()}
    return recorded(_less(avatar, kept), f"painted out {name}")


def _less(avatar: Avatar, kept: dict[str, np.ndarray]) -> Avatar:
    """The avatar with the part ``kept`` (N,) of each hand's own skin, hidden skin for the rest."""
    if all(h.hidden is None for h in avatar.hands):
        raise InputError(
            "this avatar keeps no hidden skin (it was made by an older version, or not from a "
            "photo); fit it again, with --trust or --paint-out"
        )
    hands: dict[str, AvatarHand] = {}
    for hand in sorted(avatar.hands, key=lambda h: same_skin(avatar, h.side) is not None):
        other = same_skin(avatar, hand.side)
        if other:
            hands[hand.side] = dressed(hand, hands[other])
        elif hand.hidden is None or (kept[hand.side] == 1).all():
            hands[hand.side] = hand
        else:
            hands[hand.side] = _hidden_again(avatar, hand, kept[hand.side])
    return dataclasses.replace(avatar, hands=tuple(hands.values()))


def _hidden_again(avatar: Avatar, hand: AvatarHand, kept: np.ndarray) -> AvatarHand:
    changed = kept < 1
    part = kept[changed, None]
    hidden = _log(hand.hidden[changed])  # type: ignore[index]
    own = _log(hand.albedo[changed])
    albedo, evidence = hand.albedo.copy(), hand.evidence.copy()
    albedo[changed] = linear_to_srgb(np.exp(hidden + part * (own - hidden)))
    evidence[changed] *= kept[changed]
    color = hand.color
    if color.ndim == 2:  # colours that turn with the view are a network's, and stay
        lit = hidden + np.log(_shading(avatar, hand)[changed])
        color = color.copy()
        color[changed] = linear_to_srgb(
            np.clip(np.exp(lit + part * (_log(color[changed]) - lit)), 0, 1)
        )
    return dataclasses.replace(hand, albedo=albedo, color=color, evidence=evidence)


def _log(srgb: np.ndarray) -> np.ndarray:
    logs: np.ndarray = np.log(np.maximum(srgb_to_linear(srgb.astype(np.float64)), FAINT))
    return logs


def _shading(avatar: Avatar, hand: AvatarHand) -> np.ndarray:
    """(N, 3) linear light of the photo on the splats, with the exposure of what it shows."""
    model = surface(avatar.hand_model, hand.side, avatar.level)
    vertices = avatar.mesh(hand.side, hand.source_theta, hand.source_translation)
    normals = vertex_normals(vertices, model.faces)
    free = openness_of(vertices, normals, model.faces)
    where = (model.faces, hand.binding.triangle, hand.binding.barycentric)
    normal = at_surface(normals, *where)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    floor = 0.25 * avatar.photo_light[0] * C0
    light = shade(avatar.photo_light, normal) * visibility(at_surface(free, *where))[:, None]
    light = np.maximum(light, np.maximum(floor, 1e-3))
    seen = hand.evidence > 0.5
    if seen.sum() > 100:
        over = _log(hand.color[seen]) - _log(hand.albedo[seen]) - np.log(light[seen])
        light = light * np.exp(np.median(over, axis=0))
    result: np.ndarray = light
    return result


def _in_photo(avatar: Avatar, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Per side (N,) the mask at the splats that the photo shows, 0 at others."""
    meshes = {h.side: avatar.mesh(h.side, h.source_theta, h.source_translation) for h in
              avatar.hands if h.observed}  # fmt: skip
    faces = {s: surface(avatar.hand_model, s, avatar.level).faces for s in meshes}
    starts = np.cumsum([0, *(len(v) for v in meshes.values())])
    matrix = avatar.camera.world_to_camera
    everything = np.concatenate(list(meshes.values())) @ matrix[:3, :3].T + matrix[:3, 3]
    plain = dataclasses.replace(avatar.camera, world_to_camera=np.eye(4))
    triangles = np.concatenate([f + k for f, k in zip(faces.values(), starts)])
    depth = near_depth(rasterize_mesh(everything, triangles, plain).depth)
    result = {h.side: np.zeros(len(h)) for h in avatar.hands}
    for k, side in enumerate(meshes):
        binding = avatar.hand(side).binding
        vertices = everything[starts[k] : starts[k + 1]]
        points = at_surface(vertices, faces[side], binding.triangle, binding.barycentric)
        pixel = plain.project(points)
        behind = points[:, 2] - sample(depth[..., None], pixel, nearest=True)[:, 0]
        inside = ((pixel >= 0) & (pixel < [plain.width, plain.height])).all(axis=1)
        shown = inside & (points[:, 2] > plain.near) & (behind < DEPTH_TOLERANCE_M)
        result[side] = shown * sample(mask[..., None], pixel)[:, 0]
    return result


def _in_layout(avatar: Avatar, mask: np.ndarray, side: str | None) -> dict[str, np.ndarray]:
    """Per side (N,) a square mask in the texture layout at the splats."""
    result = {}
    for hand in avatar.hands:
        model = surface(avatar.hand_model, hand.side, avatar.level)
        at = (splat_uv(model, hand) * [1, -1] + [0, 1]) * len(mask)
        values = bilinear(mask[..., None].astype(np.float64), at)[:, 0]
        result[hand.side] = values * (side in (None, hand.side))
    return result
