"""The zip, the manifest, and the extension's imports and types."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADDON = ROOT / "blender_addon"
ALLOWED = {"bpy", "bpy_extras", "bmesh", "gpu", "gpu_extras", "mathutils", "numpy"}


def test_zip_is_valid_and_reproducible(tmp_path: Path) -> None:
    built = []
    for name in ("a", "b"):
        done = subprocess.run(
            [
                *(sys.executable, str(ROOT / "scripts" / "build_extension.py")),
                *("--output-dir", str(tmp_path / name)),
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "validated" in done.stdout and "not validated" not in done.stdout, done.stdout
        built.append(next((tmp_path / name).glob("*.zip")))
    assert built[0].read_bytes() == built[1].read_bytes()
    names = zipfile.ZipFile(built[0]).namelist()
    assert {"blender_manifest.toml", "__init__.py", "LICENSE.txt"} <= set(names)
    assert not [n for n in names if "__pycache__" in n or n.endswith((".whl", ".so", ".npz"))]
    assert built[0].stat().st_size < 300_000


@pytest.mark.parametrize("path", sorted(ADDON.glob("*.py")), ids=lambda p: p.name)
def test_imports_only_bpy_numpy_and_the_standard_library(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            assert top in ALLOWED or top in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_every_operator_has_a_tooltip() -> None:
    for path in ADDON.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and "_OT_" in node.name:
                given = {t.id for a in node.body if isinstance(a, ast.Assign) for t in a.targets}
                assert {"bl_idname", "bl_label", "bl_description"} <= given, node.name


@pytest.mark.slow
def test_types_against_the_newest_api() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "check_extension_types.py")],
        check=False,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
