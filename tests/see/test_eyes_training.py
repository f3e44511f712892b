"""The class network trains in the common loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.core.errors import InputError
from hand_toolkit.see.eyes_config import EyesSettings
from hand_toolkit.see.eyes_training import EyesTraining
from hand_toolkit.synth.crops.render import CropAssets
from hand_toolkit.synth.crops.shards import render_shard
from hand_toolkit.testing.training import check_training


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    skins = np.full((1, 8, 8, 3), 0.3, np.float32)
    assets = CropAssets([], np.zeros((0, 26)), np.zeros((0, 32, 64, 3)), skins)
    render_shard(folder, 0, 0, assets, count=4)
    return folder


def test_it_keeps_the_contract(crops: Path, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    check_training(EyesTraining(), [crops], tmp_path, settings=EyesSettings(batch=2), steps=2)


def test_three_folders_are_refused(crops: Path) -> None:
    import torch

    training = EyesTraining()
    with pytest.raises(InputError, match="3 folders"):
        training.build(
            training.presets()["default"], EyesSettings(), [crops] * 3, torch.device("cpu")
        )
