"""What hands are made from: skeletons and image patches, any part of which may be missing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import nn

from .config import HhmrConfig

LEAST_SIGMA = 1e-3
"""Of the noise that conditions are said to have, in their own units."""


@dataclass(frozen=True)
class Conditions:
    """Conditions of B hands, right ones or mirrored left ones.

    Attributes:
        points_2d: (B, 21, 2) of the visible keypoints about their mean, in units of their rms
            distance from it, in the picture of the camera that looks at the palm, upright.
        seen_2d: (B, 21) bool.
        sigma_2d: (B,) noise of those, same unit.
        angle: (B,) that unit as tan of an angle; 0 where the camera is not known.
        points_3d: (B, 21, 3) about the palm's centre, in ``UNIT_M``.
        seen_3d: (B, 21) bool.
        sigma_3d: (B,) noise of those, same unit.
        patches: (B, P, C) features of the picture's patches, row by row; P may be 0.
        seen_patches: (B, P) bool.
        upright: (B,) bool: the mesh is in the axes of that camera; else in the hand's own.
    """

    points_2d: torch.Tensor
    seen_2d: torch.Tensor
    sigma_2d: torch.Tensor
    angle: torch.Tensor
    points_3d: torch.Tensor
    seen_3d: torch.Tensor
    sigma_3d: torch.Tensor
    patches: torch.Tensor
    seen_patches: torch.Tensor
    upright: torch.Tensor

    def __len__(self) -> int:
        return len(self.upright)

    @staticmethod
    def none(count: int, config: HhmrConfig, device: torch.device | str = "cpu") -> Conditions:
        """No condition at all: hands in their own axes."""
        zeros = torch.zeros(count, device=device)
        return Conditions(
            points_2d=torch.zeros(count, 21, 2, device=device),
            seen_2d=torch.zeros(count, 21, dtype=torch.bool, device=device),
            sigma_2d=zeros,
            angle=zeros,
            points_3d=torch.zeros(count, 21, 3, device=device),
            seen_3d=torch.zeros(count, 21, dtype=torch.bool, device=device),
            sigma_3d=zeros,
            patches=torch.zeros(count, 0, config.image_channels, device=device),
            seen_patches=torch.zeros(count, 0, dtype=torch.bool, device=device),
            upright=torch.zeros(count, dtype=torch.bool, device=device),
        )

    def take(self, rows: torch.Tensor) -> Conditions:
        """Some of the batch."""
        values = {f.name: getattr(self, f.name)[rows] for f in dataclasses.fields(self)}
        return Conditions(**values)

    def repeat(self, times: int) -> Conditions:
        """Each of the batch ``times`` over, copies side by side."""
        values = {
            f.name: getattr(self, f.name).repeat_interleave(times, 0)
            for f in dataclasses.fields(self)
        }
        return Conditions(**values)

    def with_room(self, config: HhmrConfig) -> Conditions:
        """The same with patches, none of them seen, where there were none."""
        if self.patches.shape[1]:
            return self
        count, patches = len(self), config.patches**2
        return dataclasses.replace(
            self,
            patches=self.angle.new_zeros(count, patches, config.image_channels),
            seen_patches=self.seen_2d.new_zeros(count, patches),
        )

    @staticmethod
    def joined(parts: list[Conditions]) -> Conditions:
        """One batch of several."""
        return Conditions(
            **{
                f.name: torch.cat([getattr(p, f.name) for p in parts])
                for f in dataclasses.fields(Conditions)
            }
        )


class ConditionEncoder(nn.Module):
    """Every condition to tokens of one space; absent ones are left out by the mask.

    Tokens are the 21 points of either skeleton with what is known of the 2D one's scale, a
    token of the whole image and its patches, and one token that is always there.
    """

    def __init__(self, config: HhmrConfig) -> None:
        super().__init__()
        width, patches = config.condition_width, config.patches**2
        self.flat, self.deep = _mlp(3, width), _mlp(4, width)
        self.flat_joint = nn.Parameter(0.02 * torch.randn(21, width))
        self.deep_joint = nn.Parameter(0.02 * torch.randn(21, width))
        self.scale = _mlp(2, width)
        self.always = nn.Parameter(0.02 * torch.randn(width))
        self.patch = nn.Linear(config.image_channels, width)
        self.place = nn.Parameter(0.02 * torch.randn(patches + 1, width))
        self.vision = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, max(width // 64, 1), 2 * width, 0.0, "gelu", batch_first=True,
                norm_first=True,
            )
            for _ in range(config.image_layers)
        )  # fmt: skip
        self.norm = nn.LayerNorm(width)

    def forward(self, c: Conditions) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, T, W) and which of them are valid (B, T)."""
        count = len(c)
        log_2d = (c.sigma_2d + LEAST_SIGMA).log()[:, None, None].expand(-1, 21, 1)
        log_3d = (c.sigma_3d + LEAST_SIGMA).log()[:, None, None].expand(-1, 21, 1)
        flat = self.flat(torch.cat([c.points_2d, log_2d], -1)) + self.flat_joint
        deep = self.deep(torch.cat([c.points_3d, log_3d], -1)) + self.deep_joint
        known = c.angle > 0
        logarithm = torch.where(known, c.angle.clamp_min(1e-4).log() + 2.0, 0.0)
        scale = self.scale(torch.stack([logarithm, known.to(logarithm.dtype)], -1))[:, None]
        tokens = [self.always.expand(count, 1, -1), flat, scale, deep]
        has_flat = c.seen_2d.any(1, keepdim=True)
        valid = [torch.ones_like(has_flat), c.seen_2d, has_flat, c.seen_3d]
        if c.patches.shape[1]:
            has_image = c.seen_patches.any(1, keepdim=True)
            image = self.patch(c.patches)
            image = torch.cat([torch.zeros_like(image[:, :1]), image], 1) + self.place
            seen = torch.cat([torch.ones_like(has_image), c.seen_patches], 1)
            for layer in self.vision:
                image = layer(image, src_key_padding_mask=~seen)
            tokens.append(image)
            valid.append(seen & has_image)
        return self.norm(torch.cat([t.to(flat.dtype) for t in tokens], 1)), torch.cat(valid, 1)


def _mlp(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.GELU(), nn.Dropout(0.05),
        nn.Linear(width, width), nn.GELU(), nn.Dropout(0.05),
        nn.Linear(width, width),
    )  # fmt: skip
