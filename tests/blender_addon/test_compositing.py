"""Hands and Cycles objects in one picture, joined by depth, over an animation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


def test_compositing_with_cycles(blender, hand_file: Path) -> None:
    report = blender.run("compositing", hand_file, "CYCLES", timeout=900)
    check(report)
    first, second = report["followed"]
    assert first["size"] == second["size"] == [120, 160, 4]
    assert second["skin"] - first["skin"] == pytest.approx(-8, abs=1.5)
    assert second["bar"] < first["bar"] - 2, "which the frame cuts off on the left"


def test_compositing_of_an_avatar_from_the_picture(blender, picture: Path) -> None:
    """Created by the real worker, three keyed poses, a bar of Cycles through both hands."""
    made = blender.folder / "made.hand"
    blender.run("make", picture, made)
    check(blender.run("compositing", made, "CYCLES", timeout=900))


def test_the_artists_scene_stays(blender, hand_file: Path) -> None:
    """Sky, glare, view layers, film: kept while joined, and everything back after *Remove*."""
    report = blender.run("artist", hand_file, timeout=900)
    assert report["changed"] == [] and report["not_back"] == [] == report["not_back_either"]
    assert report["visible_after"] and not report["hidden_before"]
    assert report["sky"] < 1e-5 and report["alpha"] == 1 and report["again"] < 1e-5
    assert report["hands"] > 0.03 and report["plain"] == pytest.approx(report["hands"], abs=0.02)
    assert report["scenes"] == ["Scene"] and report["plain_left"] == []
    assert report["film"] is False and report["engine"] == "CYCLES"
    left, right = report["layer"] if report["left_is_left"] else report["layer"][::-1]
    assert left > 500 and right == 0, "the second view layer has only the left hand"
    for mode in ("OFFAXIS", "PARALLEL", "TOE"):
        ours, theirs = report["stereo"][f"{mode} HAND_TOOLKIT"], report["stereo"][f"{mode} CYCLES"]
        assert ours == pytest.approx(theirs, abs=1.0), "pixels, of 2 to 20 between the eyes"
        assert abs(ours[1] - ours[0]) > 2

    with np.load(blender.folder / "edges.npz") as found:
        for name in ("sharp", "blurred"):
            mesh, ours = found[f"{name}_mesh"], found[f"{name}_ours"]
            assert ours.sum() / mesh.sum() == pytest.approx(1, abs=0.015), "no fringe"
            soft = ((mesh > 0.02) & (mesh < 0.98)) | ((ours > 0.02) & (ours < 0.98))
            assert np.abs(mesh - ours)[soft].mean() < 0.1, "as soft as Cycles' edges"
            assert np.abs(mesh - ours)[~soft].mean() < 0.002
        wide = ((found["blurred_ours"] > 0.1) & (found["blurred_ours"] < 0.9)).mean()
        assert wide > 0.05, "out of focus"


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
