"""Work for the tests; a module of its own, because other processes import it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hand_toolkit.core.errors import InputError, missing_dependency
from hand_toolkit.core.files import atomic_path


def square(number: int) -> int:
    return number * number


def slow_first(number: int) -> int:
    time.sleep(0.5 if number == 0 else 0.0)
    return number


def fussy(number: int) -> int:
    print("libraries print", number)  # must not reach the protocol
    if number % 3 == 1:
        raise InputError(f"{number} is no multiple of three; give another")
    if number % 3 == 2:
        raise ZeroDivisionError("oops\nand more")
    return number


def unsendable(number: int) -> Any:
    return lambda: number


def killed(mark: str) -> int:
    """Dies by SIGKILL when it is called first with a mark."""
    path = Path(mark)
    if path.name == "deadly" or not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def who(_: Any) -> int:
    time.sleep(0.03)
    return os.getpid()


def written(path: str) -> str:
    """Takes a while over a file, and writes it whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w") as file:
        for _ in range(20):
            file.write("line\n")
            file.flush()
            time.sleep(0.02)
    return path


@contextmanager
def with_folder(folder: Path) -> Iterator[Callable[[Any], int]]:
    """Makes a folder for the process, and removes it whatever happens."""
    own = folder / f"scratch-{os.getpid()}"
    own.mkdir()
    try:
        yield who
    finally:
        own.rmdir()


@contextmanager
def not_installed() -> Iterator[Callable[[Any], Any]]:
    raise missing_dependency("rendering", "bpy", "synth")
    yield square


@contextmanager
def crashes_at_once() -> Iterator[Callable[[Any], Any]]:
    os.write(2, b"Segmentation fault of a library\n")
    os._exit(7)
    yield square
