"""From the shipped picture through the real worker to frames, a .blend and a .glb."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def test_whole_way(blender, picture: Path) -> None:
    report = blender.run("whole", picture, timeout=900)
    assert report["sides"] == ["left", "right"] and report["observed"] == 1
    # joint limits, on from the start, end a preset that lies on one by less than .1 degrees
    assert report["keys_worst"] < 2e-3 and report["reopened_worst"] < 1e-4
    assert report["frames"] == 5
    assert min(report["covered"]) > 0.03 and min(report["changes"]) > 1e-3
    assert {"glb", "ply", "bvh"} <= set(report["formats"])
    assert report["glb"] > 100_000
    for side, sign in (("right", 1), ("left", -1)):
        palm, wrist, thumb = report["front"][side]
        assert palm > 0.9, "the palm looks away from the viewer, who looks along +y"
        assert sign * wrist > 0.1 and sign * thumb < sign * wrist
    assert len(report["reopened"]) == 2
    assert report["from_image"] < 0.2 and report["video_pose"] < 0.2, "radians, mean per axis"
    assert report["from_video"] == 3
    # the avatar in the photo's pose lies on the photo's hand
    photo = np.asarray(Image.open(picture).convert("RGB"), float) / 255
    drawn = np.asarray(Image.open(blender.folder / "as_photo.png").convert("RGBA"), float) / 255
    assert drawn.shape[:2] == photo.shape[:2]
    seen = drawn[..., 3] > 0.9
    assert seen.mean() > 0.05
    error = np.abs(drawn[..., :3] - photo)[seen].mean()
    print(f"mean colour error of the avatar over the photo: {error:.3f}")
    assert error < 0.08
