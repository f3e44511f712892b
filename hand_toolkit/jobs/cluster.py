"""The engine of a Ray cluster: the same work, on many machines."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

from ..core.errors import HandToolkitError, InputError, missing_dependency
from .contract import Failure, Outcome, Task, Work
from .worker import told

log = logging.getLogger(__name__)

IN_FLIGHT = 2
"""Tasks that wait at an actor, so that it never waits for the next."""


@dataclass(frozen=True)
class RayCluster:
    """Runs tasks in actors of a Ray cluster; each enters the work once.

    Inputs and results are paths in folders that all machines see; nothing large travels. An actor
    that dies is replaced and its tasks are tried again.

    Attributes:
        workers: actors.
        address: of the cluster ("auto", "ray://host:port"); None starts Ray on this machine.
        tries: actors that a task may cost.
        cpus: processors that each actor reserves.
        gpus: share of a GPU that each actor reserves.
    """

    workers: int = 1
    address: str | None = None
    tries: int = 3
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.workers < 1 or self.tries < 1:
            raise InputError("workers and tries must be at least 1")

    def run(self, work: Work, tasks: Iterable[Task]) -> Generator[Outcome, None, None]:
        """Yield outcomes as they come; see :class:`.contract.Engine`.

        Raises:
            MissingDependencyError: Ray is not installed.
            InputError: no cluster at the address.
            HandToolkitError: the work cannot be begun.
        """
        try:
            import ray
        except ImportError as error:
            raise missing_dependency("the Ray engine", "ray", "ray") from error
        started = not ray.is_initialized()
        if started:
            try:
                ray.init(
                    address=self.address,
                    num_cpus=None if self.address else max(self.workers, 1),
                    include_dashboard=False,
                    log_to_driver=log.isEnabledFor(logging.DEBUG),
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, ValueError) as error:
                raise InputError(f"no Ray cluster at {self.address}: {error}") from error
        try:
            yield from _Actors(self, pickle.dumps(work)).follow(iter(tasks))
        finally:
            if started:
                ray.shutdown()


class _Host:
    """What runs in an actor."""

    def __init__(self, work: bytes) -> None:
        self._context = pickle.loads(work)()
        self._function = self._context.__enter__()

    def ready(self) -> None:
        """Answer once the work is entered."""

    def do(self, item: Any) -> tuple[str, Any]:
        try:
            return "result", self._function(item)
        except Exception as error:
            return "failure", told(error)


class _Actors:
    """The actors of a run and what each is doing."""

    def __init__(self, engine: RayCluster, work: bytes) -> None:
        import ray

        self._engine, self._spent = engine, dict[str, int]()
        self._host = ray.remote(num_cpus=engine.cpus, num_gpus=engine.gpus)(_Host)
        self._work = ray.put(work)
        self._doing: dict[Any, tuple[Any, Task]] = {}
        self._again: list[Task] = []

    def follow(self, tasks: Iterable[Task]) -> Generator[Outcome, None, None]:
        """Feed, wait, yield, until nothing is left."""
        import ray
        from ray.exceptions import RayActorError, RayError

        waiting = iter(tasks)
        actors: list[Any] = [self._host.remote(self._work) for _ in range(self._engine.workers)]
        try:
            ray.get(actors[0].ready.remote())
        except RayError as error:
            cause = getattr(error, "cause", None) or error
            raise HandToolkitError(
                f"the work cannot be begun on the cluster: {str(cause).strip().splitlines()[-1]}"
            ) from error
        for actor in actors:
            for _ in range(IN_FLIGHT):
                self._feed(actor, waiting)
        while self._doing:
            finished, _ = ray.wait(list(self._doing), timeout=1.0)
            for ref in finished:
                if ref not in self._doing:
                    continue  # its actor died with another task
                actor, task = self._doing.pop(ref)
                try:
                    kind, value = ray.get(ref)
                except RayActorError as error:
                    yield from self._died(actor, task, error, waiting)
                    continue
                self._feed(actor, waiting)
                if kind == "result":
                    yield Outcome(task.key, value)
                else:
                    failure = Failure(task.key, value["message"], value["trace"])
                    yield Outcome(task.key, failure=failure)

    def _feed(self, actor: Any, waiting: Any) -> None:
        task = self._again.pop() if self._again else next(waiting, None)
        if task is not None:
            self._doing[actor.do.remote(task.item)] = (actor, task)

    def _died(
        self, actor: Any, task: Task, error: Exception, waiting: Any
    ) -> Generator[Outcome, None, None]:
        """Replace an actor; the task that it did pays, those that waited do not."""
        waited = [ref for ref, (owner, _) in self._doing.items() if owner is actor]
        spent = self._spent[task.key] = self._spent.get(task.key, 0) + 1
        self._again += [self._doing.pop(ref)[1] for ref in waited]
        if spent < self._engine.tries:
            log.warning("an actor died at %s; it is tried again", task.key)
            self._again.append(task)
        else:
            message = f"its process died {spent} times ({type(error).__name__})"
            yield Outcome(task.key, failure=Failure(task.key, message))
        fresh = self._host.remote(self._work)
        for _ in range(IN_FLIGHT):
            self._feed(fresh, waiting)
