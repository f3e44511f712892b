"""The texture fit with the completion network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_texture_fit import CAMERA, SKIN, drawn_photo, hand_pose

from hand_toolkit.core.errors import InputError
from hand_toolkit.core.metrics import psnr
from hand_toolkit.core.types import Photo, PoseEstimate
from hand_toolkit.export.bake import bake_textures
from hand_toolkit.export.scene import build_scene
from hand_toolkit.geometry.colour import srgb_to_linear
from hand_toolkit.pictures.drawing import picture_of
from hand_toolkit.skin.complete import CompletedSkin
from hand_toolkit.skin.completion_weights import SHIPPED
from hand_toolkit.skin.template import template_log_albedo
from hand_toolkit.skin.uv_layout import uv_layout
from hand_toolkit.systems.texture.completion import _of_one_person, _told
from hand_toolkit.systems.texture.one_photo import TextureConfig, fit_texture
from hand_toolkit.systems.texture.optimize import OptimizeConfig

pytestmark = pytest.mark.skipif(not SHIPPED.is_file(), reason="no weights are shipped")
NETWORK = TextureConfig(1, 256, OptimizeConfig(steps=10), "network")


@pytest.fixture(scope="module")
def fitted():
    hands = (hand_pose(),)
    photo, mask, labels = drawn_photo(hands)
    return fit_texture(photo, mask, labels, PoseEstimate(hands, CAMERA), NETWORK)


def test_seen_skin_keeps_its_colour(fitted) -> None:
    hand = next(h for h in fitted.hands if h.side == "right")
    seen = hand.evidence > 0.4
    assert seen.mean() > 0.1
    tone = np.median(srgb_to_linear(hand.albedo[seen]), axis=0)
    ratio = tone / SKIN
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.12)


def test_what_was_seen_looks_as_photographed() -> None:
    """Shadows and creases over palm and fingers stay in the photo's view, thought skin or not."""
    from scipy.ndimage import binary_erosion

    hands = (hand_pose(),)
    photo, mask, labels = drawn_photo(hands)
    rows, columns = np.indices(mask.shape)
    marks = np.where((columns // 24) % 2 == 1, 0.35, 1.0)
    marks = marks * (1 - 0.15 * (np.sin(rows / 2.5) > 0.7))
    pixels = (photo.pixels * marks[..., None]).astype(np.uint8)
    how = dataclasses.replace(NETWORK, splats_per_face=4, optimize=OptimizeConfig())
    avatar = fit_texture(Photo(pixels), mask, labels, PoseEstimate(hands, CAMERA), how)
    theta, where = {"right": hands[0].theta}, {"right": hands[0].translation}
    drawn = picture_of(avatar, theta, where, CAMERA, None, "baked")
    core = binary_erosion((mask > 0.5) & (drawn[..., 3] > 250), iterations=2)
    # measured: 26.0 dB; 24.0 while belief thinned the evidence and unseen light was even
    assert psnr(drawn[core][:, :3] / 255.0, pixels[core] / 255.0) > 25.2


def test_hidden_skin_has_detail_and_the_tone(fitted) -> None:
    hand = next(h for h in fitted.hands if h.side == "right")
    log = np.log(np.maximum(srgb_to_linear(hand.albedo), 1e-3))
    hidden, seen = hand.evidence < 0.01, hand.evidence > 0.4
    assert hidden.mean() > 0.3
    assert log[hidden].mean(1).std() > 0.02
    assert np.abs(np.median(log[hidden], 0) - np.median(log[seen], 0)).max() < 0.6


def test_a_wall_past_a_finger_is_not_believed() -> None:
    """The mask spills two pixels over a green wall: no splat may turn green."""
    from scipy.ndimage import binary_dilation

    hands = (hand_pose(),)
    photo, mask, _ = drawn_photo(hands)
    wide = binary_dilation(mask > 0.5, iterations=2)
    off = dataclasses.replace(hands[0], translation=np.add(hands[0].translation, [0.002, 0, 0]))
    avatar = fit_texture(
        Photo(photo.pixels),
        wide.astype(np.float32),
        np.where(wide, 0, -1).astype(np.int32),
        PoseEstimate((off,), CAMERA),
        NETWORK,
    )
    color = next(h for h in avatar.hands if h.side == "right").albedo
    assert (color[:, 1] > color[:, 0]).mean() < 0.01


def test_what_is_painted_out_of_the_photo_says_nothing() -> None:
    """A blue half of a hand, painted out, leaves no blue, and the rest as photographed."""
    from hand_toolkit.media.viewset import View
    from hand_toolkit.skin.crop import crop_view
    from hand_toolkit.systems.texture.one_photo import assemble, fit_view

    hands = (hand_pose(),)
    photo, mask, labels = drawn_photo(hands)
    low = np.indices(mask.shape)[0] > np.nonzero(mask > 0.5)[0].mean()
    pixels = np.where((low & (mask > 0.5))[..., None], np.uint8([40, 80, 220]), photo.pixels)
    evidence = []
    for doubt in (None, low.astype(np.float32)):
        view = View("half", lambda: Photo(pixels), CAMERA, hands, mask, labels, doubt=doubt)
        fit = fit_view(crop_view(view, NETWORK.max_size), hands, NETWORK)
        hand = assemble(fit, CAMERA, "half").hands[0]
        evidence.append(float(hand.evidence.mean()))
    assert evidence[1] > 0.05
    assert (hand.albedo[:, 2] > hand.albedo[:, 0]).mean() < 0.01
    assert (hand.color[:, 2] > hand.color[:, 0]).mean() < 0.01


def test_one_hand_tells_the_other_what_it_shows() -> None:
    layout = uv_layout("default", 192)
    count = len(layout.index)
    none, some = np.zeros((count, 1)), np.zeros((count, 1))
    some[: count // 2] = 1
    flat = np.zeros((count, 3))
    own = CompletedSkin(layout, flat, none, flat, flat)
    other = CompletedSkin(layout, flat, some, flat, flat)
    told = _told(own, other, np.ones((count, 3)))
    assert (told.hidden[: count // 2] > 0.7).all()
    assert (told.hidden[count // 2 :] == 0).all()


def test_a_persons_lines_reach_splats_and_relief_where_nothing_was_seen() -> None:
    from scipy.ndimage import gaussian_filter

    hands = (hand_pose(),)
    photo, mask, labels = drawn_photo(hands)
    estimate = PoseEstimate(hands, CAMERA)
    grain = gaussian_filter(np.random.default_rng(0).normal(size=mask.shape), 1.2)
    photo = Photo((photo.pixels * np.exp(0.35 * grain)[..., None]).clip(0, 255).astype(np.uint8))
    albedo, relief, evidence = [], [], []
    for own in (False, True, True):
        how = dataclasses.replace(NETWORK, splats_per_face=4, own_detail=own)
        avatar = fit_texture(photo, mask, labels, estimate, how)
        hand = avatar.hand("right")
        evidence.append(hand.evidence)
        albedo.append(hand.albedo)
        if len(relief) < 2:
            baked = bake_textures(avatar, build_scene(avatar).hand("right"), 256)
            unseen = baked.covered & (baked.evidence < 5)
            relief.append(np.where(unseen[..., None], baked.normal / 127.5 - 1, 0)[..., :2])
    np.testing.assert_array_equal(albedo[1], albedo[2])
    apart = np.abs(albedo[0] - albedo[1]).mean(axis=1)
    assert (np.min(evidence, axis=0) > 0.9).sum() > 100
    assert apart[np.min(evidence, axis=0) > 0.9].mean() < 0.01
    assert apart[np.max(evidence, axis=0) < 0.02].mean() > 0.005
    people, own = (np.abs(r).mean() for r in relief)
    assert 0.8 * people < own < 2.5 * people
    assert np.abs(relief[1] - relief[0]).mean() > 0.5 * people, "the lines have no depth"


def test_both_hands_of_one_person_get_one_tone() -> None:
    """One hand in a shadow, with the light of the other; but not a dark hand beside a light one."""
    layout = uv_layout("default", 192)
    count = len(layout.index)
    template = template_log_albedo(layout.uv, 0.3)
    half = (np.arange(count) < count // 2)[:, None].astype(float)
    flat = np.zeros((count, 3))

    def tones(other: list[float]) -> np.ndarray:
        both = [template + np.log(t) for t in ([0.6, 0.38, 0.3], other)]
        skins = [CompletedSkin(layout, log, b, flat, flat) for log, b in zip(both, (half, half))]
        made = _of_one_person(skins, both)
        return np.array([np.median(s.compose(log), axis=0) for s, log in zip(made, both)])

    one, other = tones([0.42, 0.25, 0.17])
    np.testing.assert_allclose(one, other, atol=0.03)
    light, dark = tones([0.16, 0.08, 0.05])
    assert (light - dark > 1.2).all()


def test_an_unknown_completion_is_refused() -> None:
    with pytest.raises(InputError, match="belief, network, membrane"):
        TextureConfig(completion="magic")


@pytest.mark.parametrize(("trust", "completion"), [(1.2, "belief"), (0.2, "membrane")])
def test_trust_is_checked(trust: float, completion: str) -> None:
    with pytest.raises(InputError, match="trust"):
        TextureConfig(completion=completion, trust=trust)


@pytest.mark.parametrize("completion", ["belief", "network"])
def test_a_photo_that_is_not_trusted_gives_its_tone_alone(completion: str) -> None:
    """A blue spot in the middle of the palm stays where the photo is trusted."""
    hands = (hand_pose(),)
    photo, mask, labels = drawn_photo(hands)
    rows, columns = np.nonzero(mask > 0.5)
    middle = (int(np.median(rows)), int(np.median(columns)))
    rows_of, columns_of = np.indices(mask.shape)
    pixels = photo.pixels.copy()
    near = np.hypot(rows_of - middle[0], columns_of - middle[1]) < 6
    pixels[near] = (30, 40, 160)
    blue = []
    for trust in (0.0, 1.0):
        how = dataclasses.replace(NETWORK, completion=completion, trust=trust)
        avatar = fit_texture(Photo(pixels), mask, labels, PoseEstimate(hands, CAMERA), how)
        color = next(h for h in avatar.hands if h.side == "right").albedo
        blue.append((color[:, 2] > color[:, 0]).sum())
        assert 0.1 < np.median(color) < 0.95
    assert blue[0] * 4 < blue[1]


def test_warm_light_costs_skin_no_red() -> None:
    """Colours brighter than the estimated light allows keep their hue until shade is taken off."""
    from hand_toolkit.skin.observe import Observation
    from hand_toolkit.systems.texture.fitted_skin import _albedo

    one, toward = np.ones(1), np.array([[0.0, 0.0, -1.0]])
    seen = Observation(
        -toward, toward, np.zeros((1, 2)), np.ones((1, 3)), one, one, 0 * one, one, one
    )
    light = np.zeros((9, 3))
    light[0] = 0.5 / 0.2820948
    found = _albedo(np.array([[0.9, 0.45, 0.3]]), seen, light)
    np.testing.assert_allclose(found, [[1.8, 0.9, 0.6]], rtol=1e-3)
