"""The observation in UV, the network's composition, and its file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from hand_toolkit.avatar import display_theta, surface
from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.core.types import Camera
from hand_toolkit.hand_model import pose_hand_numpy, vertex_normals
from hand_toolkit.skin.complete import SHADE, SHADE_HUE, _of_light, complete_skin
from hand_toolkit.skin.completion_weights import SHIPPED, load_completion
from hand_toolkit.skin.grid import GRID
from hand_toolkit.skin.light import LUMINANCE
from hand_toolkit.skin.nails import unseen_paint
from hand_toolkit.skin.network import CompletionNetwork, Heads, compose
from hand_toolkit.skin.template import (
    DARK_SKIN,
    LIGHT_SKIN,
    LIGHTER,
    pigment_luminance,
    template_log_albedo,
)
from hand_toolkit.skin.tones import AWAY, AWAY_HUE, PALEST, off_the_template, overexposed
from hand_toolkit.skin.uv_layout import LEVEL, UVLayout, uv_layout
from hand_toolkit.skin.uv_observation import CHANNELS, UVObservation, observe_uv, scene_of

SIZE = 192
SKIN, WALL = np.array([0.80, 0.60, 0.50]), np.array([0.2, 0.35, 0.6])


def observed(
    side: str, turned: bool = False, glare: bool = False
) -> tuple[UVObservation, UVLayout]:
    """An evenly coloured hand before a wall, palm or back to the camera, its left half glaring."""
    model, theta = surface("default", side, LEVEL), display_theta(side)
    if turned:
        from scipy.spatial.transform import Rotation

        about_y = Rotation.from_rotvec([0, np.pi, 0])
        theta[0] = (about_y * Rotation.from_rotvec(theta[0])).as_rotvec()
    place = np.array([0.0, 0.08, 0.5])
    vertices = pose_hand_numpy(model, theta, np.zeros(len(model.shape_names)), place)[0]
    camera = Camera(400, 400, 120, 120, 240, 240)
    scene = scene_of(np.zeros((240, 240, 3)), vertices, model.faces, camera)
    hand = np.isfinite(scene.depth)
    scene.pixels[:] = np.where(hand[..., None], SKIN, WALL)
    if glare:
        left = hand & (np.indices(hand.shape)[1] < np.median(np.nonzero(hand)[1]) - 10)
        scene.pixels[left] = 1.0
    normals = vertex_normals(vertices, model.faces)
    layout = uv_layout("default", SIZE)
    seen = observe_uv(
        scene, hand.astype(float), layout, side, vertices, normals, np.ones(len(vertices))
    )
    return seen, layout


def test_palm_and_back_are_seen_from_their_own_sides() -> None:
    front, layout = observed("right")
    behind, _ = observed("right", turned=True)
    model = surface("default", "right", LEVEL)
    up = layout.at(vertex_normals(model.template, model.faces))[:, 1]
    palm, back = up < -0.7, up > 0.7
    assert front.seen[palm].mean() > 0.6 > 0.05 > front.seen[back].mean()
    assert behind.seen[back].mean() > 0.6 > 0.05 > behind.seen[palm].mean()


def test_a_left_hand_is_observed_as_the_mirrored_right_one() -> None:
    right, _ = observed("right")
    left, _ = observed("left")
    np.testing.assert_allclose(left.inputs, right.inputs, atol=0.35)
    assert np.abs(left.inputs - right.inputs).mean() < 5e-3


def test_even_skin_in_even_light_is_even() -> None:
    seen, _ = observed("right")
    color = seen.inputs[(seen.sure > 0.5), :3]
    assert np.abs(color).max() < 0.25
    unlike = seen.inputs[:, CHANNELS.index("unlike_background")]
    assert unlike[seen.sure > 0.5].min() > 0.2


def test_observations_are_checked() -> None:
    with pytest.raises(ValueError, match="expected"):
        UVObservation(
            np.zeros((4, 3)), np.zeros((4, 3)), np.zeros(3), np.zeros(4), np.zeros((9, 3))
        )


def heads(belief: float, shade: float = 0.0) -> Heads:
    return Heads(
        torch.full((1, 1, GRID, GRID), belief),
        torch.full((1, 3, GRID, GRID), shade),
        torch.zeros(1, 2, 16, 16),
        torch.zeros(1, 3, 32, 32),
        torch.zeros(1, 3),
    )


def test_composition_believes_only_what_was_seen() -> None:
    photo, bank = torch.full((1, 3, 64, 64), 0.5), torch.full((3, 3, 64, 64), -0.2)
    seen = torch.zeros(1, 1, 64, 64)
    seen[..., 32:] = 1
    nail = torch.zeros(1, 64, 64)
    out, hidden, belief, _ = compose(photo, seen, heads(20.0, 0.1), bank, nail)
    assert torch.allclose(out[..., 32:], torch.tensor(0.4), atol=1e-5)
    assert torch.allclose(out[..., :32], hidden[..., :32])
    assert (belief[..., :32] == 0).all()
    out, hidden, _, _ = compose(photo, seen, heads(-20.0), bank, nail)
    assert torch.allclose(out, hidden, atol=1e-5)


def test_an_untrained_network_shows_the_bank_s_mean() -> None:
    network = CompletionNetwork(3)
    grid = torch.randn(1, len(CHANNELS), GRID, GRID)
    said = network(grid, torch.zeros(1, 3), torch.ones(1, GRID, GRID))
    bank = torch.randn(3, 3, 48, 48)
    args = (torch.zeros(1, 3, 48, 48), torch.zeros(1, 1, 48, 48), said, bank)
    out = compose(*args, torch.ones(1, 48, 48))[0]
    assert torch.allclose(out[0], bank[0])


@pytest.fixture(scope="module")
def shipped() -> None:
    if not SHIPPED.is_file():
        pytest.skip("no weights are shipped")


def test_the_shipped_network_believes_skin_and_invents_a_back(shipped: None) -> None:
    seen, layout = observed("right")
    skin = complete_skin(seen, layout, load_completion())
    sure = seen.sure > 0.6
    assert skin.belief[sure].mean() > 0.6
    assert (skin.belief[seen.seen == 0] == 0).all()
    out = skin.compose(seen.log_albedo)
    assert np.isfinite(out).all()
    # the back has detail of its own, about the seen skin's tone
    back = surface("default", "right", LEVEL)
    up = layout.at(vertex_normals(back.template, back.faces))[:, 1] > 0.7
    assert 0.02 < out[up].mean(1).std() < 0.5
    assert np.abs(out[up].mean(0) - seen.tone).max() < 0.8


def test_composing_at_the_texels_is_composing(shipped: None) -> None:
    seen, layout = observed("right")
    skin = complete_skin(seen, layout, load_completion())
    some = np.arange(0, len(layout.index), 37)
    known = (seen.seen > 0).astype(float)[some]
    at, _ = skin.compose_at(layout.uv[some], seen.log_albedo[some], known)
    np.testing.assert_allclose(at, skin.compose(seen.log_albedo)[some], atol=1e-4)


def test_heads_can_be_left_out(shipped: None) -> None:
    seen, layout = observed("right")
    whole, less = (complete_skin(seen, layout, load_completion(), w) for w in ("", "belief"))
    assert less.belief.sum() > whole.belief.sum()


def test_a_missing_or_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="membrane"):
        load_completion(tmp_path / "none.safetensors")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"not weights")
    with pytest.raises(FileFormatError, match="reinstall"):
        load_completion(bad)


def test_the_weights_are_small(shipped: None) -> None:
    assert SHIPPED.stat().st_size <= 9e6
    notes = load_completion().notes
    assert {"command", "step", "samples", "scores"} <= set(notes)


def test_trust_moves_belief_up_and_down(shipped: None) -> None:
    seen, layout = observed("right")
    skin = complete_skin(seen, layout, load_completion())
    none, less, more, all_of_it = (skin.trusted(t) for t in (0, 0.3, 0.7, 1))
    assert skin.trusted(0.5) is skin
    assert none.belief.max() <= 0.05
    assert less.belief.sum() < skin.belief.sum() < more.belief.sum() < all_of_it.belief.sum()
    assert (all_of_it.belief[skin.belief > 0] == 1).all()
    assert (all_of_it.belief[seen.seen == 0] == 0).all()


def test_a_palm_in_the_light_does_not_make_the_back_a_dark_hands() -> None:
    """Invented skin stays within reach of the template moved to the tone of believed skin."""
    count = 400
    belief = (np.arange(count) < 150).astype(float)
    template = np.log(np.full((count, 3), 0.4)) + 0.1 * np.sin(np.arange(count))[:, None]
    seen = template - 0.2
    hidden = np.where(belief[:, None] > 0, seen, seen - 1.2)
    off = off_the_template(hidden, seen, belief, template)
    np.testing.assert_allclose(off[belief > 0], 0, atol=1e-9)
    np.testing.assert_allclose(off[belief == 0], AWAY - 1.2, atol=1e-9)
    np.testing.assert_array_equal(off_the_template(hidden, seen, 0 * belief, template), 0)
    redder = np.where(belief[:, None] > 0, seen, seen + np.array([0.2, 0.0, -0.2]))
    off = off_the_template(redder, seen, belief, template)
    np.testing.assert_allclose(off[belief == 0], [[0.2 - AWAY_HUE, 0, AWAY_HUE - 0.2]] * 250)


def test_a_light_hand_in_little_light_is_no_dark_hand() -> None:
    layout = uv_layout("default", SIZE)
    palm = (np.asarray(layout.at(vertex_normals_of_rest()))[:, 1] < 0.3).astype(float)
    for luminance, looks, expected in (
        (LIGHT_SKIN, 0.17, LIGHT_SKIN),
        (DARK_SKIN, DARK_SKIN, DARK_SKIN),
        (DARK_SKIN, LIGHT_SKIN, LIGHT_SKIN * (DARK_SKIN / LIGHT_SKIN) ** LIGHTER),
    ):
        seen = template_log_albedo(layout.uv, luminance) + np.log(looks)
        found = pigment_luminance(seen, palm, layout.uv, looks)
        assert abs(np.log(found / expected)) < 0.1
    nothing = pigment_luminance(0 * seen, 0 * palm, layout.uv, 0.2)
    assert abs(nothing - 0.2) < 1e-6, "where nothing is seen the luminance decides"


def vertex_normals_of_rest() -> np.ndarray:
    model = surface("default", "right", LEVEL)
    return vertex_normals(model.template, model.faces)


def test_overexposed_skin_is_in_more_light_and_is_believed_less(shipped: None) -> None:
    """More light than was estimated, not chalk: what a photo clips was brighter yet."""
    seen, layout = observed("right")
    brighter = np.log(2.2)
    pale = dataclasses.replace(
        seen, log_albedo=seen.log_albedo + brighter, tone=seen.tone + brighter
    )
    assert overexposed(seen.tone) == 0.0
    assert overexposed(pale.tone) > 0.1
    plain, mended = (complete_skin(o, layout, load_completion()) for o in (seen, pale))
    for skin, photo in ((plain, seen), (mended, pale)):
        tone = np.median(skin.compose(photo.log_albedo), axis=0)
        assert float(np.exp(tone) @ LUMINANCE) < 1.1 * PALEST
    clipped = dataclasses.replace(seen, clipped=np.ones(len(seen.sure)))
    doubted = complete_skin(clipped, layout, load_completion())
    assert doubted.belief.sum() < 0.6 * plain.belief.sum()


def test_clipped_pixels_are_found_and_tell_little_of_the_tone() -> None:
    seen, _ = observed("right", glare=True)
    on = seen.clipped > 0.9
    assert 0.02 < on[seen.seen > 0.5].mean() < 0.9
    assert seen.sure[on].max() < 0.1
    plain, _ = observed("right")
    assert plain.clipped.max() < 0.1
    np.testing.assert_allclose(seen.tone - seen.tone[1], plain.tone - plain.tone[1], atol=0.1)


def test_red_at_its_end_leaves_no_green_skin() -> None:
    seen, layout = observed("right")
    full = dataclasses.replace(seen, log_albedo=seen.log_albedo + np.array([0, 0.3, 0.3]))
    told = dataclasses.replace(full, full_red=np.ones(len(seen.sure)))
    green = []
    for photo in (full, told):
        skin = complete_skin(photo, layout, load_completion())
        over = photo.log_albedo - skin.shade - skin.hidden
        green.append(float(np.average(over[:, 1] - over[:, 0], weights=photo.seen)))
    assert green[0] > 0.1
    assert green[1] < 0.5 * green[0]


def test_shade_is_light_on_skin_and_no_paint() -> None:
    asked = np.array([[-0.3, -0.35, -0.38], [-0.2, 0.5, -0.6], [-3.0, -3.0, -3.0]])
    light = _of_light(asked)
    np.testing.assert_allclose(light[0], asked[0])  # a reddish shadow, as between fingers
    assert np.ptp(light[1]) <= 2 * SHADE_HUE + 1e-9, "a wall's green is not taken off skin"
    np.testing.assert_allclose(light[2], -SHADE)


@pytest.mark.skipif(not SHIPPED.is_file(), reason="no weights are shipped")
def test_lacquer_needs_a_nail_that_differs_from_its_finger() -> None:
    seen, layout = observed("right", turned=True)
    maps, nail = load_completion().bank.at(layout)
    at = torch.tensor(layout.index)
    nails = nail[0].flatten()[at].numpy()
    bank = maps[0].flatten(1)[:, at].T.double().numpy()
    green = np.array([-1.0, 0.1, -0.4])
    # no nail of a flat hand seen from 40 cm is far from the outline
    seen.inputs[:, [CHANNELS.index("rim"), CHANNELS.index("beside")]] = 0
    belief = np.ones((len(nails), 1))
    painted = bank + nails[:, None] * green
    left = unseen_paint(green, seen, painted, belief, nails, bank, layout)
    assert np.abs(left).max() < 0.02, "lacquer that is seen goes to the other nails"
    dark = bank + np.array([-0.8, -0.9, -0.9])  # a shadow on nails and fingers alike
    taken = unseen_paint(green, seen, dark, belief, nails, bank, layout)
    bare = green - taken
    assert np.abs(bare - bare.mean()).max() < 0.15 and bare.mean() > -0.2
    natural = np.array([0.2, 0.15, 0.12])
    assert np.abs(unseen_paint(natural, seen, dark, belief, nails, bank, layout)).max() < 1e-3
