"""Keypoint refinement: 42 noisy joints by graph convolution, picture and self-attention."""

from __future__ import annotations

import torch
from torch import nn

from ...core.conventions import KEYPOINT_PARENTS
from .config import Im2HandsConfig
from .image import COARSE_CHANNELS, FINE_CHANNELS, PATCHES, ImageFeatures, projected, sampled

JOINTS = 42
UNIT_M = 0.1
STEP_M = 0.02
"""Metres of an output of one."""

TOLD = 3 + 3 + 2
LOOK = 32

FLOOR_M = 0.008
"""Keypoints that are right are moved by less than this on the average (6 mm, rarely 9): the network
does not know how good its input is, so a correction as small as this says nothing."""

GATE_POWER = 4
GRAPH_LAYERS = 2


def two_hand_graph() -> torch.Tensor:
    """(42, 42) normalized adjacency: both skeletons, and each joint with its like."""
    links = torch.eye(JOINTS)
    for k in range(1, 21):
        parent = int(KEYPOINT_PARENTS[k])
        for base in (0, 21):
            links[base + k, base + parent] = links[base + parent, base + k] = 1
    for k in range(21):
        links[k, 21 + k] = links[21 + k, k] = 1
    degree = links.sum(1).rsqrt()
    return degree[:, None] * links * degree


class KeypointRefinement(nn.Module):
    """Noisy keypoints and a picture to better ones; the pair's middle stays where it is."""

    graph: torch.Tensor

    def __init__(self, config: Im2HandsConfig) -> None:
        super().__init__()
        width = config.keypoint_width
        self.register_buffer("graph", two_hand_graph(), persistent=False)
        self.narrow = nn.Conv2d(FINE_CHANNELS, LOOK, 1)
        self.enter = nn.Linear(TOLD + LOOK, width)
        self.name = nn.Parameter(0.1 * torch.randn(JOINTS, width))
        self.convolutions = nn.ModuleList(nn.Linear(width, width) for _ in range(GRAPH_LAYERS))
        self.patch = nn.Linear(COARSE_CHANNELS, width)
        self.where = nn.Parameter(0.1 * torch.randn(PATCHES**2, width))
        layer = nn.TransformerEncoderLayer(
            width, max(width // 16, 1), 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.attention = nn.TransformerEncoder(
            layer, config.keypoint_layers, enable_nested_tensor=False
        )
        self.final = nn.LayerNorm(width)
        self.out = nn.Linear(width, 3)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, keypoints: torch.Tensor, images: ImageFeatures, gate: bool = True
    ) -> torch.Tensor:
        """(B, 2, 21, 3) better keypoints, the mean of the picture's answer and its mirror's.

        Args:
            keypoints: (B, 2, 21, 3) metres, camera axes.
            images: of their picture.
            gate: trust large corrections alone, see :func:`believed`.
        """
        plain = self.look(keypoints, images, False)
        other = self.look(*mirrored_pair(keypoints, images), True)
        change = 0.5 * (plain + mirrored_points(other)) - keypoints
        return keypoints + (believed(change) if gate else change)

    def look(self, keypoints: torch.Tensor, images: ImageFeatures, mirror: bool) -> torch.Tensor:
        """(B, 2, 21, 3) better keypoints by one of the picture's two features.

        Args:
            keypoints: (B, 2, 21, 3) metres, camera axes of the (mirrored) picture.
            images: with the lens of that picture.
            mirror: look at the mirrored features.
        """
        coarse, fine = images.coarse[:, int(mirror)].float(), images.fine[:, int(mirror)].float()
        points = keypoints.flatten(1, 2)
        flat = projected(points, images.lens)
        middle = points.mean(1, keepdim=True)
        wrist = keypoints[:, :, :1].expand_as(keypoints).flatten(1, 2)
        found = sampled(self.narrow(fine), flat)
        told = torch.cat([(points - middle) / UNIT_M, (points - wrist) / UNIT_M, flat, found], -1)
        x = self.enter(told) + self.name
        for layer in self.convolutions:
            x = x + torch.relu(layer(self.graph @ x))
        x = self.attention(torch.cat([x, self.patch(coarse) + self.where], 1))[:, :JOINTS]
        change = STEP_M * self.out(self.final(x))
        change = change - change.mean(1, keepdim=True)
        return keypoints + change.unflatten(1, (2, 21))


def believed(change: torch.Tensor) -> torch.Tensor:
    """Corrections (B, 2, 21, 3), each pair's shrunk by how far it stands out from ``FLOOR_M``.

    The factor 1 - (floor / mean length)^4, at least 0, as in Stein's positive-part estimate: good
    keypoints stay, bad ones follow nearly whole.
    """
    length = change.norm(dim=-1).mean((1, 2)).clamp_min(1e-9)
    return change * (1 - (FLOOR_M / length) ** GATE_POWER).clamp_min(0)[:, None, None, None]


def mirrored_points(keypoints: torch.Tensor) -> torch.Tensor:
    """(B, 2, 21, 3) of the mirrored picture: the hands change sides."""
    flip = torch.tensor([-1.0, 1.0, 1.0], dtype=keypoints.dtype, device=keypoints.device)
    return keypoints.flip(1) * flip


def mirrored_pair(
    keypoints: torch.Tensor, images: ImageFeatures
) -> tuple[torch.Tensor, ImageFeatures]:
    """Keypoints and lens of the mirrored picture."""
    lens = images.lens * torch.tensor([1.0, 1.0, -1.0, 1.0], device=images.lens.device)
    return mirrored_points(keypoints), ImageFeatures(images.coarse, images.fine, lens)
