"""Hands on other people's bodies, and around their objects."""

from __future__ import annotations

import numpy as np

from hand_toolkit.testing.avatars import procedural_avatar


def test_attached_to_a_body_and_closed_around_a_cup(blender, tmp_path) -> None:
    path = tmp_path / "arms.hand"
    procedural_avatar(3, hand_model="default_arm").save(path)
    report = blender.run("body", path)
    assert "no body's armature" in report["no body"] and "is on no body" in report["detach twice"]
    for side in ("right", "left"):
        hand = report[side]
        assert hand["wrist"] < 1e-4 and hand["knuckle"] < 4e-3
        assert hand["thumb"] < -0.02, "the thumb is on the index finger's side"
        assert np.allclose(hand["palm"], [0, 0, -1], atol=0.12) or hand["palm"][2] < -0.05
        assert hand["parent"] == ["Body", f"hand.{side[0].upper()}"]
    assert report["found"] == [True, True] and report["detached"]
    assert report["follows"] < 1e-4 and report["forearm"] < 0.5
    assert abs(report["share of the forearm"] - 1 / 1.35) < 0.01
    assert "select the object" in report["nothing chosen"]
    assert report["closed"] > 0.4 and report["wrist kept"] < 1e-5
    assert report["nearest_mm"] > -0.8
    assert sum(gap < 2.0 for gap in report["fingers_mm"].values()) >= 3
