"""Laid splats draw the mesh: its outline, and the texture that it wears."""

from __future__ import annotations

import numpy as np
import pytest

from hand_toolkit.animate import finger_pose
from hand_toolkit.avatar import display_theta
from hand_toolkit.core.cameras import look_at
from hand_toolkit.skin.template import template_log_albedo
from hand_toolkit.testing.look import detail_correlation, laid_avatar, outline_offset_px


@pytest.mark.parametrize(("size", "fingers", "turn"), [(256, None, 0.4), (512, "fist", 3.0)])
@pytest.mark.parametrize("per_face", [4, 16])
def test_the_outline_is_the_meshs_within_half_a_pixel(
    per_face: int, size: int, fingers: str | None, turn: float
) -> None:
    avatar = laid_avatar(per_face)
    theta = display_theta("right", finger_pose(fingers) if fingers else None)
    vertices = avatar.mesh("right", theta)
    centre = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    distance = 4 * np.linalg.norm(vertices - centre, axis=1).max()
    eye = centre + distance * np.array([np.sin(turn), 0, -np.cos(turn)])
    camera = look_at(eye, centre, size, size, 0.52)
    # half a pixel; sixteen splats a triangle at 256 pixels measure 0.502
    assert abs(outline_offset_px(avatar, {"right": theta}, camera)) < 0.51


def test_sixteen_splats_a_triangle_show_the_textures_detail() -> None:
    def albedo(uv: np.ndarray) -> np.ndarray:
        return 0.35 * np.exp(template_log_albedo(uv, 0.3))

    theta = display_theta("right")
    tip = laid_avatar(1).mesh("right", theta)
    centre = tip[tip[:, 1].argmin()] + [0, 0.03, 0]
    camera = look_at(centre - [0, 0, 0.3], centre, 300, 300, 0.25)
    found = {}
    for per_face in (4, 16):
        avatar = laid_avatar(per_face, albedo)
        found[per_face] = detail_correlation(avatar, albedo, {"right": theta}, camera)
    # measured: 0.86 and 0.97
    assert found[16][0] > 0.93 > found[4][0]
    assert 0.85 < found[16][1] < 1.1
