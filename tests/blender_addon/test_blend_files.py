"""What a .blend keeps, libraries, several avatars, undo."""

from __future__ import annotations

from pathlib import Path

from hand_toolkit.animate import builtin_motion, save_motion
from hand_toolkit.testing.avatars import procedural_avatar


def test_files(blender, hand_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.hand"
    procedural_avatar(9, limit=4000).save(other)
    motion = tmp_path / "motion.npz"
    save_motion(builtin_motion("wave"), motion)
    report = blender.run("files", hand_file, other, motion, timeout=900)
    assert report["unsaved_path"].endswith("/project/avatars/me.hand")
    assert report["saved_path"] == "//avatars/me.hand"
    assert report["copied_path"] == "//../../moved/avatars/me.hand"
    for name in ("reopened", "packed", "appended", "linked"):
        assert report[name] < 1e-5, name
    assert "make a library override" in report["override"]["refused"]
    assert report["override"]["same"] < 1e-5 and report["override"]["moved"] > 0.01
    assert "me.hand is missing" in report["gone"]
    assert "has changed since it was imported" in report["changed"]
    assert min(report["two"]) > 500
    assert report["replaced"] < 1e-4
    unchanged = [name for name in report["undo"] if name.endswith("(no change)")]
    assert unchanged == [], "every one of them changes something"
    assert len(report["undo"]) == 21
