"""Runs the browser programs of ``tests/interop`` for tests and ``make interop``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ..core.errors import HandToolkitError

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "interop"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


def why_missing(browser: bool = True) -> str | None:
    """What the browser programs lack here, or None.

    Args:
        browser: whether Chromium is needed, not only node.
    """
    if shutil.which("node") is None or not (FOLDER / "node_modules" / "three").is_dir():
        return "the npm packages of tests/interop are not installed (make interop)"
    if browser and not Path(CHROMIUM).is_file():
        return "Chromium is not installed (make interop)"
    return None


def run_node(script: str, *arguments: Any, timeout: float = 600) -> str:
    """Output of a node program in ``tests/interop``.

    Raises:
        HandToolkitError: it failed.
    """
    done = subprocess.run(
        ["node", str(FOLDER / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env={**os.environ, "NODE_NO_WARNINGS": "1", "CHROMIUM": CHROMIUM},
    )
    if done.returncode:
        raise HandToolkitError(f"{script} failed: {(done.stdout + done.stderr)[-1500:]}")
    return done.stdout


def drive_page(
    url: str, size: tuple[int, int], steps: list[dict[str, Any]], out: Path
) -> dict[str, Any]:
    """Open ``url``, run the steps (see ``viewer.mjs``), leave pictures in ``out``.

    Returns:
        The values of the steps' scripts by name, and ``errors``, what the page complained of.
    """
    job = out / "job.json"
    job.write_text(json.dumps({"url": url, "size": size, "steps": steps}), encoding="utf-8")
    run_node("viewer.mjs", job, out)
    return json.loads((out / "results.json").read_text(encoding="utf-8"))
