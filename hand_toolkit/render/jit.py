"""Numba kernels with a disk cache that knows every module they are made of.

numba's own ``cache=True`` looks only at the file that holds the compiled function, so an
edit in an inlined helper would leave a stale kernel. ``kernel`` keys the cache by the text
of the whole package folder, in the user's cache directory.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import caching, config

from ..core.jit import Cache, keep

_config: Any = config

log = logging.getLogger("hand_toolkit.render")

PLAIN = os.environ.get("HAND_TOOLKIT_RENDER_PLAIN", "") not in ("", "0")
"""Force the kernels without the vector type (tests, and runs with NUMBA_BOUNDSCHECK=1)."""

MATH_FLAGS = {"contract", "reassoc", "nsz", "arcp"}
"""Fused multiply-adds and reordering, but NaN and infinity keep their meaning."""


def cache_directory() -> Path:
    """Where compiled kernels live: ``NUMBA_CACHE_DIR`` or the user's cache directory."""
    if _config.CACHE_DIR:
        return Path(_config.CACHE_DIR) / "hand_toolkit"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "hand_toolkit" / "kernels"


_NOT_COMPILED = {
    *("__init__.py", "api.py", "reference.py", "cuda.py", "cpu.py", "cpu_autograd.py"),
    *("avatar_renderer.py", "frame.py", "hand_layout.py", "hands_renderer.py", "levels.py"),
}


@functools.cache
def source_stamp() -> str:
    """A hash of the package's kernel sources and of what compiles them."""
    digest = hashlib.sha256(f"{numba.__version__} {_config.BOUNDSCHECK} {PLAIN}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name in _NOT_COMPILED:
            continue
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _Locator(caching._CacheLocator):
    """Tells numba where the cache of one kernel is and what it depends on."""

    def __init__(self, py_func: Callable[..., Any]) -> None:
        self._name = py_func.__qualname__

    def get_cache_path(self) -> str:
        return str(cache_directory() / source_stamp()[:16])

    def get_source_stamp(self) -> str:
        return source_stamp()

    def get_disambiguator(self) -> str:
        return self._name

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _Locator | None:
        locator = cls(py_func)
        try:
            locator.ensure_cache_path()
        except OSError as error:
            log.warning(
                "the kernel cache %s is not writable (%s); kernels will be compiled in every "
                "process. Set NUMBA_CACHE_DIR to a writable folder.",
                locator.get_cache_path(),
                error,
            )
            return None
        return locator


class _CacheImpl(caching.CompileResultCacheImpl):
    _locator_classes: list[Any] = [_Locator]


class _AnnouncingCache(Cache):
    """Says once per process that a kernel has to be compiled."""

    _impl_class: Any = _CacheImpl
    announced = False

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = super().load_overload(sig, target_context)
        if found is None and not _AnnouncingCache.announced:
            _AnnouncingCache.announced = True
            log.warning(
                "compiling the renderer for this machine, once, about 40 s (kept in %s)",
                self.cache_path,
            )
        return found


def warn(message: str, *arguments: Any) -> None:
    """Log a warning; a function, as ``log`` is the logarithm where kernels are written."""
    log.warning(message, *arguments)


def inline(function: Callable[..., Any]) -> Any:
    """A helper that only other kernels call; LLVM inlines it."""
    return numba.njit(nogil=True, error_model="numpy", fastmath=MATH_FLAGS)(function)


def kernel(function: Callable[..., Any]) -> Any:
    """An entry point: compiled without the GIL and kept on disk."""
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy", fastmath=MATH_FLAGS)(function)
    keep(dispatcher, _AnnouncingCache)
    return dispatcher
