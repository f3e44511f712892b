"""Runs tasks, keeps their results in order, and tells which failed and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import CancelledError, InputError
from .contract import Engine, Failure, Outcome, Task, Work
from .ledger import Ledger
from .processes import Processes

log = logging.getLogger(__name__)

Progress = Callable[[int, int, int, Outcome | None], None]
"""Called with (tasks finished, tasks failed, all tasks, the latest outcome); may raise to stop."""

SHOWN = 5
"""Failures that a summary names."""


@dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes:
        results: of the finished tasks by key, in the order of the tasks.
        failures: in the order of the tasks.
        earlier: tasks that an earlier run had finished.
        left: tasks that were not begun, because too many failed.
    """

    results: dict[str, Any]
    failures: tuple[Failure, ...]
    earlier: int = 0
    left: int = 0

    def summary(self) -> str:
        """One line for each failure, up to SHOWN of them; empty where there is none."""
        lines = [f"{f.key}: {f.message}" for f in self.failures[:SHOWN]]
        more = len(self.failures) - SHOWN
        if more > 0:
            lines.append(f"and {more} more")
        if self.left:
            lines.append(f"{self.left} were not begun, because so many failed")
        return "\n".join(lines)


def run(
    work: Work,
    tasks: Sequence[Task],
    *,
    engine: Engine | None = None,
    progress: Progress | None = None,
    ledger: Ledger | None = None,
    most_failures: int | None = None,
) -> Report:
    """Do ``work`` to each task.

    Args:
        work: what is done, see :data:`Work`.
        tasks: with keys of their own, in the order in which they are begun.
        engine: where; one process of this machine by default.
        progress: called after each task and once at the beginning.
        ledger: finished tasks of earlier runs, which are not done again; results are added.
        most_failures: after so many, nothing new is begun.

    Raises:
        InputError: two tasks have one key.
        CancelledError: Ctrl-C; what is finished stays, what was begun is stopped.
        HandToolkitError: the work cannot be begun.
    """
    if len({task.key for task in tasks}) < len(tasks):
        raise InputError("two tasks have one key; give each its own")
    before = {} if ledger is None else {t.key: t for t in tasks if t.key in ledger.results}
    todo = [task for task in tasks if task.key not in before]
    results: dict[str, Any] = {} if ledger is None else {k: ledger.results[k] for k in before}
    failures: dict[str, Failure] = {}

    def tell(outcome: Outcome | None) -> None:
        if progress is not None:
            progress(len(results), len(failures), len(tasks), outcome)

    outcomes = (engine or Processes()).run(work, todo)
    try:
        tell(None)
        for outcome in outcomes:
            if outcome.failure is None:
                if ledger is not None:
                    ledger.add(outcome.key, outcome.result)
                results[outcome.key] = outcome.result
            else:
                failures[outcome.key] = outcome.failure
                log.warning("%s failed: %s", outcome.key, outcome.failure.message)
                log.debug("%s", outcome.failure.trace)
            tell(outcome)
            if most_failures is not None and len(failures) >= most_failures:
                break
    except KeyboardInterrupt:
        raise CancelledError(
            f"stopped after {len(results)} of {len(tasks)}; the same command continues"
        ) from None
    finally:
        outcomes.close()
    return Report(
        results={t.key: results[t.key] for t in tasks if t.key in results},
        failures=tuple(failures[t.key] for t in tasks if t.key in failures),
        earlier=len(before),
        left=len(tasks) - len(results) - len(failures),
    )
