"""The hand is closed at the wrist, whatever the hand model's mesh is."""

from __future__ import annotations

import dataclasses

import numpy as np

from hand_toolkit.avatar import display_theta, surface
from hand_toolkit.avatar.stump import closed, is_closed, open_edges
from hand_toolkit.core.cameras import look_at
from hand_toolkit.render import AvatarRenderer
from hand_toolkit.testing.look import laid_avatar


def test_open_edges_of_a_square() -> None:
    edges = open_edges(np.array([[0, 1, 2], [0, 2, 3]]))
    assert sorted(map(tuple, edges.tolist())) == [(0, 1), (1, 2), (2, 3), (3, 0)]


def test_no_view_into_the_wrist_finds_the_inside() -> None:
    avatar = laid_avatar(4)
    (hand,) = avatar.hands
    model = surface("default", "right", 1)
    capped = closed(hand, model)
    assert is_closed(capped, model.faces) and not is_closed(hand, model.faces)
    assert closed(capped, model) is capped
    # the inside is painted red, and must not show
    red = np.tile([1.0, 0, 0], (len(hand), 1))
    rim = np.isin(hand.binding.triangle, capped.binding.triangle[len(hand) :])
    red[rim] = hand.color[rim]
    color = np.concatenate([red, capped.color[len(hand) :]])
    shown = dataclasses.replace(avatar, hands=(dataclasses.replace(capped, color=color),))
    theta = {"right": display_theta("right")}
    vertices = avatar.mesh("right", theta["right"])
    wrist = vertices[np.unique(open_edges(model.faces))]
    centre, out = wrist.mean(axis=0), wrist.mean(axis=0) - vertices.mean(axis=0)
    camera = look_at(centre + 3 * out, centre, 96, 96, 0.2)
    open_hand = dataclasses.replace(avatar, hands=(dataclasses.replace(hand, color=red),))
    inside = AvatarRenderer(open_hand, camera).render_planes(theta)
    assert inside.color[44:52, 44:52, 1].mean() < 0.1
    picture = AvatarRenderer(shown, camera).render_planes(theta)
    middle = np.array(picture.color)[40:56, 40:56]
    assert picture.alpha[40:56, 40:56].min() > 0.95
    assert np.abs(middle - hand.color[0]).max() < 0.05
