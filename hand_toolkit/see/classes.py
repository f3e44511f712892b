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
    CROP_SIZE,
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

WIDTHS = {32: 128, 16: 96, 8: 64, 4: 48, 2: 32}
"""Channels of the decoder by stride."""

FINE_CHANNELS = 16
"""Channels of its last step, at the crop's own size."""

DEEP = (32, 16, 8)
"""Strides at which the decoder has a further residual layer: owners are told there."""

MAP_SIZE = 224
"""Pixels of a class map's edge."""

FROZEN_STRIDE = 8
"""Features up to this stride stay as MediaPipe trained them: edges and textures of real photos."""

POINT_UNIT = 10.0
"""Pixels of the crop in which the heads of the other hand's points count."""


@dataclass(frozen=True)
class ClassMaps:
    """What the network says about B crops of a right hand (a left one shown mirrored).

    Attributes:
        logits: (B, 4, MAP_SIZE, MAP_SIZE) of ``CLASSES``.
        depth: (B, 21) metres of the own keypoints behind the palm's middle, for a palm of the
            mean size.
        depth_log_sigma: (B, 21) natural logarithm of its standard deviation, metres.
        points_log_sigma: (B, 21) the same of the keypoints that the landmark network finds in
            the crop, pixels of the crop.
        own: (B,) logit that the crop's hand is there, as the right hand that it is said to be.
        other: (B,) logit that another hand is in the crop.
        other_points: (B, 21, 2) pixels of the crop, the other hand's keypoints.
        other_log_sigma: (B, 21) natural logarithm of their standard deviation, pixels.
    """

    logits: torch.Tensor
    depth: torch.Tensor
    depth_log_sigma: torch.Tensor
    points_log_sigma: torch.Tensor
    own: torch.Tensor
    other: torch.Tensor
    other_points: torch.Tensor
    other_log_sigma: torch.Tensor


class ClassNetwork(nn.Module):
    """Crop to class logits, the own keypoints' depth and what is known of the other hand.

    Args:
        frozen_stride: features up to this stride are not trained; 0 trains all, 32 none.
    """

    def __init__(self, frozen_stride: int = FROZEN_STRIDE) -> None:
        super().__init__()
        self.frozen_stride = frozen_stride
        self.landmarks = HandLandmarkNetwork()
        strides = list(WIDTHS)
        self.lateral = nn.ModuleDict(
            {str(s): _layer(FEATURE_CHANNELS[s] + 3 * (s == 2), WIDTHS[s], 1) for s in strides}
        )
        self.narrow = nn.ModuleDict(
            {str(b): nn.Conv2d(WIDTHS[a], WIDTHS[b], 1) for a, b in itertools.pairwise(strides)}
        )
        self.mix = nn.ModuleDict({str(s): _layer(WIDTHS[s], WIDTHS[s], 3) for s in strides})
        self.deep = nn.ModuleDict({str(s): _layer(WIDTHS[s], WIDTHS[s], 3) for s in DEEP})
        self.coarse = nn.Conv2d(WIDTHS[2], FINE_CHANNELS, 1)
        self.fine = nn.Sequential(
            _layer(FINE_CHANNELS + 3, FINE_CHANNELS, 3), _layer(FINE_CHANNELS, FINE_CHANNELS, 3)
        )
        self.classify = nn.Conv2d(FINE_CHANNELS, len(CLASSES), 1)
        self.depth = nn.Linear(POOLED_CHANNELS, 42)
        self.sigma = nn.Linear(POOLED_CHANNELS, 21)
        self.hands = nn.Linear(POOLED_CHANNELS, 2)
        self.second = nn.Linear(POOLED_CHANNELS, 63)

    def forward(self, crops: torch.Tensor) -> ClassMaps:
        """Maps of (B, 3, 224, 224) crops, sRGB in [0, 1]."""
        features = self.features(crops)
        colours = (2 * crops - 1).to(features[2].dtype)
        x: torch.Tensor | None = None
        for stride in WIDTHS:
            key, y = str(stride), features[stride]
            if stride == 2:
                y = torch.cat([y, functional.avg_pool2d(colours, 2)], 1)
            y = self.lateral[key](y)
            if x is not None:
                y = y + functional.interpolate(self.narrow[key](x), scale_factor=2)
            x = self.mix[key](y)
            if key in self.deep:
                x = x + self.deep[key](x)
        assert x is not None
        x = functional.interpolate(self.coarse(x), scale_factor=2, mode="bilinear")
        x = self.fine(torch.cat([x, colours], 1))
        pooled = self.landmarks.pool(features)
        depth, hands, second = (
            head(pooled).float() for head in (self.depth, self.hands, self.second)
        )
        base = self.landmarks.world(pooled).float().view(-1, 21, 3)[..., 2]
        return ClassMaps(
            logits=self.classify(x).float(),
            depth=base + 0.03 * depth[:, :21],
            depth_log_sigma=depth[:, 21:] - 4.0,
            points_log_sigma=self.sigma(pooled).float() + 1.5,
            own=hands[:, 0],
            other=hands[:, 1],
            other_points=CROP_SIZE / 2 + POINT_UNIT * second[:, :42].view(-1, 21, 2),
            other_log_sigma=second[:, 42:] + 3.0,
        )

    def features(self, crops: torch.Tensor) -> dict[int, torch.Tensor]:
        """The backbone's feature maps; those up to ``frozen_stride`` carry no gradients."""
        backbone = self.landmarks.backbone
        x = crops.contiguous(memory_format=torch.channels_last)
        features: dict[int, torch.Tensor] = {}
        wanted = {block: stride for stride, block in FEATURE_BLOCKS.items()}
        frozen = self._frozen_blocks()
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            x = functional.relu6(backbone.stem(x))
        for number, block in enumerate(backbone.blocks):
            with torch.set_grad_enabled(torch.is_grad_enabled() and number >= frozen):
                x = block(x)
            if number in wanted:
                features[wanted[number]] = x
        return features

    def _frozen_blocks(self) -> int:
        """How many blocks of the backbone are not trained."""
        return FEATURE_BLOCKS[self.frozen_stride] + 1 if self.frozen_stride else 0

    def parameter_groups(
        self, fixed_filters: bool = True
    ) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Parameters that start from nothing, and those that start from MediaPipe's.

        Prepares the network for training: the first blocks are fixed.

        Args:
            fixed_filters: the depthwise filters are fixed, too; their gradients take most of a
                step's time on a CPU.
        """
        from .fixed import fix_filters, fixed

        backbone = self.landmarks.backbone
        frozen = [*backbone.blocks[: self._frozen_blocks()]]
        frozen += [backbone.stem] if self.frozen_stride else []
        unused = [self.landmarks.right, self.landmarks.presence, self.landmarks.points]
        for module in (*frozen, *unused):
            module.requires_grad_(False)
        if fixed_filters:
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
        # OpenCV counts pixel centres as whole numbers
        frame[:, 2] += frame[:, :2] @ [0.5, 0.5] - 0.5
        total += share * cv2.warpAffine(maps, frame, size, flags=how)
        weight += cv2.warpAffine(covered, frame, size, flags=how)
    total[..., 0] += np.maximum(1 - weight, 0)
    total /= np.maximum(total.sum(-1, keepdims=True), 1e-6)
    return ClassRegion(slice(y0, y0 + size[1]), slice(x0, x0 + size[0]), total)
