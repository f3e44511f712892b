"""Baked skins: where texels lie, what parameters change, sameness from a seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hand_toolkit.core.errors import InputError
from hand_toolkit.geometry.colour import linear_to_srgb, srgb_to_linear
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.synth.appearance import Appearance, sample_appearance
from hand_toolkit.synth.skin import bake, load_skin
from hand_toolkit.synth.surface import load_surface, pose_surface
from hand_toolkit.synth.texels import TexelMap, build_texel_map


@pytest.fixture(scope="module")
def texels() -> dict[str, TexelMap]:
    return {side: build_texel_map(load_surface(side), 0.3) for side in ("right", "left")}


def test_texels_cover_both_sides_alike(texels: dict[str, TexelMap]) -> None:
    right, left = texels["right"], texels["left"]
    assert abs(len(right.index) - len(left.index)) < 0.02 * len(right.index)
    for side in (right, left):
        assert set(np.unique(side.finger)) == {0, 1, 2, 3, 4, 5}
        fingers = side.finger >= 2
        assert side.position[fingers, 0].max() < -0.05  # the canonical frame points to -x
        assert (side.back > 0.3).mean() > 0.15
        assert (side.back < -0.3).mean() > 0.15
    assert np.abs(right.position.mean(0) - left.position.mean(0)).max() < 0.01


def test_the_rendered_hand_is_exactly_the_model() -> None:
    rng = np.random.default_rng(0)
    for side in ("right", "left"):
        surface, model = load_surface(side), load_hand_model("default", side)
        theta, place = rng.normal(size=(16, 3)) * 0.3, rng.normal(size=3)
        shape = rng.normal(size=len(model.shape_names)) * 0.3
        posed = pose_surface(surface, theta, shape, place, np.array([0, 0.1, 0.4]))
        expected = pose_hand_numpy(model, theta, shape, place)[0]
        np.testing.assert_array_equal(posed[: surface.hand_vertices], expected)
        assert np.linalg.norm(posed[surface.hand_vertices :] - place, axis=1).max() > 0.3
        quads = surface.quads[: surface.hand_quads]
        assert model.quads is not None
        assert set(map(frozenset, quads)) == set(map(frozenset, model.quads))


def test_bake_is_repeatable_and_finite(texels: dict[str, TexelMap]) -> None:
    look = sample_appearance(np.random.default_rng(4), None, unusual=True)
    first, second = (bake(texels["right"], look, None, "right") for _ in range(2))
    np.testing.assert_array_equal(first.albedo, second.albedo)
    np.testing.assert_array_equal(first.detail, second.detail)
    for values in (first.albedo, first.detail):
        assert np.isfinite(values).all()
    assert first.albedo.shape == (*texels["right"].shape, 3)
    assert first.albedo.min() > 0
    assert first.albedo.max() < 1
    other = bake(texels["left"], look, None, "left")
    assert abs(first.albedo.mean() - other.albedo.mean()) < 0.08


def test_parameters_do_what_they_say(texels: dict[str, TexelMap]) -> None:
    plain = Appearance(seed=1)
    base = bake(texels["right"], plain, None, "right")
    dark = bake(texels["right"], dataclasses.replace(plain, melanin=1.0), None, "right")
    assert (dark.albedo.mean((0, 1)) < 0.7 * base.albedo.mean((0, 1))).all()
    ring = (1.0, 0.0, 0.01, 0.6, 0.02, 0.008)
    ringed = bake(texels["right"], dataclasses.replace(plain, rings=(ring,)), None, "right")
    changed = np.abs(ringed.albedo - base.albedo).max(-1) > 0.2
    assert 0.001 < changed.mean() < 0.1
    np.testing.assert_allclose(np.median(ringed.albedo[changed], 0), ring[2:5], atol=0.05)
    inked = bake(texels["right"], dataclasses.replace(plain, tattoo="mandala"), None, "right")
    assert (inked.albedo < 0.6 * base.albedo).any(-1).mean() > 0.002
    lacquer = dataclasses.replace(plain, polish=1.0, nail=(0.4, 0.0, 0.0))
    painted = bake(texels["right"], lacquer, None, "right")
    nails = painted.detail[..., 1] > 0.9
    assert 0.002 < nails.mean() < 0.1
    np.testing.assert_allclose(np.median(painted.albedo[nails], 0), [0.4, 0.004, 0.004], atol=0.08)


def test_skin_pictures_are_sampled_in_place(texels: dict[str, TexelMap], tmp_path) -> None:  # type: ignore[no-untyped-def]
    from PIL import Image
    from scipy.ndimage import binary_dilation

    rows, columns = np.mgrid[:1024, :1024]
    picture = np.stack([64 + columns // 8, 64 + rows // 8, np.full_like(rows, 128)], -1).astype(
        np.uint8
    )
    Image.fromarray(picture).save(tmp_path / "ramp.png")
    skin = load_skin(tmp_path / "ramp.png")
    plain = Appearance(
        redness=0, mottling=0, wrinkles=0, creases=0, veins=0, tendons=0, moles=0, seed=1
    )
    baked = bake(texels["right"], plain, skin, "right")
    surface = load_surface("right")
    color = linear_to_srgb(baked.albedo) * 255
    height, width = texels["right"].shape
    drawn = binary_dilation(baked.detail[..., 1] > 0, iterations=8)  # nails and their folds
    checked = met = 0
    for corner, atlas in zip(texels["right"].uvs, surface.uvs):
        x, y = int(corner[0] * width), int((1 - corner[1]) * height)
        if not (0 <= x < width and 0 <= y < height) or drawn[y, x]:
            continue
        checked += 1
        expected = 64 + 128 * np.array([atlas[0], 1 - atlas[1]])
        met += bool(np.abs(color[y, x, :2] - expected).max() < 3)
    assert checked > 1000
    assert met > 0.97 * checked  # the rest lie on seams, where a neighbour's texel is drawn


def test_load_skin_refuses_what_is_not_a_skin(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from PIL import Image

    Image.new("RGB", (64, 32)).save(tmp_path / "small.png")
    with pytest.raises(InputError, match="64x32"):
        load_skin(tmp_path / "small.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png"):
        load_skin(tmp_path / "text.png")


def test_srgb_round_trip() -> None:
    values = np.linspace(0, 1, 256)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-12)
