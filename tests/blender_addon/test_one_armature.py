"""Both hands in one armature."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hand_toolkit.avatar import Avatar
from hand_toolkit.testing.avatars import procedural_avatar


def test_both_hands_in_one_armature(blender, hand_file: Path, tmp_path: Path) -> None:
    posed = tmp_path / "posed.npz"
    report = blender.run("pair", hand_file, posed, 0)
    nothing, cube, room = report["hidden by"]
    assert not nothing and not room
    assert len(cube) == 1 and "stands inside 'Cube'" in cube[0]
    right, left = report["standing"]
    assert abs(right + left) < 1e-6 and abs(right) > 0.1
    assert np.allclose(report["rested"], report["standing"], atol=1e-6)
    for name in ("mirrored rest", "theta", "fists", "flipped", "flipped place", "live", "shaped"):
        assert report[name] < 1e-5, name
    for name in ("keyed", "exported", "replaced", "detached"):
        assert report[name] < 2e-4, name
    assert report["on the body 0.0"] < 4e-3 and report["on the body 0.7"] < 4e-3
    assert max(report["ik_mm"]) < 1.0 and report["grew"] > 1.01
    avatar = Avatar.load(hand_file)
    with np.load(posed) as arrays:
        for side in avatar.sides:
            place = np.array([0.1, 0.2, 0.3])
            ours = avatar.mesh(side, arrays[f"{side}_theta"], place)
            assert np.abs(arrays[side] - ours).max() < 5e-6, "Blender's skinning differs"


def test_arms_in_one_armature(blender, tmp_path: Path) -> None:
    path = tmp_path / "arms.hand"
    procedural_avatar(3, hand_model="default_arm").save(path)
    report = blender.run("pair", path, tmp_path / "posed.npz", 6)
    for name in ("mirrored rest", "theta", "flipped", "shaped"):
        assert report[name] < 1e-5, name
    assert report["on the body 0.7"] < 4e-3 and report["detached"] < 2e-4
