"""``batch``: one task on very many inputs."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import click

from ..core.errors import InputError
from ..core.options import split_settings

_path = click.Path(path_type=Path)


def _shard(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, int]:
    """``K/N``, K from 1, to (K - 1, N)."""
    try:
        which, count = (int(part) for part in value.split("/"))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no shard; give K/N, e.g. 3/10") from error
    if not 1 <= which <= count:
        raise click.BadParameter(f"{value} does not exist; give 1/{count} to {count}/{count}")
    return which - 1, count


@click.command()
@click.argument("task", metavar="pose|fit|render|export|evaluate")
@click.argument("source", type=_path, metavar="MANIFEST|FOLDER")
@click.option("-o", "--output", type=_path, required=True, help="Folder of results and index.")
@click.option(
    "--workers", type=click.IntRange(1, 512), default=1, show_default=True, help="Processes."
)
@click.option(
    "--engine",
    type=click.Choice(["processes", "ray"]),
    default="processes",
    show_default=True,
    help="Processes of this machine, or a Ray cluster (pip install 'hand-toolkit[ray]').",
)
@click.option("--address", help="Of the Ray cluster.  [default: start Ray on this machine]")
@click.option(
    "--shard",
    callback=_shard,
    default="1/1",
    show_default=True,
    metavar="K/N",
    help="Of N machines or jobs that share the folder, this is number K.",
)
@click.option(
    "--limit",
    "limit_s",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds that an input may take before it is set aside (processes only).",
)
@click.option("--retry", is_flag=True, help="Try again what failed before.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="OPTION=VALUE",
    help="An option of the task; 'hand-toolkit batch-tasks' lists them.",
)
@click.option(
    "--progress",
    type=click.Choice(["auto", "line", "none"]),
    default="auto",
    show_default=True,
    help="A line that counts, on a terminal.",
)
def batch(
    task: str,
    source: Path,
    output: Path,
    workers: int,
    engine: str,
    address: str | None,
    shard: tuple[int, int],
    limit_s: float | None,
    retry: bool,
    settings: tuple[str, ...],
    progress: str,
) -> None:
    """Do one task to every file of a folder or a list, and resume after any stop.

    OUT/index.jsonl gets a line for each input: status, seconds, output, sides, confidence, error.
    The same command goes on where it was stopped or killed; what is done is not done again.

    \b
    hand-toolkit batch pose photos/ -o poses/ --workers 8
    hand-toolkit batch fit list.txt -o avatars/ --workers 4 --set quality=draft
    hand-toolkit batch export avatars/ -o glb/ --set format=glb
    hand-toolkit batch fit list.txt -o avatars/ --shard 3/10
    """
    from ..batch import TASKS, run_batch
    from ..jobs import Engine, Processes, RayCluster

    if task not in TASKS:
        raise InputError(f"unknown task {task!r}; accepted are: {', '.join(TASKS)}")
    where: Engine
    if engine == "ray":
        if limit_s is not None:
            raise InputError("--limit is for --engine processes; leave it out")
        where = RayCluster(workers, address)
    elif address is not None:
        raise InputError("--address is for --engine ray; add that, or leave it out")
    else:
        where = Processes(workers, tries=3, limit_s=limit_s)
    shown = progress == "line" or (progress == "auto" and sys.stderr.isatty())
    left = _Count(source, TASKS[task].inputs, shard[1]) if shown else None

    def tell(done: int, failed: int, rate: float) -> None:
        if left is not None:
            click.echo(f"\r{left.line(done, failed, rate)}\033[K", err=True, nl=False)

    try:
        report = run_batch(
            task,
            source,
            output,
            split_settings(settings),
            engine=where,
            shard=shard,
            retry=retry,
            progress=tell,
        )
    finally:
        if left is not None:
            click.echo(err=True)
    click.echo(f"{output}: {report.summary()}")


class _Count:
    """How many inputs there are, counted once, and the line that says what is left."""

    def __init__(self, source: Path, suffixes: tuple[str, ...], shards: int) -> None:
        from ..batch import read_entries

        self.total = sum(1 for _ in read_entries(source, suffixes)) / shards

    def line(self, done: int, failed: int, rate: float) -> str:
        finished = done + failed
        hours = max(0.0, self.total - finished) / rate if rate > 0 else 0.0
        left = timedelta(seconds=round(3600 * hours))
        failures = f", {failed} failed" if failed else ""
        return f"{finished} of {self.total:.0f}{failures}, {rate:.0f} an hour, {left} left"


@click.command("batch-tasks")
def tasks() -> None:
    """List the tasks of 'batch' and their options."""
    from ..batch import TASKS

    for task in TASKS.values():
        click.echo(f"{task.name:<9}{task.help}")
        for option in task.options:
            accepted = f" ({', '.join(option.choices)})" if option.choices else ""
            click.echo(f"{'':<9}--set {option.name}={option.default}: {option.help}{accepted}")


COMMANDS = (batch, tasks)
