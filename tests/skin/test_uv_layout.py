"""The texels of the UV layout, and welding across its cuts."""

from __future__ import annotations

import numpy as np
import pytest

from hand_toolkit.avatar import surface
from hand_toolkit.skin.grid import GRID, grid_cover, shrink
from hand_toolkit.skin.uv_layout import LEVEL, bilinear, nearest, seam_of, uv_layout, weld

SIZE = 192


def test_texels_lie_where_their_coordinates_say() -> None:
    layout = uv_layout("default", SIZE)
    column, row = layout.index % SIZE, layout.index // SIZE
    np.testing.assert_allclose(layout.uv[:, 0] * SIZE, column + 0.5, atol=2e-3)
    np.testing.assert_allclose((1 - layout.uv[:, 1]) * SIZE, row + 0.5, atol=2e-3)


def test_both_hands_share_the_layout() -> None:
    layout = uv_layout("default", SIZE)
    right, left = (surface("default", side, LEVEL) for side in ("right", "left"))
    mirrored = layout.at(left.template) * [-1, 1, 1]
    np.testing.assert_allclose(mirrored, layout.at(right.template), atol=1e-9)


def test_look_up_returns_a_linear_field() -> None:
    layout = uv_layout("default", SIZE)
    picture = np.zeros((SIZE, SIZE, 1))
    picture[..., 0] = np.arange(SIZE) + 0.5
    found = layout.look_up(picture, layout.uv[::50])
    np.testing.assert_allclose(found[:, 0], layout.uv[::50, 0] * SIZE, atol=1e-6)


def test_samples_clamp_to_the_border() -> None:
    picture = np.arange(6.0).reshape(2, 3, 1)
    outside = np.array([[-5.0, 0.5], [9.0, 9.0], [np.nan, 0.5]])
    assert bilinear(picture, outside)[:, 0] == pytest.approx([0, 5, 0])
    assert nearest(picture, outside)[:, 0] == pytest.approx([0, 5, 0])


def test_welding_closes_the_cuts_and_leaves_the_rest() -> None:
    layout, seam = uv_layout("default", SIZE), seam_of("default", SIZE)
    values = np.repeat(layout.uv[:, :1], 3, axis=1)  # differs on both sides of every cut

    def step(log_albedo: np.ndarray) -> float:
        here = layout.look_up(layout.image(log_albedo), seam.uv)[:, 0]
        mean = np.bincount(seam.group, here) / np.maximum(np.bincount(seam.group), 1)
        return float(np.abs(here - mean[seam.group]).mean())

    welded = weld(values, np.ones(len(values)), layout)
    assert step(welded) < 0.15 * step(values)
    away = np.setdiff1d(np.arange(len(values)), seam.texel)
    assert len(away) > 0.5 * len(values)
    np.testing.assert_array_equal(welded[away], values[away])


def test_the_surer_side_of_a_cut_moves_less() -> None:
    layout, seam = uv_layout("default", SIZE), seam_of("default", SIZE)
    values = np.repeat(layout.uv[:, :1], 3, axis=1)
    sure = (layout.uv[:, 0] > 0.5).astype(float)
    moved = np.abs(weld(values, sure, layout) - values)[seam.texel].mean(1)
    surely = sure[seam.texel] > 0
    assert moved[surely].mean() < 0.5 * moved[~surely].mean()


def test_the_grid_holds_means_of_covered_texels_only() -> None:
    layout = uv_layout("default", 2 * GRID)
    held = shrink(np.full((len(layout.index), 1), 3.0), layout, GRID)[..., 0]
    cover = grid_cover()
    np.testing.assert_allclose(held[cover], 3.0, rtol=1e-5)
    assert (held[~cover] == 0).all()
