"""Menus that the toolkit fills after a script has chosen, and files that are there already."""

from __future__ import annotations

from pathlib import Path


def test_a_script_gets_the_format_that_it_names(blender, hand_file: Path) -> None:
    report = blender.run("names", hand_file)
    assert report["heads"] == ["glTF", "HIER", "glTF"]
    assert report["asked"][-1], "the toolkit's own list came in between"
    names = [Path(path).name for path in report["free"]]
    assert names == ["photo.hand", "photo_2.hand"]
