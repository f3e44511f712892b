# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's half of the worker protocol; hand_toolkit/worker/protocol.py describes it.

The extension carries no part of the toolkit, so the framing exists on both sides of the pipe;
tests/worker/test_protocol.py holds the two halves to the same bytes.
"""

from __future__ import annotations

import json
import struct

import numpy as np

PROTOCOL_VERSION = 1
MAGIC = b"HTKW"
HEADER = struct.Struct("<4sIQ")
MAX_JSON_BYTES = 64 << 20
MAX_PAYLOAD_BYTES = 4 << 30
DTYPES = ("uint8", "int32", "int64", "float32", "float64", "bool")


class ProtocolError(Exception):
    """Bytes that are no message, or a peer of another version."""


def encode(message, arrays=None):
    """The bytes of one frame: ``message`` (JSON object) and ``arrays`` (name -> array)."""
    entries, parts, offset = [], [], 0
    for name, value in (arrays or {}).items():
        array = np.ascontiguousarray(value)
        if array.dtype.name not in DTYPES:
            raise ProtocolError(f"array {name} is {array.dtype}, which the worker cannot take")
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        entries.append(
            {"name": name, "dtype": array.dtype.name, "shape": value.shape, "offset": offset}
        )
        parts.append(data)
        offset += len(data)
    text = json.dumps({**message, "arrays": entries}).encode("utf-8")
    return HEADER.pack(MAGIC, len(text), offset) + text + b"".join(parts)


def read(stream):
    """The next message and its arrays, or None when the worker has closed the pipe."""
    head = _read_exactly(stream, HEADER.size)
    if head is None:
        return None
    magic, text_length, payload_length = HEADER.unpack(head)
    if magic != MAGIC or text_length > MAX_JSON_BYTES or payload_length > MAX_PAYLOAD_BYTES:
        raise ProtocolError(
            f"the program that was started is no hand-toolkit worker (it said {bytes(head[:4])!r})"
        )
    text = _read_exactly(stream, text_length)
    payload = _read_exactly(stream, payload_length)
    if text is None or payload is None:
        return None
    message = json.loads(bytes(text))
    arrays = {}
    for entry in message.pop("arrays", []):
        if entry["dtype"] not in DTYPES:
            raise ProtocolError(f"the worker sent an array of type {entry['dtype']!r}")
        shape = tuple(int(n) for n in entry["shape"])
        dtype = np.dtype(entry["dtype"]).newbyteorder("<")
        count = int(np.prod(shape, dtype=np.int64))
        flat = np.frombuffer(payload, dtype, count, int(entry["offset"]))
        arrays[entry["name"]] = flat.reshape(shape)
    return message, arrays


def _read_exactly(stream, count):
    """``count`` bytes; pipes give fewer than asked for."""
    data = bytearray(count)
    view, done = memoryview(data), 0
    while done < count:
        got = stream.readinto(view[done:])
        if not got:
            return None
        done += got
    return data
