"""The training loop; Accelerate distributes it over processes."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import InputError, missing_dependency
from .average import MovingAverage
from .checkpoint import (
    CHECKPOINT,
    load_checkpoint,
    read_average,
    read_header,
    save_checkpoint,
)
from .config import LoopSettings, from_mapping
from .contract import Place, Trainable
from .log import RunLog

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

OnStep = Callable[[int, dict[str, float]], None]


def train(
    build: Callable[[torch.device], Trainable],
    out: Path,
    *,
    seed: int = 0,
    system: str = "",
    resume: bool = True,
    device: str = "auto",
    on_step: OnStep | None = None,
) -> Path:
    """Train what ``build`` makes and return the checkpoint's path.

    A run that resumes has the same losses as one that was never stopped. Under ``torchrun``
    each process calls this with the same arguments; the first one writes.

    Args:
        build: makes the trainable; called after torch's generator is seeded.
        out: folder of the checkpoint, ``log.jsonl`` and TensorBoard events.
        seed: of the weights.
        system: name of the training, for the checkpoint's header.
        resume: go on from the checkpoint in ``out`` where there is one.
        device: "auto", "cpu" or "cuda".
        on_step: called with the step and its losses, e.g. for a progress bar; may raise.

    Raises:
        InputError: a checkpoint of another config, or a loss that is not finite.
        MissingDependencyError: Accelerate is not installed.
    """
    try:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs
    except ImportError as error:
        raise missing_dependency("training", "accelerate", "train") from error
    import torch

    accelerator = Accelerator(cpu=device == "cpu")
    torch.manual_seed(seed)
    trainable = build(accelerator.device)
    accelerator.ddp_handler = DistributedDataParallelKwargs(
        find_unused_parameters=trainable.unused_parameters
    )
    trainable.module.to(accelerator.device)
    optimizer = _optimizer(trainable)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / CHECKPOINT
    done, settings = 0, trainable.settings
    resumed = resume and checkpoint.is_file()
    if resumed:
        done = restore(trainable, checkpoint, system, optimizer)
        log.info("resumed at step %d", done)
    average = MovingAverage(trainable.module, settings.average) if settings.average else None
    if average and resumed:
        average.restore(read_average(checkpoint))
    run = _Run(accelerator, trainable, optimizer, seed)
    logger = (
        RunLog(out, done, settings.log_every, settings.steps)
        if accelerator.is_main_process
        else None
    )
    started = time.monotonic()
    try:
        clock = _Clock(settings, run.agreed)
        for step in range(done, settings.steps):
            losses = run.step(step, clock.scheduled(step))
            last = clock.over(step + 1)
            if average:
                average.follow(trainable.module, step + 1)
            if logger is None:
                if last:
                    break
                continue
            if on_step:
                on_step(step, losses)
            logger.losses(step, losses, time.monotonic() - started)
            if _due(step + 1, settings.score_every, last):
                logger.scores(step + 1, scored(trainable, average))
            if _due(step + 1, settings.checkpoint_every, last):
                state = _header(trainable, system, step + 1)
                save_checkpoint(
                    checkpoint,
                    trainable.module,
                    run.optimizer,
                    state,
                    trainable.keeps,
                    average.state if average else None,
                )
            if last:
                break
        accelerator.wait_for_everyone()
    finally:
        if logger:
            logger.close()
    accelerator.end_training()
    return checkpoint


def restore(
    trainable: Trainable,
    checkpoint: Path,
    system: str,
    optimizer: torch.optim.Optimizer | None = None,
) -> int:
    """Put a trainable (and its optimizer) where a checkpoint was; returns the steps done.

    Raises:
        InputError: the checkpoint is of another system or config.
        FileFormatError: it is damaged.
    """
    state = read_header(checkpoint)
    saved = state.get("system", system)
    if saved != system:
        raise InputError(
            f"{checkpoint} was trained as '{saved}', not '{system}'; choose another output folder"
        )
    _same_config(trainable.config, state)
    trainable.restore(state["progress"])
    load_checkpoint(checkpoint, trainable.module, optimizer, trainable.keeps)
    return int(state["progress"]["step"])


def scored(trainable: Trainable, average: MovingAverage | None = None) -> dict[str, float]:
    """The trainable's scores, by its average where there is one.

    They are taken so that training goes on as if they had not been.
    """
    import torch

    was = trainable.module.training
    trainable.module.eval()
    try:
        show = average.shown(trainable.module) if average else contextlib.nullcontext()
        with torch.no_grad(), torch.random.fork_rng(), show:
            return trainable.scores()
    finally:
        trainable.module.train(was)


class _Run:
    """One process's part of the steps."""

    def __init__(self, accelerator: Any, trainable: Trainable, optimizer: Any, seed: int) -> None:
        self._accelerator, self._trainable, self._seed = accelerator, trainable, seed
        self._model, self._prepared = accelerator.prepare(trainable.module, optimizer)
        self._groups = list(trainable.groups())

    @property
    def optimizer(self) -> Any:
        """The torch optimizer inside Accelerate's wrapper."""
        return getattr(self._prepared, "optimizer", self._prepared)

    def step(self, step: int, scheduled: int) -> dict[str, float]:
        """Do one, at the rate of step ``scheduled``; the mean losses of this process's items."""
        import torch

        trainable, accelerator = self._trainable, self._accelerator
        rank = accelerator.process_index
        place = Place(step, rank, accelerator.num_processes, self.agreed)
        # so that dropout and the like are the same after a resumption
        mixed = np.random.SeedSequence([self._seed, step, rank]).generate_state(1, np.uint64)
        torch.manual_seed(int(mixed[0] >> np.uint64(1)))
        items = trainable.items(place)
        factor = trainable.rate(scheduled)
        for group in self._prepared.param_groups:
            group["lr"] = group["base"] * factor
        self._prepared.zero_grad(set_to_none=True)
        totals: dict[str, float] = {}
        for number, item in enumerate(items):
            rng = np.random.default_rng([self._seed, step, rank, number])
            parts = self._model(*trainable.load(item, place, rng))
            accelerator.backward(parts["loss"] / len(items))
            for part, value in parts.items():
                totals[part] = totals.get(part, 0.0) + float(value.detach()) / len(items)
        if not math.isfinite(totals.get("loss", math.nan)):
            raise InputError(
                f"the loss became {totals.get('loss')} at step {step} on {items[0]}; the "
                "checkpoint before it is intact: lower the learning rate, or remove the item"
            )
        for group in self._groups:
            if group.clip is not None:
                accelerator.clip_grad_norm_(group.parameters, group.clip)
        self._prepared.step()
        return totals

    def agreed(self, value: Callable[[], Any]) -> Any:
        """What ``value`` returns on the first process."""
        from accelerate.utils import broadcast_object_list

        found = [value() if self._accelerator.is_main_process else None]
        broadcast_object_list(found)
        return found[0]


