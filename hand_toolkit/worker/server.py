"""Reads requests, runs them on three lanes, and dies with its host."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, BinaryIO, cast

import numpy as np

from ..core.errors import CancelledError, HandToolkitError
from . import protocol

log = logging.getLogger("hand_toolkit.worker")

GRACE_SECONDS = 2.0
"""How long a running job may take to notice that the host has gone."""


class Connection:
    """Sends frames; one lock, because both lanes and the reader answer."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(
        self, message: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Write one frame; a host that has gone is noticed by the reader, not here."""
        data = protocol.encode(message, arrays)
        with self._lock:
            try:
                self._stream.write(data)
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                log.info("the host has closed the pipe")


class Job:
    """One request on its way."""

    def __init__(
        self,
        connection: Connection,
        message: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
    ) -> None:
        self.id = int(message["id"])
        self.method = str(message["method"])
        self.params: dict[str, Any] = dict(message.get("params") or {})
        self.arrays = arrays
        self.cancelled = threading.Event()
        self._connection = connection

    def progress(self, fraction: float, message: str) -> None:
        """Tell the host how far the job is.

        Raises:
            CancelledError: the host asked to stop.
        """
        if self.cancelled.is_set():
            raise CancelledError("stopped; nothing was written")
        self._connection.send(
            {
                "type": "progress",
                "id": self.id,
                "fraction": float(min(max(fraction, 0.0), 1.0)),
                "message": str(message),
            }
        )

    def tell(self, news: Mapping[str, Any]) -> None:
        """Send the host what there is before the result, e.g. a frame of a live session."""
        self._connection.send({"type": "news", "id": self.id, "value": dict(news)})


class Server:
    """The worker's state: avatars that were opened, jobs that wait."""

    def __init__(self, stdin: BinaryIO, stdout: BinaryIO) -> None:
        from .methods import Session

        self._stdin = stdin
        self._connection = Connection(stdout)
        self._session = Session()
        self._jobs: dict[int, Job] = {}
        # Frames must not wait for a fit that runs for a minute, nor a fit for a camera, so each
        # kind has its own thread.
        self._lanes: dict[str, queue.Queue[Job]] = {
            name: queue.Queue() for name in ("quick", "long", "live")
        }

    def run(self) -> int:
        """Serve until the host closes the pipe or sends ``quit``; returns the exit code."""
        greeting = self._greet()
        if greeting is not None:
            self._connection.send(
                {"type": "error", "id": 0, "kind": "Protocol", "message": greeting}
            )
            return 2
        for name, lane in self._lanes.items():
            threading.Thread(target=self._work, args=(lane,), name=name, daemon=True).start()
        try:
            while (received := protocol.read(self._stdin)) is not None:
                message, arrays = received
                if message.get("type") == "quit":
                    break
                self._accept(message, arrays)
        except HandToolkitError as error:
            self._connection.send(
                {"type": "error", "id": 0, "kind": "Protocol", "message": str(error)}
            )
            return self._stop(2)
        return self._stop(0)

    def _greet(self) -> str | None:
        """Exchange hellos; the refusal when the host speaks another protocol."""
        self._connection.send(
            {
                "type": "hello",
                "protocol": protocol.PROTOCOL_VERSION,
                "toolkit": toolkit_version(),
                "python": sys.version.split()[0],
                "pid": os.getpid(),
            }
        )
        try:
            received = protocol.read(self._stdin)
        except HandToolkitError as error:
            return str(error)
        if received is None:
            return "the host closed the pipe before it said hello"
        theirs = received[0].get("protocol") if received[0].get("type") == "hello" else None
        if theirs != protocol.PROTOCOL_VERSION:
            return (
                f"the host speaks worker protocol {theirs} and this toolkit "
                f"({toolkit_version()}) speaks {protocol.PROTOCOL_VERSION}; install the extension "
                "and the toolkit of one release"
            )
        return None

    def _accept(self, message: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        kind = message.get("type")
        if kind == "cancel":
            job = self._jobs.get(int(message.get("id", 0)))
            if job is not None:
                job.cancelled.set()
        elif kind == "request":
            job = Job(self._connection, message, arrays)
            self._jobs[job.id] = job
            self._lanes[self._session.lane(job.method)].put(job)
        else:
            log.warning("a message of unknown type %r was ignored", kind)

    def _work(self, lane: queue.Queue[Job]) -> None:
        while True:
            job = lane.get()
            try:
                if job.cancelled.is_set():
                    raise CancelledError("stopped; nothing was written")
                value, arrays = self._session.call(job)
            except Exception as error:  # the worker outlives whatever a request does
                self._connection.send({"type": "error", "id": job.id, **describe(error)})
            else:
                self._connection.send({"type": "result", "id": job.id, "value": value}, arrays)
            finally:
                self._jobs.pop(job.id, None)

    def _stop(self, code: int) -> int:
        """Cancel what runs, wait a moment so that temporary files go, and let go of the blocks."""
        for job in list(self._jobs.values()):
            job.cancelled.set()
        deadline = threading.Event()
        for _ in range(int(GRACE_SECONDS / 0.05)):
            if not self._jobs:
                break
            deadline.wait(0.05)
        self._session.close()
        return code


def describe(error: Exception) -> dict[str, str]:
    """``kind`` and one-line ``message`` of an error."""
    if isinstance(error, HandToolkitError):
        return {"kind": type(error).__name__, "message": str(error)}
    log.exception("a request failed")
    first = (str(error).splitlines() or [""])[0][:300]
    return {
        "kind": "Fault",
        "message": f"a fault of the toolkit ({type(error).__name__}: {first}); "
        "the worker's log has the details",
    }


def toolkit_version() -> str:
    """Version of the installed package."""
    try:
        return version("hand-toolkit")
    except PackageNotFoundError:
        return "0+unknown"


def serve() -> int:
    """Serve stdin and stdout until the host goes away; what ``hand-toolkit serve`` runs.

    Anything that a library prints goes to stderr, where the host keeps it as the log.

    Returns:
        The process's exit code. It does not return while a job refuses to stop: then the
        process ends at once, as nobody is left to read its result.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s: %(message)s")
    own_stdout = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    stdout = cast(BinaryIO, _Unbuffered(own_stdout))
    server = Server(os.fdopen(os.dup(0), "rb", buffering=0), stdout)
    code = server.run()
    sys.stderr.flush()
    os._exit(code)


class _Unbuffered:
    """Writes all of the bytes: a raw pipe may take only a part of them."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def write(self, data: bytes) -> int:
        view, done = memoryview(data), 0
        while done < len(view):
            done += self._raw.write(view[done:])
        return done

    def flush(self) -> None:
        """Nothing is held back."""
