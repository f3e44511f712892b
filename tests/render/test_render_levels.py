"""Fewer splats for small pictures, and none that face away: nobody sees the difference."""

from __future__ import annotations

import dataclasses

import numpy as np

from hand_toolkit.avatar import Avatar, display_theta, surface
from hand_toolkit.avatar.stump import closed
from hand_toolkit.core.types import Camera
from hand_toolkit.render import AvatarRenderer, render
from hand_toolkit.testing.look import laid_avatar

THETA = {"right": display_theta("right")}
PLACE = {"right": np.array([0.0, 0.09, 0.6])}


def spotted() -> Avatar:
    avatar = laid_avatar(16)
    hand = closed(avatar.hands[0], surface("default", "right", 1))
    rng = np.random.default_rng(0)
    color = (0.55 + 0.1 * rng.standard_normal((len(hand), 3))).clip(0, 1).astype(np.float32)
    return dataclasses.replace(avatar, hands=(dataclasses.replace(hand, color=color),))


def test_a_small_picture_is_that_of_all_splats() -> None:
    avatar = spotted()
    # an outline of a pixel's width is a larger share of a small picture
    for pixels, splats, share in ((70, 12_784, 2), (150, 51_136, 1), (900, 204_544, 1)):
        camera = Camera(2.6 * pixels, 2.6 * pixels, pixels / 2, pixels / 2, pixels, pixels)
        renderer = AvatarRenderer(avatar, camera)
        got = renderer.render_planes(THETA, PLACE)
        drawn = renderer._hands._layout_for(renderer._hands._slots[0]).count
        assert splats <= drawn < splats + 3000
        want = render(avatar.splats(THETA, PLACE), camera, antialiased=True)
        assert np.abs(got.alpha - want.alpha).mean() < 0.006 * share
        assert np.abs(got.color - want.color).mean() < 0.012 * share
