"""Trusting the photo less, and painting it out, after the fit."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hand_toolkit.avatar import Avatar, surface
from hand_toolkit.avatar.levels import merged, thinned
from hand_toolkit.cli import run
from hand_toolkit.core.errors import InputError
from hand_toolkit.edit import painted_out, toned, trusted
from hand_toolkit.edit.refine import refined, splat_uv
from hand_toolkit.testing.avatars import PLAIN, procedural_avatar


@lru_cache(maxsize=1)
def avatar() -> Avatar:
    return procedural_avatar(3, sides=("right",))


def test_a_file_keeps_hidden_skin(tmp_path: Path) -> None:
    kept = Avatar.load(avatar().save(tmp_path / "a.hand")).hands[0]
    before = avatar().hands[0].hidden
    assert kept.hidden is not None and before is not None
    np.testing.assert_allclose(kept.hidden, before, atol=0.5 / 255 + 1e-6)
    bare = dataclasses.replace(
        avatar(), hands=(dataclasses.replace(avatar().hands[0], hidden=None),)
    )
    assert Avatar.load(bare.save(tmp_path / "b.hand")).hands[0].hidden is None


def test_hidden_skin_goes_with_the_splats() -> None:
    hand = avatar().hands[0]
    fine = refined(avatar(), hand, np.ones(len(surface("default", "right", 1).faces), bool))
    for other in (merged(hand, 1).hand, thinned(hand), hand.mirrored(), fine):
        assert other.hidden is not None
        assert other.hidden.shape == (len(other), 3)
        np.testing.assert_allclose(other.hidden, np.tile(PLAIN, (len(other), 1)), atol=1e-5)


def test_less_trust_comes_nearer_to_hidden_skin() -> None:
    off = [
        np.abs(trusted(avatar(), t).hands[0].albedo - PLAIN).mean() for t in (0.5, 0.3, 0.1, 0.0)
    ]
    assert off == sorted(off, reverse=True)
    assert off[3] < 0.08 * off[0]
    assert trusted(avatar(), 0.5) is avatar()
    assert "trust 0.3" in trusted(avatar(), 0.3).provenance["edits"]


def test_a_mirror_image_stays_one() -> None:
    hand = avatar().hands[0]
    pair = dataclasses.replace(avatar(), hands=(hand, hand.mirrored().beside(hand)))
    right, left = trusted(pair, 0.1).hands
    np.testing.assert_array_equal(right.albedo, left.albedo)


def test_a_tone_survives_less_trust() -> None:
    dark = toned(avatar(), "monk:9")
    shown = trusted(dark, 0.0).hands[0].albedo.mean(axis=0)
    assert np.abs(shown - dark.hands[0].albedo.mean(axis=0)).max() < 0.05


def test_what_is_painted_out_in_the_photo_is_hidden_skin_there_alone() -> None:
    camera = avatar().camera
    mask = np.zeros((camera.height, camera.width), np.float32)
    mask[:, : camera.width // 2] = 1
    before, after = avatar().hands[0], painted_out(avatar(), mask).hands[0]
    moved = np.abs(after.albedo - before.albedo).max(axis=1) > 1e-6
    vertices = avatar().mesh("right", before.source_theta, before.source_translation)
    faces = surface("default", "right", 1).faces
    middle = vertices[faces[before.binding.triangle]].mean(axis=1)
    column = camera.project(middle)[:, 0]
    assert moved.sum() > 0.1 * len(before)
    assert column[moved].max() < camera.width / 2 + 4
    assert moved[column < camera.width / 2 - 4].mean() < 0.75  # the side that turns away stays
    solid = after.evidence == 0
    np.testing.assert_allclose(
        after.albedo[solid & moved], PLAIN[None].repeat((solid & moved).sum(), 0), atol=0.02
    )


def test_what_is_painted_out_in_the_layout_is_hidden_skin_there_alone() -> None:
    mask = np.zeros((512, 512), np.float32)
    mask[:200] = 1
    before, after = avatar().hands[0], painted_out(avatar(), mask, layout=True).hands[0]
    v = splat_uv(surface("default", "right", 1), before)[:, 1]
    np.testing.assert_allclose(after.albedo[v > 0.65] - PLAIN, 0, atol=0.01)
    np.testing.assert_array_equal(after.albedo[v < 0.58], before.albedo[v < 0.58])


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    hand = dataclasses.replace(avatar().hands[0], hidden=None)
    bare = dataclasses.replace(avatar(), hands=(hand,))
    with pytest.raises(InputError, match="keeps no hidden skin"):
        trusted(bare, 0.2)
    with pytest.raises(InputError, match="fit again with --trust"):
        trusted(avatar(), 0.7)
    with pytest.raises(InputError, match="give one of the photo's size"):
        painted_out(avatar(), np.ones((4, 4)))
    with pytest.raises(InputError, match="has no left hand"):
        painted_out(avatar(), np.ones((64, 64)), layout=True, side="left")
    Image.new("L", (64, 64)).save(tmp_path / "black.png")
    with pytest.raises(InputError, match="paint what is not believed white"):
        painted_out(avatar(), tmp_path / "black.png", layout=True)


def test_the_command_paints_out(tmp_path: Path) -> None:
    source = avatar().save(tmp_path / "a.hand")
    camera = avatar().camera
    Image.new("L", (camera.width, camera.height), 255).save(tmp_path / "out.png")
    after = tmp_path / "b.hand"
    command = ["edit", str(source), "--paint-out", str(tmp_path / "out.png"), "--trust", "0.4"]
    assert run([*command, "-o", str(after)]) == 0
    assert "trust 0.4; painted out out.png" in Avatar.load(after).provenance["edits"]
