"""XHand from drawn views of which everything is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hand_toolkit.avatar import Avatar
from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.core.metrics import psnr_mask
from hand_toolkit.media.viewset import ViewSet
from hand_toolkit.pictures.drawing import picture_of
from hand_toolkit.systems.xhand.config import XHandConfig
from hand_toolkit.systems.xhand.drawables import PersonalAvatar
from hand_toolkit.systems.xhand.fit import fit_xhand
from hand_toolkit.systems.xhand.method import XHandMethod
from hand_toolkit.testing.method import check_method
from hand_toolkit.testing.views import drawn_views

CONFIG = XHandConfig(level=1, size=160, place_size=128, place_steps=24, steps=4)
OFF_RAD, OFF_M = 0.12, 0.004


@pytest.fixture(scope="module")
def views() -> ViewSet:
    return drawn_views((0.0, 70.0, 180.0, 250.0), size=192, exposures=[0.3] * 4)


@pytest.fixture(scope="module")
def fitted(views):
    """From poses that are off."""
    rng = np.random.default_rng(0)
    moved = []
    for view in views:
        hand = view.hands[0]
        theta = hand.theta.copy()
        theta[[1, 4, 7, 10]] += rng.normal(size=(4, 3)) * [OFF_RAD, 0, OFF_RAD / 3]
        where = hand.translation + rng.normal(size=3) * [OFF_M, OFF_M, 0.01]
        hand = dataclasses.replace(hand, theta=theta, translation=where)
        moved.append(dataclasses.replace(view, hands=(hand,)))
    told = []
    made = fit_xhand(ViewSet(tuple(moved), "moved"), CONFIG, lambda f, m: told.append((f, m)))
    return made, moved, told


def test_hands_move_onto_their_pictures(fitted, views):
    made, moved, _ = fitted
    before, after = [], []
    for n, (t, _) in enumerate(made.places.key):
        where = made.places.pose(n)[1].detach().numpy()
        truth = views[t].hands[0].translation
        before.append(np.linalg.norm((moved[t].hands[0].translation - truth)[:2]))
        after.append(np.linalg.norm((where - truth)[:2]))
    assert np.mean(after) < 0.6 * np.mean(before)


def test_the_avatar_looks_like_every_picture(fitted):
    made, _, told = fitted
    scores = []
    for n, (t, _) in enumerate(made.places.key):
        theta, where = (x.detach().numpy() for x in made.places.pose(n))
        view = made.shown[t].view
        drawn = picture_of(made.avatar, {"right": theta}, {"right": where}, view.camera)
        scores.append(psnr_mask(drawn / 255.0, view.read().pixels / 255.0, view.mask > 0.5))
    assert len(scores) == 4
    assert min(scores) > 19
    assert [f for f, _ in told] == sorted(f for f, _ in told)


def test_texels_say_how_many_views_saw_them(fitted):
    made = fitted[0]
    seen = made.avatar.extras["xhand.views.right"]
    assert seen.dtype == np.uint8
    assert 1 <= seen.max() <= 4
    assert (seen > 0).mean() > 0.15


def test_its_embeddings_are_kept_and_follow_the_pose(fitted, tmp_path):
    made = fitted[0]
    loaded = Avatar.load(made.avatar.save(tmp_path / "a.hand"))
    personal = PersonalAvatar(loaded)
    theta = np.zeros((16, 3))
    for side in ("right", "left"):
        flat = personal.splats({side: theta})
        plain = loaded.splats({side: theta})
        assert np.abs(flat.means - plain.means).max() < 0.004
        assert np.abs(flat.colors - plain.colors).max() < 0.3
    # the left hand mirrors the right one, with its embeddings
    right, left = (personal.splats({s: theta}) for s in ("right", "left"))
    np.testing.assert_allclose(left.means * [-1, 1, 1], right.means, atol=2e-4)

    names = [n for n in loaded.extras if n != "xhand.right.displacement.average"]
    damaged = dataclasses.replace(loaded, extras={n: loaded.extras[n] for n in names})
    with pytest.raises(FileFormatError, match="personal mesh is damaged"):
        PersonalAvatar(damaged)
    with pytest.raises(InputError, match="--method xhand"):
        PersonalAvatar(dataclasses.replace(loaded, extras={}))


def test_an_interrupted_fit_goes_on_and_ends_the_same(views, tmp_path):
    config = XHandConfig(level=1, size=96, place_size=96, place_steps=1, steps=1)
    some = ViewSet(views.views[:2], "some")
    whole = fit_xhand(some, config)
    kept = tmp_path / "fit.npz"

    class Stopped(Exception):
        """The user's."""

    def until(part):
        def tell(fraction, message):
            told.append(message)
            if fraction >= part:
                raise Stopped

        return tell

    for part in (0.4, 0.66):
        told: list[str] = []
        with pytest.raises(Stopped):
            fit_xhand(some, config, until(part), resume=kept)
    assert not any("placing" in message for message in told)
    with pytest.raises(InputError, match="other pictures or settings"):
        fit_xhand(some, dataclasses.replace(config, seed=1), resume=kept)
    told = []
    again = fit_xhand(some, config, until(2), resume=kept)
    assert not any("placing" in message for message in told)
    np.testing.assert_array_equal(again.avatar.hands[0].color, whole.avatar.hands[0].color)
    np.testing.assert_array_equal(again.places.angles.detach(), whole.places.angles.detach())
    assert not kept.exists()

    kept.write_bytes(b"no such file")
    with pytest.raises(FileFormatError, match="delete it"):
        fit_xhand(some, config, resume=kept)
    assert kept.read_bytes() == b"no such file"


def test_it_keeps_the_contract_of_methods():
    check_method(
        XHandMethod(),
        options={
            "steps": 1,
            "place_steps": 1,
            "level": 1,
            "working_size": 96,
            "one_picture": "xhand",
        },
    )
