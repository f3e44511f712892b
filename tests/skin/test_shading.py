"""Light that is left in seen skin is taken off, and what is the skin's own stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from hand_toolkit.skin.shading import left_light, with_edges
from hand_toolkit.skin.uv_layout import UVLayout, uv_layout


@pytest.fixture(scope="module")
def layout() -> UVLayout:
    return uv_layout("default", 256)


def shadow(layout: UVLayout) -> np.ndarray:
    """(N,) 1 on one half of the layout's skin, with a sharp edge."""
    return (layout.uv[:, 0] > np.median(layout.uv[:, 0])).astype(float)


def blurred(values: np.ndarray, layout: UVLayout, sigma: float) -> np.ndarray:
    return np.asarray(gaussian_filter(layout.image(values[:, None])[..., 0], sigma)).ravel()[
        layout.index
    ]


def test_shade_takes_a_cast_shadows_edge_from_the_photo(layout: UVLayout) -> None:
    cast = -0.6 * shadow(layout)[:, None] * np.ones(3)
    coarse = blurred(cast[:, 0], layout, 1.3)[:, None] * np.ones(3)
    sharp = with_edges(coarse, cast, np.ones(len(cast)), layout)
    before, after = np.abs(cast - coarse), np.abs(cast - sharp)
    apart = np.abs(layout.uv[:, 0] - np.median(layout.uv[:, 0]))
    edge = (before[:, 0] > 0.1) & (apart < 0.01)
    assert after[edge].mean() < 0.7 * before[edge].mean()
    # without shade nothing that is on the skin becomes shade
    np.testing.assert_allclose(with_edges(0 * cast, cast, np.ones(len(cast)), layout), 0, atol=1e-9)


def test_left_light_is_broad_and_pale_patches_and_paint_are_none(layout: UVLayout) -> None:
    half = shadow(layout)[:, None]
    sure = np.ones(len(half))
    pink = half * np.array([0.05, -0.05, 0.0])
    left = left_light(pink, sure, layout)
    rest = pink - left
    assert np.ptp(np.median(rest[half[:, 0] > 0], 0) - np.median(rest[half[:, 0] == 0], 0)) < 0.04
    patch = half * np.array([0.7, 0.95, 1.1])
    assert np.abs(left_light(patch, sure, layout)).max() < 0.2
    lines = 0.2 * np.random.default_rng(0).normal(size=(len(half), 1)) * np.ones(3)
    kept = lines - left_light(lines, sure, layout)
    assert kept.std() > 0.85 * lines.std()
    np.testing.assert_array_equal(left_light(pink, 0 * sure, layout), 0)
