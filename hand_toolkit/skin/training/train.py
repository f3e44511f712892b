"""Trains the completion network on photos as they are written, dressed in endless subjects."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from ...learn.average import MovingAverage
from ..completion_weights import make_bank, save_completion
from ..network import SEEN, CompletionNetwork, Heads, compose
from .dressing import Wardrobe
from .pool import Pool
from .subjects import Mixer, load_subjects, nail_mask

log = logging.getLogger(__name__)

RATE = 1.5e-3
WARM_UP = 100
KEPT = 0.998
LOOK_EVERY = 50
KEPT_PARTS = (0.4, 0.75)
"""Parts of the time after which a checkpoint is kept beside the last one."""

SAVE_SECONDS = 45.0
LOST_AFTER = 10
"""Steps in a row without a finite gradient after which the weights go back to their average."""


def steps_loss(
    out: torch.Tensor, target: torch.Tensor, cover: torch.Tensor, pools: tuple[int, ...]
) -> torch.Tensor:
    """L1 of neighbours' differences at several sizes, which keeps detail sharp."""
    total, difference = torch.zeros((), device=out.device), (out - target) * cover
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


def _loss(
    inputs: torch.Tensor,
    target: torch.Tensor,
    right: torch.Tensor,
    heads: Heads,
    maps: torch.Tensor,
    nail: torch.Tensor,
    cover: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss, and (4,) what goes into the log: albedo, hidden, detail, belief."""
    seen = inputs[:, SEEN : SEEN + 1]
    out, hidden, belief, _ = compose(inputs[:, :3], seen, heads, maps, nail)
    area = cover.sum() * len(inputs) * 3
    albedo = ((out - target).abs() * cover).sum() / area
    below = ((hidden - target).abs() * cover).sum() / area
    detail = steps_loss(out, target, cover, (1, 2))
    known = (seen > 0.1).float()
    likely = belief.clamp(1e-3, 1 - 1e-3)
    entropy = -(right * likely.log() + (1 - right) * (1 - likely).log())
    sure = (entropy * known).sum() / known.sum().clamp(min=1)
    loss = albedo + 0.4 * below + 0.5 * detail + 0.1 * sure
    loss = loss + 0.25 * steps_loss(hidden, target, cover, (1,))
    return loss, torch.stack([albedo, below, detail, sure]).detach()


def _whose_fault(
    inputs: torch.Tensor, target: torch.Tensor, tone: torch.Tensor, heads: Heads
) -> str:
    """What of a step without a finite gradient is not finite itself."""
    parts = {"inputs": inputs, "targets": target, "tones": tone, **vars(heads)}
    bad = [name for name, values in parts.items() if not torch.isfinite(values).all()]
    return "no finite gradient; not finite: " + (", ".join(bad) or "nothing else")


def train(
    folder: Path,
    weights: Path,
    minutes: float,
    size: int,
    seed: int,
    families: tuple[str, ...] = (),
    device: str = "cpu",
    capacity: int = 8000,
) -> None:
    """Train for a time and write the weights with what is known of them.

    Args:
        folder: with ``train.npz`` and ``photos/``; the latter may still be filling.
        weights: file to write at the end; earlier ones lie beside it with the part of the time
            in their name.
        minutes: wall time; the learning rate falls to nothing over it.
        size: samples in a batch.
        seed: of the weights and the order.
        families: of the subjects that are worn; all of the file by default.
        device: torch's.
        capacity: photos that are kept in the device's memory, .7 MB each.
    """
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    if device == "cpu":
        torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    mixer = Mixer(load_subjects(folder / "train.npz", families))
    bank = make_bank(mixer, nail_mask())
    maps, nail = (t.to(device) for t in bank.at_grid())
    pool = Pool(folder / "photos", Wardrobe.of(mixer, device), capacity, device)
    cover = pool.cover
    network = CompletionNetwork(len(maps)).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
    average = MovingAverage(network, KEPT)
    start, step, kept = time.monotonic(), 0, 0
    saved, lost, skipped = start, 0, 0
    losses: list[torch.Tensor] = []
    while True:
        passed = (time.monotonic() - start) / 60 / minutes
        late = time.monotonic() - saved > SAVE_SECONDS
        due = kept < len(KEPT_PARTS) and passed >= KEPT_PARTS[kept]
        if step % LOOK_EVERY == 0 or passed >= 1 or due or late:
            pool.refresh(rng)
            parts = torch.stack(losses[-LOOK_EVERY:]).mean(0).tolist() if losses else []
            if step % (2 * LOOK_EVERY) == 0 and parts:
                log.info(
                    "step %d, %.0f%%, %d photos, %d skipped: albedo %.4f hidden %.4f detail %.4f "
                    "belief %.4f", step, 100 * passed, pool.count, skipped, *parts,
                )  # fmt: skip
            losses = losses[-LOOK_EVERY:]
            if parts and (passed >= 1 or due or late):
                part = f"-{round(100 * KEPT_PARTS[kept])}" if due and passed < 1 else ""
                kept, saved = kept + due, time.monotonic()
                notes = {
                    "command": f"python -m hand_toolkit.skin.training train --minutes {minutes:g} "
                    f"--batch {size} --seed {seed} --families {' '.join(families)}",
                    "step": step,
                    "samples": pool.count,
                    "losses": [round(float(p), 5) for p in parts],
                }
                path = weights.with_name(f"{weights.stem}{part}{weights.suffix}")
                save_completion(path, average.state, bank, notes)
            if passed >= 1:
                return
        rate = RATE * min(1.0, (step + 1) / WARM_UP) * max(0.02, 0.5 + 0.5 * np.cos(np.pi * passed))
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.no_grad():
            inputs, target, right, tone = pool.batch(size, rng)
        heads = network(inputs, tone, nail)
        loss, shares = _loss(inputs, target, right, heads, maps, nail, cover)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        step += 1
        if not torch.isfinite(norm):
            skipped, lost = skipped + 1, lost + 1
            if skipped <= 3:
                log.warning("step %d: %s", step, _whose_fault(inputs, target, tone, heads))
            if lost >= LOST_AFTER:
                network.load_state_dict(average.state)
                optimizer.state.clear()
                lost = 0
            continue
        lost = 0
        optimizer.step()
        average.follow(network, step)
        losses.append(shares)
