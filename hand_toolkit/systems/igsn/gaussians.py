"""From attributes to splats: refinement (drop and split), placement, colour, baking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ...avatar import SurfaceBinding
from ...core.types import Splats
from ...geometry.colour import srgb_to_linear
from ...geometry.rotations import quat_from_matrix
from ...geometry.surfaces import carried
from .config import PriorConfig
from .network import Attributes, PriorNetwork
from .points import PosedPoints
from .shading import linear_to_srgb, shade

PLANE_SIGMA = 0.62
"""Standard deviation in the triangle's plane over the square root of its area.

Neighbouring centroids of a regular mesh are about 0.9 roots of area apart; at 0.6 the sum of
their Gaussians is flat within 2 %, so the surface shows no holes.
"""

NORMAL_SIGMA = 0.2
"""The same along the normal: thin, so that silhouettes stay sharp."""

CHILD_SCALE = 0.8
"""A split's copy relative to its parent (3DGS divides by 1.6 when both halves are new)."""


@dataclass(frozen=True)
class BoundGaussians:
    """Splats of one hand after refinement, on the surface of a right hand.

    Attributes:
        parent: (M,) index of the point that each splat comes from.
        offset: (M, 3) metres in the triangle's frame, flat hand.
        scale: (M, 3) metres, flat hand.
        quat: (M, 4).
        opacity: (M,).
        albedo: (M, 3) sRGB-encoded.
    """

    parent: torch.Tensor
    offset: torch.Tensor
    scale: torch.Tensor
    quat: torch.Tensor
    opacity: torch.Tensor
    albedo: torch.Tensor


def refine(
    config: PriorConfig, attributes: Attributes, points: PosedPoints, hand: int
) -> BoundGaussians:
    """Drop and split the points of ``hand`` by their validity (section 3.2.2).

    The paper's thresholds, with continuous transitions in place of jumps: opacity falls to 0
    as v falls to ``drop_below``, and a copy fades in as v rises above ``split_above``. So the
    image loss has a gradient to v on both sides, and training shows no popping.
    """
    c = config
    v = attributes.validity[hand]
    keep = ((v - c.drop_below) / (c.split_above - c.drop_below)).clamp(0, 1)
    size = points.rest_size[hand][:, None].detach()
    base = size.new_tensor([PLANE_SIGMA, PLANE_SIGMA, NORMAL_SIGMA])
    scale = size * base * attributes.log_scale[hand].exp()
    opacity = attributes.opacity[hand] * keep
    everyone = torch.arange(len(v), device=v.device)
    alive = everyone[v.detach() > c.drop_below]
    split = everyone[v.detach() > c.split_above]
    if not c.use_refinement:
        split = split[:0]
    fade = ((v - c.split_above) / (1 - c.split_above)).clamp(0, 1)
    offset = attributes.offset[hand]
    child = offset + attributes.child_offset[hand]

    def join(own: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        return torch.cat([own[alive], copy[split]])

    return BoundGaussians(
        parent=torch.cat([alive, split]),
        offset=join(offset, child),
        scale=join(scale, scale * CHILD_SCALE),
        quat=join(attributes.quat[hand], attributes.quat[hand]),
        opacity=join(opacity, opacity * fade),
        albedo=join(attributes.albedo[hand], attributes.albedo[hand]),
    )


def mirror_binding(side: str, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Signs (3,) and (4,) that take offsets and quaternions of a right hand to ``side``.

    Face f of a left hand is the mirrored face f of the right one with corners 0 and 1 swapped,
    so its frame is the mirrored frame with e1 negated (see ``AvatarHand.mirrored``).
    """
    if side == "left":
        return like.new_tensor([-1.0, 1.0, 1.0]), like.new_tensor([1.0, 1.0, -1.0, -1.0])
    return like.new_ones(3), like.new_ones(4)


@dataclass(frozen=True)
class Geometry:
    """Placed splats of all hands of one scene, without colour.

    Attributes:
        means, quats, scales, opacities: as in ``Splats``, world, M splats.
        albedo: (M, 3) linear.
        normals: (M, 3) unit, world.
        hand: (M,) hand of each splat.
        parent: (M,) point of each splat.
    """

    means: torch.Tensor
    quats: torch.Tensor
    scales: torch.Tensor
    opacities: torch.Tensor
    albedo: torch.Tensor
    normals: torch.Tensor
    hand: torch.Tensor
    parent: torch.Tensor

    def splats(self, colors: torch.Tensor) -> Splats:
        """The splats with those colours (M, 3)."""
        return Splats(self.means, self.quats, self.scales, self.opacities, colors)


def place(
    config: PriorConfig, attributes: Attributes, points: PosedPoints, scene: int = 0
) -> Geometry:
    """Refine, place in the world and join the hands of ``scene``."""
    parts = []
    for hand, side in enumerate(points.sides):
        if points.scene[hand] != scene:
            continue
        bound = refine(config, attributes, points, hand)
        p = bound.parent
        offset_signs, quat_signs = mirror_binding(side, bound.offset)
        frames = points.frames[hand][p]
        # orientation gradients reach the pose through means and normals, which are smooth
        placed = carried(
            points.world[hand][p],
            frames,
            quat_from_matrix(frames),
            points.growth[hand][p],
            bound.offset * offset_signs,
            bound.quat * quat_signs,
            bound.scale,
        )
        parts.append(
            (
                *placed,
                bound.opacity,
                srgb_to_linear(bound.albedo),
                points.normals[hand][p],
                torch.full_like(p, hand),
                p,
            )
        )
    return Geometry(*(torch.cat(column) for column in zip(*parts)))


def colors(
    geometry: Geometry,
    shadow: torch.Tensor,
    light: torch.Tensor,
    gain: torch.Tensor | None = None,
) -> torch.Tensor:
    """sRGB colours (M, 3): albedo x SH lighting(normal) x shadow.

    Args:
        geometry: placed splats.
        shadow: (H, N) coefficients of :meth:`PriorNetwork.shadow`.
        light: (9, 3), world.
        gain: (3,) colour calibration, multiplies linear albedo.
    """
    linear = geometry.albedo if gain is None else geometry.albedo * gain
    shaded = linear * shade(light, geometry.normals)
    return linear_to_srgb(shaded * shadow[geometry.hand, geometry.parent][:, None])


def scene_colors(
    network: PriorNetwork,
    points: PosedPoints,
    attributes: Attributes,
    geometry: Geometry,
    light: torch.Tensor,
    gain: torch.Tensor | None = None,
) -> torch.Tensor:
    """:func:`colors` with the network's shadow under that light."""
    return colors(geometry, network.shadow(points, attributes, light), light, gain)


def bind(bound: BoundGaussians, side: str) -> SurfaceBinding:
    """The splats as a binding to the triangles of that side's mesh (numpy)."""
    offset_signs, quat_signs = mirror_binding(side, bound.offset)
    count = len(bound.parent)
    return SurfaceBinding(
        bound.parent.cpu().numpy(),
        np.full((count, 3), 1 / 3, np.float32),
        (bound.offset * offset_signs).detach().cpu().numpy(),
        (bound.quat * quat_signs).detach().cpu().numpy(),
        bound.scale.detach().cpu().numpy(),
    )
