"""The completion network: what to believe of a photo, what shade to take off, what lies hidden.

It does not paint. Per texel it says how far to believe the photo, which shade to take off it,
how to mix a bank of detail maps and a slow residual, and per hand the nails' colour:

    hidden = bank[0] + sum_k mix_k bank[k] + slow + nail * nails
    albedo = hidden + belief (photo - shade - hidden)

all in log albedo relative to the tone of sure skin. So it composes at any size, and hidden skin
is as sharp as the bank.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from .grid import GRID
from .uv_observation import CHANNELS

FOLD = 3
"""Grid texels along each side of one working texel."""

WORK = GRID // FOLD
BOTTOM = WORK // 8
WIDTHS = (48, 96, 128, 192)
"""Channels at WORK, WORK / 2, WORK / 4 and BOTTOM places a side."""

PLACE_CHANNELS = 12

SEEN, RIM, BESIDE, MASK = (CHANNELS.index(n) for n in ("seen", "rim", "beside", "mask"))
UNLIKE = CHANNELS.index("unlike_background")
ENOUGH_NAIL = 8.0
"""Grid texels of nail whose colour is half believed; a thumb's nail has 60."""

FIRST_GUESS = {
    "seen": 1.4, "rim": -1.3, "beside": -0.3, "facing": 1.0, "openness": 2.7,
    "unlike_background": 2.9, "mask": 3.7, "resolution": 0.4,
}  # fmt: skip
ODD_COLOR, NOTHING_KNOWN = -1.0, -5.3
"""Logistic regression of belief on the inputs, the mean |relative colour| and 1: where training
starts. It explains 37 % of the entropy on 120 samples."""

TONE_CENTRE = 1.5
"""Tones are log albedo, about -1.5 for people's skin."""


@dataclass(frozen=True)
class Heads:
    """What the network says of a batch of B observations.

    Attributes:
        belief: (B, 1, GRID, GRID) logits.
        shade: (B, 3, GRID, GRID) log shade to take off.
        mix: (B, K - 1, WORK / 4, WORK / 4) weights of the bank's maps after the mean.
        slow: (B, 3, WORK / 2, WORK / 2) residual.
        nails: (B, 3) log colour of the nails over the bank's.
    """

    belief: torch.Tensor
    shade: torch.Tensor
    mix: torch.Tensor
    slow: torch.Tensor
    nails: torch.Tensor


def _block(inner: int, outer: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inner, outer, 3, stride, 1), nn.GroupNorm(8, outer), nn.SiLU())


class Attention(nn.Module):
    """Every place of the bottom map sees every other: palm and back, finger and finger."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.place = nn.Parameter(0.1 * torch.randn(1, BOTTOM * BOTTOM, width))
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = (
            t.unflatten(2, (4, -1)).transpose(1, 2)
            for t in self.project(self.before(tokens + self.place)).chunk(3, dim=2)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v)
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(2))
        tokens = tokens + self.mlp(self.between(tokens))
        return tokens.transpose(1, 2).reshape(x.shape)


class SeenNails(nn.Module):
    """The nails' colour from the nails that the photo shows: lacquer on one is on all."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(7, 32), nn.Linear(32, 3)
        for values in self.outer.parameters():
            nn.init.zeros_(values)

    def forward(self, inputs: torch.Tensor, tone: torch.Tensor, nail: torch.Tensor) -> torch.Tensor:
        """(B, 3) of inputs (B, 15, GRID, GRID), tones (B, 3) and the nails (1, GRID, GRID)."""
        sure = inputs[:, SEEN : SEEN + 1] * inputs[:, MASK : MASK + 1] * nail
        # slivers of a nail at an outline show the wall as often as lacquer
        sure = sure * (1 - inputs[:, [RIM, BESIDE]].amax(1, keepdim=True)) ** 2
        sure = sure * (3 * inputs[:, UNLIKE : UNLIKE + 1]).clamp(0, 1)
        amount = sure.sum((2, 3))
        color = (sure * inputs[:, :3]).sum((2, 3)) / amount.clamp(min=1e-3)
        known = amount / (amount + ENOUGH_NAIL)
        features = torch.cat([color * known, known, tone + TONE_CENTRE], dim=1)
        return self.outer(functional.silu(self.inner(features)))


