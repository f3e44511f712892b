"""Hands and Cycles objects in one picture, joined by depth, over an animation."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_compositing_with_cycles(blender, hand_file: Path) -> None:
    report = blender.run("compositing", hand_file, "CYCLES", timeout=400)
    check(report)
    first, second = report["followed"]
    assert first["size"] == second["size"] == [120, 160, 4]
    assert second["skin"] - first["skin"] == pytest.approx(-8, abs=1.5)
    assert second["bar"] < first["bar"] - 2, "which the frame cuts off on the left"


def test_compositing_of_an_avatar_from_the_picture(blender, picture: Path) -> None:
    """Created by the real worker, three keyed poses, a bar of Cycles through both hands."""
    made = blender.folder / "made.hand"
    blender.run("make", picture, made)
    check(blender.run("compositing", made, "CYCLES", timeout=400))


def check(report: dict) -> None:
    """The bar hides what is behind it and is hidden by what is before it."""
    assert min(report["moves"]) > 0.01, "the three keyed poses differ in the picture"
    near, far = ("right", "left") if report["right_is_left"] else ("left", "right")
    assert report[f"bar_before_{near}"] and not report[f"bar_before_{far}"]
    green, skin = report[f"row_{near}"]
    assert green == 33 and skin == 0, "the near half of the bar hides the hand on the left"
    green, skin = report[f"row_{far}"]
    assert green == 0 and skin == 33, "the hand on the right hides the far half of the bar"
    assert min(report["green"]) > 300 and min(report["skin"]) > 2000
