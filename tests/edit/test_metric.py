"""Metric size from a card or a ruler beside the hand."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.avatar import Avatar
from hand_toolkit.cli import run
from hand_toolkit.core.errors import InputError
from hand_toolkit.edit import (
    find_card,
    hand_length,
    parse_ruler,
    scaled,
    with_card,
    with_card_of,
    with_ruler,
)
from hand_toolkit.edit.metric import CARD_M, card_plane
from hand_toolkit.media import save_image
from hand_toolkit.testing.avatars import procedural_avatar
from hand_toolkit.testing.cards import CardPhoto, card_photo

FITTED = 0.8
"""Size at which the photo's hand is taken to be: a photo has no scale."""


@lru_cache(maxsize=4)
def photographed(seed: int = 1) -> tuple[CardPhoto, Avatar]:
    """A drawn photo, and the true hand as a fit would return it, too small."""
    avatar = procedural_avatar(3, sides=("right",))
    shown = card_photo(avatar, seed)
    hand = shown.pose.hands[0]
    posed = dataclasses.replace(
        avatar.hands[0], source_theta=hand.theta, source_translation=hand.translation, observed=True
    )
    there = dataclasses.replace(avatar, hands=(posed,), camera=shown.pose.camera)
    return shown, scaled(there, FITTED)


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_a_card_is_found_and_gives_the_size(seed: int) -> None:
    shown, small = photographed(seed)
    found = find_card(shown.photo, small.camera)
    off = np.linalg.norm(found[:, None] - shown.corners[None], axis=-1).min(axis=1)
    assert off.max() < 0.8
    real = hand_length(small, "right") / FITTED
    assert hand_length(with_card(small, found), "right") == pytest.approx(real, rel=0.06)


def test_corners_may_come_in_any_order() -> None:
    shown, small = photographed()
    lengths = [
        hand_length(with_card(small, shown.corners[list(order)]), "right")
        for order in ((0, 1, 2, 3), (2, 0, 3, 1), (3, 2, 1, 0))
    ]
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-4)


def test_a_cards_plane_follows_from_its_corners() -> None:
    shown, _ = photographed()
    normal, middle = card_plane(shown.corners, shown.pose.camera, None)
    rays = np.c_[
        (shown.corners - [shown.pose.camera.cx, shown.pose.camera.cy]) / shown.pose.camera.fx,
        np.ones(4),
    ]
    there = rays * ((normal @ middle) / (rays @ normal))[:, None]
    edges = np.sort(np.linalg.norm(np.diff(there[[0, 1, 2, 3, 0]], axis=0), axis=1))
    np.testing.assert_allclose(edges, np.repeat(np.sort(CARD_M), 2), rtol=1e-3)


def test_a_ruler_gives_the_size() -> None:
    shown, small = photographed()
    edges = np.linalg.norm(np.diff(shown.corners[[0, 1, 2]], axis=0), axis=1)
    ends = shown.corners[:2] if edges[0] > edges[1] else shown.corners[1:3]
    text = ",".join(f"{v:.2f}" for v in ends.ravel()) + "=85.6mm"
    real = hand_length(small, "right") / FITTED
    measured = with_ruler(small, *parse_ruler(text))
    assert hand_length(measured, "right") == pytest.approx(real, rel=0.1)
    assert "a known distance" in measured.provenance["edits"]


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown, small = photographed()
    me, photo = tmp_path / "me.hand", tmp_path / "photo.png"
    small.save(me)
    save_image(photo, shown.photo.pixels)
    out = tmp_path / "metric.hand"
    assert run(["edit", str(me), "--card", str(photo), "-o", str(out)]) == 0
    assert "by a card in the photo" in capsys.readouterr().out
    assert "metric" in Avatar.load(out).provenance["scale"]


def test_bad_input(tmp_path: Path) -> None:
    shown, small = photographed()
    corners = shown.corners
    with pytest.raises(InputError, match="its length away"):
        with_card(small, np.array([[0, 0], [300, 0], [40, 40], [0, 260.0]]))
    with pytest.raises(InputError, match="the same"):
        with_card(small, corners[[0, 0, 1, 2]])
    with pytest.raises(InputError, match="cm long"):
        with_card(small, (corners - corners.mean(0)) / 8 + corners.mean(0))
    with pytest.raises(InputError, match="X4,Y4"):
        with_card_of(small, "1,2,3")
    for text in ("1,2,3,4", "1,2,3,4=ten", "1,2,3=4cm"):
        with pytest.raises(InputError, match="X1,Y1,X2,Y2"):
            parse_ruler(text)
    with pytest.raises(InputError, match="8 pixels"):
        with_ruler(small, np.array([[1, 1], [2, 2.0]]), 0.1)
    plain = tmp_path / "plain.png"
    save_image(plain, np.full((720, 960, 3), 120, np.uint8))
    with pytest.raises(InputError, match=r"no bank card was found.*--card X1"):
        with_card_of(small, str(plain))
    save_image(plain, np.full((600, 960, 3), 120, np.uint8))
    with pytest.raises(InputError, match="give that photo"):
        with_card_of(small, str(plain))
