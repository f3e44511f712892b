"""The network that gives each pixel of a hand's crop its owner: this hand, another, a forearm.

Its encoder is a trained copy of the landmark network, so one crop serves both. The decoder is a
feature pyramid (Lin et al. 2017, section 3) down to the picture itself.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..core.conventions import SIDES
from .crops import crop_of_points
from .landmarks import (
    BLOCKS,
    FEATURE_BLOCKS,
    FEATURE_CHANNELS,
    POOLED_CHANNELS,
    HandLandmarkNetwork,
)
from .networks import WEIGHTS, load_weights
from .views import build_pyramid

CLASSES = ("background", "own", "other", "forearm")
"""Things, cloth and faces are background; "other" is any hand but the crop's."""

OWN, OTHER, FOREARM = 1, 2, 3

WIDTHS = {32: 128, 16: 80, 8: 48, 4: 32, 2: 16}
"""Channels of the decoder by stride."""

MAP_SIZE = 112
"""Pixels of a class map's edge."""

FROZEN_STRIDE = 8
"""Features up to this stride stay as MediaPipe trained them: edges and textures of real photos."""


@dataclass(frozen=True)
class ClassMaps:
    """What the network says about B crops of a right hand (a left one shown mirrored).

    Attributes:
        logits: (B, 4, 112, 112) of ``CLASSES``.
        depth: (B, 21) metres of the own keypoints behind the palm's middle, for a palm of the
            mean size.
        depth_log_sigma: (B, 21) natural logarithm of its standard deviation, metres.
    """

    logits: torch.Tensor
    depth: torch.Tensor
    depth_log_sigma: torch.Tensor


