"""How the class network learns: its losses, and scores on rendered crops that never train."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .classes import CLASSES, FOREARM, OTHER, OWN, POINT_UNIT, ClassMaps, ClassNetwork
from .landmarks import HandLandmarkNetwork
from .networks import WEIGHTS, load_weights
from .samples import Batch

DEPTH_UNIT_M = 0.01
"""Depth errors count in centimetres."""

EDGE_PX, EDGE_WEIGHT = 2, 2.0
"""Pixels this near to an edge between classes count this much more."""

JUDGED = 64
"""Samples of a batch on which the landmark network is run for its error."""

FAR_PX = 40.0
"""Errors of points count up to here: beyond, they say no more."""


class ClassLosses(nn.Module):
    """The class network with its losses.

    Args:
        network: to train.
        landmarks: the landmark network whose error is to be foretold; stays as it is.
    """

    def __init__(self, network: ClassNetwork, landmarks: HandLandmarkNetwork) -> None:
        super().__init__()
        self.network = network
        self.landmarks = landmarks.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> ClassLosses:
        """The landmark network has no mode of its own."""
        super().train(mode)
        self.landmarks.eval()
        return self

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted losses of a batch by name, and their sum, "loss".

        Cross entropy, overlap of own and other hands (soft Dice, Milletari et al. 2016, eq. 3),
        depth and points (Laplace likelihoods), and which hands are there.
        """
        crops = batch.image.contiguous(memory_format=torch.channels_last)
        with torch.autocast(crops.device.type, torch.bfloat16):
            maps = self.network(crops)
            with torch.no_grad():
                found = self.landmarks(crops[:JUDGED]).points[..., :2].float()
        losses = {**map_losses(maps, batch), **head_losses(maps, batch, found)}
        return {**losses, "loss": torch.stack(list(losses.values())).sum()}


def map_losses(maps: ClassMaps, batch: Batch) -> dict[str, torch.Tensor]:
    """Cross entropy with the shares of each pixel, and Dice."""
    truth = torch.cat([1 - batch.shares.sum(1, keepdim=True), batch.shares], 1)
    known = batch.known
    reach = 2 * EDGE_PX + 1
    highest = functional.max_pool2d(truth, reach, 1, EDGE_PX)
    lowest = -functional.max_pool2d(-truth, reach, 1, EDGE_PX)
    edge = (highest - lowest).amax(1, keepdim=True)
    weight = known * (1 + EDGE_WEIGHT * edge)
    entropy = -(truth * maps.logits.log_softmax(1)).sum(1, keepdim=True)
    chance = maps.logits.softmax(1)[:, [OWN, OTHER]] * known
    wanted = truth[:, [OWN, OTHER]] * known
    overlap, total = (chance * wanted).sum((2, 3)), (chance + wanted).sum((2, 3))
    dice = 1 - (2 * overlap + 200) / (total + 200)
    return {
        "entropy": 1.5 * (weight * entropy).sum() / weight.sum().clamp_min(1),
        "dice": 0.5 * dice.mean(),
    }


def head_losses(maps: ClassMaps, batch: Batch, found: torch.Tensor) -> dict[str, torch.Tensor]:
    """Losses of depths, points and hands.

    Args:
        maps: of the batch.
        batch: with truth.
        found: (N, 21, 2) own points as the landmark network finds them in the first N crops.
    """
    far = _laplace(maps.depth, batch.depth, maps.depth_log_sigma.clamp(-8, 0), DEPTH_UNIT_M)
    there = torch.isfinite(batch.depth)
    gap = ((maps.depth - torch.nan_to_num(batch.depth)).abs() * there).sum()
    missed = (found - batch.points[: len(found)]).norm(dim=-1).clamp_max(FAR_PX)
    sigma = maps.points_log_sigma[: len(found)].clamp(-2, 4)
    off = _laplace(missed, torch.where(missed.isfinite(), 0.0, torch.nan), sigma, 1.0)
    other_sigma = maps.other_log_sigma.clamp(-1, 5)[..., None]
    second = _laplace(maps.other_points, batch.other, other_sigma, POINT_UNIT)
    return {
        "depth": 0.05 * far,
        "depth_gap": 0.1 / DEPTH_UNIT_M * gap / there.sum().clamp_min(1),
        "points_sigma": 0.02 * off,
        "other_points": 0.03 * second,
        "own": 0.1 * _told(maps.own, batch.has_own),
        "other": 0.1 * _told(maps.other, batch.has_other),
    }


