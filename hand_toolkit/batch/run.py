"""Runs a batch: entries in, an index and files out, one coordinator that holds next to nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..core.errors import CancelledError, InputError
from ..jobs import Engine, Outcome, Processes, Task
from .index import Index
from .manifest import Entry, read_entries
from .tasks import TASKS

INDEX = "index.jsonl"
LOCK = ".batch.lock"


@dataclass(frozen=True)
class BatchReport:
    """What a batch did.

    Attributes:
        done: inputs with a result, in all.
        failed: inputs without one, in all.
        made: results of this run.
        seconds: of this run.
        worst: at most ten rows of the index: failures, then the least confident.
    """

    done: int
    failed: int
    made: int
    seconds: float
    worst: tuple[dict[str, Any], ...]

    def summary(self) -> str:
        """A few lines for a person."""
        rate = 3600 * self.made / self.seconds if self.seconds > 0 else 0.0
        lines = [
            f"{self.done} done, {self.failed} failed; {self.made} of them now, in "
            f"{self.seconds:.0f} s ({rate:.0f} an hour)"
        ]
        for row in self.worst:
            told = row.get("error") or f"confidence {row['confidence']:.2f}"
            lines.append(f"  {row['input']}: {told}")
        return "\n".join(lines)


Told = Callable[[int, int, float], None]
"""Called with (done, failed, inputs an hour) after each input; may raise to stop."""


def run_batch(
    task: str,
    source: Path,
    out: Path,
    settings: dict[str, Any] | None = None,
    *,
    engine: Engine | None = None,
    shard: tuple[int, int] = (0, 1),
    retry: bool = False,
    progress: Told = lambda done, failed, rate: None,
) -> BatchReport:
    """Do a task to every input of a manifest or folder; what is done already is left alone.

    ``OUT/index.jsonl`` gets a line for each input: ``input``, ``sha256``, ``status`` ("done",
    "failed"; "poison" where it took process after process with it), ``seconds``, ``output``,
    ``sides``, ``confidence``, ``error``. After a kill at any time the same call goes on.

    Args:
        task: "pose", "fit", "render", "export" or "evaluate".
        source: a folder, or a manifest (see :func:`.manifest.read_entries`).
        out: folder of the results and the index; made if it does not exist.
        settings: options of the task by name.
        engine: where the work is done; one process of this machine by default.
        shard: (which, of how many): every so manieth input only, for machines that share none
            but the folder; each has an index of its own.
        retry: try again what failed before.
        progress: see :data:`Told`.

    Raises:
        InputError: an unknown task or option, inputs or a folder that cannot be used, or another
            batch that is writing to the folder.
        CancelledError: Ctrl-C; what is finished stays.
        HandToolkitError: the work cannot be begun.
    """
    if task not in TASKS:
        raise InputError(f"unknown task {task!r}; accepted are: {', '.join(TASKS)}")
    which, count = shard
    if not 0 <= which < count:
        raise InputError(f"shard {which + 1} of {count} does not exist; give 1 to {count}")
    chosen = TASKS[task]
    work = chosen.work(dict(settings or {}))
    entries = read_entries(source, chosen.inputs)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {out} cannot be made: {error.strerror}") from error
    name = INDEX if count == 1 else f"index-{which + 1:04d}-of-{count:04d}.jsonl"
    start, made = time.monotonic(), 0
    with _locked(out / f"{LOCK}{which if count > 1 else ''}"):
        index = Index(out / name, {"task": task, "settings": settings or {}}, retry)
        pending: dict[str, Entry] = {}
        todo = _todo(entries, index, out, shard, pending)
        outcomes = (engine or Processes(tries=3)).run(work, todo)
        try:
            for outcome in outcomes:
                index.add(_row(pending.pop(outcome.key), outcome))
                made += 1
                progress(index.done, index.failed, 3600 * made / (time.monotonic() - start))
        except KeyboardInterrupt:
            raise CancelledError(
                f"stopped after {made} of this run, {index.done} in all; the same command continues"
            ) from None
        finally:
            outcomes.close()
            index.close()
    if index.done + index.failed == 0:
        raise InputError(f"{source} lists nothing that the task {task} takes")
    return BatchReport(index.done, index.failed, made, time.monotonic() - start, tuple(index.worst))


def _todo(
    entries: Iterable[Entry],
    index: Index,
    out: Path,
    shard: tuple[int, int],
    pending: dict[str, Entry],
) -> Iterator[Task]:
    """Tasks for what is not done, each input once; read as they are asked for."""
    seen = set(index.marks)
    for entry in entries:
        mark = entry.mark
        if mark in seen or mark % shard[1] != shard[0]:
            continue
        seen.add(mark)
        pending[entry.path] = entry
        yield Task(entry.path, (entry.path, str(out / entry.name), entry.options))


def _row(entry: Entry, outcome: Outcome) -> dict[str, Any]:
    if outcome.failure is not None:
        status = "failed" if outcome.failure.trace else "poison"
        return {"input": entry.path, "status": status, "error": outcome.failure.message}
    row = dict(outcome.result)
    row["output"] = str(Path(entry.name).parent / row["output"])
    return {"input": entry.path, "status": "done", **row}


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with this process however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows: two batches on one folder are not told apart
        yield
        return
    file: IO[bytes]
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"another batch is writing to {path.parent}; wait for it, or give another folder"
            ) from error
        yield
