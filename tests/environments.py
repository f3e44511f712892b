"""Environments for tests that must see an installed package instead of the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OFFLINE = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")


def clean_environment(**more: str) -> dict[str, str]:
    """The environment variables without what points Python at the checkout."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    return {**threads, **kept, "PYTHONNOUSERSITE": "1", **more}


def run(*command: str | Path, timeout: int = 240, **options: object) -> str:
    """What a command prints; its errors are shown when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        **{"env": clean_environment(), "cwd": ROOT.parent, **options},  # type: ignore[call-overload]
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return str(done.stdout)


def pip(python: str | Path, *arguments: str | Path) -> None:
    """Run pip of ``python`` without the net."""
    run(python, "-m", "pip", *arguments, "--quiet")


def virtual_environment(folder: Path) -> Path:
    """A fresh environment that borrows every dependency but the toolkit; its Python.

    The running environment's packages are put on the path by directory alone: ``.pth`` files
    there, an editable install's among them, are not processed in a directory added so. Its
    ``dist-info`` however would show through, so all but the toolkit's own are linked one by
    one into a folder of their own.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    borrowed = folder / "borrowed"
    borrowed.mkdir()
    for folder_name in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in sorted(Path(folder_name).iterdir()):
            own = "hand_toolkit" in entry.name or entry.suffix == ".pth"
            if not own and not (borrowed / entry.name).exists():
                (borrowed / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "borrowed.pth").write_text(f"{borrowed}\n", encoding="utf-8")
    return python
