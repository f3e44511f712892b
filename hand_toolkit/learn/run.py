"""Runs a registered training by name, and scores what it has trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.errors import FileFormatError, InputError
from ..core.registry import registry
from .average import MovingAverage
from .checkpoint import read_average, read_header
from .config import LoopSettings, from_mapping, with_changes
from .contract import Training
from .loop import OnStep, restore, scored, train


def training_of(system: str) -> Training:
    """The registered training of a system.

    Raises:
        InputError: there is none of that name.
    """
    training: Training = registry().get("trainings", system)
    return training


def settings_of(
    training: Training, preset: str | None = None, changes: Sequence[str] = (), **given: Any
) -> tuple[Any, LoopSettings]:
    """Config and settings of a run.

    Args:
        training: the system's.
        preset: name of a config; None is the default.
        changes: ``NAME=VALUE`` with JSON values, fields of either.
        given: fields of the settings; None leaves the default.

    Raises:
        InputError: an unknown preset or name, or a value that is not JSON.
    """
    presets = training.presets()
    name = next(iter(presets)) if preset is None else preset
    if name not in presets:
        raise InputError(
            f"unknown {training.name} config {name!r}; accepted are: {', '.join(presets)}"
        )
    settings = training.settings(**{k: v for k, v in given.items() if v is not None})
    return with_changes(presets[name], settings, changes)


def run_training(
    training: Training,
    data: Sequence[Path],
    out: Path,
    *,
    config: Any,
    settings: LoopSettings,
    resume: bool = True,
    device: str = "auto",
    on_step: OnStep | None = None,
) -> Path:
    """Train a system; errors as :func:`hand_toolkit.learn.train`.

    Args:
        training: the system's, e.g. from :func:`training_of`.
        data: folders to train on.
        config, settings: of the training, e.g. from :func:`settings_of`.
        out, resume, device, on_step: see :func:`hand_toolkit.learn.train`.
    """
    return train(
        lambda where: training.build(config, settings, data, where),
        out,
        seed=settings.seed,
        system=training.name,
        resume=resume,
        device=device,
        on_step=on_step,
    )


def score_checkpoint(
    checkpoint: Path, data: Sequence[Path], system: str | None = None
) -> dict[str, float]:
    """Scores of a training's checkpoint on data that it never trained on, on the CPU.

    Args:
        checkpoint: that a run wrote.
        data: folders as the run had.
        system: name of the training, for a checkpoint that does not name it.

    Raises:
        FileFormatError: the file is no checkpoint.
        InputError: the data cannot be used, or the system has no scores.
    """
    import torch

    state = read_header(checkpoint)
    system = str(state.get("system", system))
    training = training_of(system)
    try:
        config = from_mapping(type(next(iter(training.presets().values()))), state["config"])
        known = {f.name for f in dataclasses.fields(training.settings)}
        values = {k: v for k, v in state["settings"].items() if k in known}
        settings = from_mapping(training.settings, values)
    except (KeyError, AttributeError) as error:
        raise FileFormatError(
            f"{checkpoint.name} is no training checkpoint: it lacks {error}"
        ) from error
    trainable = training.build(config, settings, data, torch.device("cpu"))
    restore(trainable, checkpoint, system)
    average = MovingAverage(trainable.module, settings.average) if settings.average else None
    if average:
        average.restore(read_average(checkpoint))
    scores = scored(trainable, average)
    if not scores:
        raise InputError(
            f"the training '{system}' found nothing in {', '.join(map(str, data))} to score; "
            "give data that it has not trained on"
        )
    return scores
