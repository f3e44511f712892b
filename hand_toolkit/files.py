"""Writing files so that nothing existing is lost and nothing half-written stays."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it there when the block succeeds.

    The temporary name keeps the suffix, since some writers choose the format by it. On any
    failure, Ctrl-C included, the temporary file is removed and ``path`` stays as it was.

    Raises:
        InputError: the folder does not exist, is read-only, or the disk is full.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file name")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; create it first")
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise _plain_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _plain_error(path: Path, error: OSError) -> InputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(f"the disk is full: {path} was not written; free some space and retry")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return InputError(f"no permission to write {path}; choose another folder")
    return InputError(f"{path} could not be written: {error.strerror or error}")
