"""Functions that numba compiles once for a machine, where it has room to keep them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numba
from numba.core import caching

log = logging.getLogger(__name__)


class Cache(caching.FunctionCache):
    """numba's cache on disk; what cannot be stored is compiled again by the next process.

    numba itself fails where the disk is full or no folder is writable.
    """

    _impl_class: Any = caching.CompileResultCacheImpl

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            log.info("compiled code is not kept in %s (%s)", self.cache_path, error)


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: ``numba.njit(**options)``, kept on disk as ``cache=True`` would."""

    def compile_(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        keep(dispatcher, Cache)
        return dispatcher

    return compile_


def keep(dispatcher: Any, cache: type[Cache]) -> None:
    """Let ``cache`` keep what the dispatcher compiles, where there is a folder for it."""
    try:
        dispatcher._cache = cache(dispatcher.py_func)
    except RuntimeError as error:
        log.info("compiled code of %s is not kept (%s)", dispatcher.py_func.__name__, error)
