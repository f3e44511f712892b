"""The render engine against the toolkit itself, the proxy mesh, and what artists expect."""

from __future__ import annotations

from pathlib import Path

import comparisons
import pytest


@pytest.fixture(scope="module")
def engine(blender, hand_file: Path) -> dict:
    return blender.run("engine", hand_file, timeout=900)


def test_projection_is_blenders_own(engine: dict) -> None:
    """Lens, shift, sensor fit, pixel aspect, resolution percentage; pixels and millimetres."""
    assert engine["projection"]["PERSP"] < 0.01
    assert engine["projection"]["ORTHO"] < 0.5, "a parallel view is a pinhole from far away"


def test_framing(engine: dict) -> None:
    """*Frame Hands* shows all of the hands, large, whatever the camera."""
    framed = engine["framed"]
    assert framed.pop("far") < 0.1, "a camera twelve metres away hardly sees a hand"
    assert set(framed) == {"front", "above", "parallel", "new"}
    for name, (low, high, span) in framed.items():
        assert low > 0.02 and high < 0.98, (name, low, high)
        assert span > 0.5, (name, span)


def test_picture_is_the_toolkits(engine: dict, blender, hand_file: Path) -> None:
    """PSNR of the saved PNG against ``hand-toolkit render`` with the same camera and θ."""
    found = comparisons.pictures(blender.folder, hand_file)
    print(f"engine against hand-toolkit render: {found.psnr_db:.1f} dB inside the hands")
    assert found.shown > 0.05
    assert found.psnr_db >= 45
    assert found.alpha <= 2 / 255


def test_depth_is_the_meshs(engine: dict, blender) -> None:
    """Median and 95th percentile of the distance to the proxy mesh inside the silhouette."""
    found = comparisons.depths(blender.folder)
    print(
        f"depth against the mesh: median {found.median_m * 1e3:.5f} mm, "
        f"95% within {found.most_m * 1e3:.5f} mm"
    )
    assert found.count > 8000
    assert found.most_m < 0.002 and found.median_m < 2e-5
    assert found.flat_share > 0.75
    assert found.flat_m < 0.002
    assert found.empty


def test_frame(engine: dict) -> None:
    assert engine["engine_equals_frame"] == 0
    assert engine["border"] < 1e-5 and engine["border_uncropped"] < 1e-5
    assert engine["tone"] == pytest.approx(0.5, abs=0.02)
    assert "vertices" in engine["bad_mesh"]
    assert engine["shape_key_moves"] > 1e-3


def test_motion_blur(engine: dict) -> None:
    soft, hard = engine["blur"]
    assert soft > 3 * hard
    assert engine["still"] < 1e-5, "the hand at rest stays sharp"
    assert engine["blur_mass"] == pytest.approx(1, abs=0.03)
