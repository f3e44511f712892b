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
    assert report["ik_preset"] < 0.4 and report["ik_rest"] < 0.02
    assert report["few_keys"] < 25 and report["few_keys_degrees"] < 0.6

    avatar = Avatar.load(hand_file)
    with np.load(posed) as arrays:
        for side in avatar.sides:
            ours = avatar.mesh(side, arrays["theta"], np.array([0.1, 0.2, 0.3]))
            assert np.abs(arrays[side] - ours).max() < 5e-6, "Blender's skinning differs"


def test_in_an_artists_own_file(blender, hand_file: Path) -> None:
    """On a body, bones renamed, baked, instanced, in centimetres, scaled, mirrored, subdivided."""
    report = blender.run("own", hand_file, timeout=900)
    kept, again, bent = report["baked"]
    assert kept < 1e-3 and again < 1e-3 and bent > 0.3
    assert report["removed"] < 1e-5
    instance = report["instance"]
    assert "make a library override" in instance["pose"]
    assert abs(instance["camera"][0] - 3.0) < 0.2 and instance["shown"] > 0.05
    assert not any(instance["hidden"]) and all(instance["seen"]) and len(instance["seen"]) == 2
    metres, centimetres = report["units"]
    assert abs(metres["span"] - centimetres["span"]) < 1e-5 and 0.15 < metres["span"] < 0.25
    assert np.allclose(metres["wrist"], centimetres["wrist"], atol=1e-6)
    with (
        np.load(blender.folder / "units_1.0.npz") as one,
        np.load(blender.folder / "units_0.01.npz") as other,
    ):
        for light in ("PHOTO", "SCENE"):
            assert one[light][..., 3].mean() > 0.02
            assert np.abs(one[light] - other[light]).mean() < 1e-4, light
    assert max(report["modifiers"][kind] for kind in ("SUBSURF", "SOLIDIFY")) < 0.02
    assert "takes vertices away" in report["modifiers"]["refused"]
    for light in ("PHOTO", "SCENE"):
        large, mirrored = report["scaled"][light]
        assert large < 1e-3 and mirrored < 0.01, light
    assert "mirrored by a negative scale" in report["scaled"]["export"]


def test_a_forearm_bends_at_the_wrist(blender, tmp_path: Path) -> None:
    from hand_toolkit.testing.avatars import procedural_avatar

    path, posed = tmp_path / "arms.hand", tmp_path / "posed.npz"
    procedural_avatar(3, hand_model="default_arm").save(path)
    report = blender.run("arm", path, posed)
    assert report["names"] == ["forearm.R", "forearm_mid.R", "forearm_twist.R"]
    assert report["theta"] < 1e-5 and report["keyed"] < 1e-4
    assert report["exported"] == [17, 3]
    assert max(report["hold jump"], report["held"], report["let go jump"]) < 1e-5
    avatar = Avatar.load(path)
    with np.load(posed) as arrays:
        for side in avatar.sides:
            ours = avatar.mesh(side, arrays["theta"], np.array([0.1, 0.2, 0.3]))
            off = np.linalg.norm(arrays[side] - ours, axis=1)
            # where fingers and forearm pull at the same skin the two add up differently
            assert off.max() < 2e-3 and np.mean(off > 1e-5) < 0.06, "Blender's skinning differs"
