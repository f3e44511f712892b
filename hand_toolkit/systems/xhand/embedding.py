"""Feature embedding modules: Ψ(θ | f̄) = f̄ + Φ(θ, Q)·K (XHand, Eq. 7 and 8)."""

from __future__ import annotations

import torch
from torch import nn

POSE = 45
"""Numbers of a pose that the embeddings read: the fingers' θ. The wrist's turn is the camera's."""


class FeatureEmbedding(nn.Module):
    """Average features of the vertices, and what a pose adds to them.

    Φ decodes the pose into ``mapped`` numbers for each vertex, with that vertex's code Q; K, whose
    rows sum to 1, maps them to features. "vertex" runs the decoder for every vertex, as the paper
    does. "factored" runs it once a pose and multiplies its output by the codes, a low-rank form
    that costs a thousandth and is a basis of ``mapped`` fields, which can be baked.
    """

    def __init__(
        self,
        average: torch.Tensor,
        *,
        width: int,
        depth: int,
        mapped: int = 10,
        decoder: str = "factored",
    ) -> None:
        """Start at the average.

        Args:
            average: (V, F) f̄.
            width, depth: of the decoder's layers.
            mapped: length of Φ's output and of each vertex's code.
            decoder: "factored" or "vertex".
        """
        super().__init__()
        count, features = average.shape
        self.decoder = decoder
        self.average = nn.Parameter(average.clone())
        self.code = nn.Parameter(0.02 * torch.randn(count, mapped))
        self.mapping = nn.Parameter(0.3 * torch.randn(mapped, features))
        inputs = POSE + (mapped if decoder == "vertex" else 0)
        layers: list[nn.Module] = []
        for _ in range(depth - 1):
            layers += [nn.Linear(inputs, width), nn.ReLU()]
            nn.init.kaiming_normal_(layers[-2].weight)  # type: ignore[arg-type]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, mapped))
        if decoder == "vertex":
            nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]
        self.centre: torch.Tensor
        self.register_buffer("centre", torch.zeros(mapped))

    @property
    def rows(self) -> torch.Tensor:
        """(M, F) K, whose rows sum to 1."""
        return self.mapping.softmax(-1)

    def offset(self, theta: torch.Tensor) -> torch.Tensor:
        """(V, F) Φ(θ, Q)·K.

        Args:
            theta: (16, 3) axis-angle.
        """
        pose = theta[1:].reshape(-1) / torch.pi
        if self.decoder == "vertex":
            every = pose.expand(len(self.code), POSE)
            decoded: torch.Tensor = self.layers(torch.cat([every, self.code], 1))
            return decoded @ self.rows
        return (self.code * (self.layers(pose) - self.centre)) @ self.rows

    def forward(self, theta: torch.Tensor) -> torch.Tensor:
        """(V, F) features in a pose."""
        return self.average + self.offset(theta)

    @torch.no_grad()
    def refresh(self, poses: torch.Tensor) -> None:
        """Let the average take up the mean offset over poses (T, 16, 3).

        The factored form stays the function that it was: its offsets are centred at the same time.
        """
        mean = torch.stack([self.offset(theta) for theta in poses]).mean(0)
        if self.decoder == "factored":
            decoded = torch.stack([self.layers(t[1:].reshape(-1) / torch.pi) for t in poses])
            self.centre.copy_(decoded.mean(0))
        self.average.add_(mean)
