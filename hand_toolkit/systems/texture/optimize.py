"""Refining observed splats against the photo by differentiable rendering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...avatar import SurfaceBinding, place
from ...core.types import Camera, Progress, Splats
from ...geometry.rotations import matrix_from_quat
from ...geometry.surfaces import triangle_frames
from ...skin.observe import PosedSurface, smoothstep

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class OptimizeConfig:
    """How the refinement runs.

    Attributes:
        steps: Adam steps; 0 leaves the splats as they were sampled.
        color_rate, opacity_rate, scale_rate, offset_rate: step sizes; offsets in parts of the
            splat's size.
        edges: weight of the L1 of neighbouring pixels' differences, which sharpens.
        alpha: weight of the silhouette's L1.
        stay: weight of the pull toward the initial size and place.
    """

    steps: int = 80
    color_rate: float = 0.008
    opacity_rate: float = 0.03
    scale_rate: float = 0.012
    offset_rate: float = 0.04
    edges: float = 0.2
    alpha: float = 0.5
    stay: float = 0.02


@dataclass(frozen=True)
class Refined:
    """Splats of one hand after the refinement: binding, opacity (N,), sRGB color (N, 3)."""

    binding: SurfaceBinding
    opacity: np.ndarray
    color: np.ndarray


def optimize(
    surfaces: list[PosedSurface],
    bindings: list[SurfaceBinding],
    colors: list[np.ndarray],
    evidence: list[np.ndarray],
    pixels: np.ndarray,
    mask: np.ndarray,
    trust: np.ndarray,
    camera: Camera,
    config: OptimizeConfig,
    device: str,
    progress: Progress,
) -> list[Refined]:
    """Fit colour, opacity, scale and offset of what the photo shows.

    Parameters move in proportion to each splat's evidence, so unseen skin stays as laid out.

    Args:
        surfaces, bindings, colors, evidence: per hand, as in the photo; colours sRGB.
        pixels: (H, W, 3) sRGB in [0, 1].
        mask: (H, W) in [0, 1] of all hands.
        trust: (H, W) in [0, 1], how surely a pixel shows a hand; see :func:`observe`.
        camera: the photo's.
        config: rates and weights.
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
    start_color = tensor(np.concatenate(colors))
    # what is barely seen keeps its place: grazing splats would be stretched into feathers
    gate = tensor(smoothstep(np.concatenate(evidence), 0.15, 0.7))
    frame = matrix_from_quat(quats)
    size = scales[:, :2].mean(1, keepdim=True)
    color = torch.zeros_like(start_color, requires_grad=True)
    opacity = torch.zeros_like(gate, requires_grad=True)
    scale = torch.zeros_like(scales, requires_grad=True)
    offset = torch.zeros_like(scales, requires_grad=True)
    target_alpha = tensor(mask)
    target = tensor(pixels)
    inside = (tensor(trust)[..., None] > 0.5).float()
    outside = target * (1 - inside)
    # sure silhouettes only: pixels of half coverage would teach translucent skin
    sure = ((target_alpha < 0.02) | (tensor(trust) > 0.9)).float()
    optimizer = torch.optim.Adam(
        [
            {"params": [color], "lr": config.color_rate},
            {"params": [opacity], "lr": config.opacity_rate},
            {"params": [scale], "lr": config.scale_rate},
            {"params": [offset], "lr": config.offset_rate},
        ],
        betas=(0.9, 0.99),
        eps=1e-8,
    )
    g = gate[:, None]

    def current() -> tuple[torch.Tensor, ...]:
        local = offset.clamp(-2, 2) * size * g
        return (
            means + (frame @ local[..., None])[..., 0],
            scales * torch.exp((scale * g).clamp(-0.7, 0.5)),
            torch.sigmoid(START_LOGIT + opacity * gate),
            (start_color + color * g).clamp(0, 1),
        )

    def run() -> None:
        for step in range(config.steps):
            where, how_large, how_opaque, shown = current()
            picture = render(Splats(where, quats, how_large, how_opaque, shown), camera)
            # over the photo itself: a pixel that no splat covers must not brighten its neighbours
            seen = (picture.color + (1 - picture.alpha[..., None]) * target) * inside + outside
            loss = (seen - target).abs().mean() + config.edges * edge_difference(seen, target)
            loss = loss + config.alpha * ((picture.alpha - target_alpha).abs() * sure).mean()
            loss = loss + config.stay * (scale.square().mean() + offset.square().mean())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            for group in optimizer.param_groups:
                group["lr"] *= 0.05 ** (1 / max(config.steps, 1))
            progress((step + 1) / config.steps, "matching the photo")

    threads = torch.get_num_threads()
    # these tensors are small: more threads cost more in waiting than they save
    torch.set_num_threads(1)
    try:
        run()
    finally:
        torch.set_num_threads(threads)

    with torch.no_grad():
        _, how_large, how_opaque, shown = current()
        local = (offset.clamp(-2, 2) * size * g).cpu().numpy()
        grown = (how_large / scales).cpu().numpy()
    result, start = [], 0
    for binding in bindings:
        part = slice(start, start + len(binding))
        start += len(binding)
        moved = (matrix_from_quat(binding.quat) @ local[part][..., None])[..., 0]
        result.append(
            Refined(
                SurfaceBinding(
                    binding.triangle,
                    binding.barycentric,
                    binding.offset + moved,
                    binding.quat,
                    binding.scale * grown[part],
                ),
                how_opaque[part].cpu().numpy(),
                shown[part].cpu().numpy(),
            )
        )
    return result


START_LOGIT = 5.0
"""Opacity of a fresh splat before the sigmoid: 0.993."""


def edge_difference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the horizontal and vertical steps of (H, W, 3) images."""
    d = a - b
    return d.diff(dim=0).abs().mean() + d.diff(dim=1).abs().mean()
