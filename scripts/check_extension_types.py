"""Type-checks the Blender extension against the stubs of the newest Blender API.

    python scripts/check_extension_types.py

Makes a virtual environment with ``fake-bpy-module-latest`` and mypy once, in
``~/.cache/hand-toolkit/fake-bpy``. Exits with 1 and the findings when the extension uses something
that the newest API does not have. ``EXPECTED`` lists, with the reason, what the stubs cannot know.
"""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUBS = "from importlib.metadata import version; print(version('fake-bpy-module-latest'))"
FOLDER = Path.home() / ".cache" / "hand-toolkit" / "fake-bpy"

# Codes that are about annotations of our own, not about Blender's API.
SILENT = (
    "valid-type",
    "misc",
    "var-annotated",
    "assignment",
    "operator",
    "call-overload",
    "override",
)

EXPECTED = {
    r'has no attribute "hand_toolkit': "properties that the extension registers itself",
    (
        r'"(HandOperator|WorkerOperator|type\[Needs\w+\]|MotionOperator|PoseFromFile)"'
        " has no attribute"
    ): "mix-ins, which use what bpy.types.Operator brings",
    r'Module has no attribute "hand_toolkit"': "operators that the extension registers itself",
    r'"(Node|NodeSocket|Modifier|Space|Property|ID|NodeTree)" has no attribute': (
        "collections hold subclasses, the stubs name the base class"
    ),
    r'"(append|remove)" of "_GenericUI"': "a menu's drawing function takes the menu, too",
    r"socket_type.*Literal\['DEFAULT'\]": "an enum that Blender fills at run time",
    r'"bpy_prop_array" has incompatible type "ndarray': "foreach_set takes any buffer",
    r'no attribute "CREATE_NO_WINDOW"': "Windows only, guarded by sys.platform",
    r'"Callable\[\[Any\], Any\]" has no attribute "__func__"': "poll of a mix-in",
}


def environment() -> Path:
    """The Python that has mypy and the stubs."""
    python = FOLDER / "bin" / "python"
    if not python.exists():
        venv.create(FOLDER, with_pip=True)
    found = subprocess.run(
        [
            str(python),
            "-c",
            "import mypy, importlib.metadata as m; m.version('fake-bpy-module-latest')",
        ],
        check=False,
        capture_output=True,
    )
    if found.returncode:
        packages = ["fake-bpy-module-latest", "mypy", "numpy"]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
    return python


def findings(python: Path) -> tuple[list[str], str]:
    """What mypy finds that is not expected, and the version of the stubs."""
    command = [
        *(str(python), "-m", "mypy", "--check-untyped-defs", "--ignore-missing-imports"),
        *("--no-strict-optional", "--no-error-summary", "--hide-error-context"),
        *("--config-file", "", "--cache-dir", str(FOLDER / "mypy_cache")),
        *(f"--disable-error-code={code}" for code in SILENT),
        "blender_addon",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout + done.stderr)
    lines = [line for line in done.stdout.splitlines() if ": error:" in line]
    version = subprocess.run(
        [
            str(python),
            "-c",
            "import importlib.metadata as m; print(m.version('fake-bpy-module-latest'))",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    return [x for x in lines if not any(re.search(p, x) for p in EXPECTED)], version


def main() -> int:
    """Check and report."""
    found, version = findings(environment())
    for line in found:
        print(line)
    print(f"fake-bpy-module {version}: {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
