"""Two-hand refinement: each hand's occupancy, corrected by what the other hand does near it.

Both initial surfaces become point clouds in posed space. Anchors among the points get latents
of their surroundings and, by attention, of each other; a query looks at the nearest anchors of both
hands and at both initial occupancies, and its own hand's is corrected. Where the other hand is
farther than :data:`REACH` the correction is zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from .config import Im2HandsConfig
from .frames import bone_frames, rest_frames
from .occupancy import HandFrame, InitialOccupancy

REACH = 10.0
"""Logits, about millimetres, from the other hand within which a hand is corrected."""

FULL = 4.0
"""Nearer than this the correction is whole."""

MOST = 8.0
"""Logits by which a query's occupancy changes at most."""

LEEWAY = 0.7
"""Logits, about millimetres, that a hand may draw back from the border to the other."""

AROUND = 8
"""Points in an anchor's latent."""

NEWTON_STEPS, NEWTON_MOST_M = 1, 0.006
TOLD = 11
"""Numbers of a point: place in the own and in the other palm's frame, normal, both logits."""


@dataclass(frozen=True)
class Clouds:
    """The initial surfaces of 2 B right hands (see :func:`mirrored`) as points.

    Attributes:
        points: (2 B, P, 3) metres, each hand's own axes.
        normals: (2 B, P, 3) outward.
        own, other: (2 B, P) initial logits of both hands at the points.
    """

    points: torch.Tensor
    normals: torch.Tensor
    own: torch.Tensor
    other: torch.Tensor


MIRROR = (-1.0, 1.0, 1.0)


def mirrored(points: torch.Tensor) -> torch.Tensor:
    """(2 B, ...) right hands of pairs (B, 2, ..., 3): the right ones, then the mirrored left."""
    flip = torch.tensor(MIRROR, dtype=points.dtype, device=points.device)
    return torch.cat([points[:, 0], points[:, 1] * flip])


def paired(values: torch.Tensor) -> torch.Tensor:
    """(B, 2, ...) of values (2 B, ...) in the order of :func:`mirrored`."""
    return torch.stack(values.chunk(2), 1)


def other_places(places: torch.Tensor) -> torch.Tensor:
    """Places (2 B, N, 3) in the axes of the other hand of each pair."""
    flip = torch.tensor(MIRROR, dtype=places.dtype, device=places.device)
    right, left = places.chunk(2)
    return torch.cat([left * flip, right * flip])


def swapped(values: torch.Tensor) -> torch.Tensor:
    """(2 B, ...) the other hand's values."""
    return torch.cat(values.chunk(2)[::-1])


def other_logits(initial: InitialOccupancy, hands: HandFrame, places: torch.Tensor) -> torch.Tensor:
    """(2 B, N) initial logits of the other hand at each hand's places (2 B, N, 3)."""
    return swapped(initial(hands, other_places(places)))


def surface_clouds(initial: InitialOccupancy, hands: HandFrame, config: Im2HandsConfig) -> Clouds:
    """Points on the initial surfaces of 2 B hands, by Newton's steps from the mean hand's skin."""
    known = rest_frames(config.hand_model, config.points)
    device = hands.keypoints.device
    bone = torch.as_tensor(known.surface_bone, device=device)
    rest_turns, rest_origins = bone_frames(initial.rest[None], initial.rest)
    skin = torch.as_tensor(known.surface, device=device).float()
    local = ((skin - rest_origins[0, bone])[:, None] @ rest_turns[0, bone])[:, 0]
    places = (hands.turns[:, bone] @ local[None, :, :, None])[..., 0] + hands.origins[:, bone]
    slope = torch.zeros_like(places)
    for step in range(NEWTON_STEPS + 1):
        with torch.enable_grad():
            asked = places.detach().requires_grad_()
            value = initial(hands, asked)
            slope = torch.autograd.grad(value.sum(), asked)[0]
        size = slope.norm(dim=-1, keepdim=True).clamp_min(50.0)
        if step < NEWTON_STEPS:
            move = -value.detach()[..., None] * slope / size.square()
            length = move.norm(dim=-1, keepdim=True).clamp_min(1e-9)
            places = asked.detach() + move * (NEWTON_MOST_M / length).clamp_max(1.0)
    places = places.detach()
    with torch.no_grad():
        other = other_logits(initial, hands, places)
    normals = -functional.normalize(slope, dim=-1)
    return Clouds(places, normals, value.detach(), other)


