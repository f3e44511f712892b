"""Skin tone: the back reaches it, palms stay paler, lacquer and light stay."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.avatar import Avatar
from hand_toolkit.cli import run
from hand_toolkit.core.errors import InputError
from hand_toolkit.core.metrics import delta_e_2000
from hand_toolkit.edit import EDITS_KEY, parse_tone, tone_of, toned
from hand_toolkit.edit.apply import linear_albedo
from hand_toolkit.edit.zones import zones_of
from hand_toolkit.geometry.colour import (
    lab_to_linear,
    linear_to_lab,
    linear_to_srgb,
    srgb_to_linear,
)
from hand_toolkit.testing.avatars import procedural_avatar


@lru_cache(maxsize=1)
def avatar() -> Avatar:
    return procedural_avatar(3)


def test_lab_goes_there_and_back() -> None:
    rng = np.random.default_rng(0)
    linear = rng.uniform(0, 1, (50, 3))
    np.testing.assert_allclose(lab_to_linear(linear_to_lab(linear)), linear, atol=1e-9)
    np.testing.assert_allclose(linear_to_lab(np.ones(3)), [100, 0, 0], atol=1e-9)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # of the test data of Sharma, Wu and Dalal (2005), table 1
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1, 2), (50, 0, 0), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_delta_e_2000(first: tuple[float, ...], second: tuple[float, ...], expected: float) -> None:
    assert delta_e_2000(np.array(first), np.array(second)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("tone", ["monk:2", "monk:9", "fitzpatrick:5", "#8d5a3c"])
def test_the_back_reaches_the_tone(tone: str) -> None:
    changed = toned(avatar(), tone)
    for side in changed.sides:
        off = delta_e_2000(
            linear_to_lab(tone_of(changed, side)), linear_to_lab(parse_tone(tone).target)
        )
        assert off < 1
    assert changed.provenance[EDITS_KEY] == f"tone {tone}"
    np.testing.assert_array_equal(changed.light, avatar().light)
    for new, old in zip(changed.hands, avatar().hands):
        np.testing.assert_array_equal(new.evidence, old.evidence)
        np.testing.assert_array_equal(new.binding.offset, old.binding.offset)


def test_palms_and_nails_are_paler_than_a_dark_back() -> None:
    for hand in toned(avatar(), "monk:9").hands:
        zones = zones_of("default", 1, hand)
        light = linear_to_lab(linear_albedo(hand))[:, 0]
        back, palm = (np.median(light[z > 0.9]) for z in (zones.back, zones.palm))
        nail = np.median(light[zones.nail > 0.8])
        assert palm > back + 15
        assert nail > back + 10


def test_colours_follow_in_the_light_that_was_there() -> None:
    before, after = avatar().hands[0], toned(avatar(), "monk:8").hands[0]
    shade = srgb_to_linear(before.color.astype(float)) / linear_albedo(before)
    shown = linear_to_srgb(linear_albedo(after) * shade)
    np.testing.assert_allclose(after.color, shown, atol=2e-3)


def test_its_own_tone_changes_nearly_nothing() -> None:
    red, green, blue = (linear_to_srgb(tone_of(avatar(), "right")) * 255 + 0.5).astype(int)
    changed = toned(avatar(), f"#{red:02x}{green:02x}{blue:02x}")
    assert np.abs(changed.hands[0].albedo - avatar().hands[0].albedo).max() < 0.01


def test_melanin_darkens_backs_more_than_palms() -> None:
    before, after = avatar().hands[0], toned(avatar(), "melanin=0.5").hands[0]
    zones = zones_of("default", 1, before)
    ratio = np.log(linear_albedo(before) / linear_albedo(after))[:, 2]
    assert np.median(ratio[zones.back > 0.9]) == pytest.approx(0.5 * 1.25, abs=0.02)
    assert np.median(ratio[(zones.palm > 0.95) & (zones.nail < 0.05)]) == pytest.approx(
        0.2 * 0.5 * 1.25, abs=0.02
    )


def test_lacquer_stays() -> None:
    hand = avatar().hands[0]
    nail = zones_of("default", 1, hand).nail > 0.8
    albedo = hand.albedo.copy()
    albedo[nail] = [0.05, 0.45, 0.2]
    painted = dataclasses.replace(avatar(), hands=(dataclasses.replace(hand, albedo=albedo),))
    for tone in ("monk:10", "melanin=1"):
        after = toned(painted, tone).hands[0].albedo
        sure = zones_of("default", 1, hand).nail > 0.99
        assert np.abs(after[sure] - [0.05, 0.45, 0.2]).max() < 0.04


def test_a_left_hand_has_the_right_ones_zones() -> None:
    right = avatar().hand("right")
    a, b = zones_of("default", 1, right), zones_of("default", 1, right.mirrored())
    np.testing.assert_allclose(a.nail, b.nail, atol=1e-6)
    np.testing.assert_allclose(a.palm, b.palm, atol=1e-6)


def test_spherical_harmonics_are_changed_too() -> None:
    changed = toned(procedural_avatar(1, sh_degree=1), "monk:9").hands[0]
    assert changed.color.shape[1:] == (4, 3)
    assert (0.5 + 0.2820948 * changed.color[:, 0]).mean() < 0.5


@pytest.mark.parametrize("tone", ["monk:11", "fitzpatrick:0", "brown", "melanin=x", "#12", "age=1"])
def test_bad_tones(tone: str) -> None:
    with pytest.raises(InputError, match=r"accepted is|is no|give"):
        parse_tone(tone)


def test_the_command_writes_a_new_file(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "me.hand", tmp_path / "out.hand"
    avatar().save(source)
    assert run(["edit", str(source), "--tone", "monk:7", "-o", str(out)]) == 0
    assert Avatar.load(out).provenance[EDITS_KEY] == "tone monk:7"
    assert run(["edit", str(source), "-o", str(out)]) == 2
    assert "nothing was asked for" in capsys.readouterr().err
    assert run(["edit", str(source), "--tone", "monk:12", "-o", str(out)]) == 2
    assert Avatar.load(out).provenance[EDITS_KEY] == "tone monk:7"


def test_the_file_before_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    me = tmp_path / "me.hand"
    procedural_avatar(0, sides=("right",)).save(me)
    before = me.read_bytes()
    for output in (me, tmp_path / "." / "me.hand"):
        assert run(["edit", str(me), "--tone", "monk:3", "-o", str(output)]) == 2
        assert "name another output" in capsys.readouterr().err
    assert run(["merge", str(me), str(me), "-o", str(me)]) == 2
    assert me.read_bytes() == before
