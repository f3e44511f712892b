"""Stage one: learns the prior from rendered or photographed hands (IGSN, section 3.2.3).

Run it as ``hand-toolkit train DATA -o OUT`` or, on several GPUs or machines,
``torchrun --nproc-per-node N -m hand_toolkit.systems.igsn.train DATA -o OUT``. Accelerate
distributes; this module only decides what a step is.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...core.errors import HandToolkitError, InputError, missing_dependency
from .config import MAP_EPSILON, PriorConfig, TrainConfig, from_mapping, preset

if TYPE_CHECKING:
    import torch

    from .dataset import Scene
    from .model import SceneBatch

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"
GRADIENT_LIMIT = 1.0
FIRST_SCENES = 4
"""Scenes from which a new subject's identity map is first written."""


class SceneSource(Protocol):
    """What training reads: scenes that may grow in number while it runs."""

    def scan(self, split: str) -> list[Scene]:
        """The finished scenes of a split, sorted by key."""
        ...

    def batch(self, scene: Scene, views: Sequence[int], slot: int) -> SceneBatch:
        """Pixels, masks and lights of some views of a scene."""
        ...

    def albedo_map(self, scenes: Sequence[Scene]) -> torch.Tensor | None:
        """(2, 3, S, S) albedo that a subject's pictures show, in UV, or None."""
        ...


@dataclass
class Progress:
    """Where a run stands; everything that a resumed run must know besides tensors.

    Attributes:
        step: steps done.
        epoch: passes over the scenes begun.
        order: keys of the present epoch's scenes, in training order.
        cursor: scenes of ``order`` used.
        slots: subject -> identity map.
    """

    step: int = 0
    epoch: int = -1
    order: list[str] = field(default_factory=list)
    cursor: int = 0
    slots: dict[str, int] = field(default_factory=dict)


