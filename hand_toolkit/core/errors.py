"""Every error the toolkit raises on purpose.

A message states the problem, the value received, what is accepted and the next step, in
one sentence or two. The command line prints it as it is and exits with ``exit_code``.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib

PARSER_FAULTS = (
    OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, MemoryError,
    RuntimeError, SystemError, SyntaxError, ArithmeticError, zipfile.BadZipFile, zlib.error,
    struct.error, tokenize.TokenError,
)  # fmt: skip
"""What libraries raise on damaged files (Pillow its TypeError, numpy those of a Python literal)."""


class HandToolkitError(Exception):
    """Base class; ``exit_code`` is what the command line exits with."""

    exit_code = 1


class InputError(HandToolkitError, ValueError):
    """An argument, array or file that the caller can mend."""

    exit_code = 2


class FileFormatError(InputError):
    """A file that is damaged, hostile or of another format or version."""

    exit_code = 3


class NoHandError(InputError):
    """A picture without a hand, or with hands that cannot be told apart."""

    exit_code = 4


class MissingDependencyError(HandToolkitError, ImportError):
    """An optional part that is not installed; the message names the command that adds it."""

    exit_code = 5


class PluginError(HandToolkitError):
    """A plugin that failed, or two plugins that claim one name."""

    exit_code = 6


class CancelledError(HandToolkitError):
    """The caller asked to stop; nothing was written."""

    exit_code = 130


def missing_dependency(part: str, package: str, extra: str) -> MissingDependencyError:
    """The error for optional ``part`` that needs ``package``, shipped as ``extra``."""
    return MissingDependencyError(
        f"{part} needs the package '{package}', which is not installed; "
        f"run: pip install 'hand-toolkit[{extra}]'"
    )


def first_line(error: BaseException) -> str:
    """What an error says, short enough for a sentence; its kind where it says nothing."""
    if isinstance(error, HandToolkitError):
        return str(error)
    return (str(error).splitlines() or [""])[0][:120] or type(error).__name__