class ClassNetwork(nn.Module):
    """Crop to class logits, and the own keypoints' depth."""

    def __init__(self) -> None:
        super().__init__()
        self.landmarks = HandLandmarkNetwork()
        strides = list(WIDTHS)
        self.lateral = nn.ModuleDict(
            {str(s): _layer(FEATURE_CHANNELS[s] + 3 * (s == 2), WIDTHS[s], 1) for s in strides}
        )
        self.narrow = nn.ModuleDict(
            {str(b): nn.Conv2d(WIDTHS[a], WIDTHS[b], 1) for a, b in itertools.pairwise(strides)}
        )
        self.mix = nn.ModuleDict({str(s): _layer(WIDTHS[s], WIDTHS[s], 3) for s in strides})
        self.classify = nn.Conv2d(WIDTHS[2], len(CLASSES), 1)
        self.depth = nn.Linear(POOLED_CHANNELS, 42)

    def forward(self, crops: torch.Tensor) -> ClassMaps:
        """Maps of (B, 3, 224, 224) crops, sRGB in [0, 1]."""
        features = self.features(crops)
        x: torch.Tensor | None = None
        for stride in WIDTHS:
            y = features[stride]
            if stride == 2:
                y = torch.cat([y, functional.avg_pool2d(2 * crops - 1, 2).to(y.dtype)], 1)
            y = self.lateral[str(stride)](y)
            if x is not None:
                y = y + functional.interpolate(self.narrow[str(stride)](x), scale_factor=2)
            x = self.mix[str(stride)](y)
        assert x is not None
        pooled = self.landmarks.pool(features)
        depth = self.depth(pooled).float()
        base = self.landmarks.world(pooled).float().view(-1, 21, 3)[..., 2]
        return ClassMaps(
            logits=self.classify(x).float(),
            depth=base + 0.03 * depth[:, :21],
            depth_log_sigma=depth[:, 21:] - 4.0,
        )

    def features(self, crops: torch.Tensor) -> dict[int, torch.Tensor]:
        """The backbone's feature maps; those up to ``FROZEN_STRIDE`` carry no gradients."""
        backbone = self.landmarks.backbone
        x = crops.contiguous(memory_format=torch.channels_last)
        features: dict[int, torch.Tensor] = {}
        wanted = {block: stride for stride, block in FEATURE_BLOCKS.items()}
        frozen = FEATURE_BLOCKS[FROZEN_STRIDE] + 1
        with torch.no_grad():
            x = functional.relu6(backbone.stem(x))
            for number in range(frozen):
                x = backbone.blocks[number](x)
                if number in wanted:
                    features[wanted[number]] = x
        for number in range(frozen, len(BLOCKS)):
            x = backbone.blocks[number](x)
            if number in wanted:
                features[wanted[number]] = x
        return features

    def parameter_groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Parameters that start from nothing, and those that start from MediaPipe's.

        Prepares the network for training: depthwise filters and the first blocks are fixed.
        """
        from .fixed import fix_filters, fixed

        backbone = self.landmarks.backbone
        frozen = [backbone.stem, *backbone.blocks[: FEATURE_BLOCKS[FROZEN_STRIDE] + 1]]
        unused = [self.landmarks.right, self.landmarks.presence, self.landmarks.points]
        for module in (*frozen, *unused):
            module.requires_grad_(False)
        fix_filters(backbone.blocks)
        self.landmarks.filter = fixed(self.landmarks.filter)
        tuned = [p for p in self.landmarks.parameters() if p.requires_grad]
        known = {id(p) for p in self.landmarks.parameters()}
        return [p for p in self.parameters() if id(p) not in known], tuned


def _layer(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def class_network(weights: Path | None = None) -> ClassNetwork:
    """The class network with its weights, float32 on the CPU, without gradients.

    Args:
        weights: a safetensors file; None is the one that is installed, loaded once.

    Raises:
        InputError: the weights are not there.
        FileFormatError: they are damaged.
    """
    if weights is None:
        return _installed()
    network = ClassNetwork()
    load_weights(network, weights)
    return network.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def _installed() -> ClassNetwork:
    return class_network(WEIGHTS / "classes.safetensors")


BOX_SCALES, BOX_WEIGHTS = (1.0, 1.3), (4.0, 1.0)
"""Crops of these sizes are averaged: the tight one is finer, but fingertips may lie outside."""


@dataclass(frozen=True)
class ClassRegion:
    """Class probabilities of the part of a picture that a hand's crops cover.

    Attributes:
        rows, columns: of the picture.
        chance: (h, w, 4) float32 of ``CLASSES``, sums to 1; elsewhere is background.
    """

    rows: slice
    columns: slice
    chance: np.ndarray

    def whole(self, shape: tuple[int, int], value: int) -> np.ndarray:
        """(H, W) float32 probability of one class in a picture of ``shape``."""
        out = np.full(shape, float(value == 0), np.float32)
        out[self.rows, self.columns] = self.chance[..., value]
        return out


@torch.no_grad()
def predict_classes(
    network: ClassNetwork, picture: np.ndarray, points: np.ndarray, side: str
) -> ClassRegion:
    """Owners of the pixels around one hand.

    Args:
        network: trained, in evaluation mode.
        picture: (H, W, 3) uint8 sRGB.
        points: (21, 2) keypoints of the hand, pixels.
        side: "right" or "left".
    """
    import cv2

    from .samples import centred

    high, wide = picture.shape[:2]
    tight = crop_of_points(np.asarray(points, float)[:, :2])
    left = side == SIDES[1]
    views = [replace(tight, side=tight.side * scale, mirror=left) for scale in BOX_SCALES]
    pyramid = build_pyramid(picture)
    crops = np.stack([view.cut(pyramid) for view in views])
    batch = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    chance = network(batch).logits.softmax(1).numpy()
    reach = 0.5 * views[-1].side * (abs(np.cos(tight.angle)) + abs(np.sin(tight.angle)))
    x, y = tight.center
    x0, y0 = int(max(np.floor(x - reach), 0)), int(max(np.floor(y - reach), 0))
    x1, y1 = int(min(np.ceil(x + reach), wide)), int(min(np.ceil(y + reach), high))
    size = (max(x1 - x0, 1), max(y1 - y0, 1))
    total = np.zeros((size[1], size[0], len(CLASSES)), np.float32)
    weight = np.zeros((size[1], size[0]), np.float32)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for view, one, share in zip(views, chance, BOX_WEIGHTS):
        frame = replace(view, size=MAP_SIZE).matrix()[:2]
        frame[:, 2] += frame[:, :2] @ [x0, y0]
        maps = np.ascontiguousarray(one.transpose(1, 2, 0))
        covered = np.ones((MAP_SIZE, MAP_SIZE), np.float32)
        total += share * cv2.warpAffine(maps, centred(frame), size, flags=how)
        weight += cv2.warpAffine(covered, centred(frame), size, flags=how)
    total[..., 0] += np.maximum(1 - weight, 0)
    total /= np.maximum(total.sum(-1, keepdims=True), 1e-6)
    return ClassRegion(slice(y0, y0 + size[1]), slice(x0, x0 + size[0]), total)
