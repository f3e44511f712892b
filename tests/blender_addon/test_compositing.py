"""Hands and Cycles objects in one picture, joined by depth, over an animation."""

from __future__ import annotations

from pathlib import Path


def test_compositing_with_cycles(blender, hand_file: Path) -> None:
    report = blender.run("compositing", hand_file, "CYCLES", timeout=400)
    assert min(report["moves"]) > 0.01, "the three keyed poses differ in the picture"
    assert report["bar_before_right"] and not report["bar_before_left"]
    green, skin = report["row_right"]
    assert green == 33 and skin == 0, "the near half of the bar hides the right hand"
    green, skin = report["row_left"]
    assert green == 0 and skin == 33, "the left hand hides the far half of the bar"
    assert min(report["green"]) > 300 and min(report["skin"]) > 2000
