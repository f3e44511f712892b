# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker process as Blender sees it: requests, progress, cancel, restart after a crash."""

from __future__ import annotations

import atexit
import collections
import itertools
import os
import subprocess
import sys
import threading
import time
from multiprocessing import shared_memory

import numpy as np

from . import protocol

START_SECONDS = 120.0
"""A first start on a cold disk reads hundreds of megabytes of libraries."""

MAX_NEWS = 36_000
"""Frames of a live session that wait for a Blender that is busy: twenty minutes of thirty a second;
older ones go first."""


class WorkerError(Exception):
    """One line for the artist: what the worker refused, or why it is gone."""


class Cancelled(WorkerError):
    """The artist stopped the request."""


class Request:
    """One question to the worker; read its fields from any thread."""

    def __init__(self, number, method):
        self.id = number
        self.method = method
        self.fraction = 0.0
        self.message = "Starting the worker"
        self.value = None
        self.arrays = {}
        self.error = None
        self.news = collections.deque(maxlen=MAX_NEWS)
        self._done = threading.Event()
        self._client = None

    @property
    def done(self):
        """Whether there is a result or an error."""
        return self._done.is_set()

    def cancel(self):
        """Ask the worker to stop; the request ends with :class:`Cancelled`."""
        if self._client is not None and not self.done:
            self._client.send_quietly({"type": "cancel", "id": self.id})

    def wait(self, seconds):
        """Whether it is done within ``seconds``."""
        return self._done.wait(seconds)

    def result(self, timeout=None, while_waiting=None):
        """Wait for ``(value, arrays)``.

        Args:
            timeout: seconds, or None.
            while_waiting: called now and then; what it raises cancels the request.

        Raises:
            WorkerError: what went wrong, in one line.
        """
        limit = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._done.wait(0.05 if while_waiting else 0.5):
                if while_waiting:
                    while_waiting(self)
                if limit is not None and time.monotonic() > limit:
                    self.cancel()
                    raise WorkerError(f"the worker took more than {timeout:.0f} s to {self.method}")
        except BaseException:
            self.cancel()
            raise
        if self.error is not None:
            raise self.error
        return self.value, self.arrays

    def _finish(self, value=None, arrays=None, error=None):
        self.value, self.arrays, self.error = value, arrays or {}, error
        self._done.set()


