"""Threads for the kernels: claimed chunks instead of a fork-join library.

numba's own parallel layers abort when two Python threads use them at once (workqueue) or
after a fork (OpenMP), and stall for milliseconds when a worker is descheduled. Here every
thread calls the same nogil kernel, which walks through the stages of a frame; in each
stage the threads claim chunks by an atomic counter and wait until all chunks are done.
A thread that wakes up late finds everything claimed: nobody waits for it, and the caller
alone can finish the frame. What a chunk writes never depends on who runs it, so pictures
are the same bytes for any number of threads.

The control block, int64, one cache line (8 numbers) per counter::

    [0]  generation that may enter (0: closed)      [8]  threads inside
    [16 + 16 s]  next chunk of stage s              [24 + 16 s]  finished chunks of stage s
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import ctypes
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..core.errors import InputError
from .jit import inline

MAX_THREADS = 64
MAX_STAGES = 24

_OPEN, _ACTIVE, _FIRST, _LINE = 0, 8, 16, 8
_YIELD_SYMBOL = "hand_toolkit_yield"
_INT64 = ir.IntType(64)


def _register_yield() -> None:
    """Make the system's "let another thread run" callable from kernels, also cached ones."""
    if sys.platform == "win32":
        function = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    address = ctypes.cast(function, ctypes.c_void_p).value
    llvm.add_symbol(_YIELD_SYMBOL, address)


_register_yield()


@intrinsic
def _yield_thread(typing_context: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.IntType(32), []), _YIELD_SYMBOL
        )
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


def _element(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


@intrinsic
def _atomic_add(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Add to ``array[index]`` and give the value before."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("add", pointer, args[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def _atomic_load(typing_context: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(array, types.intp), generate


@intrinsic
def _atomic_store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature.args[0], args[0], args[1])
        builder.store_atomic(args[2], pointer, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), generate


@inline
def enter(control, generation):
    """Register this thread for the frame; False if the frame is already over."""
    _atomic_add(control, _ACTIVE, 1)
    if _atomic_load(control, _OPEN) == generation:
        return True
    _atomic_add(control, _ACTIVE, -1)
    return False


@inline
def leave(control, leader):
    """End this thread's part; the leader also closes the frame and waits for the others."""
    _atomic_add(control, _ACTIVE, -1)
    if leader:
        _atomic_store(control, _OPEN, 0)
        spins = 0
        while _atomic_load(control, _ACTIVE) != 0:
            spins += 1
            if spins > 200:
                _yield_thread()


@inline
def claim(control, stage):
    """The next chunk of the stage; the caller stops when it is past the last."""
    return _atomic_add(control, _FIRST + 2 * _LINE * stage, 1)


@inline
def finish(control, stage):
    """Count one chunk as done."""
    _atomic_add(control, _FIRST + _LINE + 2 * _LINE * stage, 1)


@inline
def await_stage(control, stage, chunks):
    """Return when all chunks of the stage are done, with their writes visible."""
    spins = 0
    while _atomic_load(control, _FIRST + _LINE + 2 * _LINE * stage) < chunks:
        spins += 1
        if spins > 200:
            _yield_thread()


class _Pool:
    """Sleeping threads that call kernels; they never own the frame."""

    def __init__(self) -> None:
        self._queues: list[queue.SimpleQueue[Any]] = []
        self._lock = threading.Lock()

    def submit(self, count: int, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Ask ``count`` workers to call ``function(*args)``."""
        if len(self._queues) < count:
            with self._lock:
                while len(self._queues) < count:
                    jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
                    name = f"hand-toolkit-render-{len(self._queues) + 1}"
                    threading.Thread(
                        target=self._work, args=(jobs,), name=name, daemon=True
                    ).start()
                    self._queues.append(jobs)
        for jobs in self._queues[:count]:
            jobs.put((function, args))

    @staticmethod
    def _work(jobs: queue.SimpleQueue[Any]) -> None:
        while True:
            function, args = jobs.get()
            function(*args)
            del function, args


_pool = _Pool()
_threads = 0


def _forget_threads() -> None:
    """In a forked child the workers are gone; start anew on demand."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def get_threads() -> int:
    """Threads that the CPU renderer uses: what was set, else the CPUs this process may use."""
    if _threads:
        return _threads
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    else:
        available = os.cpu_count() or 1
    return min(available, MAX_THREADS)


def set_threads(count: int | None) -> None:
    """Use ``count`` threads, 1 to 64; None goes back to the CPUs this process may use.

    Pictures and gradients are the same bytes for every count.

    Raises:
        InputError: for a count out of range.
    """
    global _threads
    if count is not None and not 1 <= count <= MAX_THREADS:
        raise InputError(f"threads is {count}; accepted is 1 to {MAX_THREADS}, or None")
    _threads = 0 if count is None else int(count)


class Frame:
    """A control block and the generation that tells one frame from the next."""

    def __init__(self) -> None:
        self.control = np.zeros(_FIRST + 2 * _LINE * MAX_STAGES, np.int64)
        self._generation = 0

    def run(self, kernel: Callable[..., Any], args: tuple[Any, ...], threads: int) -> Any:
        """Call ``kernel(control, generation, leader, *args)`` on ``threads`` threads.

        Returns:
            What the calling thread's kernel returns, after all chunks are done.
        """
        self._generation += 1
        self.control[_FIRST:] = 0
        self.control[_OPEN] = self._generation
        if threads > 1:
            _pool.submit(threads - 1, kernel, (self.control, self._generation, False, *args))
        return kernel(self.control, self._generation, True, *args)
