"""A person's own lines: whose, where, how strong, and only where nothing is believed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hand_toolkit.skin.complete import complete_skin
from hand_toolkit.skin.completion_weights import SHIPPED, load_completion
from hand_toolkit.skin.own_detail import (
    STRENGTH,
    Clarity,
    Person,
    clarity,
    own_detail,
    person_of,
    places_of,
)
from hand_toolkit.skin.tones import gains_to_one_tone, person_s_tone
from hand_toolkit.skin.uv_layout import UVLayout, uv_layout
from hand_toolkit.skin.uv_observation import CHANNELS, UVObservation

LIGHT_SKIN, DARK_SKIN = 0.36, 0.08


def layout() -> UVLayout:
    return uv_layout("default", 256)


def palm() -> np.ndarray:
    return places_of(layout()).back < -0.6


def photo(noise: np.ndarray, seen: np.ndarray) -> UVObservation:
    """Grey skin with noise (N,) that is seen where ``seen`` (N,) is 1."""
    columns = {"seen": seen, "facing": seen, "mask": seen, "unlike_background": seen}
    inputs = np.zeros((len(noise), len(CHANNELS)))
    for name, value in columns.items():
        inputs[:, CHANNELS.index(name)] = value
    inputs[:, CHANNELS.index("openness")] = 1.0
    inputs[:, CHANNELS.index("resolution")] = 0.5 * np.log(2.5)
    tone = np.log([0.55, 0.33, 0.24])
    inputs[:, :3] = (noise * seen)[:, None]
    return UVObservation(inputs, tone + noise[:, None], tone, seen, np.zeros((9, 3)))


def test_everybody_has_lines_of_their_own_and_keeps_them() -> None:
    one, again, other = (own_detail(Person.of(k), LIGHT_SKIN, layout()) for k in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    for where in (palm(), ~palm()):
        alike = np.corrcoef(one[where].mean(axis=1), other[where].mean(axis=1))[0, 1]
        assert alike < 0.5
    for detail in (one, other):
        assert np.isfinite(detail).all()
        assert 0.02 < detail.std() < 0.12
        assert np.abs(detail.mean(axis=0)).max() < 0.1, "lines are no tone"


def test_lines_are_red_on_light_skin_and_dark_on_dark_skin() -> None:
    light, dark = (own_detail(Person.of(3), k, layout())[palm()] for k in (LIGHT_SKIN, DARK_SKIN))
    deepest = light.mean(axis=1) < np.quantile(light.mean(axis=1), 0.005)
    red, green, blue = light[deepest].mean(axis=0)
    assert red > green + 0.08 > blue
    assert np.ptp(dark[deepest].mean(axis=0)) < 0.15
    assert dark[deepest].mean() < light[deepest].mean() < -0.2


def test_the_same_picture_is_the_same_person() -> None:
    rng = np.random.default_rng(0)
    picture, other = rng.random((2, 8, 8, 3))
    assert person_of(picture) == person_of(picture.copy()) != person_of(other)


def test_detail_is_as_clear_as_the_photo() -> None:
    rng = np.random.default_rng(0)
    where = layout()
    seen = palm().astype(float)
    belief, none = seen, np.zeros((len(seen), 3))
    sharp, blurred, flat = (
        clarity(photo(a * rng.normal(size=len(seen)), seen), none, belief, where)
        for a in (0.2, 0.05, 0.0)
    )
    assert STRENGTH[1] >= sharp.strength > 1.3 * blurred.strength
    assert flat.strength == STRENGTH[0]
    assert 0.1e-3 < sharp.blur_m < 0.3e-3
    nothing = clarity(photo(none[:, 0], 0 * seen), none, 0 * belief, where)
    assert nothing == Clarity(1.0, 0.0)
    person = Person.of(5)
    clear, soft = (own_detail(person, LIGHT_SKIN, where, Clarity(1.0, b)) for b in (0.0, 1.5e-3))
    assert soft.std() < 0.8 * clear.std()


@pytest.mark.skipif(not SHIPPED.is_file(), reason="no weights are shipped")
def test_lines_are_drawn_where_nothing_is_believed() -> None:
    where = layout()
    seen = palm().astype(float)
    shown = photo(0.05 * np.random.default_rng(1).normal(size=len(seen)), seen)
    plain, one, other = (
        complete_skin(shown, where, load_completion(), person=p) for p in (None, 1, 2)
    )
    np.testing.assert_allclose(one.belief, plain.belief)
    np.testing.assert_allclose(one.shade, plain.shade)
    apart = (one.compose(shown.log_albedo) - other.compose(shown.log_albedo))[:, 1]
    believed, hidden = one.belief[:, 0] > 0.95, seen == 0
    assert believed.sum() > 1000
    assert np.abs(apart[hidden]).mean() > 0.02
    assert np.abs(apart[believed]).mean() < 0.15 * np.abs(apart[hidden]).mean()
    sure = [dataclasses.replace(s, belief=np.ones_like(s.belief)) for s in (one, other)]
    composed = [s.compose(shown.log_albedo) - s.step for s in sure]
    np.testing.assert_allclose(composed[0], composed[1], atol=1e-9)


def test_two_hands_of_one_person_are_of_one_tone_and_two_peoples_are_not() -> None:
    rng = np.random.default_rng(2)
    template = rng.normal(size=(500, 3)) * 0.1
    tones = [np.log([0.6, 0.4, 0.3]), np.log([0.5, 0.28, 0.2])]
    skins = [template + t for t in tones]
    belief = np.ones(500)
    found = [person_s_tone(s, belief, template) for s in skins]
    np.testing.assert_allclose(found, tones)
    gains = gains_to_one_tone(found, [3.0, 1.0])
    assert gains is not None
    np.testing.assert_allclose(found[0] + gains[0], found[1] + gains[1])
    assert np.abs(gains[0]).max() < np.abs(gains[1]).max(), "the hand that is seen more says more"
    dark, painted = np.log([0.2, 0.1, 0.07]), np.log([0.3, 0.5, 0.3])
    assert gains_to_one_tone([tones[0], dark], [1.0, 1.0]) is None
    assert gains_to_one_tone([tones[0], painted], [1.0, 1.0]) is None


def test_tendons_are_no_comb_and_everybodys_differ() -> None:
    from hand_toolkit.skin.own_detail import places_of
    from hand_toolkit.synth.markings import tendons

    places = places_of(layout())
    back = tendons(places) > 0.01
    people = [tendons(places, 0.1, seed)[back] for seed in (1, 2, 3)]
    assert max(np.corrcoef(people)[np.triu_indices(3, 1)]) < 0.8
    assert all(p.mean() < 0.6 * tendons(places, 0.1)[back].mean() for p in people)


def test_a_wrinkled_palm_tells_of_lines_not_of_blotches() -> None:
    plain = dataclasses.replace(
        Person.of(3), creases=0.0, wrinkles=0.0, veins=0.0, flush=0.0, tendons=0.0, mottle=1.3
    )
    lined = dataclasses.replace(plain, creases=1.0)
    mild, strong = (
        [own_detail(p, LIGHT_SKIN, layout(), Clarity(s, 0.0)) for p in (plain, lined)]
        for s in (0.8, STRENGTH[1])
    )
    np.testing.assert_allclose(mild[0], strong[0])
    line = [np.abs(one[1] - one[0])[palm()].max() for one in (mild, strong)]
    assert line[1] == pytest.approx(line[0] * STRENGTH[1] / 0.8)
