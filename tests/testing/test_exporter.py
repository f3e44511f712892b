"""The built-in exporters keep the contract, and the contract check sees what breaks it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hand_toolkit.export.base import ExportRequest, Option
from hand_toolkit.files import atomic_write
from hand_toolkit.registry import registry
from hand_toolkit.testing.exporter import check_exporter

BUILTIN = ["bvh", "fbx", "glb", "npz", "obj", "ply", "sog", "splat", "spz", "usd"]
STAMPED = {"fbx", "sog", "usd"}
"""Written by libraries that put the time into the file (usd: into the usdz archive)."""
PROGRAMS = Path(__file__).resolve().parents[1] / "interop" / "node_modules" / ".bin"


@pytest.mark.parametrize("name", BUILTIN)
def test_built_in_exporters_keep_the_contract(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(PROGRAMS), prepend=os.pathsep)
    exporter = registry().get("exporters", name)
    small = {"texture_size": 64} if any(o.name == "texture_size" for o in exporter.options) else {}
    check_exporter(exporter, tmp_path, options=small, same_bytes=name not in STAMPED)


def test_every_built_in_exporter_is_checked() -> None:
    assert registry().names("exporters") == BUILTIN


class Text:
    """A format that keeps the contract; each test below breaks one thing of it."""

    name = "text"
    description = "vertex counts"
    suffixes = (".txt",)
    contents = ("mesh",)
    animated = False
    options = (Option("loud", bool, False, "upper case"),)

    def write(self, request: ExportRequest) -> list[Path]:
        atomic_write(request.path, b"%d" % len(request.scene.hands))
        return [request.path]


def test_a_sound_exporter_passes(tmp_path: Path) -> None:
    check_exporter(Text(), tmp_path)


class LeavesRubbish(Text):
    def write(self, request: ExportRequest) -> list[Path]:
        request.path.with_name("cache.tmp").write_bytes(b"x")
        return super().write(request)


class Appends(Text):
    def write(self, request: ExportRequest) -> list[Path]:
        with request.path.open("r+b" if request.path.exists() else "wb") as file:
            file.write(b"mesh")
        return [request.path]


class Random(Text):
    count = 0

    def write(self, request: ExportRequest) -> list[Path]:
        Random.count += 1
        atomic_write(request.path, b"%d" % Random.count)
        return [request.path]


class ReturnsNothing(Text):
    def write(self, request: ExportRequest) -> list[Path]:
        super().write(request)
        return []


class ChangesTheScene(Text):
    def write(self, request: ExportRequest) -> list[Path]:
        request.scene.hands[0].theta[:] += 0.3
        return super().write(request)


class BadDefault(Text):
    options = (Option("level", int, 9, "detail", minimum=0, maximum=4),)


class OddSuffix(Text):
    suffixes = ("TXT",)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (LeavesRubbish, "did not return it"),
        (Appends, "an old file was not replaced"),
        (Random, "other bytes the second time"),
        (ReturnsNothing, "no list"),
        (ChangesTheScene, "changed the scene"),
        (BadDefault, "refuses its own default"),
        (OddSuffix, "start with a dot"),
    ],
)
def test_broken_exporters_are_seen(broken: type[Text], words: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=words):
        check_exporter(broken(), tmp_path)
