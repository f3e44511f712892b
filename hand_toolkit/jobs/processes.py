"""The engine of one machine: processes that are fed, followed, replaced and stopped."""

from __future__ import annotations

import contextlib
import itertools
import logging
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from ..core.errors import HandToolkitError, InputError
from .contract import Failure, Outcome, Task, Work

log = logging.getLogger(__name__)

LOOK_AHEAD = 64
"""Waiting tasks among which one of a process's own groups is looked for."""

MOST_WORKERS = 512

STOP_S = 20.0
"""Seconds that a process has to clean up before it is killed."""


@dataclass(frozen=True)
class Processes:
    """Runs tasks in processes of this machine.

    A process that dies (killed, or crashed in native code) is replaced, and its task tried
    again; one that takes process after process with it fails.

    Attributes:
        workers: processes.
        tries: processes that a task may cost.
        limit_s: seconds that a task may take before its process is killed, or None.
    """

    workers: int = 1
    tries: int = 2
    limit_s: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MOST_WORKERS:
            raise InputError(f"workers is {self.workers}; accepted is 1 to {MOST_WORKERS}")
        if self.tries < 1:
            raise InputError(f"tries is {self.tries}; give at least 1")
        if self.limit_s is not None and not self.limit_s > 0:
            raise InputError(f"the limit is {self.limit_s} seconds; give more than 0")

    def run(self, work: Work, tasks: Iterable[Task]) -> Generator[Outcome, None, None]:
        """Yield outcomes as they come; see :class:`.contract.Engine`.

        Raises:
            InputError: work that no other process can import.
            HandToolkitError: the work cannot be begun, with its exit code.
        """
        greeting = _greeting(work)
        pool = _Pool(greeting, iter(tasks), self.tries, self.limit_s)
        try:
            for _ in range(min(self.workers, pool.look())):
                pool.start()
            while pool.busy:
                yield from pool.follow()
        finally:
            pool.stop()


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    task: Task | None = None
    groups: set[str] = field(default_factory=set)
    ready: bool = False
    since: float = 0.0
    late: bool = False


