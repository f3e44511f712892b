"""Plugins that exit, hang, print or expect another version: the rest works, and they are named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLUGINS = {
    "exits": "import sys\nsys.exit('no licence found')\n",
    "hangs": "import time\ntime.sleep(600)\n",
    "prints": "print('Loading model weights ...')\n",
    "newer": "import hand_toolkit\n@hand_toolkit.hookimpl\ndef register_dreams(register): pass\n",
}


def test_faulty_plugins_are_named_and_stop_nothing(tmp_path: Path) -> None:
    for name, code in PLUGINS.items():
        (tmp_path / f"{name}_plugin.py").write_text(code, encoding="utf-8")
        info = tmp_path / f"{name}_plugin-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[hand_toolkit]\n{name} = {name}_plugin\n")
    environment = {
        **os.environ, "PYTHONPATH": str(tmp_path), "HAND_TOOLKIT_PLUGIN_SECONDS": "1.5",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "hand_toolkit.cli", "plugins"],
        capture_output=True, text=True, timeout=120, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    failed = {
        line.split()[1]: line for line in done.stdout.splitlines() if line.startswith("FAILED")
    }
    assert set(failed) == {"exits", "hangs", "newer"}
    assert "SystemExit: no licence found" in failed["exits"]
    assert "'hangs' was not imported within 1.5 s" in failed["hangs"]
    assert "register_dreams" in failed["newer"]
    assert "Loading model weights" not in done.stdout and "Loading model weights" in done.stderr
    assert "glb" in done.stdout
