"""Compiled functions without a place on disk, or without room there."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from pathlib import Path
from hand_toolkit.core.jit import compiled

@compiled(nogil=True)
def twice(x):
    return 2 * x

print(twice(21), list(Path({folder!r}).rglob("*.nbc")))
"""


def test_a_full_disk_only_costs_the_next_process_its_compiling(tmp_path):
    """numba's own cache raises OSError here, which ended commands with exit code 70."""
    script = tmp_path / "kernel.py"
    folder = tmp_path / "cache"
    script.write_text(CODE.format(folder=str(folder)))
    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120,
        # Python would leave the modules that it compiles cut off
        env={"NUMBA_CACHE_DIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PATH": ""},
    )  # fmt: skip
    assert ran.stdout.split() == ["42", "[]"], ran.stderr
