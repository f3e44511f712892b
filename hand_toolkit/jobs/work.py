"""Work that needs nothing made beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from .contract import Work


def each(function: Callable[[Any], Any]) -> Work:
    """The work of calling ``function``, of a module, with each item."""
    return partial(_plain, function)


@contextmanager
def _plain(function: Callable[[Any], Any]) -> Iterator[Callable[[Any], Any]]:
    yield function
