"""Framed messages between a host program (Blender) and the worker.

A frame is ``magic (4) | header length uint32 | payload length uint64``, little endian, then a
JSON object in UTF-8 and the raw bytes of its arrays. The JSON names each array in ``arrays``:
``{"name", "dtype", "shape", "offset"}``, C order, little endian. Nothing in a frame is code.

Both sides first send ``{"type": "hello", "protocol": N}``; a side that meets another number
says so in one sentence and stops. Later messages:

=========== ===========================================================================
host sends  ``request`` (``id``, ``method``, ``params``), ``cancel`` (``id``), ``quit``
worker      ``progress`` (``id``, ``fraction``, ``message``), ``news`` (``id``, ``value``: a
            frame of a live session), ``result`` (``id``, ``value``), ``error`` (``id``,
            ``kind``, ``message``)
=========== ===========================================================================
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from ..core.errors import PARSER_FAULTS, FileFormatError, first_line

PROTOCOL_VERSION = 1
MAGIC = b"HTKW"
HEADER = struct.Struct("<4sIQ")
MAX_JSON_BYTES = 64 << 20
MAX_PAYLOAD_BYTES = 4 << 30
DTYPES = ("uint8", "int32", "int64", "float32", "float64", "bool")


def encode(message: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """The bytes of one frame.

    Args:
        message: JSON object.
        arrays: arrays of the dtypes in ``DTYPES``.
    """
    entries, parts, offset = [], [], 0
    for name, value in (arrays or {}).items():
        array = np.ascontiguousarray(value)
        if array.dtype.name not in DTYPES:
            raise TypeError(f"array {name} is {array.dtype}; accepted are {', '.join(DTYPES)}")
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        entries.append(
            {"name": name, "dtype": array.dtype.name, "shape": value.shape, "offset": offset}
        )
        parts.append(data)
        offset += len(data)
    text = json.dumps({**message, "arrays": entries}).encode("utf-8")
    return HEADER.pack(MAGIC, len(text), offset) + text + b"".join(parts)


def read(stream: BinaryIO) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """The next message and its arrays, or None when the other side closed the pipe.

    Raises:
        FileFormatError: the bytes are not of this protocol.
    """
    head = _read_exactly(stream, HEADER.size)
    if head is None:
        return None
    magic, text_length, payload_length = HEADER.unpack(head)
    if magic != MAGIC or text_length > MAX_JSON_BYTES or payload_length > MAX_PAYLOAD_BYTES:
        raise FileFormatError(
            f"received bytes that are no message of the worker protocol (they start with "
            f"{head[:4]!r}); the other side must speak protocol {PROTOCOL_VERSION}"
        )
    text = _read_exactly(stream, text_length)
    payload = _read_exactly(stream, payload_length)
    if text is None or payload is None:
        return None
    try:
        message = json.loads(text)
        arrays = {e["name"]: _array(payload, e) for e in message.pop("arrays", [])}
    except PARSER_FAULTS as error:
        raise FileFormatError(
            f"received a damaged message ({first_line(error)}); restart both sides"
        ) from error
    return message, arrays


def _array(payload: bytearray, entry: Mapping[str, Any]) -> np.ndarray:
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"dtype {entry['dtype']!r}")
    shape = tuple(int(n) for n in entry["shape"])
    dtype = np.dtype(entry["dtype"]).newbyteorder("<")
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(payload, dtype, count, int(entry["offset"])).reshape(shape)


def _read_exactly(stream: BinaryIO, count: int) -> bytearray | None:
    """``count`` bytes; pipes give fewer than asked for."""
    data = bytearray(count)
    view, done = memoryview(data), 0
    while done < count:
        got = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            return None
        done += got
    return data
