"""Initial occupancy of one hand: parts that follow its bones; each query looks at the picture.

Each of 16 parts is a small network in its bone's frame (as in NASA and HALO) that corrects the
occupancy of the mean hand's flesh about that bone, stretched to its length; the hand is the smooth
union of its parts. A part answers only near its bone, where its flesh can be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from .config import FAR_LOGIT, TAU_M, Im2HandsConfig
from .frames import BONE_KEYPOINTS, BONES, bone_frames, bone_segments, rest_frames, segment_distance
from .image import ImageFeatures, QueryImageAttention, projected

UNIT_M = 0.03
WAVES = 3
LOCAL = 3 + 6 * WAVES
LENGTH_UNIT = 5.0
CORRECTION = 4.0
"""Logits of a part's output of one."""

SHARPNESS = 3.0
"""Of the union: places that k parts claim alike gain log(k) / SHARPNESS."""

FLESH_LOW_M, FLESH_SIZE_M = (-0.215, -0.06, -0.095), (0.25, 0.11, 0.22)
"""Box about the mean hand in which its flesh is known."""

FLESH_CELLS = (84, 38, 74)
"""Places along its axes, 3 mm apart."""

GATE_SHARE, GATE_SLOPE = 0.8, 400.0
"""From this share of a part's reach on its logit falls, so that nothing ends at the reach."""


@dataclass(frozen=True)
class HandFrame:
    """B right hands as the occupancy sees them.

    Attributes:
        keypoints: (B, 21, 3) metres, camera axes, mirrored for a left hand.
        turns: (B, 16, 3, 3) of the bones.
        origins: (B, 16, 3).
        code: (B, C) of lengths and pose.
        biases: (B, 16, W) of the parts' first layers.
        stretch: (B, 16, 2) how much longer than the mean hand's each bone and the whole are.
        picture: keys, values and map of the pictures; None where none is looked at.
        lens: (B, 4), or None.
    """

    keypoints: torch.Tensor
    turns: torch.Tensor
    origins: torch.Tensor
    code: torch.Tensor
    biases: torch.Tensor
    stretch: torch.Tensor
    picture: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None
    lens: torch.Tensor | None

    def take(self, rows: torch.Tensor) -> HandFrame:
        """Some of the hands."""
        picture = None
        if self.picture is not None:
            key, value, fine = self.picture
            picture = key[rows], value[rows], fine[rows]
        return HandFrame(
            self.keypoints[rows], self.turns[rows], self.origins[rows], self.code[rows],
            self.biases[rows], self.stretch[rows], picture,
            None if self.lens is None else self.lens[rows],
        )  # fmt: skip


