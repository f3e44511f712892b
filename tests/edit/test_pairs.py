"""Two hands of one, in contact."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from hand_toolkit.animate import load_motion
from hand_toolkit.avatar import Avatar
from hand_toolkit.cli import run
from hand_toolkit.core.errors import InputError
from hand_toolkit.edit import PAIRS, paired, pairs, with_both_hands
from hand_toolkit.synth.interaction import TWO_HAND_NAMES
from hand_toolkit.testing.avatars import procedural_avatar


def test_pairs_are_arrangements_of_the_solver() -> None:
    assert set(PAIRS.values()) <= set(TWO_HAND_NAMES)


def test_one_hand_is_posed_as_a_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "TRIES", 1)
    me, out = tmp_path / "me.hand", tmp_path / "prayer.npz"
    procedural_avatar(0, sides=("right",)).save(me)
    extra = ["--picture", str(tmp_path / "p.png"), "--save-avatar", str(tmp_path / "two.hand")]
    assert run(["pair", str(me), "prayer", "-o", str(out), *extra]) == 0
    assert (tmp_path / "p.png").exists()
    both = Avatar.load(tmp_path / "two.hand")
    assert both.sides == ("right", "left")
    theta, where = load_motion(out).frame(0)
    right, left = (both.mesh(s, theta[s], where[s]) for s in ("right", "left"))
    gap = cKDTree(left).query(right)[0]
    assert gap.min() < 0.003
    # palms meet, so a good part of the skin is near the other hand, and fingers point upwards
    assert (gap < 0.006).mean() > 0.04
    tips = right[:, 1].argmin()
    assert right[tips, 1] < where["right"][1] - 0.12


def test_bad_input() -> None:
    one = procedural_avatar(0, sides=("left",))
    assert with_both_hands(one).sides == ("right", "left")
    with pytest.raises(InputError, match="unknown pair"):
        paired(with_both_hands(one), "high-five")
    with pytest.raises(InputError, match="default hand"):
        paired(dataclasses.replace(with_both_hands(one), hand_model="mano"), "clasp")
    with pytest.raises(InputError, match="no right hand"):
        paired(one, "clasp")
    np.testing.assert_array_equal(
        with_both_hands(one).hand("right").albedo, one.hand("left").albedo
    )


def test_two_right_hands_shake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "TRIES", 1)
    me, you, out = (tmp_path / n for n in ("me.hand", "you.hand", "shake.npz"))
    procedural_avatar(0, sides=("right",)).save(me)
    procedural_avatar(1, sides=("left",)).save(you)
    words = ["pair", str(me), "handshake", "-o", str(out)]
    assert run(words) == 2
    assert not out.exists()
    assert run([*words, "--with", str(you), "--picture", str(tmp_path / "p.png")]) == 0
    assert (tmp_path / "p.png").exists()
    skins = []
    for path, avatar in ((out, me), (tmp_path / "shake_other.npz", you)):
        theta, where = load_motion(path).frame(0)
        assert set(theta) == {"right"}
        both = with_both_hands(Avatar.load(avatar))
        skins.append(both.mesh("right", theta["right"], where["right"]))
    gap = cKDTree(skins[1]).query(skins[0])[0]
    # palms meet, and fingers lie around the other hand
    assert gap.min() < 0.003
    assert (gap < 0.008).mean() > 0.1
    # the wrists are on opposite sides
    wrists = [load_motion(p).frame(0)[1]["right"] for p in (out, tmp_path / "shake_other.npz")]
    assert np.linalg.norm(wrists[0] - wrists[1]) > 0.08
