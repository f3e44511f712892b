"""Batches of records: photos of random subjects, kept on the accelerator as they are written."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from ...core.errors import InputError
from ..grid import GRID
from ..network import BESIDE, MASK, RIM, SEEN, resized
from ..uv_layout import uv_layout
from ..uv_observation import CHANNELS
from .dressing import Wardrobe, softened, weighted_medians
from .photos import OBSERVED_SIZE
from .records import COLUMNS, covered

RESOLUTION = CHANNELS.index("resolution")
TARGET, RIGHT, MOVE, SHOWS, WORN = (
    COLUMNS.index(name) for name in ("target_r", "right", "move_u", "shows", "worn_r")
)
TEXEL_MM = 1.5
"""Side of a grid texel on the surface."""

AT_ONCE = 200
"""Files that one refreshment reads at most, so that training goes on."""


class Pool:
    """Records of a folder that may still grow, and the subjects that wear them.

    Args:
        folder: of ``NNNNN.npz`` files.
        wardrobe: the training subjects.
        capacity: records that are kept; later ones take the place of random earlier ones.
        device: torch's.
    """

    def __init__(self, folder: Path, wardrobe: Wardrobe, capacity: int, device: str) -> None:
        self.folder, self.wardrobe, self.device = folder, wardrobe, device
        cover = covered(uv_layout("default", OBSERVED_SIZE))
        self.cover = torch.tensor(cover, device=device)
        self.index = torch.tensor(np.flatnonzero(cover), device=device)
        shape = (capacity, len(self.index), len(COLUMNS))
        self.values = torch.empty(shape, dtype=torch.float16, device=device)
        self.tone = torch.zeros(capacity, 3, device=device)
        self.plain = torch.zeros(capacity, dtype=torch.bool, device=device)
        self.count, self.read = 0, set[str]()

    def refresh(self, rng: np.random.Generator) -> None:
        """Read new files.

        Raises:
            InputError: there are no records.
        """
        new = sorted(p for p in self.folder.glob("[0-9]" * 5 + ".npz") if p.name not in self.read)
        for path in new[:AT_ONCE]:
            self.read.add(path.name)
            try:
                with np.load(path, allow_pickle=False) as data:
                    values, tone, plain = data["values"], data["tone"], bool(data["plain"])
            except (OSError, ValueError, KeyError, BadZipFile):
                continue
            sound = np.isfinite(values).all() and np.isfinite(tone).all()
            if values.shape != self.values.shape[1:] or not sound:
                continue
            full = self.count == len(self.values)
            place = int(rng.integers(self.count)) if full else self.count
            self.values[place] = torch.tensor(values).to(self.device)
            self.tone[place] = torch.tensor(tone).to(self.device)
            self.plain[place] = plain
            self.count += not full
        if not self.count:
            raise InputError(f"no samples in {self.folder.name}; make some with 'photos' first")

    def batch(self, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        """Inputs (B, 15, GRID, GRID), targets (B, 3, ...), right (B, 1, ...), tone (B, 3)."""
        chosen = torch.tensor(rng.integers(self.count, size=size), device=self.device)
        flat = self.values[chosen].float().transpose(1, 2)
        grid = torch.zeros(size, flat.shape[1], GRID * GRID, device=self.device)
        grid[:, :, self.index] = flat
        grid = grid.unflatten(2, (GRID, GRID))
        inputs, right = grid[:, : len(CHANNELS)], grid[:, RIGHT : RIGHT + 1]
        right = (right > 0.7).float()
        inputs, target, tone = self._dressed(grid, inputs, right, self.tone[chosen],
                                             self.plain[chosen], rng)  # fmt: skip
        return self._varied(inputs, target, right, tone, rng)

    def _dressed(
        self,
        grid: torch.Tensor,
        inputs: torch.Tensor,
        right: torch.Tensor,
        tone: torch.Tensor,
        plain: torch.Tensor,
        rng: np.random.Generator,
    ) -> tuple[torch.Tensor, ...]:
        """Inputs, targets and tones with plain subjects' skins exchanged for random ones."""
        size, wardrobe = len(grid), self.wardrobe
        canonical, own = wardrobe.draw(size, rng)
        shows, move = grid[:, SHOWS : SHOWS + 1], grid[:, MOVE : MOVE + 2]
        moved = wardrobe.at_grid(own, move * (shows > 0))
        # a photo's pixel in texels, times the blur of a lens and of sampling
        per_mm = (inputs[:, RESOLUTION] * 2 * (shows[:, 0] > 0)).sum((1, 2))
        per_mm = torch.exp(per_mm / (shows[:, 0] > 0).sum((1, 2)).clamp(min=1))
        blur = rng.uniform(0.5, 0.9, size) + (rng.random(size) < 0.25)
        sigma = torch.tensor(blur).to(tone) / per_mm.clamp(min=0.2) / TEXEL_MM
        seen_skin = softened(moved, sigma)
        change = (seen_skin - grid[:, WORN : WORN + 3]) * shows
        seen = inputs[:, SEEN : SEEN + 1]
        rims = inputs[:, [RIM, BESIDE]].amax(1, keepdim=True)
        shown = ((inputs[:, MASK : MASK + 1] - 0.5) / 0.4).clamp(0, 1)
        sure = seen * (1 - 0.95 * rims) * shown * shown * (3 - 2 * shown) + 1e-4 * seen
        color = (inputs[:, :3] + change) * (seen > 0)
        middle = self._middle(color, sure + 1e-9)
        color = (color - middle) * (seen > 0)
        target = torch.where(right > 0, moved, wardrobe.at_grid(canonical))
        target = target - self._middle(target, sure * right + 1e-6 * (seen > 0) + 1e-9)
        target = target * self.cover
        exchanged = plain[:, None, None, None]
        color = torch.where(exchanged, color, inputs[:, :3]).clamp(-4, 4)
        return (
            torch.cat([color, inputs[:, 3:]], dim=1),
            torch.where(exchanged, target, grid[:, TARGET : TARGET + 3]),
            torch.where(plain[:, None], tone + middle[:, :, 0, 0], tone),
        )

    def _middle(self, values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """(B, 3, 1, 1) weighted medians on the covered texels."""
        flat, share = (v.flatten(2)[:, :, self.index] for v in (values, weight))
        return weighted_medians(flat, share)[:, :, None, None]

    def _varied(
        self,
        inputs: torch.Tensor,
        target: torch.Tensor,
        right: torch.Tensor,
        tone: torch.Tensor,
        rng: np.random.Generator,
    ) -> tuple[torch.Tensor, ...]:
        """Exposure and white balance say nothing of the skin; the light's estimate leaves shade."""
        count, seen = len(inputs), inputs[:, SEEN : SEEN + 1]
        color = inputs[:, :3] + self._light_left(count, rng) * (seen > 0)
        spread = rng.normal(size=(count, 1)) * 0.25 + rng.normal(size=(count, 3)) * [
            0.15, 0.08, 0.15,
        ]  # fmt: skip
        varied = torch.cat([color, inputs[:, 3:]], dim=1)
        kept = self._hidden_parts(count, rng)
        varied[:, :4] = varied[:, :4] * kept
        return varied, target, right * kept, tone + torch.tensor(spread).to(tone)

    def _light_left(self, count: int, rng: np.random.Generator) -> torch.Tensor:
        """(B, 3, GRID, GRID) slow shade that the estimated light leaves on the photo."""
        grey = rng.normal(size=(count, 1, 5, 5)) * 0.12 + rng.normal(size=(count, 3, 5, 5)) * 0.03
        field = resized(torch.tensor(grey, dtype=torch.float32, device=self.device), GRID)
        some = rng.random((count, 1, 1, 1)) < 0.5
        return field * torch.tensor(some, device=self.device)

    def _hidden_parts(self, count: int, rng: np.random.Generator) -> torch.Tensor:
        """(B, 1, GRID, GRID) 0 in a random part of some layouts: less of the hand is seen."""
        low = torch.tensor(rng.normal(size=(count, 1, 7, 7)), device=self.device).float()
        some = torch.tensor(rng.random((count, 1, 1, 1)) < 0.3, device=self.device)
        return 1 - ((resized(low, GRID) > 0.5) & some).float()
