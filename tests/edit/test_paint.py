"""Paint, decals, lacquer, freckles and veins."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hand_toolkit.avatar import Avatar, surface
from hand_toolkit.cli import run
from hand_toolkit.core.errors import InputError
from hand_toolkit.edit import Decal, decalled, export_textures, freckled, lacquered, painted, veined
from hand_toolkit.edit.apply import linear_albedo
from hand_toolkit.edit.chart import PLACES, flattened, point_at
from hand_toolkit.edit.refine import splat_uv
from hand_toolkit.edit.zones import zones_of
from hand_toolkit.geometry.colour import linear_to_srgb, srgb_to_linear
from hand_toolkit.hand_model import rest_hand
from hand_toolkit.testing.avatars import procedural_avatar

SIZE = 512


@lru_cache(maxsize=1)
def avatar() -> Avatar:
    return procedural_avatar(3, sides=("right",))


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("textures")
    written = export_textures(avatar(), folder, SIZE)
    assert [p.name for p in written] == [
        f"right_{n}.png" for n in ("albedo", "normal", "roughness", "guide")
    ]
    return folder


def test_a_guide_shows_the_mesh(textures: Path) -> None:
    lines = np.asarray(Image.open(textures / "right_guide.png"))[..., 3]
    inside = np.asarray(Image.open(textures / "right_albedo.png"))[..., 3] > 0
    assert 0.05 < (lines[inside] > 60).mean() < 0.6
    assert (lines[~inside] > 60).mean() < 0.01


def test_textures_without_paint_change_nothing(textures: Path) -> None:
    after = painted(avatar(), textures / "right_albedo.png")
    np.testing.assert_array_equal(after.hands[0].albedo, avatar().hands[0].albedo)
    np.testing.assert_array_equal(after.hands[0].color, avatar().hands[0].color)


def test_paint_lands_where_it_was_painted_and_nowhere_else(textures: Path) -> None:
    layer = np.zeros((SIZE, SIZE, 4), np.uint8)
    layer[300:340, 280:330] = [20, 60, 200, 255]
    after = painted(avatar(), layer).hands[0]
    uv = splat_uv(surface("default", "right", 1), after)
    row, column = (1 - uv[:, 1]) * SIZE, uv[:, 0] * SIZE
    gap = np.maximum(np.abs(row - 320) - 20, np.abs(column - 305) - 25)
    blue = np.abs(after.albedo - np.array([20, 60, 200]) / 255).max(axis=1)
    assert (gap < -3).sum() > 100
    assert np.quantile(blue[gap < -3], 0.95) < 0.1
    assert blue[gap < -3].max() < 0.3
    before = avatar().hands[0]
    old = splat_uv(surface("default", "right", 1), before)
    away = np.abs(old * SIZE - [305, SIZE - 320]).max(axis=1) > 40
    kept = {tuple(v) for v in before.albedo[away].round(6).tolist()}
    assert kept <= {tuple(v) for v in after.albedo.round(6).tolist()}


def test_a_mirrored_hand_takes_the_paint_too(textures: Path) -> None:
    import dataclasses

    hand = avatar().hands[0]
    both = dataclasses.replace(avatar(), hands=(hand, hand.mirrored().beside(hand)))
    layer = np.zeros((SIZE, SIZE, 4), np.uint8)
    layer[300:340, 280:330] = [20, 60, 200, 255]
    after = painted(both, layer)
    np.testing.assert_array_equal(after.hand("left").albedo, after.hand("right").albedo)
    only = painted(both, layer, "left")
    np.testing.assert_array_equal(only.hand("right").albedo, hand.albedo)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("place", PLACES)
def test_charts_keep_lengths(side: str, place: str) -> None:
    model = surface("default", side, 1)
    shape = np.zeros(len(model.shape_names))
    vertices = rest_hand(model, shape)[0]
    point = point_at(model, shape, place)
    flat = flattened(model, vertices, point, 0.012)
    known = np.isfinite(flat[:, 0])
    assert known.sum() > 8
    straight = np.linalg.norm(vertices[known] - point.position, axis=1)
    along = np.linalg.norm(flat[known], axis=1)
    assert (along > 0.95 * straight).all()
    assert (along < 1.3 * straight).all()
    # fingertips are up: x grows to the viewer's right, seen from outside
    up = (vertices[known] - point.position) @ point.up
    assert np.corrcoef(up, flat[known][:, 1])[0, 1] > 0.9
    right = (vertices[known] - point.position) @ np.cross(point.up, point.normal)
    assert np.corrcoef(right, flat[known][:, 0])[0, 1] > 0.9


def square() -> np.ndarray:
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[8:56, 8:56] = [10, 200, 30, 255]
    picture[8:20, 8:56] = [250, 250, 250, 255]
    return picture


def test_a_decal_has_its_size_and_points_to_the_fingertips() -> None:
    after = decalled(avatar(), Decal(square(), "back", 32.0))
    hand = after.hands[0]
    model = surface("default", "right", 1)
    vertices = rest_hand(model, hand.shape)[0]
    at = np.einsum(
        "nk,nkc->nc", hand.binding.barycentric, vertices[model.faces[hand.binding.triangle]]
    )
    green = np.abs(hand.albedo - np.array([10, 200, 30]) / 255).max(axis=1) < 0.2
    white = np.abs(hand.albedo - 250 / 255).max(axis=1) < 0.12
    span = np.ptp(at[green | white][:, [0, 2]], axis=0)
    np.testing.assert_allclose(span, 0.024, atol=0.0025)
    assert at[white][:, 0].mean() < at[green][:, 0].mean()  # fingers run along -x
    assert after.provenance["edits"] == "decal picture on the right back, 32 mm"


def test_ink_darkens_the_skin_it_is_in() -> None:
    picture = np.zeros((32, 32, 4), np.uint8)
    picture[:] = [255, 255, 255, 255]
    picture[8:24, 8:24, :3] = 0
    hand = decalled(avatar(), Decal(picture, "palm", 30.0, ink=True)).hands[0]
    assert linear_albedo(hand).min() > 0.001
    assert (linear_albedo(hand).mean(axis=1) < 0.06).sum() > 50
    # white ink is none
    assert linear_albedo(hand).max() <= linear_albedo(avatar().hands[0]).max() + 1e-6


def test_lacquer_is_on_the_nails_alone() -> None:
    after = lacquered(avatar(), "#b00020,thumb=gold").hands[0]
    zones = zones_of("default", 1, after)
    inner = (zones.nail > 0.95) & (zones.finger > 0)
    red = linear_to_srgb(np.median(linear_albedo(after)[inner], axis=0))
    np.testing.assert_allclose(red, np.array([0xB0, 0, 0x20]) / 255, atol=0.05)
    thumb = np.median(after.albedo[(zones.nail > 0.95) & (zones.finger == 0)], axis=0)
    np.testing.assert_allclose(thumb, [1, 0.843, 0], atol=0.08)
    skin = zones_of("default", 1, avatar().hands[0]).nail < 0.01
    assert skin.sum() > 5000
    kept = {tuple(v) for v in avatar().hands[0].albedo[skin].round(6).tolist()}
    assert kept <= {tuple(v) for v in after.albedo.round(6).tolist()}


def test_bare_nails_look_like_nails() -> None:
    bare = lacquered(lacquered(avatar(), "blue"), "none").hands[0]
    zones = zones_of("default", 1, bare)
    nail = np.median(srgb_to_linear(bare.albedo[zones.nail > 0.95]), axis=0)
    assert nail[0] > nail[1] > 0.8 * nail[2]


@pytest.mark.parametrize("change", [freckled, veined])
def test_marks_grow_with_their_amount_on_the_back_alone(change) -> None:
    none, one, two = (change(avatar(), amount).hands[0] for amount in (0.0, 0.7, 2.0))
    np.testing.assert_array_equal(none.albedo[:100], avatar().hands[0].albedo[:100])
    means = [
        linear_albedo(h)[zones_of("default", 1, h).back > 0.9].mean() for h in (none, one, two)
    ]
    assert means[0] > means[1] > means[2] > 0.7 * means[0]
    again = change(avatar(), 0.7).hands[0]
    np.testing.assert_array_equal(again.albedo, one.albedo)
    palm = zones_of("default", 1, avatar().hands[0]).palm > 0.99
    kept = {tuple(v) for v in avatar().hands[0].albedo[palm].round(6).tolist()}
    assert kept <= {tuple(v) for v in two.albedo.round(6).tolist()}


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    me, out = tmp_path / "me.hand", tmp_path / "out.hand"
    avatar().save(me)
    Image.new("RGBA", (500, 400)).save(tmp_path / "wide.png")
    Image.new("RGB", (512, 512)).save(tmp_path / "opaque.png")
    (tmp_path / "text.png").write_text("hello")
    cases = {
        ("--paint", str(tmp_path / "wide.png")): "500x400",
        ("--paint", str(tmp_path / "opaque.png")): "no transparency",
        ("--paint", str(tmp_path / "none.png")): "does not exist",
        ("--paint", str(tmp_path / "text.png")): "cannot read",
        ("--decal", str(tmp_path / "opaque.png"), "back", "20", "0"): "no transparency",
        ("--decal", str(tmp_path / "wide.png"), "elbow", "20", "0"): "no place 'elbow'",
        ("--decal", str(tmp_path / "wide.png"), "0.99,0.99", "20", "0"): "no skin lies",
        ("--decal", str(tmp_path / "wide.png"), "back", "-5", "0"): "-5 mm",
        ("--decal", str(tmp_path / "wide.png"), "back", "big", "0"): "'big'; give a number",
        ("--lacquer", "reddish"): "unknown colour",
        ("--lacquer", "toe=red"): "no finger 'toe'",
        ("--freckles", "9"): "accepted is 0 to 3",
    }
    for arguments, expected in cases.items():
        assert run(["edit", str(me), *arguments, "-o", str(out)]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        assert expected in lines[0]
        assert not out.exists()
    with pytest.raises(InputError, match="map of nails"):
        import dataclasses

        lacquered(dataclasses.replace(avatar(), hand_model="mano"), "red")