@dataclass(frozen=True)
class Context:
    """What the queries of 2 B hands look at.

    Attributes:
        anchors: (2 B, 2 A, 3) of the own and then the other hand, own axes.
        latents: (2 B, 2 A, L).
        whole: (2 B, 2 L) global latents of both.
        turns: (2 B, 3, 3) of the own palm.
        root: (2 B, 1, 3) own wrist.
    """

    anchors: torch.Tensor
    latents: torch.Tensor
    whole: torch.Tensor
    turns: torch.Tensor
    root: torch.Tensor

    def take(self, rows: torch.Tensor) -> Context:
        """Those of some hands."""
        return Context(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


class TwoHandRefinement(nn.Module):
    """Clouds of two hands and queries to corrections of the initial logits."""

    anchor: torch.Tensor
    around: torch.Tensor

    def __init__(self, config: Im2HandsConfig) -> None:
        super().__init__()
        self.config = config
        skin = torch.as_tensor(rest_frames(config.hand_model, config.points).surface).float()
        # each place is the farthest from those before, so the first are spread evenly
        anchor = torch.arange(config.anchors)
        around = torch.cdist(skin[anchor], skin).topk(AROUND, largest=False).indices
        self.register_buffer("anchor", anchor, persistent=False)
        self.register_buffer("around", around, persistent=False)
        width = config.latent
        self.point = nn.Sequential(nn.Linear(TOLD + 3, width), nn.ReLU(), nn.Linear(width, width))
        self.name = nn.Parameter(0.1 * torch.randn(config.anchors, width))
        self.side = nn.Parameter(0.1 * torch.randn(2, width))
        layer = nn.TransformerEncoderLayer(
            width, max(width // 16, 1), 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.mixing = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.place = nn.Linear(5, width)
        self.seen = nn.Linear(width, width)
        self.value = nn.Linear(width, width + 1)
        self.decide = nn.Sequential(
            nn.Linear(3 * width + 5, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 1),
        )  # fmt: skip
        last = self.decide[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def context(self, hands: HandFrame, clouds: Clouds) -> Context:
        """Latents of the anchors of 2 B hands."""
        turns, root = hands.turns[:, 0], hands.keypoints[:, :1]
        points = clouds.points
        flip = torch.tensor(MIRROR, dtype=points.dtype, device=points.device)
        own = (points - root) @ turns / 0.1
        away = (points * flip - swapped(root)) @ swapped(turns) / 0.1
        told = torch.cat(
            [
                own, away, clouds.normals @ turns,
                clouds.own[..., None].clamp(-10, 10) / 5,
                clouds.other[..., None].clamp(-15, 15) / 5,
            ],
            -1,
        )  # fmt: skip
        near = told[:, self.around]
        offset = own[:, self.around] - own[:, self.anchor][:, :, None]
        latent = self.point(torch.cat([near, 5 * offset], -1)).amax(2) + self.name
        both = torch.cat([latent + self.side[0], swapped(latent) + self.side[1]], 1)
        both = self.mixing(both)
        count = self.config.anchors
        whole = torch.cat([both[:, :count].mean(1), both[:, count:].mean(1)], 1)
        anchors = points[:, self.anchor]
        return Context(
            torch.cat([anchors, swapped(anchors) * flip], 1), self.seen(both), whole, turns, root
        )

    def forward(
        self, context: Context, places: torch.Tensor, own: torch.Tensor, other: torch.Tensor
    ) -> torch.Tensor:
        """(2 B, N) refined logits.

        Args:
            context: of :meth:`context`.
            places: (2 B, N, 3) in each hand's own axes.
            own, other: (2 B, N) initial logits of both hands there.
        """
        count, k = self.config.anchors, self.config.neighbours
        gap = torch.cdist(places, context.anchors)
        near = gap[..., :count].topk(k, largest=False).indices
        far = gap[..., count:].topk(k, largest=False).indices + count
        chosen = torch.cat([near, far], -1)
        batch, queries = chosen.shape[:2]
        flat = chosen.view(batch, -1, 1)
        anchors = context.anchors.gather(1, flat.expand(-1, -1, 3)).view(batch, queries, 2 * k, 3)
        width = self.config.latent
        latents = context.latents.gather(1, flat.expand(-1, -1, width))
        offset = (places[:, :, None] - anchors) @ context.turns[:, None] / 0.02
        length = offset.norm(dim=-1, keepdim=True)
        side = torch.zeros_like(length)
        side[:, :, k:] = 1
        asked = self.place(torch.cat([offset, length, side], -1))
        found = self.value(torch.relu(asked + latents.view(batch, queries, 2 * k, width)))
        mixed = (found[..., -1:].softmax(2) * found[..., :-1]).sum(2)
        told = torch.cat(
            [
                mixed, context.whole[:, None].expand(-1, queries, -1),
                (places - context.root) @ context.turns / 0.1,
                own[..., None].clamp(-15, 15) / 5, other[..., None].clamp(-15, 15) / 5,
            ],
            -1,
        )  # fmt: skip
        change = MOST * torch.tanh(self.decide(told)[..., 0])
        return own + nearness(other) * change


def nearness(other: torch.Tensor) -> torch.Tensor:
    """How much of the correction holds where the other hand has these logits: 0 to 1."""
    return ((other + REACH) / (REACH - FULL)).clamp(0, 1)


def still_touching(refined: torch.Tensor, own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Refined logits that take no more from a hand than what parts it from the other.

    Where both hands claim a place it is left to the one that claims it more, and ``LEEWAY`` beyond
    the border between them may go: parts that crossed then touch instead of drawing back.

    Args:
        refined: logits after the refinement.
        own, other: initial logits of both hands there.
    """
    return torch.maximum(refined, torch.minimum(own, 0.5 * (own - other)) - LEEWAY)
