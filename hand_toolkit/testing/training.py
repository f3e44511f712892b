"""Contract check for trainings; the built-in ones pass the same."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..learn import LoopSettings, Training, run_training
from ..learn.checkpoint import read_header, read_tensors
from .checks import check_names, require


class _Stop(Exception):
    pass


def check_training(
    training: Training,
    data: Sequence[Path],
    folder: Path,
    *,
    config: Any = None,
    settings: Any = None,
    steps: int = 4,
) -> None:
    """Check that ``training`` keeps the contract of :class:`hand_toolkit.learn.Training`.

    It trains twice for some steps on the CPU, the second time with a stop in between.

    Args:
        training: what ``register_trainings`` registers.
        data: folders to train on.
        folder: an empty folder to write in.
        config: a small preset; the default one otherwise.
        settings: that make it quick; steps and intervals are set here.
        steps: to train, an even number.

    Raises:
        AssertionError: with what is wrong.
    """
    check_names(training, "training")
    presets = training.presets()
    require(bool(presets), "presets() is empty; give at least one config")
    require(issubclass(training.settings, LoopSettings), "settings is no LoopSettings")
    for name, preset in presets.items():
        require(dataclasses.is_dataclass(preset), f"the preset '{name}' is no dataclass")
        json.dumps(dataclasses.asdict(preset))
    config = next(iter(presets.values())) if config is None else config
    settings = dataclasses.replace(
        settings or training.settings(),
        steps=steps,
        checkpoint_every=steps // 2,
        log_every=1,
        score_every=steps,
    )
    curves: dict[str, list[dict[str, float]]] = {"whole": [], "stopped": []}

    def run(name: str, stop: int = -1) -> Path:
        def note(step: int, losses: dict[str, float]) -> None:
            require("loss" in losses, f"the losses {sorted(losses)} have no 'loss'")
            del curves[name][step:]
            curves[name].append(losses)
            if step == stop:
                raise _Stop

        return run_training(
            training,
            data,
            folder / name,
            config=config,
            settings=settings,
            device="cpu",
            on_step=note,
        )

    whole = run("whole")
    require(read_header(whole)["progress"]["step"] == steps, "the checkpoint's step is wrong")
    with contextlib.suppress(_Stop):
        run("stopped", steps // 2)
    stopped = run("stopped")
    require(
        curves["stopped"] == curves["whole"],
        "a resumed run has other losses; keep in state() what items() needs, and draw random "
        "numbers from rng or torch's generator only",
    )
    first, second = read_tensors(whole)[0], read_tensors(stopped)[0]
    require(
        first.keys() == second.keys() and all(bool((first[k] == second[k]).all()) for k in first),
        "a resumed run has other weights; put everything that changes into the module",
    )
