"""Size, shape and comparison."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.avatar import Avatar
from hand_toolkit.cli import run
from hand_toolkit.core.errors import InputError
from hand_toolkit.edit import (
    compared,
    comparison,
    hand_length,
    lacquered,
    parse_length,
    scaled,
    shaped,
    toned,
    with_hand_length,
)
from hand_toolkit.testing.avatars import procedural_avatar


@lru_cache(maxsize=1)
def avatar() -> Avatar:
    return procedural_avatar(3)


@pytest.mark.parametrize("metres", [0.12, 0.184, 0.24])
def test_a_known_length_is_reached_alike_in_proportion(metres: float) -> None:
    factor = metres / hand_length(avatar(), "right")
    after = with_hand_length(avatar(), metres)
    for side in after.sides:
        assert hand_length(after, side) == pytest.approx(metres, abs=1e-6)
        off = np.linalg.norm(after.mesh(side) - factor * avatar().mesh(side), axis=1)
        assert 1000 * off.mean() < 0.5
    np.testing.assert_array_equal(after.hands[0].evidence, avatar().hands[0].evidence)
    assert "metric" in after.provenance["scale"]


def test_splats_grow_with_the_skin() -> None:
    before, after = avatar(), scaled(avatar(), 1.3)
    theta = {"right": np.zeros((16, 3))}
    a, b = before.splats(theta), after.splats(theta)
    np.testing.assert_allclose(b.scales, 1.3 * a.scales, rtol=0.03, atol=1e-6)
    np.testing.assert_allclose(b.means, 1.3 * a.means, atol=1e-3)
    # what is larger was further away: the photo shows the same
    old, new = before.hands[0].source_translation, after.hands[0].source_translation
    np.testing.assert_allclose(new, 1.3 * old)


def test_longer_fingers_are_longer_fingers() -> None:
    after = shaped(avatar(), {"finger_length": 2.0})
    assert hand_length(after, "right") > hand_length(avatar(), "right") + 0.004
    assert after.provenance["edits"] == "shape finger_length +2 standard deviations"
    thick = shaped(avatar(), {"thickness_index": 3.0})
    moved = np.linalg.norm(thick.mesh("right") - avatar().mesh("right"), axis=1)
    assert moved.max() > 0.0005
    assert np.median(moved) < 1e-6


@pytest.mark.parametrize("text", ["18.4", "-18cm", "0mm", "2m", "18 feet", "cm", "nancm"])
def test_bad_lengths(text: str) -> None:
    with pytest.raises(InputError, match=r"is no length|accepted is"):
        parse_length(text)


def test_lengths_are_read_in_four_units() -> None:
    for text in ("18.4cm", "184mm", "0.184 m", "7.244in"):
        assert parse_length(text) == pytest.approx(0.184, abs=1e-4)


def test_bad_shapes_and_scales() -> None:
    with pytest.raises(InputError, match="no shape parameter 'nose'"):
        shaped(avatar(), {"nose": 1})
    with pytest.raises(InputError, match="accepted is"):
        shaped(avatar(), {"age": float("nan")})
    with pytest.raises(InputError, match="accepted is"):
        scaled(avatar(), -1)


def test_an_avatar_equals_itself_and_differs_by_its_edit() -> None:
    same = compared(avatar(), avatar())["hands"]["right"]
    assert same["identical"] and same["skin_delta_e"] == [0, 0] and same["shape"] == {}
    other = shaped(toned(avatar(), "monk:9"), {"age": 1.0})
    figures = compared(avatar(), other)["hands"]["left"]
    assert figures["tone_delta_e"] > 20
    assert figures["skin_delta_e"][0] > 10
    assert figures["shape"] == {"age": 1.0}
    assert not figures["identical"]


def test_the_picture_shows_where_they_differ() -> None:
    one = procedural_avatar(3, sides=("right",))
    picture = comparison(one, lacquered(one, "blue"))
    assert picture.shape == (1024, 1536, 3)
    palms, backs = picture[:512, 1024:].astype(int), picture[512:, 1024:].astype(int)
    hot = [((p[..., 0] > 200) & (p[..., 2] < 60)).sum() for p in (palms, backs)]
    assert hot[1] > 3 * hot[0] + 200


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "a.hand", tmp_path / "b.hand"
    procedural_avatar(3, sides=("right",)).save(one)
    arguments = ["edit", str(one), "--hand-length", "18.4cm", "--shape", "age=1", "-o", str(two)]
    assert run(arguments) == 0
    capsys.readouterr()
    assert run(["compare", str(one), str(two), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["hands"]["right"]["length_mm"][1] == 184.0
    assert run(["compare", str(one), str(two), "-o", str(tmp_path / "both.png")]) == 0
    assert (tmp_path / "both.png").exists()
    assert run(["edit", str(one), "--hand-length", "-3cm", "-o", str(two)]) == 2
    assert "accepted is 4 to 40 cm" in capsys.readouterr().err
