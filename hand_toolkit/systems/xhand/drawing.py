"""Posed hands to pictures with gradients: lit vertices, rasterized, outlines antialiased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...core.types import Camera
from ...geometry.colour import srgb_curve
from ...geometry.sh import sh_basis
from ...render.mesh import Fragments, antialias, interpolate, project, rasterize
from .person import PosedPerson

FAINT = 1e-4
"""Least linear light that is drawn; the sRGB curve's gradient is steep at 0."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """A picture of hands.

    Attributes:
        color: (H, W, 3) sRGB of the hands alone, 0 outside.
        alpha: (H, W) their coverage, outlines antialiased.
        fragments: what each pixel shows, of the hands' meshes one after the other.
    """

    color: torch.Tensor
    alpha: torch.Tensor
    fragments: Fragments


def lit(posed: PosedPerson, light: torch.Tensor, visible: torch.Tensor | float) -> torch.Tensor:
    """(V, 3) sRGB of the vertices: B = ρ · SH(G, N), dimmed by what obstructs the light."""
    shading = sh_basis(posed.normals, len(light)) @ light
    linear = torch.exp(posed.log_albedo) * shading.clamp_min(FAINT) * visible
    return srgb_curve(linear.clamp_min(FAINT))


def draw(
    hands: Sequence[PosedPerson],
    faces: Sequence[np.ndarray],
    colours: Sequence[torch.Tensor],
    camera: Camera,
) -> Drawn:
    """Draw hands together.

    Args:
        hands: posed; faces: (F, 3) of each.
        colours: (V, C) of each, sRGB first.
        camera: the view.
    """
    vertices = torch.cat([h.vertices for h in hands])
    starts = np.cumsum([0, *(len(h.vertices) for h in hands)])
    every = np.concatenate([f + start for f, start in zip(faces, starts)])
    fragments = rasterize(project(vertices, camera), every, camera.width, camera.height)
    values = torch.cat([torch.cat(list(colours)), torch.ones(len(vertices), 1)], 1)
    drawn = antialias(interpolate(values, fragments), fragments)
    alpha = drawn[..., -1]
    return Drawn(drawn[..., :-1], alpha, fragments)
