"""Layers of the denoiser: graph convolution, attention, and the block that joins them."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torch.nn import functional

from .pyramid import Table


class Sparse(nn.Module):
    """A fixed sparse matrix over the vertex axis.

    On CUDA it is multiplied as a dense one, which tensor cores do in no time; on the CPU in
    compressed rows, ten times as fast as gathering.
    """

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._table = table
        self._kept: dict[tuple[torch.device, torch.dtype], torch.Tensor] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, R, C) of (B, columns, C)."""
        matrix = self._matrix(x.device, x.dtype)
        if x.is_cuda:
            return torch.matmul(matrix, x)
        batch, columns, channels = x.shape
        flat = x.transpose(0, 1).reshape(columns, batch * channels)
        return torch.sparse.mm(matrix, flat).reshape(-1, batch, channels).transpose(0, 1)

    def _matrix(self, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        key = (device, dtype)
        if key not in self._kept:
            dense = torch.as_tensor(self._table.dense(), dtype=dtype, device=device)
            self._kept[key] = dense if device.type == "cuda" else _compressed(dense)
        return self._kept[key]


def _compressed(dense: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        # torch calls its compressed rows unfinished; this product is not
        warnings.simplefilter("ignore", UserWarning)
        return dense.to_sparse_csr()


class GraphConvolution(nn.Module):
    """Chebyshev polynomials of the scaled Laplacian (Defferrard et al. 2016, eq. 4)."""

    def __init__(self, laplacian: Sparse, inputs: int, outputs: int, order: int) -> None:
        super().__init__()
        # several layers share the table; it is no part of any of them
        self._laplacian = (laplacian,)
        self.order = order
        self.linear = nn.Linear(order * inputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, V, outputs) of (B, V, inputs)."""
        propagate, weight = self._laplacian[0], self.linear.weight
        # Clenshaw's recurrence: the sum of polynomials without keeping any of them
        own = [
            functional.linear(x, part, self.linear.bias if k == 0 else None)
            for k, part in enumerate(weight.chunk(self.order, 1))
        ]
        last, before = own[-1], None
        for k in range(self.order - 2, -1, -1):
            moved = propagate(last).to(x.dtype)
            total = torch.add(own[k], moved, alpha=2 if k else 1)
            if before is not None:
                total = total - before
            last, before = total, last
        return last


class Attention(nn.Module):
    """Multi-head attention of vertices to vertices, or to condition tokens."""

    def __init__(self, channels: int, head_width: int, source: int | None = None) -> None:
        super().__init__()
        self.heads = channels // head_width
        self.query = nn.Linear(channels, channels)
        self.pair = nn.Linear(source or channels, 2 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(
        self,
        x: torch.Tensor,
        source: torch.Tensor | None = None,
        valid: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(B, V, C) of (B, V, C) and tokens (B, T, S), of which ``valid`` (B, T) are looked at."""
        key, value = self.pair(x if source is None else source).chunk(2, -1)
        mask = None if valid is None else valid[:, None, None]
        mixed = functional.scaled_dot_product_attention(
            self._split(self.query(x)), self._split(key), self._split(value), attn_mask=mask
        )
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Graph convolution, self-attention, attention to conditions and an MLP, each added.

    The noise level shifts and scales what each of them reads.

    Args:
        laplacian: of the level.
        channels: of the level.
        time_width: of the noise level's embedding.
        condition_width: of condition tokens; None leaves attention to them out.
        head_width: of attention heads.
        order: of the graph convolution.
        self_attention: whether vertices attend to each other.
    """

    def __init__(
        self,
        laplacian: Sparse,
        channels: int,
        time_width: int,
        condition_width: int | None,
        head_width: int,
        order: int,
        self_attention: bool,
    ) -> None:
        super().__init__()
        self.graph = GraphConvolution(laplacian, channels, channels, order)
        self.itself = Attention(channels, head_width) if self_attention else None
        self.condition = (
            None if condition_width is None else Attention(channels, head_width, condition_width)
        )
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.modulation = nn.Linear(time_width, 8 * channels)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self, x: torch.Tensor, time: torch.Tensor, tokens: torch.Tensor, valid: torch.Tensor
    ) -> torch.Tensor:
        """(B, V, C) of the same, time (B, W), tokens (B, T, S) and which are valid (B, T)."""
        scale = self.modulation(time)[:, None].chunk(8, -1)

        def read(k: int) -> torch.Tensor:
            return self.norm(x) * (1 + scale[2 * k]) + scale[2 * k + 1]

        x = x + functional.gelu(self.graph(read(0)))
        if self.itself is not None:
            x = x + self.itself(read(1))
        if self.condition is not None:
            x = x + self.condition(read(2), tokens, valid)
        return x + self.mlp(read(3))
