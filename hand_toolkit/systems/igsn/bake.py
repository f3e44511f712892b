"""Baking: fixed splats bound to the surface, from the network and a fitted identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ...avatar import Avatar, AvatarHand
from ...core.types import Camera
from ...geometry.colour import srgb_to_linear
from .gaussians import Geometry, bind, place, refine
from .layers import scatter_mean
from .network import PriorNetwork
from .points import PosedPoints, pose_points
from .rendering import render_view
from .shading import linear_to_srgb, shade

FRONTAL = 1.4
"""Evidence per visible share: skin turned up to 45 degrees away counts as fully seen."""


UNSEEN_CONTRAST = 0.3
"""Power of the shading's contrast that is baked into skin that the photo does not show."""


@dataclass(frozen=True)
class SourceView:
    """The photo that an avatar is made from: poses, camera of the crop, mask and points."""

    sides: tuple[str, ...]
    theta: torch.Tensor
    shape: torch.Tensor
    translation: torch.Tensor
    camera: Camera
    mask: torch.Tensor
    points: PosedPoints


@torch.no_grad()
def bake_avatar(
    network: PriorNetwork,
    source: SourceView,
    identity: torch.Tensor,
    bias: torch.Tensor | None,
    gain: torch.Tensor,
    light: torch.Tensor,
    *,
    camera: Camera,
    provenance: Mapping[str, str],
    extras: Mapping[str, np.ndarray],
) -> Avatar:
    """Evaluate the network once and fix its splats to the surface.

    Geometry and albedo come from the flat hand, where nothing touches; the photographed
    colours add the shading and shadow of the photo's own pose.

    Args:
        network: trained.
        source: the photo.
        identity: (H, C, S, S).
        bias: texture-map bias, or None.
        gain: (3,) colour calibration.
        light: (9, 3), axes of the photo's camera frame.
        camera: the whole photo's camera.
        provenance, extras: stored in the avatar.
    """
    config = network.config
    flat = torch.zeros_like(source.theta)
    flat_points = pose_points(
        config,
        source.sides,
        flat,
        source.shape,
        torch.zeros_like(source.translation),
        scene=range(len(source.sides)),
    )
    canonical = network(flat_points, identity, bias)
    posed = network(source.points, identity, bias)
    shadow = network.shadow(source.points, posed, light)
    hands = []
    weight = visible_weight(network, source, identity, bias)
    for k, side in enumerate(source.sides):
        bound = refine(config, canonical, flat_points, k)
        p = bound.parent
        albedo = (srgb_to_linear(bound.albedo) * gain).clamp(0, 1)
        seen = weight[k][p][:, None]
        lit = albedo * _shading(light, source.points.normals[k], shadow[k], weight[k])[p]
        hands.append(
            AvatarHand(
                side=side,
                shape=source.shape[k].double().cpu().numpy(),
                binding=bind(bound, side),
                opacity=bound.opacity.clamp(0, 1).cpu().numpy(),
                color=linear_to_srgb(lit).clamp(0, 1).cpu().numpy(),
                albedo=linear_to_srgb(albedo).clamp(0, 1).cpu().numpy(),
                evidence=seen[:, 0].cpu().numpy(),
                source_theta=source.theta[k].double().cpu().numpy(),
                source_translation=source.translation[k].double().cpu().numpy(),
            )
        )
    if len(hands) == 1:
        hands.append(hands[0].mirrored().beside(hands[0]))
    return Avatar(
        hand_model=config.hand_model,
        level=source.points.topology.level,
        hands=tuple(hands),
        light=light.double().cpu().numpy(),
        camera=camera,
        provenance=dict(provenance),
        extras=dict(extras),
    )


def _shading(
    light: torch.Tensor, normals: torch.Tensor, shadow: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """(N, 3) shading to bake: the photo's where it shows the skin, nearly even elsewhere.

    What faces away from the camera was dark only in the photo's pose; baked into the skin, that
    darkness would turn with the hand.
    """
    full = shade(light, normals) * shadow[:, None]
    trust = weight[:, None]
    mean = (full * trust).sum(0) / trust.sum().clamp_min(1e-6)
    even = mean * (full / mean.clamp_min(1e-4)).clamp(0.3, 1.6) ** UNSEEN_CONTRAST
    blend = (trust / 0.4).clamp(0, 1)
    return blend * full + (1 - blend) * even


def visible_weight(
    network: PriorNetwork,
    source: SourceView,
    identity: torch.Tensor,
    bias: torch.Tensor | None,
) -> torch.Tensor:
    """(H, N) how well the photo shows each point: 0 not at all ... 1 straight from the front.

    The gradient of the picture's summed colour with respect to a splat's colour is the sum of
    its blending weights, in pixels. Set against the pixels that its triangle would cover from
    the front, that is the visible share times the cosine of the viewing angle. Both are summed
    per texel first, as neighbouring splats smaller than a pixel hide one another by chance.
    """
    points, size = source.points, network.config.texture_size
    with torch.no_grad():
        attributes = network(points, identity, bias)
        geometry: Geometry = place(network.config, attributes, points)
    with torch.enable_grad():
        white = torch.ones_like(geometry.albedo, requires_grad=True)
        picture = render_view(geometry.splats(white), source.camera)
        (picture.color[..., 0] * source.mask).sum().backward()
    gradient = white.grad[:, 0] if white.grad is not None else torch.zeros_like(white[:, 0])
    hands, count = len(points.sides), len(points.topology)
    seen = gradient.new_zeros(hands * count)
    seen = seen.index_add(0, geometry.hand * count + geometry.parent, gradient)
    extrinsic = points.world.new_tensor(source.camera.world_to_camera)
    depth = points.world @ extrinsic[2, :3] + extrinsic[2, 3]
    side = points.rest_size * points.growth * source.camera.fx / depth.clamp_min(1e-3)
    cells = torch.from_numpy(points.topology.cells(size)).to(seen.device)
    both = torch.stack([seen.view(hands, count), side.detach().square()], -1)
    pooled = scatter_mean(both, cells, size * size)[:, cells]
    share = pooled[..., 0] / pooled[..., 1].clamp_min(1e-6)
    return (FRONTAL * share).clamp(0, 1)
