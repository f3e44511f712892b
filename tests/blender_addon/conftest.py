"""Runs a scenario in a Blender of its own: one bpy state per scenario, a time limit on each.

Blender 5.0.1 comes with the test environment; with ``BPY_ALL=1`` every scenario also runs in
4.2.23, 4.5.15 and 5.3.0, each in a virtual environment that is made once in
``~/.cache/hand-toolkit``. bpy 5.3 wants Python 3.13: the command ``python3.13``, or what the
variable ``PYTHON313`` names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
OTHER_VERSIONS = {"4.2": "4.2.23", "4.5": "4.5.15", "5.3": "5.3.0"}
BASES = {"5.3": os.environ.get("PYTHON313", "python3.13")}
"""The Python that a version's bpy is made for, where it is not the one of the tests."""


def blender_python(version: str) -> str:
    """A Python with that bpy, made on first use.

    Skips the test where this Python's bpy is missing; fails where an asked-for one cannot be made.
    """
    if version == "5.0":
        pytest.importorskip("importlib.metadata").version("bpy")
        return sys.executable
    folder = Path.home() / ".cache" / "hand-toolkit" / f"bpy-{version}"
    python = folder / "bin" / "python"
    if not (folder / ".made").exists():
        base = BASES.get(version, sys.executable)
        made = subprocess.run([base, "-m", "venv", str(folder)], capture_output=True, text=True)
        assert made.returncode == 0, (
            f"bpy {version} needs {base}, which made no environment; set PYTHON313 to a "
            f"Python 3.13: {made.stderr}"
        )
        package = f"bpy=={OTHER_VERSIONS[version]}"
        subprocess.run([str(python), "-m", "pip", "install", "-q", package], check=True)
        (folder / ".made").touch()
    return str(python)


def versions() -> list[str]:
    """Blender versions to test with."""
    return ["5.0", *OTHER_VERSIONS] if os.environ.get("BPY_ALL") == "1" else ["5.0"]


class Blender:
    """One version of Blender and a folder for its files."""

    def __init__(self, version: str, folder: Path) -> None:
        self.version, self.folder = version, folder
        self.python = blender_python(version)

    def run(self, scenario: str, *args: Any, timeout: float = 900.0, **env: str) -> dict[str, Any]:
        """Run ``scenarios/<scenario>.py``; what it handed to ``finish``."""
        report = self.folder / f"{scenario}.json"
        report.unlink(missing_ok=True)
        command = [
            self.python,
            str(HERE / "scenarios" / f"{scenario}.py"),
            str(report),
            *map(str, args),
        ]
        environment = {
            **os.environ,
            "HAND_TOOLKIT_PYTHON": sys.executable,
            "BLENDER_USER_RESOURCES": str(self.folder / "blender"),
            **env,
        }
        environment.pop("PYTHONPATH", None)
        with (self.folder / f"{scenario}.log").open("wb") as log:
            done = subprocess.run(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
                env=environment,
                cwd=self.folder,
            )
        text = (self.folder / f"{scenario}.log").read_text(encoding="utf-8", errors="replace")
        assert done.returncode == 0 and report.is_file(), f"exit {done.returncode}\n{text[-6000:]}"
        return {**json.loads(report.read_text(encoding="utf-8")), "log": text}


@pytest.fixture(scope="module", params=versions())
def blender(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Blender:
    """Each version of Blender to test with."""
    return Blender(request.param, tmp_path_factory.mktemp(f"blender-{request.param}"))


@pytest.fixture(scope="session")
def hand_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar with two hands."""
    from hand_toolkit.testing.avatars import procedural_avatar

    path = tmp_path_factory.mktemp("avatar") / "pair.hand"
    procedural_avatar(3, splats_per_face=2).save(path)
    return path


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The picture that ships with the toolkit, in a folder of its own."""
    from hand_toolkit.media.demo import PICTURE

    path = tmp_path_factory.mktemp("picture") / Path(PICTURE).name
    path.write_bytes(Path(PICTURE).read_bytes())
    return path
