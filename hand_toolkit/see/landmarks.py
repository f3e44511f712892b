"""The network that finds a hand's keypoints in a crop: MediaPipe's ``hand_landmark_full``.

MediaPipe Hands (Zhang et al. 2020, section 2.2). The crop is turned so that the line from wrist
to middle knuckle points up; see :mod:`hand_toolkit.see.crops`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from .blocks import InvertedResidual, SameConv2d

CROP_SIZE = 224
"""Pixels of the crop's edge."""

BLOCKS = (
    # hidden, outputs, kernel, stride
    (24, 16, 3, 1),
    (64, 24, 3, 2),
    (144, 24, 3, 1),
    (144, 40, 5, 2),
    (240, 40, 5, 1),
    (240, 80, 3, 2),
    (480, 80, 3, 1),
    (480, 80, 3, 1),
    (480, 112, 5, 1),
    (672, 112, 5, 1),
    (672, 112, 5, 1),
    (672, 192, 5, 2),
    (1152, 192, 5, 1),
    (1152, 192, 5, 1),
    (1152, 192, 5, 1),
)
"""The inverted residual blocks after the stem of 24 channels."""

FEATURE_BLOCKS = {2: 0, 4: 2, 8: 4, 16: 10, 32: 14}
"""Stride of the feature map -> the block whose output it is (the last one of that size)."""

FEATURE_CHANNELS = {stride: BLOCKS[block][1] for stride, block in FEATURE_BLOCKS.items()}
"""Stride -> channels."""

POOLED_CHANNELS = 1152

DEPTH_UNIT = 2.5
"""Pixels of the crop in the unit of the points' z: MediaPipe divides it by ``normalize_z`` = 0.4
(``hand_landmark_cpu.pbtxt``)."""


@dataclass(frozen=True)
class Landmarks:
    """What the network says about B crops.

    Attributes:
        points: (B, 21, 3) x and y in pixels of the crop (pixel edges at 0 and 224), z relative
            to the wrist, smaller is nearer, in units of :data:`DEPTH_UNIT`.
        world: (B, 21, 3) metres in the crop's axes, origin at the hand's middle.
        presence: (B,) logit that a hand is there and well in the crop.
        right: (B,) logit that it is the person's right hand.
    """

    points: torch.Tensor
    world: torch.Tensor
    presence: torch.Tensor
    right: torch.Tensor


class LandmarkBackbone(nn.Module):
    """Crop to feature maps of five sizes; other heads may be put on it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, 24, 3, stride=2)
        blocks, channels = [], 24
        for hidden, outputs, kernel, stride in BLOCKS:
            blocks.append(InvertedResidual(channels, hidden, outputs, kernel, stride))
            channels = outputs
        self.blocks = nn.ModuleList(blocks)

    def forward(self, crops: torch.Tensor) -> dict[int, torch.Tensor]:
        """Feature maps by stride.

        Args:
            crops: (B, 3, H, W) sRGB in [0, 1]; 224 x 224 for the landmark heads.

        Returns:
            stride 2, 4, 8, 16 and 32 -> (B, C, H / stride, W / stride), C as in
            ``FEATURE_CHANNELS``.
        """
        x = crops.contiguous(memory_format=torch.channels_last)
        x = functional.relu6(self.stem(x))
        wanted = {block: stride for stride, block in FEATURE_BLOCKS.items()}
        features = {}
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in wanted:
                features[wanted[number]] = x
        return features


class HandLandmarkNetwork(nn.Module):
    """The backbone with MediaPipe's four heads: keypoints, world points, presence and side."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = LandmarkBackbone()
        self.expand = SameConv2d(192, POOLED_CHANNELS, 1)
        self.filter = SameConv2d(POOLED_CHANNELS, POOLED_CHANNELS, 3, groups=POOLED_CHANNELS)
        self.right = nn.Linear(POOLED_CHANNELS, 1)
        self.presence = nn.Linear(POOLED_CHANNELS, 1)
        self.points = nn.Linear(POOLED_CHANNELS, 63)
        self.world = nn.Linear(POOLED_CHANNELS, 63)

    def forward(self, crops: torch.Tensor) -> Landmarks:
        """Landmarks of (B, 3, 224, 224) crops, sRGB in [0, 1]."""
        return self.heads(self.backbone(crops))

    def pool(self, features: dict[int, torch.Tensor]) -> torch.Tensor:
        """(B, 1152) that the heads read, from the backbone's features."""
        x = functional.relu6(self.expand(features[32]))
        return functional.relu6(self.filter(x)).mean(dim=(2, 3))

    def heads(self, features: dict[int, torch.Tensor]) -> Landmarks:
        """Landmarks from the backbone's features."""
        x = self.pool(features)
        return Landmarks(
            points=self.points(x).view(-1, 21, 3),
            world=self.world(x).view(-1, 21, 3),
            presence=self.presence(x)[:, 0],
            right=self.right(x)[:, 0],
        )