def _laplace(
    value: torch.Tensor, truth: torch.Tensor, log_sigma: torch.Tensor, unit: float
) -> torch.Tensor:
    """Mean negative logarithm of Laplace likelihoods, where the truth is a number."""
    there = torch.isfinite(truth)
    gap = (torch.nan_to_num(value) - torch.nan_to_num(truth)).abs()
    likely = gap / log_sigma.exp() + log_sigma - math.log(unit)
    return (likely * there).sum() / there.sum().clamp_min(1)


def _told(logit: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    there = torch.isfinite(truth)
    one = functional.binary_cross_entropy_with_logits(
        logit, torch.nan_to_num(truth), reduction="none"
    )
    return (one * there).sum() / there.sum().clamp_min(1)


def new_losses(frozen_stride: int, start: Path | None = None) -> ClassLosses:
    """A network with its losses.

    Args:
        frozen_stride: see :class:`ClassNetwork`.
        start: weights that it starts from; None for MediaPipe's landmark network and chance.

    Raises:
        InputError: ``start`` is not there.
        FileFormatError: it is of another network.
    """
    network, landmarks = ClassNetwork(frozen_stride), HandLandmarkNetwork()
    for one in (network.landmarks, landmarks):
        load_weights(one, WEIGHTS / "hand_landmark.safetensors")
    if start is not None:
        load_weights(network, start)
    losses = ClassLosses(network, landmarks)
    return losses.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@torch.no_grad()
def validate(
    network: ClassNetwork, folder: Path, count: int = 384, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """Scores on rendered crops that never train.

    Args:
        network: in evaluation mode, on the device.
        folder: of shards.
        count: crops, the first of the folder.
        device: of all.

    Returns:
        IoU of own (pairs and lone hands), other and forearm; the depth's error in mm; the
        other hand's points' error in pixels of the crop; how often the hands are told rightly.
    """
    from ..synth.crops.shards import FIELDS, open_shards
    from .backdrops import Backdrops
    from .feeds import draw_sheet
    from .pools import Ring, crop_rows
    from .samples import Sampler, Sources

    device = torch.device(device)
    shards = open_shards(folder)
    count = min(count, len(shards))
    crops, backdrops = Ring(count, device), Ring(64, device)
    rng = np.random.default_rng(43)
    none = np.zeros((0, 1, 1, 4), np.uint8)
    backdrops.add({"picture": draw_sheet(rng, Backdrops([], none, none), 64)})
    for start in range(0, count, 64):
        part = [shards[index] for index in range(start, min(start + 64, count))]
        shard = {name: np.stack([getattr(crop, name) for crop in part]) for name in FIELDS}
        crops.add(crop_rows(shard))
    sampler = Sampler(Sources(crops, Ring(1, device), backdrops), device, plain=True)
    scores: dict[str, list[torch.Tensor]] = {}
    for start in range(0, count, 32):
        rows = torch.arange(start, min(start + 32, count), device=device)
        batch = sampler.rendered(sampler.drawing(rng), rows)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            maps = network(batch.image)
        for name, values in batch_scores(maps, batch).items():
            scores.setdefault(name, []).append(values)
    means = {name: torch.cat(values).nanmean() for name, values in sorted(scores.items())}
    return {name: round(float(value), 4) for name, value in means.items()}


def batch_scores(maps: ClassMaps, batch: Batch) -> dict[str, torch.Tensor]:
    """Scores of each sample of a batch, NaN where there is nothing to score."""
    found = maps.logits.argmax(1)
    truth = torch.cat([1 - batch.shares.sum(1, keepdim=True), batch.shares], 1).argmax(1)
    pair = batch.has_other > 0
    out: dict[str, torch.Tensor] = {}
    for value in (OWN, OTHER, FOREARM):
        got, wanted = found == value, truth == value
        iou = (got & wanted).sum((1, 2)) / (got | wanted).sum((1, 2)).clamp_min(1)
        iou = torch.where(wanted.sum((1, 2)) < 400, torch.nan, iou)
        if value == OWN:
            out["own_pair"] = torch.where(pair, iou, torch.nan)
            out["own_alone"] = torch.where(pair, torch.nan, iou)
        else:
            out[CLASSES[value]] = iou
    out["depth_mm"] = 1e3 * (maps.depth - batch.depth).abs().mean(1)
    out["other_px"] = (maps.other_points - batch.other).norm(dim=-1).mean(1)
    out["own_told"] = ((maps.own > 0) == (batch.has_own > 0)).float()
    out["other_told"] = ((maps.other > 0) == pair).float()
    return out
