"""Builds the Blender extension: ``dist/hand_toolkit-VERSION.zip``, the same bytes every time.

    python scripts/build_extension.py [--output-dir dist] [--blender blender]

With ``--blender`` (or a Blender on the PATH) the zip is also checked by
``blender --command extension validate``, and with bpy installed by the same code in there.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "blender_addon"
EPOCH = (2020, 1, 1, 0, 0, 0)


def version() -> str:
    """The version in the manifest (one line of TOML; tomllib is missing in Python 3.10)."""
    for line in (SOURCE / "blender_manifest.toml").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "version":
            return value.strip().strip('"')
    raise SystemExit("blender_manifest.toml has no version")


def build(folder: Path) -> Path:
    """Write the zip and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"hand_toolkit-{version()}.zip"
    temporary = target.with_suffix(".part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(SOURCE.rglob("*")):
            if path.is_file() and path.suffix in (".py", ".toml", ".txt"):
                entry = zipfile.ZipInfo(path.relative_to(SOURCE).as_posix(), EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes())
    temporary.replace(target)
    return target


def validators(blender: str | None) -> list[list[str]]:
    """Commands that check an extension; the zip's path is appended."""
    found = []
    program = blender or shutil.which("blender")
    if program:
        found.append([program, "--background", "--command", "extension", "validate"])
    spec = importlib.util.find_spec("bpy")
    if spec is not None and spec.origin is not None:
        pattern = "*/scripts/addons_core/bl_pkg/cli/blender_ext.py"
        for script in Path(spec.origin).parent.glob(pattern):
            found.append([sys.executable, str(script), "validate"])
    return found


def main() -> None:
    """Build, validate with whatever Blender there is, say so."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output-dir", type=Path, default=ROOT / "dist")
    parser.add_argument("--blender")
    options = parser.parse_args()
    target = build(options.output_dir)
    commands = validators(options.blender)
    for command in commands:
        subprocess.run([*command, str(target)], check=True)
    checked = f"validated {len(commands)} times" if commands else "not validated: no Blender here"
    print(f"{target}: {target.stat().st_size:,} bytes, {checked}")


if __name__ == "__main__":
    main()
