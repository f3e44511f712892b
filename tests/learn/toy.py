"""A training of a line through points: what the loop needs of a system, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hand_toolkit.learn import EpochOrder, Group, LoopSettings, Place, Trainable, train
from hand_toolkit.learn.schedule import cosine


@dataclass(frozen=True)
class ToyConfig:
    width: int = 8


@dataclass(frozen=True)
class ToySettings(LoopSettings):
    steps: int = 40
    checkpoint_every: int = 10
    log_every: int = 1
    rate: float = 0.02
    items_per_step: int = 2
    spoiled: int = -1


class ToyNetwork(torch.nn.Module):
    """Has buffers (batch normalisation) and global randomness (dropout), as real ones do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(2, width),
            torch.nn.BatchNorm1d(width),
            torch.nn.Tanh(),
            torch.nn.Dropout(0.1),
            torch.nn.Linear(width, 1),
        )

    def forward(self, inputs: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        error = (self.layers(inputs)[:, 0] - target).square().mean()
        return {"loss": error, "error": error}


class Toy(Trainable):
    """Learns 0.5 x - y from eight folders of points."""

    def __init__(self, config: ToyConfig, settings: ToySettings) -> None:
        self.config, self.settings = config, settings
        self.module = ToyNetwork(config.width)
        self._order = EpochOrder()

    def groups(self) -> list[Group]:
        return [
            Group(list(self.module.parameters()), self.settings.rate, decay=1e-4, clip=1.0),
        ]

    def rate(self, step: int) -> float:
        return cosine(step, self.settings.steps, warmup=2)

    def items(self, place: Place) -> list[str]:
        per_step = self.settings.items_per_step * place.world
        if self._order.finished:
            keys = place.agreed(lambda: [f"points {k}" for k in range(8)])
            self._order.begin(keys, self.settings.seed, per_step)
        return self._order.take(per_step)[place.rank :: place.world]

    def load(self, item: str, place: Place, rng: np.random.Generator) -> tuple[Any, ...]:
        number = int(item.split()[1])
        fixed = np.random.default_rng(number).normal(size=(16, 2)) + rng.normal(size=2) * 0.1
        inputs = torch.from_numpy(fixed.astype(np.float32))
        target = 0.5 * inputs[:, 0] - inputs[:, 1]
        if place.step == self.settings.spoiled:
            target = target / 0
        return inputs, target

    def state(self) -> dict[str, Any]:
        return self._order.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._order.restore(state)

    def scores(self) -> dict[str, float]:
        torch.rand(3)  # a score may draw: training must not notice
        inputs = torch.from_numpy(np.random.default_rng(99).normal(size=(64, 2)).astype(np.float32))
        return {"held out": float(self.module(inputs, 0.5 * inputs[:, 0] - inputs[:, 1])["loss"])}


class ToyTraining:
    """Registers the toy."""

    name = "toy"
    description = "a line through points"
    settings = ToySettings

    def presets(self) -> dict[str, ToyConfig]:
        return {"usual": ToyConfig(), "narrow": ToyConfig(width=4)}

    def build(
        self,
        config: ToyConfig,
        settings: ToySettings,
        data: Sequence[Path],
        device: torch.device,
    ) -> Toy:
        return Toy(config, settings)


def run(out: Path, settings: ToySettings | None = None, **options: Any) -> Path:
    """Train a toy."""
    chosen = settings or ToySettings()
    config = options.pop("config", ToyConfig())
    device = options.pop("device", "cpu")
    return train(
        lambda where: Toy(config, chosen),
        out,
        seed=chosen.seed,
        system=options.pop("system", "toy"),
        device=device,
        **options,
    )


if __name__ == "__main__":
    run(Path(sys.argv[1]), ToySettings(steps=int(sys.argv[2]), score_every=int(sys.argv[3])))
