"""Keyed hands that go through each other, repaired in Blender."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hand_toolkit.animate.builtin import keyed_clasp
from hand_toolkit.pose.parting import HandPair


def test_keyed_frames_are_parted(blender, hand_file: Path, tmp_path: Path) -> None:
    clasp = keyed_clasp()
    part = slice(46, 52)
    motion = tmp_path / "motion.npz"
    np.savez(motion, theta=clasp.theta[part], where=clasp.translation[part])
    report = blender.run("contact", hand_file, motion)
    assert report["apart"] == [0, 0], "hands that do not cross get no keys"
    assert "before the first" in report["empty"]
    depth = {}
    for name in ("keyed", "repaired"):
        both = [report[name][side] for side in ("right", "left")]
        theta, place = (np.array([hand[k] for hand in both])[None] for k in (0, 1))
        depth[name] = HandPair(theta, place, np.array(report["shapes"])).crossing(0).depth_m
    assert depth["keyed"] > 5e-4
    assert depth["repaired"] < 0.4 * depth["keyed"]
