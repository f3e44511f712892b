"""How scripts for bpy begin and end: the add-on of this checkout, and no way around its removal."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(parser: argparse.ArgumentParser, work: Callable[[argparse.Namespace], None]) -> None:
    """Do the work in bpy; ends the process at once, as bpy does not survive Python's own exit.

    Args:
        parser: with an argument ``output``, a folder, which is made; ``--python`` is added.
        work: called with what was given, the add-on importable.
    """
    parser.add_argument("--python", default=sys.executable, help="the toolkit's Python")
    options = parser.parse_args()
    options.output = options.output.resolve()
    options.output.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("HAND_TOOLKIT_PYTHON", options.python)
    os.environ.setdefault("BLENDER_USER_RESOURCES", str(options.output / "blender"))
    sys.path.insert(0, str(ROOT))
    import blender_addon

    code = 1
    try:
        work(options)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        blender_addon.unregister()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
