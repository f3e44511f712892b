"""Training samples of the class network, composed a batch at a time on the device that trains.

Rendered crops are turned, shifted and laid on backgrounds; labelled photos are cut out anew, put
before other backgrounds, and pasted over each other as pairs of hands (Ghiasi et al. 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from .backdrops import SIZE
from .cameras import blurred, photographed
from .pools import IGNORED, Ring

EMPTY_SHARE = 0.05
"""Of the rendered samples: no hand at all, what a detector takes for one."""

OCCLUDER_SHARE, SHADOW_SHARE = 0.22, 0.3

REPLACED_SHARE, PASTED_SHARE = 0.25, 0.3
"""Of the labelled photos: with another background, and with another photo's hand."""

OWN_ROW, OTHER_ROW, FOREARM_ROW = 0, 1, 2
"""Rows of the classes' shares; the background is what is left."""


@dataclass(frozen=True)
class Sources:
    """What samples are made of.

    Attributes:
        crops: of ``pools.crop_rows``.
        photos: of ``pools.photo_rows``; may be empty.
        backdrops: ``picture`` (N, SIZE, SIZE, 3) uint8.
    """

    crops: Ring
    photos: Ring
    backdrops: Ring


@dataclass(frozen=True)
class Batch:
    """B training samples.

    Attributes:
        image: (B, 3, SIZE, SIZE) in [0, 1], sRGB.
        shares: (B, 3, SIZE, SIZE) own, other and forearm in each pixel, 0 to 1.
        known: (B, 1, SIZE, SIZE) weight of each pixel, 0 where nothing is known.
        points: (B, 21, 2) pixels of the crop, own keypoints; NaN where unknown.
        other: (B, 21, 2) the same of the other hand.
        depth: (B, 21) metres as in ``classes.ClassMaps``; NaN where unknown.
        has_own, has_other: (B,) 0 or 1, NaN where unknown.
    """

    image: torch.Tensor
    shares: torch.Tensor
    known: torch.Tensor
    points: torch.Tensor
    other: torch.Tensor
    depth: torch.Tensor
    has_own: torch.Tensor
    has_other: torch.Tensor


