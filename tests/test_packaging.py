"""The built wheel, installed in a clean environment, is the whole toolkit and nothing else."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from environments import ROOT, pip, run, virtual_environment

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

FOLDERS = {"hand_toolkit": "hand_toolkit", "hand_toolkit_plugins": "plugins",
           "hand_toolkit_exporters": "exporters"}  # fmt: skip
DATA = {".npz", ".safetensors", ".png", ".jpg", ".jpeg", ".json", ".html", ".js", ".css", ".typed"}
BUILTIN = {
    "pose_sources": ["file", "hhmr", "mediapipe", "network"],
    "segmenters": ["grabcut", "network"],
    "hand_models": ["default", "default_1", "default_2", "default_arm", "mano"],
    "methods": ["igsn", "texture", "xhand"],
    "exporters": ["bvh", "fbx", "glb", "npz", "obj", "ply", "sog", "splat", "spz", "usd", "vrm"],
    "trainings": ["eyes", "hhmr", "igsn", "im2hands"],
    "image_generators": ["diffusers"],
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git knows or would add, so that no build output is left here."""
    source = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-co", "--exclude-standard", "-z", cwd=ROOT)
    for name in listed.split("\0"):
        top = name.split("/", 1)[0]
        wanted = top in (*FOLDERS.values(), "pyproject.toml", "README.md", "LICENSE")
        if wanted and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    target = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", "--wheel-dir", target, source)  # fmt: skip
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a clean environment with the wheel."""
    python = virtual_environment(tmp_path_factory.mktemp("clean") / "venv")
    pip(python, "install", "--no-deps", "--no-index", wheel)
    return python


def ask(python: Path, code: str) -> object:
    return json.loads(run(python, "-I", "-c", f"import json\n{code}", cwd=python.parent))


def test_packages_are_listed_as_they_are_on_disk() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = config["tool"]["setuptools"]["packages"]
    on_disk = {
        ".".join((package, *path.parent.relative_to(ROOT / folder).parts))
        for package, folder in FOLDERS.items()
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert len(set(listed)) == len(listed)
    assert set(listed) == on_disk


def test_every_module_and_data_file_is_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    expected = {
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for package, folder in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix == ".py" or path.suffix in DATA or path.name == "py.typed"
    }
    assert sorted(expected - inside) == []
    for name in ("hand_toolkit/hand_model/default_hand.npz", "hand_toolkit/py.typed"):
        assert name in inside
    assert any(name.endswith("licenses/LICENSE") for name in inside)


def test_nothing_else_is_installed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/", 1)[0] for name in archive.namelist()}
    info = {top for top in tops if top.endswith(".dist-info")}
    assert len(info) == 1
    assert tops - info == set(FOLDERS)


def test_it_is_the_wheel_that_runs(installed: Path) -> None:
    code = (
        "import hand_toolkit, hand_toolkit_plugins, hand_toolkit_exporters\n"
        "print(json.dumps([m.__file__ for m in "
        "(hand_toolkit, hand_toolkit_plugins, hand_toolkit_exporters)]))"
    )
    files = ask(installed, code)
    assert isinstance(files, list)
    for file in files:
        assert str(ROOT) not in file
        assert Path(file).is_relative_to(installed.parents[1])


def test_every_built_in_plugin_is_found(installed: Path) -> None:
    code = (
        "from hand_toolkit.core.registry import KINDS, registry\n"
        "found = registry()\n"
        "print(json.dumps([{k: found.names(k) for k in KINDS}, "
        "[p.error for p in found.plugins if p.error]]))"
    )
    assert ask(installed, code) == [BUILTIN, []]


def test_the_command_and_the_shipped_data_work(installed: Path) -> None:
    command = installed.with_name("hand-toolkit")
    text = run(command, "plugins")
    for names in BUILTIN.values():
        assert all(name in text for name in names)
    code = (
        "from hand_toolkit.hand_model import load_hand_model\n"
        "print(json.dumps([len(load_hand_model('default', s).template) "
        "for s in ('right', 'left')]))"
    )
    counts = ask(installed, code)
    assert isinstance(counts, list)
    assert counts[0] == counts[1] > 700


def normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~;\[ ]", name)[0]).lower()


def project() -> dict[str, Any]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text)["project"])


def test_every_dependency_is_pinned_and_no_pin_is_a_path() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    for pin in pins:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+(; python_version .*)?", pin), pin
    asked = [*project()["dependencies"]]
    for wanted in project()["optional-dependencies"].values():
        asked += wanted
    assert {normal(name) for name in asked} <= {normal(pin) for pin in pins}


def test_errors_name_extras_that_bring_what_is_missing() -> None:
    extras = project()["optional-dependencies"]
    call = re.compile(r'missing_dependency\(\s*"[^"]+",\s*"([^"]+)",\s*"([^"]+)"')
    found = [
        match.groups()
        for folder in FOLDERS.values()
        for path in (ROOT / folder).rglob("*.py")
        for match in call.finditer(path.read_text(encoding="utf-8"))
    ]
    assert len(found) >= 5
    for package, extra in found:
        assert extra in extras, f"an error tells to install hand-toolkit[{extra}]"
        assert normal(package) in {normal(name) for name in extras[extra]}, f"{extra}: {package}"
