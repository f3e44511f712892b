"""Light "from this scene" against Cycles."""

from __future__ import annotations

import pytest


def test_lights_match_cycles(blender) -> None:
    report = blender.run("lights")
    for name in ("world", "sun", "point", "spot", "area", "picture", "turned"):
        assert report[name]["brightness"] == pytest.approx(1, abs=0.06), name
        # second-order harmonics leave 9% of a directional light's energy out
        assert report[name]["mean"] < 0.12, name
    for name in ("table", "glow"):
        # what a mesh throws back or emits, which is no small part here
        assert report[name]["thrown"] > 0.1, name
        assert report[name]["brightness"] == pytest.approx(1, abs=0.1), name
    assert report["sun"]["thrown"] == 0.0
