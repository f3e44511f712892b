"""Losses between pictures: L1 per hand pixel, and perceptual ones with and without weights."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from ..core.errors import InputError, missing_dependency

log = logging.getLogger(__name__)

Perceptual = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(V, H, W, 3) picture and target and (V, H, W) mask to one number."""

VGG_WEIGHTS = "vgg16-397923af.pth"
"""torchvision's file name of VGG-16's ImageNet weights."""


def image_loss(image: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """L1 over the picture, per hand pixel.

    Args:
        image, target: (V, H, W, 3).
        mask: (V, H, W); its area is the divisor, so that small hands weigh like large ones.
    """
    area = mask.sum((1, 2)).clamp_min(1.0)
    return ((image - target).abs().sum((1, 2, 3)) / (3 * area)).mean()


def mask_loss(alpha: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """L1 between opacity and mask, both (V, H, W), per hand pixel."""
    area = mask.sum((1, 2)).clamp_min(1.0)
    return ((alpha - mask).abs().sum((1, 2)) / area).mean()


def gradient_loss(
    image: torch.Tensor, target: torch.Tensor, mask: torch.Tensor, scales: int = 4
) -> torch.Tensor:
    """Weight-free perceptual loss: L1 between picture gradients over an average pyramid.

    Edges and texture at every scale count beside absolute colour, as in the first layers of a
    classification network; it needs no trained weights.

    Args:
        image, target: (V, H, W, 3).
        mask: (V, H, W); its area is the divisor.
        scales: pyramid levels.
    """
    difference = (image - target).permute(0, 3, 1, 2)
    area = mask.sum((1, 2)).clamp_min(1.0)
    total = image.new_zeros(())
    for level in range(scales):
        across = (difference[..., :, 1:] - difference[..., :, :-1]).abs().sum((1, 2, 3))
        down = (difference[..., 1:, :] - difference[..., :-1, :]).abs().sum((1, 2, 3))
        total = total + ((across + down) / (6 * area / 4**level).clamp_min(1.0)).mean()
        if min(difference.shape[-2:]) < 8:
            break
        difference = functional.avg_pool2d(difference, 2)
    return total


def vgg_weights() -> Path | None:
    """VGG-16's weights in torch's own cache, or None; nothing is downloaded."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / VGG_WEIGHTS
    return path if path.is_file() else None


def perceptual_loss(kind: str, device: torch.device) -> tuple[str, Perceptual]:
    """The perceptual loss and its name.

    Args:
        kind: "auto" takes VGG where torchvision and its weights are at hand; "vgg"; "gradient".
        device: where the loss will run.

    Raises:
        InputError: an unknown kind, or "vgg" without weights.
        MissingDependencyError: "vgg" without torchvision.
    """
    if kind not in ("auto", "vgg", "gradient"):
        raise InputError(f"unknown perceptual loss {kind!r}; accepted are auto, vgg, gradient")
    if kind == "gradient":
        return "gradient", gradient_loss
    weights = vgg_weights()
    try:
        from torchvision.models import vgg16
    except ImportError as error:
        if kind == "vgg":
            raise missing_dependency("the VGG loss", "torchvision", "vgg") from error
        return "gradient", gradient_loss
    if weights is None:
        if kind == "vgg":
            raise InputError(
                f"the VGG loss needs {VGG_WEIGHTS} in {torch.hub.get_dir()}/checkpoints; put it "
                "there, or choose the perceptual loss 'gradient'"
            )
        return "gradient", gradient_loss
    network = vgg16()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    features = network.features[:16].to(device).eval().requires_grad_(False)
    log.info("perceptual loss: VGG-16 from %s", weights)
    return "vgg", lambda image, target, mask: _vgg(features, image, target)


def _vgg(features: torch.nn.Sequential, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 between relu1_2, relu2_2 and relu3_3 activations (Johnson et al. 2016)."""
    mean = image.new_tensor([0.485, 0.456, 0.406])
    deviation = image.new_tensor([0.229, 0.224, 0.225])
    a, b = (((x - mean) / deviation).permute(0, 3, 1, 2) for x in (image, target))
    total = image.new_zeros(())
    for index, layer in enumerate(features):
        a, b = layer(a), layer(b)
        if index in (3, 8, 15):
            total = total + (a - b).abs().mean()
    return total
