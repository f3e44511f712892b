"""Writing files so that a reader never meets half of one.

Everything the toolkit writes goes to a temporary file beside its target, which is renamed
over the target when complete and removed when anything stops the writing, Ctrl-C included.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another folder",
    errno.EACCES: "permission is denied; choose a folder that you may write to",
    errno.EPERM: "permission is denied; choose a folder that you may write to",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EFBIG: "the file grew past what the file system allows; choose another disk",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ENOENT: "its folder does not exist; create it first",
    errno.ENOTDIR: "a part of its path is a file, not a folder; choose another path",
    errno.EISDIR: "it is a folder; give a file name",
    errno.EIO: "the disk reported an error; choose another disk",
}


def _cannot_write(target: Path, error: OSError) -> InputError:
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return InputError(f"cannot write '{target}': {reason}")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it over ``path`` on success.

    The temporary name keeps the suffix, which many writers take the format from. The file
    that the body creates there is removed when the body raises, whatever it raises.

    Args:
        path: the target; an existing file is replaced in one step.

    Yields:
        A path in the same folder at which nothing exists yet.

    Raises:
        InputError: the target's folder is missing or not writable, the target is a folder,
            the disk is full, or the body wrote nothing.
    """
    target = Path(path)
    try:
        if target.is_symlink():
            target = target.resolve()
        if target.is_dir():
            raise _cannot_write(target, OSError(errno.EISDIR, ""))
        if not target.parent.is_dir():
            code = errno.ENOTDIR if target.parent.exists() else errno.ENOENT
            raise _cannot_write(target, OSError(code, ""))
    except OSError as error:
        raise _cannot_write(target, error) from error
    stem = target.name[: -len(target.suffix)] if target.suffix else target.name
    temporary = target.with_name(f".{stem[:80]}.{secrets.token_hex(6)}{target.suffix}")
    try:
        # Creating and removing it first turns a read-only folder into one clear message,
        # before the body has spent a minute on what cannot be stored.
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        raise _cannot_write(target, error) from error
    try:
        yield temporary
        if not temporary.exists():
            raise InputError(f"nothing was written for '{target}'; this is a fault of the writer")
        temporary.replace(target)
    except OSError as error:
        _remove(temporary)
        named = {str(f) for f in (error.filename, error.filename2) if f}
        about_us = str(temporary) in named or not named
        if about_us and error.errno in _REASONS:
            raise _cannot_write(target, error) from error
        raise
    except BaseException:
        _remove(temporary)
        raise


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write ``data`` (text as UTF-8) to ``path`` by way of :func:`atomic_path`.

    Raises:
        InputError: as :func:`atomic_path`.
    """
    with atomic_path(path) as temporary, temporary.open("xb") as stream:
        stream.write(data.encode("utf-8") if isinstance(data, str) else data)
        stream.flush()
        os.fsync(stream.fileno())


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