class Sampler:
    """Draws batches.

    Args:
        sources: of pictures.
        device: where they lie.
        plain: no empty samples, occluders or bad cameras, for validation.
    """

    def __init__(self, sources: Sources, device: torch.device, plain: bool = False) -> None:
        self.sources, self.device, self.plain = sources, device, plain

    def draw(self, rng: np.random.Generator, count: int, photo_share: float) -> Batch:
        """A batch; ``photo_share`` of it from labelled photos, where there are any."""
        photos = round(count * photo_share) if len(self.sources.photos) else 0
        draw = self.drawing(rng)
        rows = draw.rows(self.sources.crops, count - photos)
        rendered = self.rendered(draw, rows)
        if not photos:
            return rendered
        parts = (rendered, self.photos(draw, draw.rows(self.sources.photos, photos)))
        return Batch(
            **{name: torch.cat([getattr(p, name) for p in parts])
               for name in Batch.__dataclass_fields__}
        )  # fmt: skip

    def drawing(self, rng: np.random.Generator) -> Draw:
        """Random numbers for one call of :meth:`rendered` or :meth:`photos`."""
        return Draw(rng, self.device)

    def rendered(self, draw: Draw, rows: torch.Tensor) -> Batch:
        """Samples of these rendered crops."""
        crops, count = self.sources.crops.take(rows), len(rows)
        frames = jittered(draw, crops["frame"])
        rgba = crops["rgba"].permute(0, 3, 1, 2).float() / 255
        alpha = rgba[:, 3:]
        # arms go on beyond the rendered picture
        layers = torch.cat([rgba[:, :3] * alpha, alpha, _shares(crops["labels"])], 1)
        layers = warped(layers, frames, *layers.shape[:1:-1])
        front, alpha, shares = layers[:, :3], layers[:, 3:4], layers[:, 4:]
        own = crops["own"].float()
        has_other = torch.isfinite(crops["other"][:, 0, 0]).float()
        depth = torch.where(crops["own"][:, None], crops["depth"], torch.nan)
        points = _moved(frames, crops["points"])
        other = _moved(frames, crops["other"])
        points = torch.where(crops["own"][:, None, None], points, torch.nan)
        back = self._behind(draw, count)
        shaded = back * (1 - _shadow(draw, alpha))
        back = torch.where(draw.chance(count, SHADOW_SHARE), shaded, back)
        if not self.plain:
            there = (~draw.chance(count, EMPTY_SHARE)).float()
            front, alpha, shares = front * there, alpha * there, shares * there
            own, has_other = own * there[:, 0, 0, 0], has_other * there[:, 0, 0, 0]
            hidden = there[:, :, 0, 0] == 0
            depth = torch.where(hidden, torch.nan, depth)
            points = torch.where(hidden[..., None], torch.nan, points)
            other = torch.where(hidden[..., None], torch.nan, other)
        picture = front + back * (1 - alpha)
        if not self.plain:
            cover = occluders(draw, count)
            picture = picture * (1 - cover) + self._behind(draw, count) * cover
            shares = shares * (1 - cover)
        known = torch.ones_like(alpha)
        image = self._taken(draw, picture)
        return Batch(image, shares, known, points, other, depth, own, has_other)

    def photos(self, draw: Draw, rows: torch.Tensor) -> Batch:
        """Samples of these labelled photos."""
        count = len(rows)
        picture, shares, known = self._cut(draw, rows, 0.05)
        # another background, where all that is not surely background stays
        skin = shares.sum(1, keepdim=True)
        solid = blurred(torch.maximum(skin, 1 - known), 0.7)
        replaced = draw.chance(count, REPLACED_SHARE)
        picture = torch.where(replaced, picture * solid + self._behind(draw, count) * (1 - solid),
                              picture)  # fmt: skip
        # a second hand, before or behind the first
        second, others, sure = self._cut(draw, draw.rows(self.sources.photos, count), 0.22)
        flip = draw.chance(count, 0.6)
        second, others, sure = (torch.where(flip, x.flip(3), x) for x in (second, others, sure))
        cover = blurred(others.sum(1, keepdim=True) * sure, 0.7)
        free = 1 - blurred(torch.maximum(skin, 1 - known), 0.7)
        cover = torch.where(draw.chance(count, 0.5), cover, cover * free)
        pasted = draw.chance(count, PASTED_SHARE)
        cover = cover * pasted
        picture = picture * (1 - cover) + second * cover
        own_of = others[:, OWN_ROW : OWN_ROW + 1]
        arm_of = others[:, FOREARM_ROW : FOREARM_ROW + 1]
        total = (own_of + arm_of).clamp_min(1e-6)
        added = torch.cat([torch.zeros_like(own_of), own_of / total, arm_of / total], 1)
        shares = shares * (1 - cover) + added * cover
        hidden = occluders(draw, count)
        picture = picture * (1 - hidden) + self._behind(draw, count) * hidden
        shares = shares * (1 - hidden)
        known = torch.maximum(torch.maximum(known, cover > 0.5), hidden > 0.5).float()
        unknown = torch.full((count, 21, 2), torch.nan, device=self.device)
        seen_other = torch.where(pasted[:, 0, 0, 0], torch.nan, 0.0)
        own = torch.ones(count, device=self.device)
        image = self._taken(draw, picture)
        return Batch(image, shares, known, unknown, unknown, unknown[..., 0], own, seen_other)

    def _cut(
        self, draw: Draw, rows: torch.Tensor, shift: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Picture, shares and what is known of labelled photos in jittered crops."""
        photos = self.sources.photos.take(rows)
        frames = jittered(draw, photos["frame"], shift)
        picture = photos["picture"].permute(0, 3, 1, 2).float() / 255
        labels = photos["labels"]
        known = (labels != IGNORED)[:, None].float()
        layers = torch.cat([picture, _shares(labels), known], 1)
        wide, high = photos["size"].T
        layers = warped(layers, frames, wide, high)
        inside = warped(torch.ones_like(known), frames, wide, high, border=False)
        # a pixel that is half known is not known
        known = ((layers[:, 6:] > 0.99) & (inside > 0.5)).float()
        return layers[:, :3], layers[:, 3:6] * known, known

    def _behind(self, draw: Draw, count: int) -> torch.Tensor:
        """(count, 3, SIZE, SIZE) backgrounds, turned, mirrored, magnified, colours swapped."""
        ring = self.sources.backdrops
        found = ring.take(draw.rows(ring, count))["picture"].permute(0, 3, 1, 2).float() / 255
        quarter = (draw.uniform(count) * 4).floor() * (torch.pi / 2)
        scale = 1 + 0.6 * draw.uniform(count) ** 2
        mirror = torch.where(draw.uniform(count) < 0.5, -1.0, 1.0)
        turn = _turns(quarter, scale)
        turn[:, :, 0] *= mirror[:, None]
        middle = torch.full((count, 2, 1), SIZE / 2, device=self.device)
        room = (scale - 1)[:, None, None] * SIZE / 2
        shift = (2 * draw.uniform(count, 2, 1) - 1) * room
        frames = torch.cat([turn, middle + shift - turn @ middle], 2)
        order = torch.stack([torch.randperm(3) for _ in range(8)]).to(self.device)
        swap = torch.where(draw.uniform(count) < 0.25, draw.below(count, 8), 0)
        order[0] = torch.arange(3)
        found = found.gather(1, order[swap][..., None, None].expand(-1, -1, SIZE, SIZE))
        return warped(found, frames, SIZE, SIZE)

    def _taken(self, draw: Draw, pictures: torch.Tensor) -> torch.Tensor:
        """By a camera."""
        if self.plain:
            return pictures.clamp(0, 1)
        return photographed(draw.rng, 255 * pictures) / 255


class Draw:
    """Random numbers of a batch."""

    def __init__(self, rng: np.random.Generator, device: torch.device) -> None:
        self.rng, self.device = rng, device
        self.generator = torch.Generator(device)
        self.generator.manual_seed(int(rng.integers(1 << 62)))

    def uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=self.generator, device=self.device)

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)

    def below(self, count: int, end: int) -> torch.Tensor:
        return torch.randint(end, (count,), generator=self.generator, device=self.device)

    def rows(self, ring: Ring, count: int) -> torch.Tensor:
        return self.below(count, len(ring))

    def chance(self, count: int, share: float) -> torch.Tensor:
        """(count, 1, 1, 1) bool."""
        return self.uniform(count, 1, 1, 1) < share


def _shares(labels: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) float of own, other and forearm from (B, H, W) labels."""
    return torch.stack([labels == value for value in (1, 2, 3)], 1).float()


def _turns(angle: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """(B, 2, 2) rotations times scales."""
    c, s = angle.cos() * scale, angle.sin() * scale
    return torch.stack([torch.stack([c, -s], 1), torch.stack([s, c], 1)], 1)


def jittered(draw: Draw, frames: torch.Tensor, shift: float = 0.05) -> torch.Tensor:
    """(B, 2, 3) frames as far off as detected keypoints put them.

    Args:
        draw: of the jitter.
        frames: to the crop that true keypoints give.
        shift: its standard deviation in crops' edges.
    """
    count = len(frames)
    usual = draw.uniform(count) < 0.65
    angle = draw.normal(count) * torch.where(usual, 0.12, 0.45)
    scale = (0.12 * draw.normal(count) - 0.04).exp()
    turn = _turns(angle, scale)
    moved = turn @ frames
    middle = torch.full((count, 2), SIZE / 2, device=frames.device)
    wild = torch.where(draw.uniform(count, 1) < 0.1, 2.5, 1.0)
    offset = middle - (turn @ middle[..., None])[..., 0]
    moved[:, :, 2] += offset + shift * SIZE * wild * draw.normal(count, 2)
    return moved


def _moved(frames: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """(B, 21, 2) points in the frames' crops."""
    return points @ frames[:, :, :2].mT + frames[:, None, :, 2]


def warped(
    layers: torch.Tensor,
    frames: torch.Tensor,
    wide: torch.Tensor | int,
    high: torch.Tensor | int,
    border: bool = True,
) -> torch.Tensor:
    """Crops of pictures.

    Args:
        layers: (B, C, H, W).
        frames: (B, 2, 3) to the crop's pixels, pixel edges at 0 and SIZE.
        wide, high: pixels of each picture from the upper left corner that count; what lies
            outside repeats their border.
        border: else it is zero.
    """
    axis = torch.arange(SIZE, device=layers.device) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    target = torch.stack([x, y], -1).view(1, -1, 2)
    back = torch.linalg.inv_ex(frames[:, :, :2])[0]
    place = (target - frames[:, None, :, 2]) @ back.mT
    ends = torch.stack([torch.as_tensor(e, device=layers.device).expand(len(layers)).float()
                        for e in (wide, high)], -1)[:, None]  # fmt: skip
    if border:
        place = torch.minimum(place.clamp_min(0.5), ends - 0.5)
    else:
        outside = (place < 0) | (place > ends)
        place = torch.where(outside.any(-1, keepdim=True), -10.0 * layers.shape[-1], place)
    edges = layers.new_tensor([layers.shape[-1], layers.shape[-2]])
    grid = (2 * place / edges - 1).view(len(layers), SIZE, SIZE, 2)
    return functional.grid_sample(layers, grid, align_corners=False)


def _shadow(draw: Draw, alpha: torch.Tensor) -> torch.Tensor:
    """(B, 1, SIZE, SIZE) darkening of what is behind by a soft, shifted shadow."""
    small = functional.avg_pool2d(alpha, 8)
    small = blurred(small, float(draw.rng.uniform(0.4, 1.4)))
    count, size = len(alpha), SIZE // 8
    unit = torch.eye(2, device=alpha.device).expand(count, 2, 2)
    shift = 0.08 * 2 * (2 * draw.uniform(count, 2, 1) - 1)
    grid = functional.affine_grid(torch.cat([unit, shift], 2), [count, 1, size, size], False)
    moved = functional.grid_sample(small, grid, align_corners=False)
    strength = 0.2 + 0.5 * draw.uniform(count, 1, 1, 1)
    return strength * functional.interpolate(moved, (SIZE, SIZE), mode="bilinear")


def occluders(draw: Draw, count: int) -> torch.Tensor:
    """(count, 1, SIZE, SIZE) cover of bars, discs and shards in front of some samples."""
    axis = torch.arange(SIZE, device=draw.device) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    place = torch.stack([x, y], -1)[None]
    corners = SIZE * draw.uniform(count, 3, 1, 1, 2)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    along = b - a
    part = ((place - a) * along).sum(-1) / (along * along).sum(-1).clamp_min(1e-6)
    nearest = a + part.clamp(0, 1)[..., None] * along
    bar = (place - nearest).norm(dim=-1) - (1.5 + 15.5 * draw.uniform(count, 1, 1))
    axes = 8 + 42 * draw.uniform(count, 2)
    turn = _turns(torch.pi * draw.uniform(count), torch.ones(count, device=draw.device))
    local = torch.einsum("bij,bhwj->bhwi", turn, place - a)
    disc = ((local / axes[:, None, None]).norm(dim=-1) - 1) * axes.mean(1)[:, None, None]
    sides = []
    sign = torch.sign(_cross(b - a, c - a))
    for start, end in ((a, b), (b, c), (c, a)):
        edge = end - start
        sides.append(-sign * _cross(edge, place - start) / edge.norm(dim=-1).clamp_min(1e-6))
    shard = torch.stack(sides).amax(0)
    kind = draw.uniform(count, 1, 1)
    inside = torch.where(kind < 0.4, bar, torch.where(kind < 0.7, disc, shard))
    cover = (0.5 - inside).clamp(0, 1)[:, None]
    small = cover.mean((1, 2, 3), keepdim=True) < 0.25
    return cover * (small & draw.chance(count, OCCLUDER_SHARE))


def _cross(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
