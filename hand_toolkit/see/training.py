"""Trains the class network: ``python -m hand_toolkit.see.training``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..core.errors import InputError
from .classes import CLASSES, OTHER, OWN, ClassNetwork
from .networks import WEIGHTS, load_weights
from .samples import IGNORED

log = logging.getLogger(__name__)

DEPTH_UNIT_M = 0.01
"""Depth errors count in centimetres."""


@dataclass(frozen=True)
class ClassConfig:
    """How the class network is trained.

    Attributes:
        crops: folder of rendered shards; new ones are taken up while it is trained.
        patches: NPZ of hand-free parts of photos, see ``training_photos``; or none.
        bodies: NPY of heads and shoulders, or none.
        environments: folder of EXR maps as backgrounds, or none.
        photos: folder of labelled photos; may fill while it is trained; or none.
        photo_share: of the samples, once there are labelled photos.
        batch: samples of a step.
        rate: of the parts that start from nothing.
        tuned_rate: share of ``rate`` for the parts that start from MediaPipe's weights.
        minutes: of training; the rate falls to nothing by a cosine.
        threads: of torch.
        keep_steps: a checkpoint is kept every so many steps.
    """

    crops: Path
    patches: Path | None = None
    bodies: Path | None = None
    environments: Path | None = None
    photos: Path | None = None
    photo_share: float = 0.2
    batch: int = 16
    rate: float = 2e-3
    tuned_rate: float = 0.12
    minutes: float = 60.0
    threads: int = 1
    keep_steps: int = 200


Batch = dict[str, torch.Tensor]


def class_losses(network: ClassNetwork, batch: Batch) -> dict[str, torch.Tensor]:
    """Weighted losses of a batch.

    Args:
        network: in training.
        batch: ``image`` (B, 224, 224, 3) uint8, ``labels`` (B, 112, 112) uint8 and ``depth``
            (B, 21) metres, NaN where unknown.

    Returns:
        Cross entropy, overlap of own and other hands (soft Dice, Milletari et al. 2016, eq. 3)
        and depth (Laplace likelihood).
    """
    crops = batch["image"].permute(0, 3, 1, 2).float() / 255
    with torch.autocast(crops.device.type, torch.bfloat16):
        maps = network(crops.contiguous(memory_format=torch.channels_last))
    labels = batch["labels"].long()
    entropy = functional.cross_entropy(maps.logits, labels, ignore_index=IGNORED)
    known = (labels != IGNORED)[:, None]
    chance = maps.logits.softmax(1)[:, [OWN, OTHER]] * known
    truth = torch.stack([labels == OWN, labels == OTHER], 1).float()
    overlap = (chance * truth).sum((2, 3))
    total = (chance + truth).sum((2, 3))
    dice = 1 - (2 * overlap + 50) / (total + 50)
    depth, log_sigma = batch["depth"], maps.depth_log_sigma.clamp(-8, 0)
    there = torch.isfinite(depth)
    gap = (maps.depth - torch.nan_to_num(depth)).abs()
    likely = gap / log_sigma.exp() + log_sigma - math.log(DEPTH_UNIT_M)
    count = there.sum().clamp_min(1)
    return {
        "entropy": 1.5 * entropy,
        "dice": 0.5 * dice.mean(),
        "depth": 0.05 * (likely * there).sum() / count,
        "depth_gap": 0.1 / DEPTH_UNIT_M * (gap * there).sum() / count,
    }


class ClassSamples(torch.utils.data.IterableDataset[Batch]):
    """Endless batches; a worker process may hold it."""

    def __init__(self, config: ClassConfig, seed: int) -> None:
        self.config, self.seed = config, seed

    def __iter__(self) -> Iterator[Batch]:
        import cv2

        from ..synth.crops.shards import open_shards
        from .samples import sample_crop, sample_photo
        from .training_photos import load_backdrops, read_labelled

        cv2.setNumThreads(1)
        config = self.config
        rng = np.random.default_rng([self.seed, 41])
        crops = open_shards(config.crops)
        backdrops = load_backdrops(config.patches, config.bodies, config.environments)
        photos = [] if config.photos is None else read_labelled(config.photos)
        number = 0
        while True:
            samples = []
            for _ in range(config.batch):
                if photos and rng.random() < config.photo_share:
                    samples.append(sample_photo(rng, photos[rng.integers(len(photos))]))
                else:
                    samples.append(sample_crop(rng, crops, backdrops))
            yield {
                "image": torch.from_numpy(np.stack([s.image for s in samples])),
                "labels": torch.from_numpy(np.stack([s.labels for s in samples])),
                "depth": torch.from_numpy(np.stack([s.depth for s in samples])).float(),
            }
            number += 1
            if number % 50 == 0:
                crops.refresh()
                if config.photos is not None:
                    photos = read_labelled(config.photos, photos)


def new_network() -> ClassNetwork:
    """A network that starts from MediaPipe's landmark weights."""
    network = ClassNetwork()
    load_weights(network.landmarks, WEIGHTS / "hand_landmark.safetensors")
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@torch.no_grad()
def validate(network: ClassNetwork, folder: Path, count: int = 384) -> dict[str, float]:
    """Scores on rendered crops that never train.

    Args:
        network: any; its mode is kept.
        folder: of shards.
        count: crops, the first of the folder.

    Returns:
        IoU of own (pairs and lone hands), other and forearm, and the depth's error in mm.
    """
    from ..synth.crops.shards import open_shards
    from .samples import SIZE, sample_crop
    from .training_photos import load_backdrops

    crops, rng = open_shards(folder), np.random.default_rng(43)
    backdrops = load_backdrops(None, None, None)
    was = network.training
    network.eval()
    scores: dict[str, list[float]] = {}
    for index in range(min(count, len(crops))):
        crop = crops[index]
        sample = sample_crop(rng, [crop], backdrops, plain=True)  # type: ignore[arg-type]
        image = torch.from_numpy(sample.image).permute(2, 0, 1)[None].float() / 255
        assert image.shape[-1] == SIZE
        maps = network(image)
        found = maps.logits[0].argmax(0).numpy()
        pair = np.isfinite(crop.keypoints[1, 0, 0])
        for value, name in enumerate(CLASSES):
            wanted, got = sample.labels == value, found == value
            if value == 0 or wanted.sum() < 100:
                continue
            key = name if name != "own" else ("own_pair" if pair else "own_alone")
            scores.setdefault(key, []).append(float((wanted & got).sum() / (wanted | got).sum()))
        if crop.own:
            gap = maps.depth[0].numpy() - crop.depth[0]
            scores.setdefault("depth_mm", []).append(1e3 * float(np.abs(gap).mean()))
    network.train(was)
    return {name: round(float(np.mean(values)), 4) for name, values in sorted(scores.items())}


