# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the toolkit's own Python environment: venv with Blender's Python, or uv where that is new.

Runs in a thread; every step can be cancelled and the whole be repeated: finished parts are kept.
"""

from __future__ import annotations

import collections
import os
import shutil
import subprocess
import sys
import threading

import bpy

SUPPORTED = ((3, 10), (3, 13))
"""Oldest and newest Python that the toolkit runs on."""
UV_PYTHON = "3.11"
PINS = ("torch==2.13.0",)
"""An unpinned torch may bring gigabytes of CUDA libraries that the toolkit does not need."""


class State:
    """What the preferences show."""

    def __init__(self):
        self.running = False
        self.error = ""
        self.lines = collections.deque(maxlen=2000)
        self.process = None
        self.cancelled = False


state = State()


class SetupFailed(Exception):
    """One line for the artist."""


def environment_folder():
    """Where the environment lives: the user's own folder of this extension."""
    override = os.environ.get("HAND_TOOLKIT_ENVIRONMENT")
    if override:
        return override
    try:
        base = bpy.utils.extension_path_user(__package__, path="", create=True)
    except (ValueError, AttributeError):  # used as a plain module, not as an installed extension
        base = bpy.utils.user_resource("DATAFILES", path="hand_toolkit", create=True)
    return os.path.join(base, "environment")


def environment_python():
    """The Python of the environment, whether it exists or not."""
    folder = environment_folder()
    if sys.platform == "win32":
        return os.path.join(folder, "Scripts", "python.exe")
    return os.path.join(folder, "bin", "python")


def start(source):
    """Begin the set-up; the thread that runs it."""
    state.running, state.error, state.cancelled = True, "", False
    state.lines.clear()
    # bpy may only be asked on the main thread
    thread = threading.Thread(target=_run, args=(source, environment_folder()), daemon=True)
    thread.start()
    return thread


def cancel():
    """Stop the step that runs."""
    state.cancelled = True
    process = state.process
    if process is not None and process.poll() is None:
        process.terminate()


def _run(source, folder):
    try:
        python = _python_of(folder)
        if _works([python, "--version"]):
            _say(f"The environment {folder} exists; updating it")
        elif SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
            _say(f"Making an environment in {folder}")
            _step([sys.executable, "-m", "venv", "--clear", folder])
        else:
            _make_with_uv(folder)
        _say(f"Installing {source}; this takes some minutes")
        constraints = os.path.join(folder, "hand_toolkit_constraints.txt")
        with open(constraints, "w", encoding="utf-8") as stream:
            stream.write("\n".join(PINS) + "\n")
        if _works([python, "-m", "pip", "--version"]):
            command = [python, "-m", "pip", "install", "--upgrade", "-c", constraints, source]
        else:
            command = [_find_uv(folder), "pip", "install", "--python", python, "--upgrade"]
            command += ["-c", constraints, source]
        _step(command)
        _step([python, "-I", "-c", "import hand_toolkit.worker; print('The toolkit is ready')"])
        _say("Done. Press Test Connection.")
    except SetupFailed as error:
        state.error = str(error)
        _say(state.error)
    except OSError as error:
        state.error = f"Set-up stopped: {error}"
        _say(state.error)
    finally:
        state.process = None
        state.running = False


def _python_of(folder):
    parts = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    return os.path.join(folder, *parts)


def _make_with_uv(folder):
    version = ".".join(map(str, sys.version_info[:2]))
    _say(f"Blender's Python {version} is newer than the toolkit supports; using uv")
    uv = _find_uv(folder)
    if not uv:
        # in an environment of its own: Blender's Python may be read-only, or without pip
        tools = folder + "_tools"
        _say("Fetching uv")
        _step([sys.executable, "-m", "venv", "--clear", tools])
        _step([_python_of(tools), "-m", "pip", "install", "uv"])
        uv = _find_uv(folder)
        if not uv:
            raise SetupFailed(
                "uv could not be installed; install it yourself, or give the toolkit's Python"
            )
    _step([uv, "venv", "--clear", "--seed", "--python", UV_PYTHON, folder])


def _find_uv(folder):
    name = "uv.exe" if sys.platform == "win32" else "uv"
    local = os.path.join(os.path.dirname(_python_of(folder + "_tools")), name)
    return local if os.path.isfile(local) else shutil.which("uv")


def _clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}


def _works(command):
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=60, env=_clean_environment(), check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _step(command):
    if state.cancelled:
        raise SetupFailed("Set-up cancelled")
    flags = subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=_clean_environment(),
        creationflags=flags,
    )
    state.process = process
    for line in iter(process.stdout.readline, b""):
        _say(line.decode("utf-8", "replace").rstrip())
    code = process.wait()
    if state.cancelled:
        raise SetupFailed("Set-up cancelled")
    if code:
        last = next((line for line in reversed(state.lines) if line.strip()), "no message")
        raise SetupFailed(f"Set-up failed at '{os.path.basename(command[0])}': {last}")


def _say(line):
    if line:
        state.lines.append(line)
