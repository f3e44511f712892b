"""Endless subjects on the accelerator, and the same photos worn by each of them.

What :class:`hand_toolkit.skin.training.subjects.Mixer` does one at a time, for a batch: the slow
part of one skin, the fine part of another, other melanin, hue, palms and nails. A record's photo
then shows the new skin wherever it showed the old one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ...synth.skin import MELANIN_ABSORPTION
from ..grid import GRID
from ..uv_layout import uv_layout
from .photos import OBSERVED_SIZE
from .subjects import Mixer

FLUSH = (-0.05, 0.8, 0.9)
"""Log absorbance of blood under a flushed palm, linear R, G, B."""

PALER = -0.04
FLUSH_MEAN, FLUSH_SPREAD = 0.08, 0.2
"""Palms over the pictures', in log: MakeHuman's are paler beside the back, by .1 to .15, than those
of four other pictured people (two Godot hands, Reom, Antonia); half of that is taken off."""

LACQUER, LACQUER_FROM = 0.25, (0.45, 0.27, 0.2)
PATCHES, SPECKLES = 0.08, 0.25
"""Parts of the subjects with lacquer (and the bare nail's albedo), patches of other pigment, and
freckles or hair."""

STEP = OBSERVED_SIZE // GRID


@dataclass(frozen=True)
class Wardrobe:
    """The subjects' bands as pictures on the observations' layout, on one device.

    Attributes:
        slow: (S, 3, OBSERVED_SIZE, OBSERVED_SIZE) log albedo without detail.
        canonical, own: (S, 3, ...) the detail, half precision.
        palm, nail: (1, ...) 1 on palms, on nails.
        rest: (3, ...) place on the rest surface, metres.
        cover: (1, 1, OBSERVED_SIZE, OBSERVED_SIZE) 1 on the layout's covered texels.
        share: (S,) how often each subject is drawn.
    """

    slow: torch.Tensor
    canonical: torch.Tensor
    own: torch.Tensor
    palm: torch.Tensor
    nail: torch.Tensor
    rest: torch.Tensor
    cover: torch.Tensor
    share: np.ndarray

    @classmethod
    def of(cls, mixer: Mixer, device: str) -> Wardrobe:
        """The subjects of a mixer."""
        image = mixer.layout.image

        def pictures(values: list[np.ndarray]) -> torch.Tensor:
            return torch.cat([_reduced(image(v)).half() for v in values]).to(device)

        single = pictures([mixer.palm, mixer.nail])
        covered = uv_layout("default", OBSERVED_SIZE).covered
        return cls(
            slow=pictures(mixer.slow),
            canonical=pictures([canonical for canonical, _ in mixer.fine]),
            own=pictures([own for _, own in mixer.fine]),
            palm=single[0].float(),
            nail=single[1].float(),
            rest=pictures([mixer.layout.rest])[0].float(),
            cover=torch.tensor(covered.astype(np.float32), device=device)[None, None],
            share=mixer.share,
        )

    def draw(self, count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Canonical and own log albedo (B, 3, OBSERVED_SIZE, OBSERVED_SIZE)."""
        device, kinds = self.slow.device, len(self.slow)

        def vary(*spread: float) -> torch.Tensor:
            values = rng.normal(size=(count, len(spread))) * spread
            return torch.tensor(values, dtype=torch.float32, device=device)[:, :, None, None]

        def some(part: float) -> torch.Tensor:
            chosen = rng.random((count, 1, 1, 1)) < part
            return torch.tensor(chosen, dtype=torch.float32, device=device)

        def color(low: float, high: float) -> torch.Tensor:
            values = np.log(rng.uniform(low, high, (count, 3)))
            return torch.tensor(values, dtype=torch.float32, device=device)[:, :, None, None]

        pigment = torch.tensor(MELANIN_ABSORPTION, dtype=torch.float32, device=device)
        pigment = pigment[None, :, None, None]
        first, second, other = (
            torch.tensor(i) for i in rng.choice(kinds, size=(3, count), p=self.share)
        )
        fine = torch.where(torch.tensor(rng.random(count) < 0.5), first, second)
        share = some(0.3) * torch.tensor(rng.uniform(0, 0.5, (count, 1, 1, 1))).float().to(device)
        low = self.slow[first].float() * (1 - share) + self.slow[other].float() * share
        flush = torch.tensor(FLUSH, device=device)[None, :, None, None]
        palms = PALER + vary(0.06, 0.10, 0.12) - flush * (FLUSH_MEAN + vary(FLUSH_SPREAD))
        bare = vary(0.08, 0.08, 0.08) + vary(0.04, 0.04, 0.04)
        tint = (
            color(0.03, 0.9)
            - torch.tensor(np.log(LACQUER_FROM), device=device).float()[None, :, None, None]
        )
        low = low + self.palm * palms - 0.2 * vary(1.0) * pigment + vary(0.03, 0.03, 0.06)
        low = low + self.nail * torch.where(some(LACQUER) > 0, tint, bare)
        gain = torch.exp(vary(0.2))
        canonical = low + gain * self.canonical[fine].float()
        own = low + gain * self.own[fine].float()
        amount = torch.where(some(0.5) > 0, torch.full_like(share, 0.45), -0.5 + vary(0.2))
        for k in np.flatnonzero(rng.random(count) < PATCHES):
            own[k] += amount[k] * self._patches(1, rng)[0] * pigment[0]
        for k in np.flatnonzero(rng.random(count) < SPECKLES):
            own[k] -= abs(rng.normal() * 0.3) * self._speckles(1, rng)[0] * pigment[0]
        return canonical.clamp(-5, 0), own.clamp(-5, 0)

    def _patches(self, count: int, rng: np.random.Generator) -> torch.Tensor:
        """(B, 1, S, S) 0 or 1 in patches of centimetres that go on across the layout's cuts."""
        waves = rng.normal(size=(count, 8, 3)) * rng.uniform(60, 250, (count, 1, 1))
        phase = torch.tensor(rng.uniform(0, 6.3, (count, 8, 1, 1))).float().to(self.rest.device)
        turns = torch.tensor(waves).float().to(self.rest.device)
        field = torch.sin(torch.einsum("bkc,chw->bkhw", turns, self.rest) + phase).mean(1)
        level = torch.tensor(rng.uniform(0.05, 0.35, (count, 1, 1))).float().to(self.rest.device)
        return ((field - level) / 0.05).clamp(0, 1)[:, None]

    def _speckles(self, count: int, rng: np.random.Generator) -> torch.Tensor:
        """(B, 1, S, S) spots of a millimetre or two, or thin strokes along the layout."""
        seed = torch.Generator(self.rest.device).manual_seed(int(rng.integers(1 << 62)))
        noise = torch.randn(count, 1, OBSERVED_SIZE, OBSERVED_SIZE, generator=seed,
                            device=self.rest.device)  # fmt: skip
        wide = 3 if rng.random() < 0.7 else 9
        soft = functional.avg_pool2d(noise, (3, wide), 1, (1, wide // 2)) * (3 * wide) ** 0.5
        return (soft - 1.9).clamp(0, 1.2)

    def palm_at_grid(self) -> torch.Tensor:
        """(1, 1, GRID, GRID)."""
        return functional.interpolate(self.palm[None], (GRID, GRID), mode="area")

    def at_grid(self, skins: torch.Tensor, move: torch.Tensor | None = None) -> torch.Tensor:
        """Skins (B, 3, S, S) as means over the grid's texels, at other places if moved.

        Args:
            skins: log albedo.
            move: (B, 2, GRID, GRID) on the layout, u to the right and v up; as records have it.
        """
        size = OBSERVED_SIZE
        at = (torch.arange(size, device=skins.device) + 0.5) / size * 2 - 1
        place = torch.stack(torch.meshgrid(at, at, indexing="xy"), dim=-1)[None]
        if move is not None:
            wide = functional.interpolate(move, (size, size), mode="nearest")
            place = place + 2 * torch.stack([wide[:, 0], -wide[:, 1]], dim=-1)
        else:
            place = place.expand(len(skins), -1, -1, -1)
        values = functional.grid_sample(
            skins, place, mode="bilinear", padding_mode="border", align_corners=False
        )
        part = functional.avg_pool2d(self.cover, STEP)
        return functional.avg_pool2d(values * self.cover, STEP) / part.clamp(min=1e-3)


def _reduced(picture: np.ndarray) -> torch.Tensor:
    """(1, C, OBSERVED_SIZE, OBSERVED_SIZE) of a larger picture (S, S, C)."""
    values = torch.tensor(picture.astype(np.float32)).permute(2, 0, 1)[None]
    size = (OBSERVED_SIZE, OBSERVED_SIZE)
    return functional.interpolate(values, size, mode="bilinear", antialias=True)


def softened(values: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """(B, C, S, S) blurred by a Gaussian of its own for each sample, (B,) in texels."""
    count, channels = values.shape[:2]
    reach = torch.arange(-6, 7, device=values.device, dtype=values.dtype)
    kernel = torch.exp(-0.5 * (reach[None] / sigma.clamp(min=0.15)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = values.reshape(1, count * channels, *values.shape[2:])
    for shape in ((-1, 1, 1, 13), (-1, 1, 13, 1)):
        pad = (6, 6, 0, 0) if shape[2] == 1 else (0, 0, 6, 6)
        wide = functional.pad(flat, pad, mode="replicate")
        flat = functional.conv2d(wide, kernel.reshape(shape), groups=count * channels)
    return flat.reshape(values.shape)


def weighted_medians(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(B, C) weighted medians of (B, C, M) under weights (B, 1, M)."""
    ordered, order = values.sort(dim=2)
    share = weight.expand_as(values).gather(2, order).cumsum(2)
    at = torch.searchsorted(share, 0.5 * share[..., -1:].contiguous())
    return ordered.gather(2, at.clamp(max=values.shape[2] - 1))[..., 0]