class Worker:
    """Starts the toolkit on first use and again after a crash. Thread-safe."""

    def __init__(self, command_of):
        """``command_of()`` gives the command line of the worker, as a list."""
        self._command_of = command_of
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._write_lock = threading.Lock()
        self._process = None
        self._ready = False
        self._pending = {}
        self.hello = {}
        self.opened = set()
        self.log = collections.deque(maxlen=400)
        atexit.register(self.stop)

    @property
    def pid(self):
        """The process id of the running worker, or None."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def submit(self, method, params=None, arrays=None):
        """Send a request without waiting; the worker is started by a thread if need be."""
        request = Request(next(self._numbers), method)
        frame = {"type": "request", "id": request.id, "method": method, "params": params or {}}
        if self._ready and self.pid is not None:
            self._send_request(request, frame, arrays)
            return request
        try:
            command = self._command_of()  # asks bpy, which is not for other threads
        except WorkerError as error:
            request._finish(error=error)
            return request
        threading.Thread(
            target=self._start_and_send, args=(command, request, frame, arrays), daemon=True
        ).start()
        return request

    def call(self, method, params=None, arrays=None, timeout=None, while_waiting=None):
        """Send a request and wait for ``(value, arrays)``."""
        return self.submit(method, params, arrays).result(timeout, while_waiting)

    def send_quietly(self, message):
        """Send what needs no answer; a worker that is gone needs it no more."""
        try:
            self._write(protocol.encode(message))
        except (OSError, ValueError, AttributeError):
            return

    def stop(self):
        """End the worker; a running request ends with an error."""
        with self._lock:
            process, self._process = self._process, None
            self._ready = False
        if process is not None:
            try:
                process.stdin.close()
                process.wait(timeout=3.0)
            except (OSError, subprocess.TimeoutExpired):
                process.kill()
                process.wait(timeout=5.0)
        self.opened.clear()

    def _start_and_send(self, command, request, frame, arrays):
        try:
            self._start(command)
        except WorkerError as error:
            request._finish(error=error)
            return
        self._send_request(request, frame, arrays)

    def _send_request(self, request, frame, arrays):
        request._client = self
        with self._lock:
            self._pending[request.id] = request
        request.message = "Waiting"
        process = self._process
        try:
            self._write(protocol.encode(frame, arrays))
        except (OSError, ValueError, AttributeError, protocol.ProtocolError) as error:
            with self._lock:
                waiting = self._pending.pop(request.id, None)
            if waiting is not None:
                request._finish(error=WorkerError(self._unsent(process, error)))

    @staticmethod
    def _unsent(process, error):
        """Why a request could not be sent; a worker that just died is told apart."""
        if process is not None and isinstance(error, OSError):
            try:
                return _stopped(_exit_reason(process.wait(timeout=2.0)))
            except subprocess.TimeoutExpired:
                pass
        return f"the worker cannot be reached: {error}"

    def _write(self, data):
        with self._write_lock:
            stream = self._process.stdin
            view, done = memoryview(data), 0
            while done < len(view):
                done += stream.write(view[done:])

    def _start(self, command):
        with self._lock:
            if self._ready and self.pid is not None:
                return
            # The toolkit's Python must not see Blender's own packages.
            env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
            flags = subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    env=env,
                    creationflags=flags,
                )
            except OSError as error:
                raise WorkerError(
                    f"cannot start {command[0]}: {error.strerror or error}; set the toolkit's "
                    "Python in the preferences of the Hand Toolkit extension"
                ) from error
            threading.Thread(target=self._collect, args=(process,), daemon=True).start()
            self._process = process
            self.opened.clear()
            try:
                self._greet(process)
            except WorkerError:
                self._process = None
                process.kill()
                process.wait(timeout=5.0)
                raise
            self._ready = True
            threading.Thread(target=self._listen, args=(process,), daemon=True).start()

    def _greet(self, process):
        answer = []

        def listen():
            try:
                answer.append(protocol.read(process.stdout))
            except (protocol.ProtocolError, OSError, ValueError) as error:
                answer.append(error)

        self.send_quietly(
            {"type": "hello", "protocol": protocol.PROTOCOL_VERSION, "host": "blender"}
        )
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        thread.join(START_SECONDS)
        if not answer:
            raise WorkerError(f"the worker did not answer within {START_SECONDS:.0f} s")
        if answer[0] is None:
            time.sleep(0.2)  # its last words are still on their way through the other pipe
            raise WorkerError(f"the worker ended while starting: {self.last_words()}")
        if isinstance(answer[0], Exception):
            raise WorkerError(str(answer[0]))
        hello = answer[0][0]
        theirs = hello.get("protocol")
        if theirs != protocol.PROTOCOL_VERSION:
            raise WorkerError(
                f"the toolkit {hello.get('toolkit', '')} speaks worker protocol {theirs} and this "
                f"extension {protocol.PROTOCOL_VERSION}; install both of one release"
            )
        self.hello = hello

    def last_words(self):
        """The last line that the worker wrote to its log."""
        lines = [line for line in self.log if line.strip()]
        return lines[-1] if lines else "it left no message"

    def _collect(self, process):
        for line in iter(process.stderr.readline, b""):
            self.log.append(line.decode("utf-8", "replace").rstrip())

    def _listen(self, process):
        trouble = None
        while True:
            try:
                received = protocol.read(process.stdout)
            except (protocol.ProtocolError, OSError, ValueError, KeyError) as error:
                trouble, received = error, None
            if received is None:
                break
            self._take(*received)
        self._bury(process, trouble)

    def _take(self, message, arrays):
        with self._lock:
            request = self._pending.get(message.get("id"))
            if request is not None and message["type"] not in {"progress", "news"}:
                del self._pending[request.id]
        if request is None:
            return
        if message["type"] == "progress":
            request.fraction = float(message["fraction"])
            request.message = str(message["message"])
        elif message["type"] == "news":
            request.news.append((time.monotonic(), message["value"]))
        elif message["type"] == "result":
            request._finish(message["value"], arrays)
        else:
            kind = Cancelled if message.get("kind") == "CancelledError" else WorkerError
            request._finish(error=kind(str(message["message"])))

    def _bury(self, process, trouble):
        """The worker is gone: say so to everyone who waits; the next request starts another."""
        process.kill()
        code = process.wait()
        with self._lock:
            stopped_by_us = self._process is not process
            if not stopped_by_us:
                self._process = None
                self._ready = False
                self.opened.clear()
            orphans, self._pending = list(self._pending.values()), {}
        reason = str(trouble) if trouble else _exit_reason(code)
        for request in orphans:
            request._finish(
                error=WorkerError("the worker was stopped" if stopped_by_us else _stopped(reason))
            )


def _stopped(reason):
    return f"the worker stopped unexpectedly ({reason}); the scene is as it was, try again"


def _exit_reason(code):
    return f"signal {-code}" if code < 0 else f"exit code {code}"


class FrameBlock:
    """Shared memory that one drawer (the final render, a viewport) gets its frames in."""

    def __init__(self):
        self._memory = None

    def reserve(self, width, height):
        """Name of a block that holds a frame of that size."""
        need = width * height * 5 * 4
        if self._memory is None or self._memory.size < need:
            self.close()
            self._memory = shared_memory.SharedMemory(create=True, size=need + need // 4)
        return self._memory.name

    def frame(self, width, height):
        """Views of the frame: pixels (H, W, 4) and depth (H, W), float32."""
        memory = self._memory.buf
        pixels = np.ndarray((height, width, 4), np.float32, buffer=memory)
        return pixels, np.ndarray((height, width), np.float32, buffer=memory, offset=pixels.nbytes)

    def close(self):
        """Give the memory back."""
        memory, self._memory = self._memory, None
        if memory is not None:
            try:
                memory.unlink()
                memory.close()
            except (BufferError, FileNotFoundError):  # still viewed by a drawn frame, or gone
                return

    def __del__(self):
        self.close()