def train(
    config: PriorConfig,
    data: Path | Sequence[Path] | SceneSource,
    out: Path,
    *,
    settings: TrainConfig | None = None,
    resume: bool = True,
    device: str = "auto",
    on_step: Callable[[int, dict[str, float]], None] | None = None,
) -> Path:
    """Train the prior and return the last checkpoint's path.

    Args:
        config: the network.
        data: one or several folders of rendered hands, or scenes of your own.
        out: folder of the checkpoint, ``log.jsonl`` and TensorBoard events.
        settings: steps, rates, weights, seed.
        resume: go on from the checkpoint in ``out`` where there is one, to the same losses
            that an uninterrupted run has.
        device: "auto", "cpu" or "cuda".
        on_step: called with the step and its losses, e.g. for a progress bar.

    Raises:
        InputError: no finished scenes, more subjects than slots, or a loss that is not finite.
        MissingDependencyError: Accelerate is not installed.
    """
    try:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list
    except ImportError as error:
        raise missing_dependency("training", "accelerate", "train") from error
    import torch

    from .checkpoint import load_checkpoint, save_checkpoint
    from .dataset import RenderedSet
    from .losses import perceptual_loss
    from .model import PriorModel

    settings = settings or TrainConfig()
    accelerator = Accelerator(
        cpu=device == "cpu",
        # a scene touches its own subject's identity map only
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    torch.manual_seed(settings.seed)
    name, perceptual = perceptual_loss(settings.perceptual, accelerator.device)
    bare = PriorModel(config, settings, perceptual)
    maps = list(bare.identities.parameters())
    known = {id(p) for p in maps}
    network = [p for p in bare.parameters() if id(p) not in known]
    optimizer = torch.optim.Adam(
        [
            {"params": network, "base": settings.learning_rate},
            {"params": maps, "base": settings.identity_rate, "eps": MAP_EPSILON},
        ],
        lr=settings.learning_rate,
    )
    out.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    checkpoint = out / CHECKPOINT
    bare.to(accelerator.device)
    if resume and checkpoint.is_file():
        state = load_checkpoint(checkpoint, bare, optimizer)
        _same_config(config, state)
        progress = Progress(**state["progress"])
        log.info("resumed at step %d", progress.step)
    source: SceneSource = (
        RenderedSet([data] if isinstance(data, Path) else list(data), config, accelerator.device)
        if isinstance(data, (Path, Sequence))
        else data
    )
    model, optimizer = accelerator.prepare(bare, optimizer)
    logger = _Log(out, progress.step) if accelerator.is_main_process else None
    scenes: dict[str, Scene] = {}
    world, rank = accelerator.num_processes, accelerator.process_index
    per_step = world * settings.scenes_per_step

    def save() -> None:
        state = {
            "progress": dataclasses.asdict(progress),
            "config": dataclasses.asdict(config),
            "settings": dataclasses.asdict(settings),
            "perceptual": name,
        }
        save_checkpoint(checkpoint, bare, _plain(optimizer), state, set(progress.slots.values()))

    started = time.monotonic()
    while progress.step < settings.steps:
        if not scenes or progress.cursor >= len(progress.order):
            found = [source.scan("train")] if rank == 0 else [None]
            broadcast_object_list(found)
            scenes = {scene.key: scene for scene in found[0] or []}
            if not scenes:
                raise InputError(
                    f"{data} has no finished training scenes; render some with 'hand-toolkit synth'"
                )
            for subject in _assign_slots(progress, scenes, settings):
                own = [s for s in scenes.values() if s.subject == subject][:FIRST_SCENES]
                albedo = source.albedo_map(own)
                if albedo is not None:
                    bare.start_identity(progress.slots[subject], albedo)
            if any(key not in scenes for key in progress.order[progress.cursor :]):
                log.warning("the data has changed since the checkpoint: a new epoch begins")
                progress.cursor = len(progress.order)
            if progress.cursor >= len(progress.order):
                progress.epoch += 1
                progress.order = _shuffled(sorted(scenes), settings.seed, progress.epoch, per_step)
                progress.cursor = 0
        step = progress.step
        _set_rates(optimizer, settings, step)
        mine = progress.order[progress.cursor : progress.cursor + per_step][rank::world]
        optimizer.zero_grad(set_to_none=True)
        totals: dict[str, float] = {}
        for number, key in enumerate(mine):
            scene = scenes[key]
            rng = np.random.default_rng([settings.seed, step, rank, number])
            count = min(settings.views_per_scene, len(scene.views))
            views = sorted(rng.choice(len(scene.views), count, replace=False).tolist())
            batch = source.batch(scene, views, progress.slots[scene.subject])
            parts = model(batch, step >= settings.coarse_steps, int(rng.integers(1 << 31)))
            accelerator.backward(parts["loss"] / len(mine))
            for part, value in parts.items():
                totals[part] = totals.get(part, 0.0) + float(value.detach()) / len(mine)
        if not math.isfinite(totals["loss"]):
            raise InputError(
                f"the loss became {totals['loss']} at step {step} on scene {mine[0]}; the "
                "checkpoint before it is intact: lower the learning rate, or remove the scene"
            )
        accelerator.clip_grad_norm_(bare.network.parameters(), GRADIENT_LIMIT)
        optimizer.step()
        progress.step += 1
        progress.cursor += per_step
        if logger:
            if on_step:
                on_step(step, totals)
            logger.step(step, totals, settings, time.monotonic() - started)
            if progress.step % settings.checkpoint_every == 0 or progress.step == settings.steps:
                save()
    accelerator.wait_for_everyone()
    if logger:
        logger.close()
    accelerator.end_training()
    return checkpoint


def _plain(optimizer: Any) -> Any:
    """The torch optimizer inside Accelerate's wrapper."""
    return getattr(optimizer, "optimizer", optimizer)


def _same_config(config: PriorConfig, state: dict[str, Any]) -> None:
    saved = from_mapping(PriorConfig, state["config"])
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


def _assign_slots(progress: Progress, scenes: dict[str, Scene], settings: TrainConfig) -> list[str]:
    """Give every new subject an identity map; returns the new ones."""
    new = sorted({s.subject for s in scenes.values()} - set(progress.slots))
    for subject in new:
        progress.slots[subject] = len(progress.slots)
    if len(progress.slots) > settings.subject_slots:
        raise InputError(
            f"the data has {len(progress.slots)} training subjects, but there are "
            f"{settings.subject_slots} identity maps; raise subject_slots"
        )
    return new


def _shuffled(keys: list[str], seed: int, epoch: int, per_step: int) -> list[str]:
    """One epoch's order, filled up to whole steps from its own start."""
    order = [keys[i] for i in np.random.default_rng([seed, epoch]).permutation(len(keys))]
    short = -len(order) % per_step
    return order + [order[i % len(order)] for i in range(short)]


def _set_rates(optimizer: Any, settings: TrainConfig, step: int) -> None:
    factor = 0.5 ** (step / settings.half_life) * min(1.0, (step + 1) / max(settings.warmup, 1))
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * factor


class _Log:
    """Losses as JSON lines and, where TensorBoard is installed, as its events."""

    def __init__(self, out: Path, step: int) -> None:
        self._file = (out / "log.jsonl").open("a", encoding="utf-8")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.info("tensorboard is not installed; losses go to log.jsonl only")
            self._writer = None
        else:
            # events that a killed run wrote after its last checkpoint are hidden
            self._writer = SummaryWriter(str(out / "events"), purge_step=step)
        self._sums: dict[str, float] = {}
        self._count = 0

    def step(
        self, step: int, parts: dict[str, float], settings: TrainConfig, seconds: float
    ) -> None:
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if (step + 1) % settings.log_every and step + 1 != settings.steps:
            return
        means = {name: value / self._count for name, value in self._sums.items()}
        row = {"step": step + 1, "seconds": round(seconds, 1), **means}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        if self._writer is not None:
            for name, value in means.items():
                self._writer.add_scalar(f"train/{name}", value, step + 1)
        self._sums, self._count = {}, 0

    def close(self) -> None:
        self._file.close()
        if self._writer is not None:
            self._writer.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m hand_toolkit.systems.igsn.train``: what torchrun starts on each process."""
    parser = argparse.ArgumentParser(prog="hand_toolkit.systems.igsn.train", description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", help="folders of rendered hands")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of checkpoints")
    parser.add_argument("--config", default="small", help="small, paper or tiny")
    parser.add_argument("--no-resume", action="store_true", help="ignore an earlier checkpoint")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 is torch's choice")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any field of TrainConfig or PriorConfig, value as JSON; repeat for more",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    try:
        config, settings = settings_from(preset(options.config), TrainConfig(), options.set)
        train(
            config,
            options.data,
            options.out,
            settings=settings,
            resume=not options.no_resume,
            device=options.device,
        )
    except HandToolkitError as error:
        parser.exit(error.exit_code, f"error: {error}\n")
    return 0


def settings_from(
    config: PriorConfig, settings: TrainConfig, changes: Sequence[str]
) -> tuple[PriorConfig, TrainConfig]:
    """Both configs with ``NAME=VALUE`` changes; VALUE is JSON.

    Raises:
        InputError: an unknown name, or a value that is not JSON.
    """
    for change in changes:
        name, _, text = change.partition("=")
        try:
            value = json.loads(text)
        except ValueError as error:
            raise InputError(
                f"{change!r} has no JSON value after '='; give e.g. steps=500"
            ) from error
        if name in {f.name for f in dataclasses.fields(settings)}:
            settings = dataclasses.replace(settings, **{name: value})
        elif name in {f.name for f in dataclasses.fields(config)}:
            config = dataclasses.replace(config, **{name: value})
        else:
            raise InputError(f"unknown setting {name!r}; see TrainConfig and PriorConfig")
    return config, settings


if __name__ == "__main__":
    raise SystemExit(main())
