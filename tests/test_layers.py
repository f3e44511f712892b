"""Imports point one way: low layers never import higher ones."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "hand_toolkit"
PACKAGES = (
    ("hand_toolkit", PACKAGE),
    ("hand_toolkit_plugins", ROOT / "plugins"),
    ("hand_toolkit_exporters", ROOT / "exporters"),
    ("blender_addon", ROOT / "blender_addon"),
)

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
    ("edit", "live"),
    ("systems",),
    ("pipeline", "testing"),
    ("batch", "worker"),
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


def _package_imports(name: str, folder: Path) -> dict[str, set[str]]:
    """Module -> modules of the same package that it imports anywhere, also inside functions."""
    files = {}
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).with_suffix("").parts
        files[".".join((name, *(p for p in parts if p != "__init__")))] = path
    graph = {}
    for module, path in files.items():
        package = module.split(".")[: None if path.name == "__init__.py" else -1]
        found: set[str] = set()
        for node in _for_the_program(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
                continue
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in files else base)
        graph[module] = {f for f in found if f in files and f != module}
    return graph


def _for_the_program(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """All import statements but those for type checkers."""
    queue: list[ast.AST] = [tree]
    while queue:
        node = queue.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        queue += node.orelse if typing_only else ast.iter_child_nodes(node)


@pytest.mark.parametrize(("name", "folder"), PACKAGES, ids=[name for name, _ in PACKAGES])
def test_no_imports_run_in_a_circle(name: str, folder: Path) -> None:
    """Two modules that need each other are one concept, or share a third; lazy imports, too."""
    graph = _package_imports(name, folder)
    # what is imported by nothing that is left, or imports nothing, is in no circle
    while loose := [m for m, used in graph.items() if not used & graph.keys()]:
        for module in loose:
            del graph[module]
    used_by_all = set().union(*graph.values()) if graph else set()
    circle = sorted(m for m in graph if m in used_by_all)
    assert not circle, f"imports run in a circle through some of: {', '.join(circle)}"


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
