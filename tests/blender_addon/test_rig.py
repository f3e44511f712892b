"""The MANO armature: names, θ in and out, controls on top."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hand_toolkit.avatar import Avatar
from hand_toolkit.core.conventions import MANO_JOINTS


def test_rig(blender, hand_file: Path, tmp_path: Path) -> None:
    posed = tmp_path / "posed.npz"
    report = blender.run("rig", hand_file, posed)
    for side, suffix in (("right", ".R"), ("left", ".L")):
        assert report["bones"][side] == [name + suffix for name in MANO_JOINTS]
    for name, error in report["worst"].items():
        assert error < 1e-4, f"{name}: θ came back {error} rad off"
    assert -6 < report["limited_degrees"] < -4
    assert report["inside_limits"] < 1e-4
    assert report["mirrored_limits"] < 1e-4
    assert report["ik_gap_mm"] < 1.0

    avatar = Avatar.load(hand_file)
    with np.load(posed) as arrays:
        for side in avatar.sides:
            ours = avatar.mesh(side, arrays["theta"], np.array([0.1, 0.2, 0.3]))
            assert np.abs(arrays[side] - ours).max() < 5e-6, "Blender's skinning differs"
