"""What a picture says about places: features of the eyes' backbone, and queries that attend to it.

A place attends to the coarse patches of the crop about both hands, and takes the finer features
of the pixel that it lies on, which the attention cannot place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ...core.types import Camera
from .config import CROP_PX

COARSE, FINE = 32, 16
"""Strides of the feature maps."""

COARSE_CHANNELS, FINE_CHANNELS = 192, 112
PATCHES = CROP_PX // COARSE
FINE_SIDE = CROP_PX // FINE
MARGIN = 1.3
"""A crop is this much larger than the box of both hands' keypoints."""

KEY_WIDTH = 32


@dataclass(frozen=True)
class ImageFeatures:
    """Features of B crops about two hands, each as it is and mirrored.

    Attributes:
        coarse: (B, 2, PATCHES^2, 192).
        fine: (B, 2, 112, FINE_SIDE, FINE_SIDE).
        lens: (B, 4) scale x and y and shift x and y from x / z, y / z to crop axes, [-1, 1].
    """

    coarse: torch.Tensor
    fine: torch.Tensor
    lens: torch.Tensor

    def hands(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Coarse, fine and lens of 2 B right hands: the right ones, then the mirrored left."""
        mirrored = self.lens * torch.tensor([1.0, 1.0, -1.0, 1.0], device=self.lens.device)
        return (
            torch.cat([self.coarse[:, 0], self.coarse[:, 1]]).float(),
            torch.cat([self.fine[:, 0], self.fine[:, 1]]).float(),
            torch.cat([self.lens, mirrored]),
        )

    def take(self, rows: torch.Tensor) -> ImageFeatures:
        """Those of some crops."""
        return ImageFeatures(self.coarse[rows], self.fine[rows], self.lens[rows])


def features_of(crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Coarse and fine features of crops (B, 224, 224, 3) uint8, each as it is and mirrored."""
    from ...see.classes import class_network

    images = crops.permute(0, 3, 1, 2).float() / 255
    network = class_network()
    with torch.no_grad():
        maps = network.features(torch.cat([images, images.flip(-1)]))
    coarse, fine = maps[COARSE].flatten(2).transpose(1, 2).contiguous(), maps[FINE].contiguous()
    count = len(crops)
    return (
        torch.stack([coarse[:count], coarse[count:]], 1),
        torch.stack([fine[:count], fine[count:]], 1),
    )


def crop_about(
    pixels: np.ndarray, camera: Camera, points: np.ndarray, margin: float = MARGIN
) -> tuple[np.ndarray, np.ndarray]:
    """The crop about two hands, and how places are projected into it.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        camera: of the picture.
        points: (N, 2) pixels of both hands' keypoints.
        margin: how much larger than their box.

    Returns:
        (224, 224, 3) uint8, and the lens (4,) of :class:`ImageFeatures`.
    """
    import cv2

    low, high = points.min(0), points.max(0)
    middle, side = 0.5 * (low + high), margin * float((high - low).max())
    scale = CROP_PX / max(side, 1e-6)
    shift = CROP_PX / 2 - scale * middle
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    matrix[:, 2] += scale * 0.5 - 0.5  # OpenCV counts centres as whole numbers
    if scale < 0.5:
        width = 2 * round(0.25 / scale) + 1
        pixels = cv2.blur(pixels, (width, width))
    crop = cv2.warpAffine(
        pixels, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    unit = 2 / CROP_PX
    lens = [
        unit * scale * camera.fx, unit * scale * camera.fy,
        unit * (scale * camera.cx + shift[0]) - 1, unit * (scale * camera.cy + shift[1]) - 1,
    ]  # fmt: skip
    return crop, np.array(lens, np.float32)


def projected(places: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
    """(B, N, 2) crop axes of places (B, N, 3) in front of the camera, by lenses (B, 4)."""
    flat = places[..., :2] / places[..., 2:].clamp_min(0.02)
    return (flat * lens[:, None, :2] + lens[:, None, 2:]).clamp(-3, 3)


def sampled(maps: torch.Tensor, flat: torch.Tensor) -> torch.Tensor:
    """(B, N, C) of maps (B, C, h, w) at crop axes (B, N, 2)."""
    found = functional.grid_sample(
        maps, flat[:, :, None], align_corners=False, padding_mode="border"
    )
    return found[..., 0].transpose(1, 2)


class QueryImageAttention(nn.Module):
    """Places to what the picture says there.

    Args:
        context: width of the hand's own code, which asks too.
        outputs: width of the answer.
    """

    def __init__(self, context: int, outputs: int) -> None:
        super().__init__()
        self.query = nn.Sequential(nn.Linear(context + 5, 64), nn.ReLU(), nn.Linear(64, KEY_WIDTH))
        self.pair = nn.Linear(COARSE_CHANNELS, 2 * KEY_WIDTH)
        self.where = nn.Parameter(0.02 * torch.randn(PATCHES**2, KEY_WIDTH))
        self.narrow = nn.Conv2d(FINE_CHANNELS, KEY_WIDTH, 1)
        self.out = nn.Sequential(
            nn.Linear(2 * KEY_WIDTH, KEY_WIDTH), nn.ReLU(), nn.Linear(KEY_WIDTH, outputs)
        )

    def prepared(
        self, coarse: torch.Tensor, fine: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Keys, values and the finer map of pictures, made once for all places."""
        key, value = self.pair(coarse).chunk(2, -1)
        return key + self.where, value, self.narrow(fine)

    def forward(
        self,
        picture: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        flat: torch.Tensor,
        local: torch.Tensor,
        code: torch.Tensor,
    ) -> torch.Tensor:
        """(B, N, outputs) of places.

        Args:
            picture: of :meth:`prepared`.
            flat: (B, N, 2) where they lie in the crop.
            local: (B, N, 3) where they lie in the palm's frame, decimetres.
            code: (B, context) of each hand.
        """
        key, value, fine = picture
        asked = torch.cat([flat, local, code[:, None].expand(-1, flat.shape[1], -1)], -1)
        mixed = functional.scaled_dot_product_attention(self.query(asked), key, value)
        found: torch.Tensor = self.out(torch.cat([mixed, sampled(fine, flat)], -1))
        return found
