"""Imports point one way: low layers never import higher ones."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hand_toolkit"

LAYERS = (
    ("_moved", "core", "geometry"),
    ("learn", "jobs"),
    ("hand_model",),
    ("avatar", "media"),
    ("animate", "see"),
    ("render", "pose"),
    ("export",),
    ("synth",),
    ("skin", "view", "pictures"),
    ("systems",),
    ("pipeline", "testing"),
    ("worker",),
    ("cli",),
)
"""Low to high; a module may import, at module level, from its own row and the rows above it."""

RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
HEAVY = ("torch", "gsplat", "mediapipe", "cv2", "bpy", "pxr", "scipy", "numba", "viser", "av",
         "trimesh", "smplx", "PIL", "safetensors", "pygltflib", "accelerate")  # fmt: skip


def _own_imports(path: Path) -> set[str]:
    """First-level names under hand_toolkit that a file imports when it is imported."""
    package = ("hand_toolkit", *path.relative_to(PACKAGE).parent.parts)
    names: set[str] = set()
    for node in _module_level(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            full = (*base, *(node.module or "").split(".")) if node.module else tuple(base)
            if full[:1] != ("hand_toolkit",):
                continue
            names |= {full[1]} if len(full) > 1 else {a.name for a in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "hand_toolkit" and len(parts) > 1:
                    names.add(parts[1])
    return names


def _module_level(tree: ast.Module) -> list[ast.stmt]:
    """Statements that run at import; what is only for type checkers is left out."""
    found: list[ast.stmt] = []
    queue = list(tree.body)
    while queue:
        node = queue.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            queue += node.orelse
            continue
        found.append(node)
        for name in ("body", "orelse", "finalbody"):
            queue += getattr(node, name, [])
        for handler in getattr(node, "handlers", []):
            queue += handler.body
    return found


def _modules() -> list[Path]:
    return [p for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in RANK, f"{own} has no layer; add it to LAYERS"
    for name in _own_imports(path):
        if name.startswith("__"):
            continue
        assert name in RANK, f"{name} has no layer; add it to LAYERS"
        assert RANK[name] <= RANK[own], f"{own} (layer {RANK[own]}) imports {name} above it"


@pytest.mark.parametrize("module", ["hand_toolkit", "hand_toolkit.cli", "hand_toolkit.render"])
def test_nothing_heavy_is_imported_at_start(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout.strip() == "[]"


def test_every_public_name_exists_and_is_documented() -> None:
    import hand_toolkit

    for name in hand_toolkit.__all__:
        item = getattr(hand_toolkit, name)
        assert item is not None
        if not isinstance(item, str) and type(item).__module__ != "pluggy._hooks":
            assert (item.__doc__ or "").strip(), f"{name} has no docstring"


def test_modules_stay_readable() -> None:
    long = {
        str(p.relative_to(PACKAGE)): n
        for p in PACKAGE.rglob("*.py")
        if (n := len(p.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long, f"split modules past 500 lines: {long}"
