"""The contract check for exporters sees what breaks the contract."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.registry import registry
from hand_toolkit.export.base import ExportRequest, Option
from hand_toolkit.testing.exporter import check_exporter

PROGRAMS = Path(__file__).resolve().parents[1] / "interop" / "node_modules" / ".bin"


def test_sog_keeps_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are checked in tests/exporters; this one needs a program from npm."""
    if not (PROGRAMS / "splat-transform").exists():
        pytest.skip("splat-transform is not installed")
    monkeypatch.setenv("PATH", str(PROGRAMS), prepend=os.pathsep)
    check_exporter(registry().get("exporters", "sog"), tmp_path, same_bytes=False)


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
