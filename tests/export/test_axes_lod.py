"""Changes of axes and levels of detail."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_toolkit import Splats
from hand_toolkit.avatar.lighting import sh_basis
from hand_toolkit.export import axes
from hand_toolkit.export.lod import simplified
from hand_toolkit.export.scene import build_scene
from hand_toolkit.geometry.rotations import continuous_quats, normalized_quats
from hand_toolkit.testing.avatars import procedural_avatar


def random_splats(seed: int, bands: int | None) -> Splats:
    rng = np.random.default_rng(seed)
    n = 20
    color = rng.random((n, 3)) if bands is None else rng.normal(size=(n, bands, 3))
    return Splats(
        rng.normal(size=(n, 3)).astype(np.float32),
        normalized_quats(rng.normal(size=(n, 4))),
        rng.random((n, 3)).astype(np.float32),
        rng.random(n).astype(np.float32),
        color.astype(np.float32),
    )


@settings(deadline=None)
@given(seed=st.integers(0, 99), bands=st.sampled_from([None, 1, 4, 9, 16]))
def test_turning_there_and_back(seed: int, bands: int | None) -> None:
    splats = random_splats(seed, bands)
    back = axes.splats_from_y_up(axes.splats_y_up(splats))
    for name in ("means", "scales", "opacities", "colors"):
        np.testing.assert_array_equal(getattr(back, name), getattr(splats, name))
    np.testing.assert_allclose(back.quats, splats.quats, atol=1e-7)


def test_rotations_and_view_dependent_colours_turn_with_the_axes() -> None:
    splats = random_splats(0, 16)
    turned = axes.splats_y_up(splats)
    one = Rotation.from_quat(np.roll(splats.quats, -1, 1)).as_matrix()
    two = Rotation.from_quat(np.roll(turned.quats, -1, 1)).as_matrix()
    np.testing.assert_allclose(two, axes.TO_Y_UP @ one, atol=1e-6)
    view = np.random.default_rng(1).normal(size=(20, 3))
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    before = np.einsum("nk,nkc->nc", sh_basis(view, 16), splats.colors)
    after = np.einsum("nk,nkc->nc", sh_basis(view @ axes.TO_Y_UP, 16), turned.colors)
    np.testing.assert_allclose(before, after, atol=1e-5)


def test_continuous_quaternions_do_not_jump() -> None:
    turns = Rotation.from_rotvec(np.linspace(0, 12, 60)[:, None] * [0, 0, 1.0]).as_quat()
    smooth = continuous_quats(turns[:, None])[:, 0]
    assert np.linalg.norm(np.diff(smooth, axis=0), axis=1).max() < 0.2


@pytest.mark.parametrize("lod", [1, 2, 3])
def test_lod_keeps_place_colour_and_cover(lod: int) -> None:
    avatar = procedural_avatar(0, splats_per_face=4)
    small = simplified(avatar, lod)
    for hand, merged in zip(avatar.hands, small.hands):
        wanted = len(hand) / 4**lod
        assert wanted <= len(merged) <= 1.25 * wanted + 1
        assert np.abs(merged.albedo.mean(0) - hand.albedo.mean(0)).max() < 0.03
    a = build_scene(avatar).splats(0)
    b = build_scene(small).splats(0)
    from scipy.spatial import cKDTree

    assert cKDTree(a.means).query(b.means)[0].max() < 0.002 * 2**lod


def test_lod_pictures_stay_alike() -> None:
    from hand_toolkit import Camera
    from hand_toolkit.render import render

    avatar = procedural_avatar(0, sides=("right",), splats_per_face=4)
    pose = np.eye(4)
    pose[2, 3] = 0.6
    camera = Camera(220, 220, 80, 80, 160, 160, pose)
    pictures = [
        np.asarray(render(build_scene(avatar, lod=lod).splats(0), camera, (0.5, 0.5, 0.5)).color)
        for lod in (0, 1, 2)
    ]
    values = [-10 * np.log10(np.mean((p - pictures[0]) ** 2)) for p in pictures[1:]]
    assert values[0] > 30 and values[1] > 25, values
