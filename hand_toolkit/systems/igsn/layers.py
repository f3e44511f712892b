"""Building blocks of the network: encodings, attention, scattering to UV."""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn
from torch.nn import functional


def positional_encoding(x: torch.Tensor, frequencies: int) -> torch.Tensor:
    """(..., C) to (..., C (1 + 2 frequencies)): x, sin and cos of pi 2^k x (NeRF, Eq. 4)."""
    scale = math.pi * 2.0 ** torch.arange(frequencies, dtype=x.dtype, device=x.device)
    angle = (x[..., None] * scale).flatten(-2)
    return torch.cat([x, angle.sin(), angle.cos()], -1)


def unit(x: torch.Tensor) -> torch.Tensor:
    """``x`` (..., C) divided by its length; several times as fast as torch's norm for C = 3."""
    return x * (x * x).sum(-1, keepdim=True).clamp_min(1e-18).rsqrt()


def sample_map(maps: torch.Tensor, uv: torch.Tensor) -> torch.Tensor:
    """Bilinear values (H, N, C) of maps (H, C, S, S) at uv (N, 2) in [0, 1], v along rows."""
    grid = (uv * 2 - 1).expand(maps.shape[0], 1, *uv.shape)
    sampled = functional.grid_sample(
        maps, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled[:, :, 0].transpose(1, 2)


def scatter_mean(values: torch.Tensor, cells: torch.Tensor, count: int) -> torch.Tensor:
    """Mean (H, count, C) of values (H, N, C) per cell (N,); zero where a cell is empty."""
    total = values.new_zeros(values.shape[0], count, values.shape[2])
    total = total.index_add(1, cells, values)
    number = torch.bincount(cells, minlength=count).clamp_min(1).to(values.dtype)
    return total / number[:, None]


class Attention(nn.Module):
    """Multi-head attention of queries (B, Q, W) to a context (B, K, W)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        batch, count, width = x.shape
        query = self.query(x).view(batch, count, self.heads, -1).transpose(1, 2)
        key, value = (
            t.view(batch, context.shape[1], self.heads, -1).transpose(1, 2)
            for t in self.key_value(context).chunk(2, -1)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(batch, count, width))


class Block(nn.Module):
    """Pre-norm transformer layer: self-attention, cross-attention on request, MLP."""

    def __init__(self, width: int, heads: int, cross: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attend = Attention(width, heads)
        self.cross_norm = nn.LayerNorm(width) if cross else None
        self.cross = Attention(width, heads) if cross else None
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 3 * width),
            nn.GELU(),
            nn.Linear(3 * width, width),
        )

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        normed = self.norm(x)
        x = x + self.attend(normed, normed)
        if self.cross is not None and self.cross_norm is not None and context is not None:
            x = x + self.cross(self.cross_norm(x), context)
        return x + self.mlp(x)


class TokenGrid(nn.Module):
    """Transformer over the occupied cells of a UV grid, unpacked to a feature map."""

    def __init__(
        self, tokens: int, width: int, layers: int, heads: int, out: int, size: int
    ) -> None:
        super().__init__()
        self.tokens, self.out, self.ratio = tokens, out, size // tokens
        self.place = nn.Parameter(torch.randn(tokens * tokens, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads, cross=True) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.unpack = nn.Linear(width, out * self.ratio**2)

    def forward(
        self, x: torch.Tensor, occupied: torch.Tensor, context: torch.Tensor
    ) -> torch.Tensor:
        """Map (H, out, S, S) from cells (H, T*T, width), of which only ``occupied`` attend."""
        kept = x[:, occupied] + self.place[occupied]
        for block in self.blocks:
            kept = block(kept, context)
        values = self.unpack(self.norm(kept))
        full = values.new_zeros(x.shape[0], self.tokens**2, values.shape[2])
        full = full.index_copy(1, occupied, values)
        grid = full.transpose(1, 2).reshape(x.shape[0], -1, self.tokens, self.tokens)
        return functional.pixel_shuffle(grid, self.ratio)


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers of those widths with GELU between them."""
    parts: list[nn.Module] = []
    for first, second in itertools.pairwise(widths):
        parts += [nn.Linear(first, second), nn.GELU()]
    return nn.Sequential(*parts[:-1])
