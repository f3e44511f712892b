"""What happens when the worker dies, refuses, or is not there."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from hand_toolkit.worker.protocol import encode


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Programs that are no worker: silent failure, babble, and another protocol version."""
    folder = tmp_path_factory.mktemp("strangers")
    hello = folder / "hello.bin"
    hello.write_bytes(encode({"type": "hello", "protocol": 99, "toolkit": "9.9.0"}))
    programs = {
        "empty": "#!/bin/sh\necho 'No module named hand_toolkit' >&2\nexit 1\n",
        "other": "#!/bin/sh\necho 'Welcome to something else entirely, how are you?'\nsleep 60\n",
        "version": f"#!/bin/sh\ncat '{hello}'\nsleep 60\n",
    }
    paths = []
    for name, text in programs.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        paths.append(path)
    return paths


def test_crashes(blender, hand_file: Path, picture: Path, strangers: list[Path]) -> None:
    report = blender.run("crash", hand_file, picture, *strangers, timeout=900)
    for name in ("mid_render", "mid_fit"):
        message = report[name]
        assert "stopped unexpectedly (signal 9)" in message and "try again" in message
    for name, words in {
        "missing": "/no/such/python does not exist; correct its path in the preferences",
        "empty": "No module named hand_toolkit",
        "other": "no hand-toolkit worker",
        "version": "speaks worker protocol 99 and this extension 1; install both of one release",
        "absent": "does not exist",
        "broken": "is not a .hand file",
        "picture_absent": "does not exist",
        "picture_broken": "text.jpg",
    }.items():
        assert words in report[name], (name, report[name])
    for name, message in report.items():
        if name != "log" and isinstance(message, str) and message.startswith("Error"):
            lines = set(message.splitlines())
            assert len(lines) == 1 and "Traceback" not in message, (name, message)
    assert "Traceback" not in report["log"]
    assert report["cancelled"] == "Cancelled"
    assert report["cancel_seconds"] < 5
    assert report["fit_was_running"]
    assert report["render_while_fitting"] < 5
    pid = int((blender.folder / "last_worker.json").read_text(encoding="utf-8"))
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists(), "the worker outlived Blender"