class _Parts(nn.Module):
    """A layer of 16 parts."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(BONES, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(BONES, outputs)) if bias else None

    def forward(self, x: torch.Tensor, part: int) -> torch.Tensor:
        """(N, outputs) of (N, inputs) that one part sees."""
        if self.bias is None:
            return x @ self.weight[part]
        return torch.addmm(self.bias[part], x, self.weight[part])


class InitialOccupancy(nn.Module):
    """Keypoints, picture and places to occupancy logits."""

    rest: torch.Tensor
    lengths: torch.Tensor
    reach: torch.Tensor
    gates: torch.Tensor
    flesh: torch.Tensor
    joints: torch.Tensor
    axes: torch.Tensor

    def __init__(self, config: Im2HandsConfig) -> None:
        super().__init__()
        self.config = config
        known = rest_frames(config.hand_model, config.points)
        for name, array in (
            ("rest", known.keypoints), ("lengths", known.lengths),
            ("reach", known.reach), ("gates", known.gates),
        ):  # fmt: skip
            self.register_buffer(name, torch.as_tensor(array).float(), persistent=False)
        # read from the weights, or made by fill_flesh where there are none
        self.register_buffer("flesh", torch.zeros(FLESH_CELLS))
        _, origins = bone_frames(self.rest[None], self.rest)
        self.register_buffer("joints", origins[0], persistent=False)
        heads = [0, *BONE_KEYPOINTS]
        tips = [9, *(k + 1 for k in BONE_KEYPOINTS)]
        axes = torch.nn.functional.normalize(self.rest[tips] - self.rest[heads], dim=-1)
        self.register_buffer("axes", axes, persistent=False)
        self.code = nn.Sequential(
            nn.Linear(83, config.context), nn.ReLU(), nn.Linear(config.context, config.context)
        )
        self.bias = nn.Linear(config.context, BONES * config.width)
        picture = config.image_width if config.image_attention else 0
        self.look = (
            QueryImageAttention(config.context, config.image_width)
            if config.image_attention
            else None
        )
        self.first = _Parts(LOCAL + picture, config.width, bias=False)
        self.middle = nn.ModuleList(
            _Parts(config.width, config.width) for _ in range(config.layers - 1)
        )
        self.last = _Parts(config.width, 1)
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def frame(self, keypoints: torch.Tensor, images: ImageFeatures | None) -> HandFrame:
        """Hands (B, 21, 3), right or mirrored; ``images`` of the pairs that they are of."""
        from ...core.conventions import KEYPOINT_PARENTS

        turns, origins = bone_frames(keypoints, self.rest)
        span = (keypoints[:, 1:] - keypoints[:, KEYPOINT_PARENTS[1:]]).norm(dim=-1)
        own = (keypoints - keypoints[:, :1]) @ turns[:, 0]
        ratio = span / self.lengths
        whole = ratio.mean(1, keepdim=True).expand(-1, BONES)
        # the palm's is that of its four long bones, a finger bone's its own
        bones = [ratio[:, [4, 8, 12, 16]].mean(1), *(ratio[:, k] for k in BONE_KEYPOINTS)]
        stretch = torch.stack([torch.stack(bones, 1), whole], -1)
        told = torch.cat([LENGTH_UNIT * (ratio - 1), own.flatten(1) / 0.1], 1)
        code = self.code(told)
        biases = self.bias(torch.relu(code)).view(-1, BONES, self.config.width)
        picture = lens = None
        if self.look is not None and images is not None:
            coarse, fine, lens = images.hands()
            picture = self.look.prepared(coarse, fine)
        return HandFrame(keypoints, turns, origins, code, biases, stretch, picture, lens)

    def forward(self, hands: HandFrame, places: torch.Tensor) -> torch.Tensor:
        """(B, N) logits of places (B, N, 3) in the hands' (mirrored) camera axes."""
        count = places.shape[1]
        root = hands.keypoints[:, :1]
        near = segment_distance(places - root, *bone_segments(hands.keypoints - root))
        seen = self._seen(hands, places)
        nowhere = places.new_full((near.shape[0] * count,), FAR_LOGIT)
        flat = (places - root).reshape(-1, 3)
        columns, wave = [], 0.5 * math.pi * 2.0 ** torch.arange(WAVES, device=places.device)
        for part in range(BONES):
            gap = near[..., part].reshape(-1)
            rows = torch.nonzero(gap < self.gates[part])[:, 0]
            owner = torch.div(rows, count, rounding_mode="floor")
            turn = hands.turns[owner, part]
            away = flat[rows] - (hands.origins[:, part] - root[:, 0])[owner]
            local = (away[:, None] @ turn)[:, 0] / UNIT_M
            waves = (local[..., None] * wave).flatten(1)
            told = [local, waves.sin(), waves.cos()]
            if seen is not None:
                told.append(seen[rows])
            x = torch.relu(self.first(torch.cat(told, 1), part) + hands.biases[owner, part])
            for layer in self.middle:
                x = torch.relu(layer(x, part))
            gap = gap[rows]
            outside = self._rest_distance(local, part, hands.stretch[owner, part])
            outside = torch.maximum(outside, gap - self.reach[part])
            over = (gap / self.gates[part] - GATE_SHARE).clamp_min(0)
            value = (
                -outside / TAU_M + CORRECTION * self.last(x, part)[:, 0] - GATE_SLOPE * over * over
            )
            columns.append(nowhere.index_copy(0, rows, value.clamp_min(FAR_LOGIT)))
        joined = torch.logsumexp(SHARPNESS * torch.stack(columns, 1), 1) / SHARPNESS
        return joined.clamp_min(FAR_LOGIT).view(-1, count)

    def _rest_distance(self, local: torch.Tensor, part: int, stretch: torch.Tensor) -> torch.Tensor:
        """(N,) signed distance from the mean hand's skin of places (N, 3) in a bone's frame."""
        along = (local @ self.axes[part])[:, None]
        across = local - along * self.axes[part]
        bone, whole = stretch[:, :1], stretch[:, 1:]
        rest = UNIT_M * (along / bone * self.axes[part] + across / whole) + self.joints[part]
        unit = (rest - rest.new_tensor(FLESH_LOW_M)) / rest.new_tensor(FLESH_SIZE_M)
        grid = (2 * unit - 1)[None, :, None, None].flip(-1)
        found = torch.nn.functional.grid_sample(
            self.flesh[None, None], grid, align_corners=True, padding_mode="border"
        )
        return found.view(-1) * whole[:, 0]

    def fill_flesh(self) -> None:
        """Measure the mean hand's signed distances, metres; needs libigl."""
        from ...geometry.closing import closed_mesh
        from ...hand_model import load_hand_model
        from .truth import signed_distance

        model = load_hand_model(self.config.hand_model, "right")
        mesh = closed_mesh(model.template.astype(float), model.faces)
        axes = [
            torch.linspace(low, low + size, count, dtype=torch.float64)
            for low, size, count in zip(FLESH_LOW_M, FLESH_SIZE_M, FLESH_CELLS)
        ]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).view(-1, 3)
        distance, _ = signed_distance(places.numpy(), *mesh)
        self.flesh.copy_(torch.as_tensor(distance).view(FLESH_CELLS).float())

    def _seen(self, hands: HandFrame, places: torch.Tensor) -> torch.Tensor | None:
        if self.look is None:
            return None
        if hands.picture is None or hands.lens is None:
            width = self.config.image_width
            return places.new_zeros(places.shape[0] * places.shape[1], width)
        own = (places - hands.keypoints[:, :1]) @ hands.turns[:, 0] / 0.1
        flat = projected(places, hands.lens)
        return self.look(hands.picture, flat, own, hands.code).flatten(0, 1)  # type: ignore[no-any-return]
