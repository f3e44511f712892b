"""The parts of XHand by themselves: embeddings, losses, views, storage."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hand_toolkit.avatar import display_theta, surface
from hand_toolkit.core.errors import InputError
from hand_toolkit.core.metrics import ssim
from hand_toolkit.core.types import Camera, Photo
from hand_toolkit.hand_model import pose_hand_numpy
from hand_toolkit.media.viewset import ViewSet
from hand_toolkit.skin.template import template_log_albedo
from hand_toolkit.skin.uv_layout import uv_layout
from hand_toolkit.skin.uv_observation import away_from_cut
from hand_toolkit.systems.xhand.config import XHandConfig
from hand_toolkit.systems.xhand.embedding import FeatureEmbedding
from hand_toolkit.systems.xhand.evidence import check_one_person, look_at
from hand_toolkit.systems.xhand.losses import laplacian, smoothness, ssim_map
from hand_toolkit.systems.xhand.person import MM, Person
from hand_toolkit.systems.xhand.place import Places, neutral_light
from hand_toolkit.systems.xhand.renderer import NeuralRenderer
from hand_toolkit.systems.xhand.skin import _gains
from hand_toolkit.testing.views import drawn_views

SKIN = torch.log(torch.tensor([0.4, 0.25, 0.2]))


def random_theta(seed: int) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(0, 0.4, (16, 3)), dtype=torch.float32)


@pytest.mark.parametrize("decoder", ["factored", "vertex"])
def test_features_are_the_average_and_what_the_pose_adds_through_rows_that_sum_to_one(decoder):
    torch.manual_seed(0)
    average = torch.randn(40, 3)
    module = FeatureEmbedding(average, width=16, depth=3, decoder=decoder)
    torch.testing.assert_close(module.rows.sum(1), torch.ones(10))
    torch.nn.init.normal_(module.layers[-1].weight)
    a, b = random_theta(1), random_theta(2)
    turned = a.clone()
    turned[0] += 1.0
    torch.testing.assert_close(module(a), module(turned))  # the wrist's turn is the camera's
    assert (module(a) - module(b)).abs().max() > 1e-5
    torch.testing.assert_close(module(a), average + module.offset(a))


def test_refreshed_averages_take_up_the_mean_offset_and_change_no_pose():
    torch.manual_seed(0)
    module = FeatureEmbedding(torch.zeros(30, 3), width=16, depth=3)
    torch.nn.init.normal_(module.layers[-1].bias)
    poses = torch.stack([random_theta(k) for k in range(5)])
    before = [module(theta).detach() for theta in poses]
    module.refresh(poses)
    for was, theta in zip(before, poses):
        torch.testing.assert_close(module(theta), was, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(module.average.detach(), torch.stack(before).mean(0))
    offsets = torch.stack([module.offset(theta) for theta in poses]).mean(0)
    assert offsets.abs().max() < 1e-6


def test_a_new_person_is_the_hand_model_and_displacement_is_of_the_rest_pose():
    config = XHandConfig(level=1)
    model = surface("default", "left", 1)
    shape = np.random.default_rng(0).normal(size=len(model.shape_names)) * model.shape_sigmas
    person = Person("default", "left", shape, SKIN, config)
    theta, where = random_theta(3), torch.tensor([0.01, 0.02, 0.5])
    expected = pose_hand_numpy(model, theta.numpy(), shape, where.numpy())[0]
    still = person.still(theta, where)
    np.testing.assert_allclose(still.vertices.detach(), expected, atol=2e-6)
    person.displacement.average.data[:, 0] = 2.0
    moved = (
        person.still(torch.zeros(16, 3), where).vertices
        - Person("default", "left", shape, SKIN, config, plain=True)
        .still(torch.zeros(16, 3), where)
        .vertices
    )
    inner = torch.tensor(away_from_cut(model, model.template)).float()
    torch.testing.assert_close(moved[:, 0], 2 * MM * inner, atol=1e-6, rtol=0)
    assert float((inner == 1).float().mean()) > 0.9
    assert float(inner.min()) == 0


def test_part_aware_weights_spare_what_is_already_smooth():
    model = surface("default", "right", 0)
    matrix = laplacian(model.faces, len(model.template))
    assert matrix.to_dense().sum(1).abs().max() < 1e-5
    noise = torch.tensor(np.random.default_rng(0).normal(size=(len(model.template), 3))).float()
    rough = (matrix @ noise).abs().sum(1)
    expected = torch.where(rough <= rough.median(), 0.1, 20.0) * rough
    found = smoothness(noise, matrix, (0.5, 0.1, 20.0), plain=False)
    assert found == pytest.approx(float(expected.mean()), rel=2e-2)
    assert smoothness(noise, matrix, (0.5, 0.1, 20.0), plain=True) > found
    assert smoothness(torch.ones_like(noise), matrix, (0.5, 0.1, 20.0), plain=False) < 1e-5


def test_similarity_is_the_metric_where_all_is_weighed_and_blind_to_the_rest():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=(2, 48, 40, 3))
    b = 0.5 * a + 0.5 * b
    first, second = (torch.tensor(x, dtype=torch.float32) for x in (a, b))
    ones = torch.ones(48, 40)
    whole = ssim_map(first, second, ones)[5:-5, 5:-5].mean()
    assert float(whole) == pytest.approx(ssim(a, b), abs=2e-3)
    part = torch.zeros(48, 40)
    part[10:30, 10:30] = 1
    changed = first.clone()
    changed[32:] = 0
    inside = (slice(10, 30), slice(10, 30))
    torch.testing.assert_close(
        ssim_map(first, second, part)[inside], ssim_map(changed, second, part)[inside]
    )
    first.requires_grad_()
    ssim_map(first, second, part)[inside].sum().backward()
    assert torch.isfinite(first.grad).all()


def test_places_begin_where_the_views_say_and_their_priors_are_zero():
    views = drawn_views((0.0, 60.0), ("right", "left"), size=128)
    shown, left_out = look_at(views, 96)
    assert not left_out
    places = Places.of(shown, neutral_light())
    for n, (t, k) in enumerate(places.key):
        theta, where = places.pose(n)
        hand = views[t].hands[k]
        np.testing.assert_allclose(theta.detach(), hand.theta, atol=2e-5)
        np.testing.assert_allclose(where.detach(), hand.translation, atol=1e-6)
    assert float(places.prior(XHandConfig()).detach()) == pytest.approx(0, abs=1e-3)


def test_blurred_views_are_left_out_and_named():
    import cv2

    views = drawn_views((0.0, 20.0, 40.0, 60.0), size=200)
    blurred = cv2.GaussianBlur(views[2].read().pixels, (0, 0), 4)
    photo = Photo(blurred, focal_px=views[2].camera.fx, name="drawn_2")
    bad = dataclasses.replace(views[2], read=lambda: photo)
    mixed = ViewSet((views[0], views[1], bad, views[3]), "mixed")
    shown, left_out = look_at(mixed, 200)
    assert [s.view.name for s in shown] == ["drawn_0", "drawn_1", "drawn_3"]
    assert len(left_out) == 1
    assert "'drawn_2' is blurred" in left_out[0]


def test_views_without_a_usable_hand_are_refused_in_a_sentence():
    views = drawn_views((0.0,), size=128)
    empty = dataclasses.replace(views[0], mask=np.zeros_like(views[0].mask))
    with pytest.raises(InputError, match="none of the 1 pictures shows a hand"):
        look_at(ViewSet((empty,)), 96)


def test_views_of_two_people_are_refused_and_those_of_one_in_changing_light_are_not():
    turns = (0.0, 120.0, 180.0)
    bright = drawn_views(turns, size=128, exposures=[0.3, 0.3, 0.36])
    dark = drawn_views(turns, size=128, exposures=[0.04, 0.035, 0.045])
    named = [dataclasses.replace(v, name=f"other_{k}") for k, v in enumerate(dark)]
    check_one_person(look_at(bright, 96)[0])
    with pytest.raises(InputError, match=r"two people's hands .*one_person=yes"):
        check_one_person(look_at(ViewSet((*bright, *named)), 96)[0])


def test_the_neural_renderer_begins_with_nothing_added_and_learns():
    torch.manual_seed(0)
    camera = Camera(150, 150, 24, 24, 48, 48)
    person = Person("default", "right", np.zeros(34), SKIN, XHandConfig(level=1), level=0)
    light = torch.tensor(neutral_light(), dtype=torch.float32)
    theta = torch.tensor(display_theta("right"), dtype=torch.float32)
    with torch.no_grad():
        posed = person(theta, torch.tensor([0.0, 0.09, 0.6]))
    visible = torch.ones(len(posed.vertices), 1)
    for kind in ("mlp", "unet"):
        renderer = NeuralRenderer(person, kind)
        base, where, made = renderer.picture(person, posed, light, visible, camera)
        assert len(where) > 120
        torch.testing.assert_close(made.detach(), base.color.reshape(-1, 3)[where])
        optimizer = torch.optim.Adam(renderer.parameters(), 2e-3)
        target = made.detach() * torch.tensor([0.8, 1.0, 1.2])
        losses = []
        for _ in range(12):
            drawn = renderer.picture(person, posed, light, visible, camera)[2]
            losses.append((drawn - target).abs().mean())
            optimizer.zero_grad()
            losses[-1].backward()
            optimizer.step()
        assert losses[-1] < 0.6 * losses[0]


def test_a_view_alone_takes_the_tone_of_the_others() -> None:
    """The one photo of a hand's back, in more light than those of its palm."""
    layout = uv_layout("default", 96)
    skin = template_log_albedo(layout.uv, 0.3) + np.log([0.5, 0.3, 0.2])
    back = np.arange(len(skin)) % 2 == 0

    def view(number: int, seen: np.ndarray, exposure: np.ndarray) -> Any:
        return SimpleNamespace(
            view=number, sure=seen.astype(float), made=SimpleNamespace(log_albedo=skin + exposure),
            completed=SimpleNamespace(shade=0 * skin, layout=layout),
        )  # fmt: skip

    exposures = np.array([[0.05, 0, 0], [-0.05, 0, 0], [0.4, 0.5, 0.7]])
    views = [
        view(0, ~back, exposures[0]),
        view(1, ~back, exposures[1]),
        view(2, back, exposures[2]),
    ]
    off = exposures + _gains({"right": views}, 3)
    assert np.ptp(off, axis=0).max() < 0.05
