"""Splats that Blender's own geometry nodes bind to the skin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.avatar import Avatar
from hand_toolkit.core.conventions import SH_C0


def test_binding_by_geometry_nodes(blender, hand_file: Path, tmp_path: Path) -> None:
    arrays = tmp_path / "splats.npz"
    report = blender.run("splats", hand_file, arrays)
    avatar = Avatar.load(hand_file)
    with np.load(arrays) as found:
        for side in avatar.sides:
            ours = avatar.splats({side: found["theta"]}, {side: np.array([0.02, 0.01, -0.03])})
            assert np.abs(found[f"{side}.position"] - ours.means).max() < 2e-6
            assert np.abs(found[f"{side}.scale"] - ours.scales).max() < 1e-6
            same = np.abs(np.sum(found[f"{side}.rotation"] * ours.quats, axis=1))
            assert (1 - same).max() < 1e-5
            base = found[f"{side}.base"]
            assert np.allclose(0.5 + SH_C0 * base[:, :3], ours.colors, atol=1e-6)
            assert np.allclose(base[:, 3], ours.opacities)
    low, high = report["shape_key"]
    assert abs(low - 0.01) < 0.004 and abs(high - 0.01) < 0.004
    assert report["native"] == ("native_pictures" in report)
    for found in report.get("native_pictures", ()):
        print(f"Blender's own splats against ours: {found}")
        assert found["shown"] > 0.03 and found["psnr_db"] > 28
        assert found["area"] == pytest.approx(1, abs=0.08) and abs(found["darker"]) < 0.02
    print(f"{report['splats']} splats: {report['update_ms']:.1f} ms an update")
