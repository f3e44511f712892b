"""``synth``, ``train`` and ``evaluate``: data, networks, and their scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..systems.igsn.config import FIT_MODES
from .common import progress_option, reporting, seed_option

_path = click.Path(path_type=Path)


@click.command()
@click.argument("out", type=_path)
@click.option("--skins", type=_path, help="MakeHuman skins; without them skins are procedural.")
@click.option("--size", default=256, show_default=True, help="Width and height, pixels.")
@click.option("--samples", default=8, show_default=True, help="Cycles samples a pixel.")
@click.option("--train-subjects", default=40, show_default=True, help="People to train on.")
@click.option("--test-subjects", default=8, show_default=True, help="People kept for tests.")
@click.option("--poses", default=30, show_default=True, help="Poses a train subject.")
@click.option("--test-poses", default=16, show_default=True, help="Poses a test subject.")
@click.option("--views", default=5, show_default=True, help="Cameras a pose.")
@click.option("--two-hands", default=0.5, show_default=True, help="Share of two-hand poses.")
@click.option("--texture-scale", default=1.0, show_default=True, help="Of the baked skins.")
@click.option("--workers", default=1, show_default=True, help="Rendering processes.")
@click.option("--threads", default=2, show_default=True, help="Threads of each process.")
@seed_option
@progress_option
def synth(
    out: Path, skins: Path | None, workers: int, seed: int, progress: str, **options: Any
) -> None:
    """Render hands with Blender's Cycles into the data folder OUT; run again to resume."""
    from ..synth import SynthConfig, synthesize

    config = SynthConfig(skins=None if skins is None else str(skins), **options)
    with reporting(progress) as tell:
        result = synthesize(
            config,
            out,
            workers,
            seed,
            progress=lambda done, total: tell(done / max(total, 1), f"{done} of {total}"),
        )
    click.echo(f"{out}: {result.pictures} pictures, {result.made} new")


@click.command()
@click.argument("data", type=_path, nargs=-1)
@click.option("-o", "--out", type=_path, required=True, help="Folder of checkpoints and logs.")
@click.option(
    "--system", default="igsn", show_default=True, help="What to train; see 'hand-toolkit plugins'."
)
@click.option("--config", help="Size of the network; of igsn: small (default), paper or tiny.")
@click.option("--steps", type=click.IntRange(1), help="Stop after so many steps in all.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any setting of docs/training.md, value as JSON; repeat for more.",
)
@click.option("--fresh", is_flag=True, help="Ignore the checkpoint in --out.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@click.option(
    "--threads", type=click.IntRange(0), default=0, help="Of torch; 0 leaves the choice to it."
)
@seed_option
@progress_option
def train(
    data: tuple[Path, ...],
    out: Path,
    system: str,
    config: str | None,
    steps: int | None,
    changes: tuple[str, ...],
    fresh: bool,
    device: str,
    threads: int,
    seed: int,
    progress: str,
) -> None:
    """Train a network on data folders (see 'synth'); resumes to the step after a kill.

    Several GPUs or machines: torchrun --nproc-per-node N -m hand_toolkit.cli train DATA -o OUT
    """
    import os

    from ..learn import run_training, settings_of, training_of

    if threads:
        import torch

        torch.set_num_threads(threads)
    training = training_of(system)
    sizes, settings = settings_of(training, config, changes, seed=seed, steps=steps)
    first = os.environ.get("RANK", "0") == "0"
    with reporting(progress if first else "none") as tell:
        path = run_training(
            training,
            data,
            out,
            config=sizes,
            settings=settings,
            resume=not fresh,
            device=device,
            on_step=lambda step, losses: tell(
                step / settings.steps, f"step {step}, loss {losses.get('loss', 0):.4f}"
            ),
        )
    if first:
        click.echo(f"{path}")


@click.command()
@click.argument("data", type=_path)
@click.option("--split", default="test", show_default=True, help="Part of DATA to score.")
@click.option("--targets", default=6, show_default=True, help="Targets of each reference.")
@click.option(
    "--mode",
    type=click.Choice(FIT_MODES),
    default="full",
    show_default=True,
    help="How each reference is fitted; the others than 'full' are ablations.",
)
@click.option(
    "--checkpoint",
    type=_path,
    help="Score a training's checkpoint on DATA's held-out part instead.",
)
@click.option("--baked", is_flag=True, help="Score the baked splats, not the network per pose.")
@click.option("--sheet", type=_path, help="PNG with reference, target and prediction.")
@click.option("--json", "json_file", type=_path, help="Write the figures.")
@seed_option
def evaluate(
    data: Path,
    split: str,
    targets: int,
    mode: str,
    checkpoint: Path | None,
    baked: bool,
    sheet: Path | None,
    json_file: Path | None,
    seed: int,
) -> None:
    """Score one-shot avatars on a data folder: novel views and novel poses."""
    from ..core.files import atomic_write
    from ..learn import score_checkpoint
    from ..systems.igsn.config import FitConfig
    from ..systems.igsn.evaluate import evaluate as run

    if checkpoint is not None:
        # checkpoints of earlier versions do not name their system; there was one
        scores = {"held-out": score_checkpoint(checkpoint, [data], "igsn")}
    else:
        scores = run(
            data,
            config=FitConfig(mode=mode, refine=False, seed=seed),
            split=split,
            targets=targets,
            seed=seed,
            neural=not baked,
            sheet=sheet,
        )
    for task, metrics in scores.items():
        figures = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        click.echo(f"{task + ':':<13}{figures}")
    if json_file is not None:
        atomic_write(json_file, json.dumps(scores, indent=1) + "\n")


COMMANDS = (synth, train, evaluate)