class CompletionNetwork(nn.Module):
    """A U-Net over the UV layout with attention at its bottom, 2 million weights.

    Args:
        maps: K detail maps of the bank that it mixes, the mean first.
        widths: see ``WIDTHS``.
    """

    def __init__(self, maps: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d = widths
        self.places = nn.Parameter(0.1 * torch.randn(1, PLACE_CHANNELS, WORK, WORK))
        self.fold = nn.Conv2d(len(CHANNELS) * FOLD * FOLD, a, 1)
        self.down0 = _block(a + PLACE_CHANNELS + 3, a)
        self.down1 = nn.Sequential(_block(a, b, 2), _block(b, b))
        self.down2 = nn.Sequential(_block(b, c, 2), _block(c, c))
        self.bottom = nn.Sequential(_block(c, d, 2), Attention(d), Attention(d))
        self.lift2, self.up2 = nn.Conv2d(d, c, 1), _block(c, c)
        self.lift1, self.up1 = nn.Conv2d(c, b, 1), _block(b, b)
        self.lift0, self.up0 = nn.Conv2d(b, a, 1), _block(a, a)
        self.mix = nn.Conv2d(c, maps - 1, 1)
        self.slow = nn.Conv2d(b, 3, 1)
        self.shade = nn.Conv2d(a, 3, 1)
        self.fine = nn.Conv2d(a, 4 * FOLD * FOLD, 3, 1, 1)
        self.nails = nn.Linear(d, 3)
        self.seen_nails = SeenNails()
        self.guess = nn.Conv2d(len(CHANNELS) + 1, 1, 1)
        for head in (self.mix, self.slow, self.shade, self.fine, self.nails):
            for values in head.parameters():
                nn.init.zeros_(values)
        weights = [FIRST_GUESS.get(name, 0.0) for name in CHANNELS] + [ODD_COLOR]
        start = (torch.tensor(weights)[None, :, None, None], torch.full((1,), NOTHING_KNOWN))
        for values, known in zip(self.guess.parameters(), start):
            values.data.copy_(known)

    def forward(self, inputs: torch.Tensor, tone: torch.Tensor, nail: torch.Tensor) -> Heads:
        """Heads of inputs (B, 15, GRID, GRID), tones (B, 3) and the bank's nails (1, GRID, GRID).

        Tones are log albedo.
        """
        batch = len(inputs)
        tone_map = (tone + TONE_CENTRE)[:, :, None, None].expand(-1, -1, WORK, WORK)
        folded = self.fold(functional.pixel_unshuffle(inputs, FOLD))
        places = self.places.expand(batch, -1, -1, -1)
        down0 = self.down0(torch.cat([folded, places, tone_map], dim=1))
        down1 = self.down1(down0)
        down2 = self.down2(down1)
        bottom = self.bottom(down2)
        up2 = self.up2(down2 + resized(self.lift2(bottom), WORK // 4))
        up1 = self.up1(down1 + resized(self.lift1(up2), WORK // 2))
        up0 = self.up0(down0 + resized(self.lift0(up1), WORK))
        fine = functional.pixel_shuffle(self.fine(up0), FOLD)
        odd = inputs[:, :3].abs().mean(1, keepdim=True)
        return Heads(
            belief=fine[:, :1] + self.guess(torch.cat([inputs, odd], dim=1)),
            shade=fine[:, 1:] + resized(self.shade(up0), GRID),
            mix=self.mix(up2),
            slow=self.slow(up1),
            nails=self.nails(bottom.mean((2, 3))) + self.seen_nails(inputs, tone, nail),
        )


def resized(values: torch.Tensor, size: int) -> torch.Tensor:
    """(B, C, size, size), bilinear."""
    if values.shape[-1] == size:
        return values
    return functional.interpolate(values, (size, size), mode="bilinear")


def compose(
    photo: torch.Tensor,
    seen: torch.Tensor,
    heads: Heads,
    bank: torch.Tensor,
    nail: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Albedo, hidden skin, belief and shade at the size S of the photo and the bank.

    Args:
        photo: (B, 3, S, S) relative log albedo as observed; seen: (B, 1, S, S).
        heads: of the network.
        bank: (K, 3, S, S); nail: (1, S, S) 1 on nails.

    Returns:
        (B, 3, S, S) relative log albedo, the same of hidden skin, (B, 1, S, S) belief and
        (B, 3, S, S) shade.
    """
    size = photo.shape[-1]
    mix = resized(heads.mix, size)
    hidden = bank[0] + resized(heads.slow, size) + heads.nails[:, :, None, None] * nail
    for k in range(1, len(bank)):
        hidden = hidden + mix[:, k - 1 : k] * bank[k]
    belief = torch.sigmoid(resized(heads.belief, size)) * (seen > 0.02)
    shade = resized(heads.shade, size)
    return hidden + belief * (photo - shade - hidden), hidden, belief, shade
