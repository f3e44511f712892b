"""Tone, lacquer, decals and paint from Blender's panel."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from hand_toolkit.avatar import Avatar


def test_edits(blender, hand_file: Path, tmp_path: Path) -> None:
    decal = tmp_path / "spot.png"
    Image.new("RGBA", (32, 32), (0, 0, 0, 255)).save(decal)
    report = blender.run("edits", hand_file, decal)
    assert "nothing was chosen" in report["nothing"]
    assert "monk scale has no '12'" in report["bad"]
    assert report["kept"] < 1e-5, "the pose stays"
    assert Avatar.load(report["path"]).provenance["edits"] == "tone monk:9; lacquer red"
    assert "right_albedo.png" in report["pictures"] and "right_guide.png" in report["pictures"]
    edits = Avatar.load(report["second"]).provenance["edits"]
    assert edits.startswith("tone monk:9; lacquer red; ink spot.png on the right palm")
    assert report["second"] != report["path"]
    third = Avatar.load(report["third"]).provenance["edits"]
    assert third.endswith("trust 0.2; painted out hand_paint_out.png")