class _Clock:
    """When a run ends, and where its schedule is, by steps or by minutes."""

    def __init__(self, settings: LoopSettings, agreed: Callable[[Callable[[], Any]], Any]) -> None:
        self._settings, self._agreed = settings, agreed
        self._begun = time.monotonic()

    def scheduled(self, step: int) -> int:
        """The step that the schedule is at."""
        settings = self._settings
        if not settings.minutes:
            return step
        return max(step, int(self._agreed(self._spent) * settings.steps))

    def over(self, done: int) -> bool:
        """Whether nothing is left to do."""
        settings = self._settings
        if done >= settings.steps:
            return True
        return bool(settings.minutes and self._agreed(self._spent) >= 1)

    def _spent(self) -> float:
        return (time.monotonic() - self._begun) / 60 / self._settings.minutes


def _optimizer(trainable: Trainable) -> torch.optim.Optimizer:
    import torch

    groups = trainable.groups()
    kind = torch.optim.AdamW if any(g.decay for g in groups) else torch.optim.Adam
    return kind(
        [
            {
                "params": list(g.parameters),
                "lr": g.rate,
                "base": g.rate,
                "eps": g.epsilon,
                "weight_decay": g.decay,
            }
            for g in groups
        ]
    )


def _header(trainable: Trainable, system: str, done: int) -> dict[str, Any]:
    return {
        **trainable.notes(),
        "system": system,
        "progress": {**trainable.state(), "step": done},
        "config": dataclasses.asdict(trainable.config),
        "settings": dataclasses.asdict(trainable.settings),
    }


def _due(done: int, every: int, last: bool) -> bool:
    return every > 0 and (done % every == 0 or last)


def _same_config(config: Any, state: Mapping[str, Any]) -> None:
    saved = from_mapping(type(config), state["config"])
    if saved != config:
        changed = [
            f.name
            for f in dataclasses.fields(config)
            if getattr(saved, f.name) != getattr(config, f.name)
        ]
        raise InputError(
            f"the checkpoint was trained with another {', '.join(changed)}; choose another "
            "output folder, or the same config"
        )
