"""Losses of a run as JSON lines and, where TensorBoard is installed, as its events."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from ..core.files import atomic_write

log = logging.getLogger(__name__)

LOG = "log.jsonl"


class RunLog:
    """Writes ``log.jsonl`` and ``events`` in a run's folder.

    What a killed run logged after its last checkpoint is taken back, because those steps are
    done again.

    Args:
        out: the folder.
        step: the step that the run goes on from.
        every: steps whose mean becomes one line.
        last: the last step of the run, which always ends a line.
    """

    def __init__(self, out: Path, step: int, every: int, last: int) -> None:
        self._every, self._last = every, last
        path = out / LOG
        _forget(path, step)
        self._file = path.open("a", encoding="utf-8")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.info("tensorboard is not installed; losses go to %s only", LOG)
            self._writer = None
        else:
            # events that a killed run wrote after its last checkpoint are hidden
            self._writer = SummaryWriter(str(out / "events"), purge_step=step)
        self._sums: dict[str, float] = {}
        self._count = 0

    def losses(self, step: int, parts: Mapping[str, float], seconds: float) -> None:
        """Count the losses of the step that ``step`` steps came before."""
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if (step + 1) % self._every and step + 1 != self._last:
            return
        means = {name: value / self._count for name, value in self._sums.items()}
        self._write({"step": step + 1, "seconds": round(seconds, 1), **means})
        self._events("train", means, step + 1)
        self._sums, self._count = {}, 0

    def scores(self, done: int, scores: Mapping[str, float]) -> None:
        """Write the scores that the model has after ``done`` steps."""
        self._write({"step": done, "scores": dict(scores)})
        self._events("score", scores, done)

    def close(self) -> None:
        """End both files."""
        self._file.close()
        if self._writer is not None:
            self._writer.close()

    def _write(self, row: Mapping[str, object]) -> None:
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def _events(self, prefix: str, values: Mapping[str, float], step: int) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{prefix}/{name}", value, step)


def _forget(path: Path, step: int) -> None:
    """Drop lines of later steps, and one that a kill cut short."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if _within(line, step)]
    if len(kept) < len(lines):
        atomic_write(path, "".join(kept))


def _within(line: str, step: int) -> bool:
    try:
        return line.endswith("\n") and json.loads(line)["step"] <= step
    except (ValueError, KeyError, TypeError):
        return False
