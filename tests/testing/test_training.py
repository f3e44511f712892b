"""The contract check of trainings: built-in ones pass, broken ones are named."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hand_toolkit.learn import Place
from hand_toolkit.testing.training import check_training

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "learn"))
from toy import Toy, ToyConfig, ToySettings, ToyTraining


def test_a_sound_training_passes(tmp_path: Path) -> None:
    check_training(ToyTraining(), [], tmp_path, config=ToyConfig(width=4))


class Forgetful(Toy):
    """Keeps a count that no checkpoint holds."""

    count = 0

    def load(self, item: str, place: Place, rng: np.random.Generator) -> tuple[Any, ...]:
        self.count += 1
        inputs, target = super().load(item, place, rng)
        return inputs * (1 + self.count), target


class ForgetfulTraining(ToyTraining):
    def build(
        self,
        config: ToyConfig,
        settings: ToySettings,
        data: Sequence[Path],
        device: torch.device,
    ) -> Toy:
        return Forgetful(config, settings)


def test_hidden_state_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"other losses; keep in state\(\)"):
        check_training(ForgetfulTraining(), [], tmp_path)
