"""'Set up for me' with a stand-in wheel: the real one downloads a gigabyte."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

UV = '#!/bin/sh\necho "uv was asked: $*"\nexit 7\n'
"""A uv that says what it was asked and fails."""


def make_wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    """A wheel of ``files``."""
    path = folder / f"{name}-0.0.1-py3-none-any.whl"
    info = f"{name}-0.0.1.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in files)
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            entry = zipfile.ZipInfo(file)
            entry.external_attr = (0o100755 if "/scripts/" in file else 0o100644) << 16
            archive.writestr(entry, text)
    return path


@pytest.fixture(scope="module")
def fake_uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a uv."""
    folder = tmp_path_factory.mktemp("uv")
    program = folder / "uv"
    program.write_text(UV, encoding="utf-8")
    program.chmod(0o755)
    return folder


def test_set_up(blender, hand_file: Path, tmp_path: Path, fake_uv: Path) -> None:
    files = {"hand_toolkit/__init__.py": "", "hand_toolkit/worker/__init__.py": ""}
    wheel = make_wheel(tmp_path, "hand_toolkit", files)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    make_wheel(shelf, "uv", {"uv-0.0.1.data/scripts/uv": UV})
    report = blender.run("setup", wheel, hand_file, wheel, fake_uv, shelf, timeout=900)
    assert "not set up yet; press 'Set up for me'" in report["unset"]
    assert "Set-up failed" in report["bad_source"] and report["bad_source"].count("\n") == 0
    assert report["cancelled"] == "Set-up cancelled"
    assert report["lines"][-2:] == ["The toolkit is ready", "Done. Press Test Connection."]
    assert report["python"].startswith(str(blender.folder / "environment"))
    assert any("updating it" in line for line in report["second_log"])
    asked = next(line for line in report["uv_log"] if line.startswith("uv was asked"))
    assert "venv" in asked and "--python 3.11" in asked and "with_uv" in asked
    assert "Set-up failed" in report["uv"]
    log = report["fetched_log"]
    assert "Fetching uv" in log and any("Successfully installed uv" in line for line in log)
    asked = next(line for line in log if line.startswith("uv was asked"))
    assert "--python 3.11" in asked and "fetched_uv" in asked
    assert "Set-up failed at 'uv'" in report["fetched"]
