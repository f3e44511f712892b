"""Matching observed splats' colours to the photo by drawing them and putting back what is missing.

A splat blends with its neighbours, so colours sampled from the photo draw it a little blurred.
Drawn again and again, what the picture lacks is added to the splats that show there (the iterative
back-projection of Irani and Peleg 1991). Places, sizes and opacities stay as laid out: splats that
move or grow to please one view show as ridges, specks and feathers from every other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...avatar import SurfaceBinding, place
from ...core.types import Camera, Progress, Splats
from ...geometry.surfaces import triangle_frames
from ...skin.observe import PosedSurface, smoothstep

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class OptimizeConfig:
    """How the refinement runs.

    Attributes:
        steps: rounds of drawing and putting back; 0 leaves the colours as they were sampled.
        rate: part of the difference that a round puts back.
        reach: furthest that a colour may move, sRGB; more would be noise made large.
    """

    steps: int = 4
    rate: float = 0.7
    reach: float = 0.15


@dataclass(frozen=True)
class Refined:
    """Splats of one hand after the refinement: binding, opacity (N,), sRGB color (N, 3)."""

    binding: SurfaceBinding
    opacity: np.ndarray
    color: np.ndarray


OPAQUE = 0.993
"""Opacity of every splat: skin."""


def optimize(
    surfaces: list[PosedSurface],
    bindings: list[SurfaceBinding],
    colors: list[np.ndarray],
    evidence: list[np.ndarray],
    pixels: np.ndarray,
    trust: np.ndarray,
    camera: Camera,
    config: OptimizeConfig,
    device: str,
    progress: Progress,
) -> list[Refined]:
    """Fit the colours of what the photo shows; those of unseen skin stay.

    Args:
        surfaces, bindings, colors, evidence: per hand, as in the photo; colours sRGB.
        pixels: (H, W, 3) sRGB in [0, 1].
        trust: (H, W) in [0, 1], how surely a pixel shows a hand; see :func:`observe`.
        camera: the photo's.
        config: rounds and limits.
        device: torch device of the renderer.
        progress: called with the part done.
    """
    import torch

    from ...render import render

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float32, device=device)

    placed = []
    for posed, binding in zip(surfaces, bindings):
        _, area = triangle_frames(posed.vertices, posed.faces)
        placed.append(place(binding, posed.vertices, posed.faces, area))
    means, quats, scales = (tensor(np.concatenate(p)) for p in zip(*placed))
    start = tensor(np.concatenate(colors))
    gate = tensor(smoothstep(np.concatenate(evidence), 0.15, 0.7))[:, None]
    opacity = torch.full((len(means),), OPAQUE, device=device)
    target = tensor(pixels)
    # without the outline's own pixels, which mix skin and background
    outside = (tensor(trust)[None, None] <= 0.5).float()
    inside = 1 - torch.nn.functional.max_pool2d(outside, 3, 1, 1)[0, 0, ..., None]
    pixel = tensor(camera.project(np.concatenate([p[0] for p in placed])))
    size = tensor(np.array([camera.width, camera.height]))
    grid = (2 * pixel / size - 1)[None, None]
    color = start.clone()
    with torch.no_grad():
        for step in range(config.steps):
            picture = render(Splats(means, quats, scales, opacity, color), camera, antialiased=True)
            covered = (picture.alpha[..., None] > COVERED).float() * inside
            lacks = (target - picture.color / picture.alpha[..., None].clamp_min(COVERED)) * covered
            at_splats = torch.nn.functional.grid_sample(
                lacks.permute(2, 0, 1)[None], grid, padding_mode="border", align_corners=False
            )[0, :, 0].T
            moved = color + config.rate * gate * at_splats
            color = start + (moved - start).clamp(-config.reach, config.reach)
            color = color.clamp(0, 1)
            progress((step + 1) / config.steps, "matching the photo")
    shown = np.split(color.cpu().numpy(), np.cumsum([len(b) for b in bindings])[:-1])
    return [
        Refined(binding, np.full(len(binding), OPAQUE, np.float32), own)
        for binding, own in zip(bindings, shown)
    ]


COVERED = 0.9
"""Opacity of the picture from which a pixel shows skin alone."""
