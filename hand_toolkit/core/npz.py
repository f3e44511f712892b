"""Reading .npz files of strangers: no Python objects, bounded, every fault one sentence."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import numpy as np

from .errors import PARSER_FAULTS, FileFormatError, InputError, first_line

log = logging.getLogger(__name__)


def read_npz(path: Path, limit_bytes: int = 1 << 30) -> dict[str, np.ndarray]:
    """Arrays of an .npz, bounded in size; arrays of Python objects are left out, never loaded.

    Raises:
        InputError: the file does not exist.
        FileFormatError: no zip, damaged, nothing but objects, or more than ``limit_bytes``.
    """
    if not path.is_file():
        raise InputError(f"the file {path} does not exist; check the path")
    arrays, objects = {}, []
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > limit_bytes:
            raise FileFormatError(f"{path.name} unpacks to {size} bytes; accepted is {limit_bytes}")
        with np.load(path, allow_pickle=False) as data:
            for name in data.files:
                try:
                    value = data[name]
                    if isinstance(value, np.ndarray):  # members of another kind come as bytes
                        arrays[name] = value
                except ValueError as error:
                    if "allow_pickle" not in str(error):
                        raise
                    objects.append(name)
    except PARSER_FAULTS as error:
        raise FileFormatError(
            f"'{path.name}' cannot be read as an .npz file ({first_line(error)})"
        ) from error
    if not arrays and not objects:
        raise FileFormatError(f"'{path.name}' holds no arrays")
    if objects and not arrays:
        raise FileFormatError(
            f"{path.name} holds Python objects alone ({', '.join(objects)[:80]}), which are never "
            "loaded; save plain arrays"
        )
    if objects:
        log.info("%s: left out the Python objects %s", path.name, ", ".join(objects))
    return arrays
