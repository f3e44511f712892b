"""What an engine runs, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

Work = Callable[[], AbstractContextManager[Callable[[Any], Any]]]
"""Entered once by each process, gives the function that is called with each item.

What is slow to make (a network, a scene) is made on entering. It must be picklable: a function
of a module, or a ``functools.partial`` of one. Items and results must be picklable, too.
"""


@dataclass(frozen=True)
class Task:
    """One item of the work.

    Attributes:
        key: unique name, for reports and for resuming.
        item: what the work is called with.
        group: tasks of one group go to one process where that keeps none waiting, so that what
            it holds for them is made once.
    """

    key: str
    item: Any
    group: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a task has no result.

    Attributes:
        key: the task's.
        message: one sentence.
        trace: the traceback, for the log; empty where a process died.
    """

    key: str
    message: str
    trace: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one task: a result, or a failure."""

    key: str
    result: Any = None
    failure: Failure | None = None


class Engine(Protocol):
    """Runs tasks somewhere: on this machine, or on many."""

    def run(self, work: Work, tasks: Iterable[Task]) -> Generator[Outcome, None, None]:
        """Yield each task's outcome as it comes; to close the generator stops the work.

        A task that fails does not stop the others. Tasks are taken a few at a time, as they are
        needed, so there may be more than fit into memory.

        Raises:
            HandToolkitError: the work cannot be begun.
        """
        ...