def train_classes(
    config: ClassConfig, out: Path, seed: int, validation: Path | None = None
) -> Path:
    """Train, keep checkpoints and a log; goes on where a run in ``out`` stopped.

    Args:
        config: how.
        out: folder of ``log.jsonl``, ``last.pt`` and ``NNNNNN.safetensors``.
        seed: of weights and samples.
        validation: shards that never train, scored at each checkpoint.

    Returns:
        The last weights.
    """
    from safetensors.torch import save_file

    torch.set_num_threads(config.threads)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    network, mean = new_network(), new_network()
    fresh, tuned = network.parameter_groups()
    mean.parameter_groups()
    optimizer = torch.optim.AdamW(
        [{"params": fresh, "share": 1.0}, {"params": tuned, "share": config.tuned_rate}],
        lr=config.rate,
        weight_decay=1e-3,
    )
    step, spent = 0, 0.0
    state = out / "last.pt"
    if state.is_file():
        kept = torch.load(state, weights_only=True)
        network.load_state_dict(kept["network"])
        mean.load_state_dict(kept["mean"])
        optimizer.load_state_dict(kept["optimizer"])
        step, spent = kept["step"], kept["spent"]
    loader = torch.utils.data.DataLoader(
        ClassSamples(config, seed + step), batch_size=None, num_workers=1, prefetch_factor=4
    )
    network.train()
    sums: dict[str, float] = {}
    begun = time.monotonic() - spent
    weights = out / f"{step:06d}.safetensors"
    for batch in loader:
        part = (time.monotonic() - begun) / 60 / config.minutes
        if part >= 1:
            break
        rate = config.rate * min(1.0, (step + 1) / 60) * 0.5 * (1 + math.cos(math.pi * part))
        for group in optimizer.param_groups:
            group["lr"] = max(rate, 1e-5) * group["share"]
        losses = class_losses(network, batch)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_([*fresh, *tuned], 5.0)
        optimizer.step()
        step += 1
        _follow(mean, network, min(0.99, 1 - 1 / (step / 4 + 2)))
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if step % 25 == 0:
            _note(out, step, begun, {k: v / 25 for k, v in sums.items()})
            sums = {}
        if step % config.keep_steps == 0:
            weights = out / f"{step:06d}.safetensors"
            save_file({k: v.contiguous() for k, v in mean.state_dict().items()}, weights)
            spent = time.monotonic() - begun
            unfinished = out / "last.part"
            torch.save(
                {"network": network.state_dict(), "mean": mean.state_dict(),
                 "optimizer": optimizer.state_dict(), "step": step, "spent": spent},
                unfinished,
            )  # fmt: skip
            unfinished.replace(state)
            if validation is not None:
                _note(out, step, begun, {"rendered": validate(mean, validation, 128)})
    weights = out / f"{step:06d}.safetensors"
    save_file({k: v.contiguous() for k, v in mean.state_dict().items()}, weights)
    return weights


