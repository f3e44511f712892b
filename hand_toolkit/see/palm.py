"""The network that finds palms in a picture: MediaPipe's ``palm_detection_full``.

MediaPipe Hands (Zhang et al. 2020, section 2.1): a single-shot detector on a feature pyramid
whose anchors are square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .blocks import BlazeBlock, SameConv2d

PICTURE_SIZE = 192
"""Pixels of the picture's edge."""

STAGES = (32, 64, 128, 256, 256)
"""Channels at strides 2, 4, 8, 16 and 32; four blocks each, after one that halves the size."""

BLOCKS_PER_STAGE = 4
ANCHORS_PER_CELL = {8: 2, 16: 6}
"""Stride -> anchors in each cell of that feature map."""

PALM_POINTS = 7
"""Wrist, index, middle, ring and little knuckle, thumb's base joint and knuckle (MediaPipe's
``hand_detection``); 0 and 2 give the hand's direction."""


@dataclass(frozen=True)
class PalmOutputs:
    """What the network says about B pictures at its A = 2016 anchors.

    Attributes:
        scores: (B, A) logits that a palm is there.
        boxes: (B, A, 4) centre relative to the anchor and size (x, y, w, h), pixels of 192.
        points: (B, A, 7, 2) relative to the anchor, pixels of 192.
    """

    scores: torch.Tensor
    boxes: torch.Tensor
    points: torch.Tensor


def anchor_centers(size: int = PICTURE_SIZE) -> np.ndarray:
    """(A, 2) centres of the anchors, pixels, in the order of :class:`PalmOutputs`."""
    centers = []
    for stride, count in ANCHORS_PER_CELL.items():
        cells = size // stride
        y, x = np.mgrid[:cells, :cells]
        grid = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * stride
        centers.append(np.repeat(grid, count, axis=0))
    return np.concatenate(centers)


class PalmHead(nn.Module):
    """Scores and boxes at one size of the pyramid."""

    def __init__(self, channels: int, anchors: int) -> None:
        super().__init__()
        self.score = SameConv2d(channels, anchors, 1)
        self.box = SameConv2d(channels, anchors * (4 + 2 * PALM_POINTS), 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, anchors of this size) scores and (B, anchors, 18) boxes with points."""
        scores = self.score(x).permute(0, 2, 3, 1).flatten(1)
        boxes = self.box(x).permute(0, 2, 3, 1).reshape(len(x), -1, 4 + 2 * PALM_POINTS)
        return scores, boxes


class Upward(nn.Module):
    """A coarse map enlarged onto a finer one, then two blocks (Lin et al. 2017, figure 3)."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.lateral = SameConv2d(coarse, fine, 1)
        self.activation = nn.PReLU(fine)
        self.blocks = nn.Sequential(BlazeBlock(fine, fine), BlazeBlock(fine, fine))

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """(B, fine, H, W)."""
        size = fine.shape[-2:]
        x = functional.interpolate(coarse, size, mode="bilinear", align_corners=False)
        out: torch.Tensor = self.blocks(fine + self.activation(self.lateral(x)))
        return out


class PalmNetwork(nn.Module):
    """Palms in 192 x 192 pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, STAGES[0], 5, stride=2)
        self.activation = nn.PReLU(STAGES[0])
        stages, before = [], STAGES[0]
        for number, channels in enumerate(STAGES):
            first = [BlazeBlock(before, channels, 2)] if number else []
            stages.append(
                nn.Sequential(
                    *first, *(BlazeBlock(channels, channels) for _ in range(BLOCKS_PER_STAGE))
                )
            )
            before = channels
        self.stages = nn.ModuleList(stages)
        self.up16 = Upward(STAGES[4], STAGES[3])
        self.head16 = PalmHead(STAGES[3], ANCHORS_PER_CELL[16])
        self.up8 = Upward(STAGES[3], STAGES[2])
        self.head8 = PalmHead(STAGES[2], ANCHORS_PER_CELL[8])

    def features(self, pictures: torch.Tensor) -> dict[int, torch.Tensor]:
        """The pyramid: stride 8 and 16 -> (B, C, H / stride, W / stride)."""
        x = pictures.contiguous(memory_format=torch.channels_last)
        x = self.activation(self.stem(x))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        at16 = self.up16(maps[4], maps[3])
        return {16: at16, 8: self.up8(at16, maps[2])}

    def forward(self, pictures: torch.Tensor) -> PalmOutputs:
        """Palms of (B, 3, 192, 192) pictures, sRGB in [0, 1]."""
        features = self.features(pictures)
        fine, coarse = self.head8(features[8]), self.head16(features[16])
        scores = torch.cat([fine[0], coarse[0]], dim=1)
        boxes = torch.cat([fine[1], coarse[1]], dim=1)
        return PalmOutputs(
            scores=scores,
            boxes=boxes[..., :4],
            points=boxes[..., 4:].unflatten(-1, (PALM_POINTS, 2)),
        )
