"""The neural renderer: what the mesh shows at a pixel, corrected by a small network (III-B)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ...core.types import Camera
from .drawing import Drawn, draw, lit
from .person import Person, PosedPerson

CODES = 20
"""Length of each vertex's own code for the renderer, beside those of D and ρ."""

BANDS = 6
WIDTH, DEPTH, SKIP = 256, 8, 4
"""Frequencies of the positional encoding; the network's layers, and the one that reads the input
again: the fifth."""


class MlpRenderer(nn.Module):
    """8 x 256, the input again into the fifth layer; one pixel at a time."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for k in range(DEPTH):
            wide = inputs if k == 0 else WIDTH + (inputs if k == SKIP else 0)
            self.layers.append(nn.Linear(wide, WIDTH))
        self.last = nn.Linear(WIDTH, 3)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, 3) of (N, C)."""
        x = features
        for k, layer in enumerate(self.layers):
            x = functional.relu(layer(torch.cat([x, features], 1) if k == SKIP else x))
        return self.last(x)  # type: ignore[no-any-return]


class UnetRenderer(nn.Module):
    """Four levels of convolutions over the whole picture."""

    def __init__(self, inputs: int, width: int = 24) -> None:
        super().__init__()
        sizes = [width, 2 * width, 3 * width, 4 * width]
        self.down = nn.ModuleList()
        for k, size in enumerate(sizes):
            before = inputs if k == 0 else sizes[k - 1]
            self.down.append(_convolutions(before, size))
        self.up = nn.ModuleList(
            _convolutions(sizes[k] + sizes[k + 1], sizes[k]) for k in range(len(sizes) - 1)
        )
        self.last = nn.Conv2d(width, 3, 1)
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None:
            nn.init.zeros_(self.last.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(3, H, W) of (C, H, W)."""
        x, kept = features[None], []
        for k, part in enumerate(self.down):
            x = part(functional.avg_pool2d(x, 2, ceil_mode=True) if k else x)
            kept.append(x)
        for k in reversed(range(len(self.up))):
            wide = functional.interpolate(x, kept[k].shape[-2:], mode="nearest")
            x = self.up[k](torch.cat([kept[k], wide], 1))
        return self.last(x)[0]  # type: ignore[no-any-return]


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
    )


class NeuralRenderer(nn.Module):
    """A person's renderer; its picture is the inverse-rendered one plus what the network adds."""

    def __init__(self, person: Person, kind: str) -> None:
        """Begin with nothing added.

        Args:
            person: whose codes of D and ρ it reads, without changing them.
            kind: "mlp" or "unet".
        """
        super().__init__()
        count = len(person.model.template)
        self.code = nn.Parameter(torch.zeros(count, CODES))
        codes = [person.albedo.code]
        if person.displacement is not None:
            codes.append(person.displacement.code)
        self._codes = [c.detach().clone() for c in codes]
        inputs = 3 + 2 * (3 + 6 * BANDS) + 3 + CODES + sum(c.shape[1] for c in codes)
        self.kind = kind
        self.network: MlpRenderer | UnetRenderer
        self.network = MlpRenderer(inputs) if kind == "mlp" else UnetRenderer(inputs)
        low, high = person.model.template.min(0), person.model.template.max(0)
        self.middle: torch.Tensor
        self.register_buffer("middle", torch.tensor((low + high) / 2, dtype=torch.float32))

    def picture(
        self,
        person: Person,
        posed: PosedPerson,
        light: torch.Tensor,
        visible: torch.Tensor,
        camera: Camera,
        choose: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> tuple[Drawn, torch.Tensor, torch.Tensor]:
        """Draw one hand.

        Args:
            person, posed: the hand and its pose.
            light: (9, 3); visible: (V, 1) factor of obstruction.
            camera: the view; its world is the hand's.
            choose: of the flat indices of covered pixels, those that are drawn; for training.

        Returns:
            The inverse-rendered picture, flat indices of the pixels that the network drew, and
            their sRGB colours (N, 3).
        """
        rest = torch.tensor(person.model.template, dtype=torch.float32) - self.middle
        with torch.no_grad():
            colour = lit(posed, light, visible)
            look = functional.normalize(posed.vertices, dim=1)
            fixed = torch.cat(
                [colour, _encoded(10 * rest), _encoded(look), posed.normals, *self._codes], 1
            )
        values = torch.cat([fixed, self.code], 1)
        drawn = draw([posed], [person.model.faces], [values], camera)
        inside = np.flatnonzero(drawn.fragments.triangle.ravel() >= 0)
        if self.kind == "unet":
            added = self.network(drawn.color.permute(2, 0, 1)).permute(1, 2, 0).reshape(-1, 3)
            pixels = torch.from_numpy(inside)
            made = drawn.color.reshape(-1, drawn.color.shape[-1])[pixels, :3] + added[pixels]
        else:
            pixels = torch.from_numpy(inside if choose is None else choose(inside))
            features = drawn.color.reshape(-1, drawn.color.shape[-1])[pixels]
            made = features[:, :3] + self.network(features)
        base = Drawn(drawn.color[..., :3].detach(), drawn.alpha.detach(), drawn.fragments)
        return base, pixels, made


def _encoded(values: torch.Tensor) -> torch.Tensor:
    """(N, 3 + 6 BANDS) positional encoding."""
    parts = [values]
    for k in range(BANDS):
        parts += [torch.sin(2**k * values), torch.cos(2**k * values)]
    return torch.cat(parts, 1)
