"""Trains the completion network on whatever samples have been written so far."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from ...core.errors import InputError
from ..completion_weights import make_bank, save_completion
from ..grid import GRID, grid_cover, shrink
from ..network import SEEN, CompletionNetwork, compose, resized
from ..uv_observation import CHANNELS
from .subjects import Mixer, layout, load_subjects, nail_mask, palm_mask

log = logging.getLogger(__name__)

RIM, BESIDE, MASK = (CHANNELS.index(name) for name in ("rim", "beside", "mask"))
FLUSH = torch.tensor([-0.05, 0.8, 0.9])
"""Log absorbance of blood under a flushed palm, linear R, G, B."""

FLUSH_MEAN, FLUSH_SPREAD = 0.15, 0.3
RATE = 2e-3
SAVE_EVERY = 50


class Samples:
    """Batches from a folder of samples that may still grow; read anew each time, since the
    system keeps files in memory better than we would."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, [Path()][:0]
        self.cover = torch.tensor(grid_cover())
        palm = shrink(palm_mask(), layout(), GRID)
        self.palm = torch.tensor(palm).permute(2, 0, 1)

    def refresh(self) -> None:
        """Look for new files.

        Raises:
            InputError: there is none.
        """
        self.files = sorted(self.folder.glob("[0-9]" * 5 + ".npz"))
        if not self.files:
            raise InputError(f"no samples in {self.folder.name}; make some with 'photos' first")

    def batch(self, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        """Inputs (B, 15, GRID, GRID), targets (B, 3, ...), right (B, 1, ...), tone (B, 3)."""
        images, tones = [], []
        for k in rng.integers(len(self.files), size=size):
            with np.load(self.files[k], allow_pickle=False) as data:
                columns = [data["inputs"], data["target"], data["right"][:, None]]
                values = torch.tensor(np.concatenate(columns, axis=1).astype(np.float32))
                tones.append(torch.tensor(data["tone"]))
            image = torch.zeros(values.shape[1], GRID, GRID)
            image[:, self.cover] = values.T
            images.append(image)
        stack, split = torch.stack(images), len(CHANNELS)
        right = (stack[:, -1:] > 0.7).float()
        return self._varied(
            stack[:, :split], stack[:, split : split + 3], right, torch.stack(tones), rng
        )

    def _varied(
        self,
        inputs: torch.Tensor,
        target: torch.Tensor,
        right: torch.Tensor,
        tone: torch.Tensor,
        rng: np.random.Generator,
    ) -> tuple[torch.Tensor, ...]:
        """Palms flush without the back; exposure and white balance say nothing of the skin."""
        count = len(inputs)
        amount = FLUSH_MEAN + FLUSH_SPREAD * rng.normal(size=(count, 1, 1, 1))
        field = -torch.tensor(amount, dtype=torch.float32) * FLUSH[None, :, None, None] * self.palm
        seen = inputs[:, SEEN : SEEN + 1]
        rims = inputs[:, [RIM, BESIDE]].amax(1, keepdim=True)
        sure = seen * (1 - rims) * inputs[:, MASK : MASK + 1] + 1e-6
        shift = (sure * field).sum((2, 3)) / sure.sum((2, 3))
        field = (field - shift[:, :, None, None]) * self.cover
        color = inputs[:, :3] + (field + self._light_left(count, rng)) * (seen > 0)
        tone = tone + shift + torch.tensor(rng.normal(size=(count, 1)) * 0.25, dtype=torch.float32)
        tone = tone + torch.tensor(rng.normal(size=(count, 3)) * [0.15, 0.08, 0.15]).float()
        varied = torch.cat([color, inputs[:, 3:]], dim=1)
        kept = self._hidden_parts(count, rng)
        varied[:, :4] *= kept
        return varied, target + field, right * kept, tone

    def _light_left(self, count: int, rng: np.random.Generator) -> torch.Tensor:
        """(B, 3, GRID, GRID) slow shade that the estimated light leaves on the photo."""
        grey = rng.normal(size=(count, 1, 5, 5)) * 0.12 + rng.normal(size=(count, 3, 5, 5)) * 0.03
        field = resized(torch.tensor(grey, dtype=torch.float32), GRID)
        return field * torch.tensor(rng.random((count, 1, 1, 1)) < 0.5)

    def _hidden_parts(self, count: int, rng: np.random.Generator) -> torch.Tensor:
        """(B, 1, GRID, GRID) 0 in a random part of some layouts: less of the hand is seen."""
        field = resized(torch.tensor(rng.normal(size=(count, 1, 7, 7))).float(), GRID)
        some = torch.tensor(rng.random((count, 1, 1, 1)) < 0.3)
        return 1 - ((field > 0.5) & some).float()


def steps_loss(
    out: torch.Tensor, target: torch.Tensor, cover: torch.Tensor, pools: tuple[int, ...]
) -> torch.Tensor:
    """L1 of neighbours' differences at several sizes, which keeps detail sharp."""
    total, difference = torch.zeros(()), (out - target) * cover
    full = cover.float()[None, None]
    for pool in pools:
        held = functional.avg_pool2d(difference, pool) if pool > 1 else difference
        inside = (functional.avg_pool2d(full, pool) > 0.99).float()
        for axis in (2, 3):
            length = held.shape[axis] - 1
            both = inside.narrow(axis, 1, length) * inside.narrow(axis, 0, length)
            total = total + (held.diff(dim=axis).abs() * both).sum() / (
                inside.sum() * held.shape[0] * held.shape[1]
            )
    return total


def train(folder: Path, weights: Path, minutes: float, size: int, seed: int) -> None:
    """Train for a time and write the weights with what is known of them.

    Args:
        folder: with ``train.npz`` and ``photos/``; the latter may still be filling.
        weights: file to write, every ``SAVE_EVERY`` steps and at the end.
        minutes: wall time; the learning rate falls to nothing over it.
        size: samples in a batch.
        seed: of the weights and the order.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    bank = make_bank(Mixer(load_subjects(folder / "train.npz")), nail_mask())
    maps, nail = bank.at_grid()
    samples = Samples(folder / "photos")
    cover = samples.cover
    network = CompletionNetwork(len(maps))
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    start, step = time.monotonic(), 0
    history: list[list[float]] = []
    while True:
        passed = (time.monotonic() - start) / 60 / minutes
        if step % SAVE_EVERY == 0 or passed >= 1:
            if history:
                parts = np.mean(history[-SAVE_EVERY:], axis=0)
                log.info(
                    "step %d, %.0f%%, %d samples: albedo %.4f hidden %.4f detail %.4f belief %.4f",
                    step, 100 * passed, len(samples.files), *parts,
                )  # fmt: skip
                notes = {
                    "command": f"python -m hand_toolkit.skin.training train --minutes {minutes:g} "
                    f"--batch {size} --seed {seed}",
                    "step": step,
                    "samples": len(samples.files),
                    "losses": [round(float(p), 5) for p in parts],
                }
                save_completion(weights, average, bank, notes)
            if passed >= 1:
                return
            samples.refresh()
        rate = RATE * min(1.0, (step + 1) / 30) * max(0.03, 0.5 + 0.5 * np.cos(np.pi * passed))
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs, target, right, tone = samples.batch(size, rng)
        heads = network(inputs, tone)
        seen = inputs[:, SEEN : SEEN + 1]
        out, hidden, belief, _ = compose(inputs[:, :3], seen, heads, maps, nail)
        area = cover.sum() * len(inputs) * 3
        albedo = ((out - target).abs() * cover).sum() / area
        below = ((hidden - target).abs() * cover).sum() / area
        detail = steps_loss(out, target, cover, (1, 2))
        known = (seen > 0.1).float()
        entropy = functional.binary_cross_entropy(
            belief.clamp(1e-3, 1 - 1e-3), right, reduction="none"
        )
        sure = (entropy * known).sum() / known.sum().clamp(min=1)
        loss = albedo + 0.4 * below + 0.5 * detail + 0.1 * sure
        loss = loss + 0.25 * steps_loss(hidden, target, cover, (1,))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        with torch.no_grad():
            for key, value in network.state_dict().items():
                average[key].lerp_(value, 1 - min(0.99, step / (step + 10)))
        history.append([float(v.detach()) for v in (albedo, below, detail, sure)])


def describe(path: Path) -> dict[str, object]:
    """The notes beside a weights file."""
    return dict(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
