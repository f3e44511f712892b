"""The framing: both halves give the same bytes, and bad bytes are refused in one sentence."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hand_toolkit.core.errors import FileFormatError
from hand_toolkit.worker import protocol

ADDON = Path(__file__).resolve().parents[2] / "blender_addon" / "protocol.py"
MESSAGE = {
    "type": "request",
    "id": 7,
    "method": "render",
    "params": {"name": "Zoë", "x": [1, None]},
}


@pytest.fixture(scope="module")
def host() -> ModuleType:
    """The extension's half, which imports no bpy."""
    spec = importlib.util.spec_from_file_location("host_protocol", ADDON)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "floats": rng.normal(size=(3, 5)).astype(np.float32),
        "strided": rng.normal(size=(6, 4))[::2, 1:],
        "empty": np.zeros((0, 3), np.int32),
        "flags": np.array([True, False]),
        "bytes": np.arange(7, dtype=np.uint8),
        "scalar": np.array(4, np.int64),
    }


def test_both_halves_speak_the_same_bytes(host: ModuleType) -> None:
    assert host.PROTOCOL_VERSION == protocol.PROTOCOL_VERSION
    assert host.encode(MESSAGE, arrays()) == protocol.encode(MESSAGE, arrays())
    assert (host.MAX_JSON_BYTES, host.DTYPES) == (protocol.MAX_JSON_BYTES, protocol.DTYPES)


class Trickle(io.RawIOBase):
    """A pipe that gives at most three bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._inner.readinto(buffer[:3])


@pytest.mark.parametrize("which", ["worker", "host"])
def test_round_trip_over_short_reads(host: ModuleType, which: str) -> None:
    read = protocol.read if which == "worker" else host.read
    stream = Trickle(protocol.encode(MESSAGE, arrays()) + protocol.encode({"type": "quit"}))
    message, found = read(stream)
    assert message == MESSAGE
    for name, value in arrays().items():
        assert found[name].dtype == value.dtype and np.array_equal(found[name], value), name
    assert read(stream) == ({"type": "quit"}, {})
    assert read(stream) is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n",
        protocol.HEADER.pack(protocol.MAGIC, 0xFFFFFFFF, 0),
        protocol.HEADER.pack(protocol.MAGIC, 2, 1 << 60) + b"{}",
        protocol.HEADER.pack(protocol.MAGIC, 5, 0) + b"{oops",
        protocol.HEADER.pack(protocol.MAGIC, 58, 0)
        + b'{"arrays":[{"name":"a","dtype":"object","shape":[1]}]}    ',
        protocol.encode({}, {"a": np.zeros(4, np.float32)}).replace(b"[4]", b"[9]"),
    ],
)
def test_bad_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(FileFormatError) as caught:
        protocol.read(io.BytesIO(data))
    assert "\n" not in str(caught.value)


def test_a_cut_message_is_the_end(host: ModuleType) -> None:
    data = protocol.encode(MESSAGE, arrays())
    for length in (0, 5, protocol.HEADER.size, 60, len(data) - 1):
        assert protocol.read(io.BytesIO(data[:length])) is None
        assert host.read(io.BytesIO(data[:length])) is None


def test_objects_do_not_travel() -> None:
    with pytest.raises(TypeError, match="object"):
        protocol.encode({}, {"a": np.array([{}])})
