"""The prior's losses are those of the loop that it was first trained with, number by number."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from hand_toolkit.systems.igsn.config import TINY, TrainConfig
from hand_toolkit.systems.igsn.train import train

from fixed_scenes import HAND, FixedScenes  # isort: skip

TORCH = "2.13"
LOSSES = (
    1.583635211,
    1.6646817923,
    1.7837580442,
    1.6058118939,
    1.6408755183,
    1.4648244381,
    1.6445915103,
    1.5326986909,
    1.6233865619,
    1.6249185801,
    1.67237854,
    1.5441167951,
    1.6344239116,
    1.5624559522,
    1.5537935495,
    1.5002602935,
    1.5952112079,
    1.6481422186,
    1.3892367482,
    1.6392041445,
)
"""Of the first 20 steps, by the prior's own loop (2026) with torch 2.13.0 on one CPU thread."""

SETTINGS = TrainConfig(
    steps=20,
    coarse_steps=10,
    scenes_per_step=2,
    views_per_scene=2,
    warmup=5,
    checkpoint_every=10,
    log_every=1,
    subject_slots=2,
    perceptual="gradient",
    seed=5,
)


def test_losses_are_the_recorded_ones(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seen: list[float] = []
    try:
        train(
            dataclasses.replace(TINY, hand_model=HAND),
            FixedScenes(),
            tmp_path,
            settings=SETTINGS,
            device="cpu",
            on_step=lambda step, parts: seen.append(parts["loss"]),
        )
    finally:
        torch.set_num_threads(threads)
    # processors differ in the last bits, releases of torch in more
    near = 1e-6 if torch.__version__.startswith(TORCH) else 1e-3
    assert seen == pytest.approx(LOSSES, rel=near)