def export_weights(weights: Path, out: Path, notes: dict[str, Any]) -> None:
    """Write weights as they are shipped: float16, with a JSON of where they come from.

    Args:
        weights: of :func:`train_classes`.
        out: a safetensors file; the JSON lies beside it.
        notes: what the JSON says.
    """
    from safetensors.torch import load_file, save_file

    tensors = {
        name: value.half() if value.is_floating_point() else value
        for name, value in load_file(weights).items()
    }
    save_file({name: value.contiguous() for name, value in tensors.items()}, out)
    parameters = sum(value.numel() for value in tensors.values())
    text = json.dumps({**notes, "parameters": parameters}, indent=2)
    out.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def _follow(mean: torch.nn.Module, network: torch.nn.Module, keep: float) -> None:
    """Moving average of the weights."""
    with torch.no_grad():
        for old, new in zip(mean.state_dict().values(), network.state_dict().values()):
            if old.is_floating_point():
                old.lerp_(new, 1 - keep)
            else:
                old.copy_(new)


def _note(out: Path, step: int, begun: float, values: dict[str, Any]) -> None:
    minutes = round((time.monotonic() - begun) / 60, 2)
    shown = {k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()}
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "minutes": minutes, **shown}) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Options are the fields of :class:`ClassConfig`."""
    parser = argparse.ArgumentParser(
        prog="python -m hand_toolkit.see.training", description="Train the class network."
    )
    parser.add_argument("out", type=Path, help="folder of the run; an unfinished run goes on")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--validation", type=Path, help="folder of shards that never train")
    for field in dataclasses.fields(ClassConfig):
        name = "--" + field.name.replace("_", "-")
        if field.default is dataclasses.MISSING:
            parser.add_argument(name, type=Path, required=True)
        else:
            kind = Path if field.default is None else type(field.default)
            parser.add_argument(name, type=kind, default=field.default)
    options = vars(parser.parse_args(arguments))
    out, seed, validation = options.pop("out"), options.pop("seed"), options.pop("validation")
    try:
        print(train_classes(ClassConfig(**options), out, seed, validation))
    except InputError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
