"""The denoiser: a U over the mesh pyramid that predicts the clean mesh (HHMR, section 4.2)."""

from __future__ import annotations

import math

import torch
from torch import nn

from .conditions import ConditionEncoder, Conditions
from .config import STEPS, HhmrConfig
from .layers import Block, Sparse
from .pyramid import Pyramid, build_pyramid

TIME_WIDTH = 256
TIME_WAVES = 64


class HhmrNetwork(nn.Module):
    """Noisy mesh, noise level and conditions to the clean mesh.

    The finest level has graph convolution alone: attention among all vertices would cost
    more than the rest together.
    """

    regressor: torch.Tensor

    def __init__(self, config: HhmrConfig) -> None:
        super().__init__()
        self.config = config
        self.pyramid: Pyramid = build_pyramid(config.hand_model, len(config.channels), config.ratio)
        levels = self.pyramid.levels
        self._laplacians = nn.ModuleList(Sparse(level.laplacian) for level in levels)
        self._downs = nn.ModuleList(Sparse(v.down) for v in levels if v.down is not None)
        self._ups = nn.ModuleList(Sparse(v.up) for v in levels if v.up is not None)
        self.conditions = ConditionEncoder(config)
        self.time = nn.Sequential(
            nn.Linear(2 * TIME_WAVES, TIME_WIDTH), nn.SiLU(), nn.Linear(TIME_WIDTH, TIME_WIDTH)
        )
        self.axes = nn.Parameter(0.02 * torch.randn(2, TIME_WIDTH))
        self.point = nn.Linear(3, config.channels[0])
        self.vertex = nn.Parameter(0.5 * torch.randn(len(levels[0].rows), config.channels[0]))
        last = len(levels) - 1
        self.entering, self.leaving = nn.ModuleList(), nn.ModuleList()
        self.lower, self.higher = nn.ModuleList(), nn.ModuleList()
        for k in range(last):
            self.entering.append(self._block(k))
            self.lower.append(nn.Linear(config.channels[k], config.channels[k + 1]))
            self.higher.append(nn.Linear(config.channels[k + 1], config.channels[k]))
            self.leaving.append(self._block(k))
        self.middle = nn.ModuleList(self._block(last) for _ in range(config.middle_blocks))
        self.final = nn.LayerNorm(config.channels[0])
        self.head = nn.Linear(config.channels[0], 3)
        regressor = torch.as_tensor(self.pyramid.regressor)
        self.register_buffer("regressor", regressor, persistent=False)

    def _block(self, level: int) -> Block:
        c = self.config
        laplacian = self._laplacians[level]
        assert isinstance(laplacian, Sparse)
        width = c.condition_width if level else None
        return Block(
            laplacian, c.channels[level], TIME_WIDTH, width, c.head_width, c.chebyshev,
            c.self_attention and level > 0,
        )  # fmt: skip

    def forward(
        self, noisy: torch.Tensor, step: torch.Tensor, tokens: torch.Tensor,
        valid: torch.Tensor, upright: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """The clean mesh.

        Args:
            noisy: (B, V, 3) in ``UNIT_M``.
            step: (B,) noise level, 0 to ``STEPS`` - 1.
            tokens, valid: of :meth:`encode`.
            upright: (B,) bool, see :class:`Conditions`.

        Returns:
            (B, V, 3) float32.
        """
        time = self.time(_waves(step)) + self.axes[upright.long()]
        time = nn.functional.silu(time)
        x = self.point(noisy) + self.vertex
        kept = []
        for k, block in enumerate(self.entering):
            x = block(x, time, tokens, valid)
            kept.append(x)
            x = self.lower[k](self._downs[k](x))
        for block in self.middle:
            x = block(x, time, tokens, valid)
        for k in reversed(range(len(self.leaving))):
            x = kept[k] + self._ups[k](self.higher[k](x))
            x = self.leaving[k](x, time, tokens, valid)
        # millimetres are lost in bfloat16
        with torch.autocast(x.device.type, enabled=False):
            return self.head(self.final(x.float()))  # type: ignore[no-any-return]

    def encode(self, conditions: Conditions) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, T, W) of conditions and which of them are valid (B, T).

        Outside of training those that are valid for no hand are left out.
        """
        tokens, valid = self.conditions(conditions)
        if not self.training:
            kept = valid.any(0)
            tokens, valid = tokens[:, kept], valid[:, kept]
        return tokens, valid

    def joints(self, mesh: torch.Tensor) -> torch.Tensor:
        """(B, 21, 3) keypoints of meshes (B, V, 3)."""
        return self.regressor.to(mesh.dtype) @ mesh


def _waves(step: torch.Tensor) -> torch.Tensor:
    """(B, 2 TIME_WAVES) sines and cosines of a noise level."""
    rate = torch.exp(-math.log(10_000) * torch.arange(TIME_WAVES, device=step.device) / TIME_WAVES)
    angle = step.float()[:, None] * (1000 / STEPS) * rate
    return torch.cat([angle.sin(), angle.cos()], -1)
