"""Merging by evidence, and hands of two avatars."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.avatar import Avatar, AvatarHand
from hand_toolkit.cli import run
from hand_toolkit.core.errors import InputError
from hand_toolkit.core.metrics import delta_e_2000
from hand_toolkit.edit import combine, combined, merged, scaled, tone_of, toned
from hand_toolkit.edit.apply import linear_albedo, with_albedo
from hand_toolkit.edit.zones import zones_of
from hand_toolkit.geometry.colour import linear_to_lab, srgb_to_linear
from hand_toolkit.testing.avatars import procedural_avatar


@pytest.fixture(autouse=True)
def small_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combine, "SIZE", 256)


@lru_cache(maxsize=1)
def truth() -> Avatar:
    return procedural_avatar(3, sides=("right",), splats_per_face=2)


def seen_from(side: str, cast: tuple[float, float, float]) -> Avatar:
    """The truth as a photo of one side gives it: the other side without detail, all in its cast."""
    hand = truth().hands[0]
    zones = zones_of("default", 1, hand)
    evidence = zones.palm if side == "palm" else 1 - zones.palm
    skin = linear_albedo(hand)
    for zone in (zones.palm > 0.5, zones.palm <= 0.5):
        flat = np.median(skin[zone], axis=0)
        unseen = zone & (evidence < 0.5)
        skin[unseen] = flat
    changed = with_albedo(hand, skin * np.array(cast))
    return dataclasses.replace(truth(), hands=(dataclasses.replace(changed, evidence=evidence),))


def error(hand: AvatarHand) -> float:
    """Mean CIEDE2000 to the truth's nearest splat."""
    from scipy.spatial import cKDTree

    from hand_toolkit.avatar import surface
    from hand_toolkit.edit.refine import rest_points

    model = surface("default", "right", 1)
    real = truth().hands[0]
    near = cKDTree(rest_points(model, hand)).query(rest_points(model, real))[1]
    own, goal = (
        linear_to_lab(srgb_to_linear(h.astype(float))) for h in (hand.albedo[near], real.albedo)
    )
    own = own + np.median(goal - own, axis=0)
    return float(delta_e_2000(own, goal).mean())


def test_both_sides_of_one_hand_make_a_better_one() -> None:
    palm, back = seen_from("palm", (1.1, 1.0, 0.8)), seen_from("back", (0.85, 0.9, 1.0))
    whole = merged([palm, back])
    errors = [error(a.hands[0]) for a in (palm, back, whole)]
    assert errors[2] < 0.7 * min(errors[:2])
    assert whole.hands[0].evidence.mean() > 0.85
    zones = zones_of("default", 1, whole.hands[0])
    # the casts went to their mean: no seam where palm and back meet
    light = linear_albedo(whole.hands[0])
    ratio = [np.log(np.median(light[z], axis=0)) for z in (zones.palm > 0.9, zones.palm < 0.1)]
    real = truth().hands[0]
    true = zones_of("default", 1, real)
    goal = [
        np.log(np.median(linear_albedo(real)[z], axis=0))
        for z in (true.palm > 0.9, true.palm < 0.1)
    ]
    np.testing.assert_allclose(ratio[0] - ratio[1], goal[0] - goal[1], atol=0.08)


def test_an_avatar_merged_with_itself_stays() -> None:
    palm = seen_from("palm", (1, 1, 1))
    again = merged([palm, palm]).hands[0]
    assert np.abs(again.albedo - palm.hands[0].albedo).max() < 0.1
    assert np.abs(again.albedo - palm.hands[0].albedo).mean() < 0.004


def test_shapes_meet_in_their_mean_by_what_was_seen() -> None:
    one, two = seen_from("palm", (1, 1, 1)), scaled(seen_from("back", (1, 1, 1)), 1.2)
    shape = merged([one, two]).hands[0].shape
    between = [np.linalg.norm(shape - a.hands[0].shape) for a in (one, two)]
    whole = np.linalg.norm(one.hands[0].shape - two.hands[0].shape)
    assert sum(between) == pytest.approx(whole, rel=1e-6)
    assert max(between) < 0.8 * whole


def test_a_left_and_a_right_hand_of_two() -> None:
    both = procedural_avatar(4)
    other = toned(procedural_avatar(5), "monk:9")
    pair = combined(both, other)
    np.testing.assert_array_equal(pair.hand("right").albedo, both.hand("right").albedo)
    np.testing.assert_array_equal(pair.hand("left").albedo, other.hand("left").albedo)
    same = combined(both, other, match_tone=True)
    tones = [linear_to_lab(tone_of(same, s)) for s in ("right", "left")]
    assert delta_e_2000(*tones) < 1.5
    with pytest.raises(InputError, match="two avatars"):
        combined(both, None)


def test_one_hand_each_makes_a_pair() -> None:
    right = procedural_avatar(4, sides=("right",))
    left = procedural_avatar(5, sides=("left",))
    pair = merged([right, left])
    assert pair.sides == ("right", "left")
    np.testing.assert_array_equal(pair.hand("left").albedo, left.hand("left").albedo)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    me, you, out = (tmp_path / f"{n}.hand" for n in ("me", "you", "out"))
    procedural_avatar(4, sides=("right",)).save(me)
    procedural_avatar(5, sides=("left",)).save(you)
    assert run(["merge", "--right", str(me), "--left", str(you), "-o", str(out)]) == 0
    assert Avatar.load(out).sides == ("right", "left")
    capsys.readouterr()
    cases = {
        (str(me),): "two or more",
        (): "give avatars",
        ("--right", str(me)): "two avatars are needed",
        ("--right", str(you), "--left", str(me)): "no right hand",
    }
    for arguments, expected in cases.items():
        assert run(["merge", *arguments, "-o", str(out)]) == 2
        assert expected in capsys.readouterr().err
    other = dataclasses.replace(procedural_avatar(4, sides=("right",)), hand_model="default_2")
    with pytest.raises(InputError, match="different hand models"):
        merged([truth(), other])