class _Pool:
    def __init__(
        self, greeting: bytes, tasks: Iterator[Task], tries: int, limit_s: float | None
    ) -> None:
        self._greeting, self._tasks, self._tries = greeting, tasks, tries
        self._limit_s = limit_s
        self._waiting: list[Task] = []
        self._workers: list[_Worker] = []
        self._messages: queue.Queue[tuple[_Worker, str, Any]] = queue.Queue()
        self._spent: dict[str, int] = {}

    @property
    def busy(self) -> bool:
        """Whether there are processes that still have something to say."""
        return bool(self._workers)

    def look(self) -> int:
        """How many tasks are known to wait, up to the most workers that there may be."""
        self._waiting += itertools.islice(self._tasks, max(0, MOST_WORKERS - len(self._waiting)))
        return len(self._waiting)

    def start(self) -> None:
        """Start a process; it is given tasks once it is ready."""
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        process = subprocess.Popen(
            [sys.executable, "-m", "hand_toolkit.jobs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if log.isEnabledFor(logging.DEBUG) else errors,
            # Ctrl-C in a terminal is for the parent, which then stops its processes in order
            start_new_session=True,
        )
        worker = _Worker(process, errors)
        self._workers.append(worker)
        self._send(worker, self._greeting)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()

    def follow(self) -> Generator[Outcome, None, None]:
        """Wait for one message, do what it asks for, yield what it tells."""
        # a timeout lets Ctrl-C through on systems where waiting for a lock does not
        try:
            worker, kind, value = self._messages.get(timeout=1.0)
        except queue.Empty:
            self._kill_the_late()
            return
        self._kill_the_late()
        task = worker.task
        if kind == "broken" and worker.ready:
            log.warning("a process could not clean up: %s", value["message"])
            return
        if kind == "broken":
            failure = HandToolkitError(value["message"])
            failure.exit_code = int(value["exit_code"])
            log.debug("%s", value["trace"])
            raise failure
        if kind == "end":
            yield from self._ended(worker)
            return
        worker.ready = True
        worker.task, worker.late = None, False
        self._feed(worker)  # before anything is done with the outcome, so that nobody waits
        if task is None:
            return
        if kind == "result":
            yield Outcome(task.key, value)
        else:
            yield _failed(task, value["message"], value["trace"])

    def stop(self) -> None:
        """Let every process clean up, and kill those that do not."""
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.terminate()
        for worker in self._workers:
            try:
                worker.process.wait(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            _close(worker)
        self._workers.clear()

    def _kill_the_late(self) -> None:
        if self._limit_s is None:
            return
        for worker in self._workers:
            if worker.task and time.monotonic() - worker.since > self._limit_s and not worker.late:
                worker.late = True
                worker.process.kill()

    def _feed(self, worker: _Worker) -> None:
        """Give it a task: of its groups, else of nobody's, else the next; or let it go."""
        if not self.look():
            _quietly_close(worker.process.stdin)
            return
        taken = {g for w in self._workers for g in w.groups}
        near = [task.group for task in self._waiting[:LOOK_AHEAD]]
        own = [k for k, group in enumerate(near) if group in worker.groups]
        free = [k for k, group in enumerate(near) if group not in taken]
        task = self._waiting.pop((own or free or [0])[0])
        if task.group:
            worker.groups.add(task.group)
        worker.task, worker.since = task, time.monotonic()
        self._send(worker, pickle.dumps((task.item,)))

    def _send(self, worker: _Worker, message: bytes) -> None:
        try:
            if worker.process.stdin:
                worker.process.stdin.write(message)
                worker.process.stdin.flush()
        except OSError:
            log.debug("a process ended before its task came; it is replaced")

    def _listen(self, worker: _Worker) -> None:
        stream = worker.process.stdout
        try:
            while stream is not None:
                kind, value = pickle.load(stream)
                self._messages.put((worker, kind, value))
        except (EOFError, OSError, ValueError):
            pass  # it has ended
        except Exception as error:  # a result of a class that is unknown here
            log.warning("a result cannot be read: %s", error)
            worker.process.kill()
        self._messages.put((worker, "end", None))

    def _ended(self, worker: _Worker) -> Generator[Outcome, None, None]:
        code = worker.process.wait()
        last = _last_line(worker.errors)
        _close(worker)
        self._workers.remove(worker)
        task = worker.task
        if task is None:
            if not worker.ready:
                raise HandToolkitError(
                    f"a process ended before it began ({_how(code)}){last}; run with --verbose "
                    "to see what it wrote"
                )
            if self.look():
                self.start()
            return
        spent = self._spent[task.key] = self._spent.get(task.key, 0) + 1
        if worker.late:
            how = f"it took more than {self._limit_s:g} seconds"
        else:
            how = f"its process died {spent} times ({_how(code)}){last}"
        if spent < self._tries and not worker.late:
            log.warning("a process died at %s (%s); it is tried again", task.key, _how(code))
            self._waiting.insert(0, task)
        else:
            yield _failed(task, how)
        if self.look():
            self.start()


def _greeting(work: Work) -> bytes:
    """Import path and work, as a process reads them first.

    Raises:
        InputError: the work is a lambda, or defined in the script that runs.
    """
    try:
        pickled = pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"the work cannot be handed to another process ({error}); "
            "use a function of a module, or a functools.partial of one"
        ) from error
    if b"__main__" in pickled:
        raise InputError(
            "the work is defined in the script that runs, where other processes cannot import "
            "it; move it to a module"
        )
    return pickle.dumps(list(sys.path)) + pickled


def _failed(task: Task, message: str, trace: str = "") -> Outcome:
    return Outcome(task.key, failure=Failure(task.key, message, trace))


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _last_line(errors: IO[bytes]) -> str:
    """The last thing that a process wrote, as a continuation of a sentence."""
    size = errors.seek(0, 2)
    errors.seek(max(0, size - 4000))
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1].strip()[:200]}" if lines else ""


def _close(worker: _Worker) -> None:
    for stream in (worker.process.stdin, worker.process.stdout, worker.errors):
        _quietly_close(stream)


def _quietly_close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        with contextlib.suppress(OSError):  # what was not read by a dead process is lost
            stream.close()
