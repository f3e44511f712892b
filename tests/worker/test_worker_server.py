"""The worker process as a host sees it: hello, lanes, errors, cancel, frames, the end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hand_toolkit.avatar import Avatar, display_theta
from hand_toolkit.core.cameras import orbit_camera
from hand_toolkit.render import render
from hand_toolkit.testing.avatars import procedural_avatar
from hand_toolkit.worker import protocol


class Host:
    """A small host program."""

    def __init__(self, version: int = protocol.PROTOCOL_VERSION) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-m", "hand_toolkit.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self.count = 0
        self.send({"type": "hello", "protocol": version})
        self.hello = self.receive()[0]

    def send(self, message: dict[str, Any], arrays: dict[str, np.ndarray] | None = None) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(protocol.encode(message, arrays))

    def receive(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        assert self.process.stdout is not None
        received = protocol.read(self.process.stdout)  # type: ignore[arg-type]
        assert received is not None, "the worker has gone"
        return received

    def request(
        self, method: str, arrays: dict[str, np.ndarray] | None = None, **params: Any
    ) -> int:
        self.count += 1
        message = {"type": "request", "id": self.count, "method": method, "params": params}
        self.send(message, arrays)
        return self.count

    def call(
        self, method: str, arrays: dict[str, np.ndarray] | None = None, **params: Any
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        number = self.request(method, arrays, **params)
        while True:
            message, found = self.receive()
            if message["id"] == number and message["type"] != "progress":
                return message, found

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


@pytest.fixture(scope="module")
def hand_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("avatar") / "one.hand"
    procedural_avatar(1, sides=("right",), splats_per_face=1).save(path)
    return path


def test_frame_equals_the_toolkits_own(host: Host, hand_file: Path) -> None:
    """Through shared memory and through the pipe, from a path and from bytes."""
    avatar = Avatar.load(hand_file)
    theta = display_theta("right")
    splats = avatar.splats({"right": theta})
    view = orbit_camera(splats.means, 200, 160)
    expected = render(splats, view, antialiased=True)
    opened, arrays = host.call("open_avatar", path=str(hand_file))
    assert opened["type"] == "result", opened
    key = opened["value"]["key"]
    assert arrays["right.weights"].shape == (len(arrays["right.vertices"]), 16)
    packed, _ = host.call(
        "open_avatar", {"file": np.frombuffer(hand_file.read_bytes(), np.uint8)}, describe=False
    )
    assert packed["value"]["key"] == key
    camera = {
        **{k: getattr(view, k) for k in ("fx", "fy", "cx", "cy", "width", "height", "near", "far")},
        "world_to_camera": view.world_to_camera.tolist(),
    }
    mesh = {"vertices0": avatar.mesh("right", theta).astype(np.float32)}
    hands = [{"key": key, "side": "right"}]
    piped, found = host.call("render", mesh, hands=hands, camera=camera)
    assert piped["type"] == "result", piped
    block = shared_memory.SharedMemory(create=True, size=200 * 160 * 20)
    try:
        shared, _ = host.call("render", mesh, hands=hands, camera=camera, block=block.name)
        assert shared["type"] == "result", shared
        pixels = np.ndarray((160, 200, 4), np.float32, buffer=block.buf).copy()
        depth = np.ndarray((160, 200), np.float32, buffer=block.buf, offset=pixels.nbytes).copy()
    finally:
        block.close()
        block.unlink()
    assert np.array_equal(pixels, found["pixels"]) and np.array_equal(depth, found["depth"])
    alpha = pixels[::-1, :, 3]
    assert np.abs(alpha - expected.alpha).max() < 1e-4
    seen = alpha > 0.5
    linear = pixels[::-1, :, :3][seen] / alpha[seen][:, None]
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    straight = np.clip(expected.color[seen] / expected.alpha[seen][:, None], 0, 1)
    assert np.abs(srgb - straight).max() < 2e-3
    assert (depth[::-1][expected.alpha < 1 / 512] > 1e9).all()


def test_capabilities(host: Host) -> None:
    answer, _ = host.call("capabilities")
    value = answer["value"]
    assert "network" in value["pose_sources"] and "default" in value["hand_models"]
    assert {"glb", "ply"} <= {f["name"] for f in value["formats"]}
    assert "open-close" in value["motions"] and "fist" in value["poses"]


def test_errors_are_sentences_and_the_worker_lives_on(host: Host, hand_file: Path) -> None:
    for method, params, words in (
        ("dance", {}, "has no method 'dance'; it has: "),
        ("open_avatar", {"path": "/no/such.hand"}, "does not exist"),
        ("open_avatar", {}, "needs the parameter 'path'"),
        ("render", {"hands": [{"key": "abc", "side": "right"}], "camera": {}}, "is not open"),
        ("motion", {"name": "moonwalk"}, "unknown motion"),
        ("reshape", {"key": "abc", "sides": ["right"]}, "is not open in this worker"),
    ):
        answer, _ = host.call(method, **params)
        assert answer["type"] == "error", (method, answer)
        assert words in answer["message"] and "\n" not in answer["message"], answer
    opened, _ = host.call("open_avatar", path=str(hand_file), describe=False)
    bad = np.full(3, np.nan)
    answer, _ = host.call("reshape", {"shape": bad}, key=opened["value"]["key"], sides=["right"])
    assert answer["type"] == "error"
    assert host.call("ping")[0]["type"] == "result"


def test_another_protocol_version_is_refused() -> None:
    host = Host(version=protocol.PROTOCOL_VERSION + 1)
    try:
        refusal, _ = host.receive()
        assert refusal["type"] == "error" and refusal["id"] == 0
        assert "install the extension and the toolkit of one release" in refusal["message"]
        assert host.process.wait(10) == 2
    finally:
        host.close()


def test_it_dies_with_its_host(host: Host) -> None:
    host.call("ping")
    assert host.process.stdin is not None
    host.process.stdin.close()
    assert host.process.wait(10) == 0


def test_babble_on_the_pipe_ends_it(host: Host) -> None:
    assert host.process.stdin is not None
    host.process.stdin.write(b"this is no message of the protocol at all")
    refusal, _ = host.receive()
    assert "no message of the worker protocol" in refusal["message"]
    assert host.process.wait(10) == 2


def test_a_waiting_job_can_be_cancelled(host: Host, hand_file: Path) -> None:
    opened, _ = host.call("open_avatar", path=str(hand_file), describe=False)
    key = opened["value"]["key"]
    first = host.request("texture", key=key, side="right", size=512)
    second = host.request("texture", key=key, side="right", size=512)
    host.send({"type": "cancel", "id": second})
    ends = {}
    begin = time.monotonic()
    while len(ends) < 2 and time.monotonic() - begin < 100:
        message, _ = host.receive()
        if message["type"] != "progress":
            ends[message["id"]] = message
    assert ends[first]["type"] == "result"
    assert ends[second]["kind"] == "CancelledError"
