"""Retargeting from a real Rigify rig, scaled and moved away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.core.conventions import MANO_JOINTS


def test_a_rigify_rig_s_fingers_move_ours(blender, hand_file: Path) -> None:
    report = blender.run("retarget", hand_file)
    assert "no other armature" in report["alone"]
    moved = dict(zip(MANO_JOINTS, report["moved"]))
    assert moved.pop("index2") == pytest.approx(50, abs=0.5)
    assert moved.pop("ring1") == pytest.approx(30, abs=0.5)
    assert max(moved.values()) < 0.5
    assert np.max(report["rest"]) < 60, "the rest is an open, slightly bent hand"
