"""Two-hand motions repaired."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.animate import Motion, find_motion, load_motion, save_motion
from hand_toolkit.animate.builtin import keyed_clasp
from hand_toolkit.cli import run
from hand_toolkit.core.errors import InputError
from hand_toolkit.hand_model.limits import HIGHEST, LOWEST, joint_angles
from hand_toolkit.pose.parting import HandPair, PartingWeights, part_hands
from hand_toolkit.pose.repair import Repaired, repair_motion

FIRST, LAST = 40, 53
"""Frames of the built-in clasp in which fingers come to cross, three millimetres deep."""


@pytest.fixture(scope="module")
def crossing() -> Motion:
    clasp = keyed_clasp()
    part = slice(FIRST, LAST)
    return Motion(clasp.theta[part], clasp.translation[part], clasp.present[part], 30.0, "part")


@pytest.fixture(scope="module")
def repaired(crossing: Motion) -> Repaired:
    return repair_motion(crossing)


def test_what_crossed_touches(repaired: Repaired) -> None:
    assert repaired.depth_mm[:, 0].max() > 2
    assert repaired.depth_mm[:, 1].max() < 0.6
    assert repaired.volume_cm3[:, 1].max() < 0.05 * repaired.volume_cm3[:, 0].max()
    assert repaired.kept == 1.0


def test_joints_stay_within_their_limits(repaired: Repaired, crossing: Motion) -> None:
    for k, side in enumerate(("right", "left")):
        before = joint_angles(crossing.theta[:, k], side)
        after = joint_angles(repaired.motion.theta[:, k], side)
        slack = 1e-6
        assert (after <= np.maximum(HIGHEST, before) + slack).all()
        assert (after >= np.minimum(LOWEST, before) - slack).all()


def test_the_change_is_smooth(repaired: Repaired, crossing: Motion) -> None:
    change = repaired.motion.translation - crossing.translation
    assert np.abs(change).max() > 1e-4, "something had to move"
    assert 1e3 * np.abs(np.diff(change, 2, axis=0)).max() < 1.5
    bend = np.degrees(np.diff(repaired.motion.theta - crossing.theta, 2, axis=0))
    assert np.abs(bend).max() < 3.5


def test_hands_that_do_not_cross_stay_exactly(crossing: Motion) -> None:
    still = find_motion("wave")
    few = Motion(still.theta[:4], still.translation[:4], still.present[:4], 30.0, "few")
    found = repair_motion(few)
    assert np.array_equal(found.motion.theta, few.theta)
    assert np.array_equal(found.motion.translation, few.translation)


def test_frames_that_may_not_change_do_not(crossing: Motion) -> None:
    found = repair_motion(crossing, frames=(4, 12))
    assert np.array_equal(found.motion.theta[:4], crossing.theta[:4])


def test_a_pair_apart_is_returned_at_once() -> None:
    motion = find_motion("pinch")
    pair = HandPair(motion.theta[:1], motion.translation[:1], np.zeros((2, 34)))
    assert not part_hands(pair).change.any()


def test_a_photo_holds_hands_across_the_view(crossing: Motion) -> None:
    deep = 11
    pair = HandPair(crossing.theta[[deep]], crossing.translation[[deep]], np.zeros((2, 34)))
    assert pair.crossing(0).depth_m > 0.001
    found = part_hands(pair, weights=PartingWeights(place_m=0.0005, toward_m=0.02))
    assert found.depth_m.max() < 0.001
    moved = np.abs(found.change[0, :, 3:6]).max(0)
    assert moved[:2].max() < 0.002


def test_the_shipped_clasp_does_not_cross() -> None:
    keyed, clasp = keyed_clasp(), find_motion("clasp")
    assert len(keyed) == len(clasp) and clasp.present.all()
    for t in (50, 75, 90):
        before, after = (
            HandPair(m.theta[[t]], m.translation[[t]], np.zeros((2, 34))).crossing(0)
            for m in (keyed, clasp)
        )
        assert before.depth_m > 0.001 and after.depth_m < 0.001
        assert after.touching()


def test_bad_input_is_one_sentence(crossing: Motion, tmp_path: Path, capsys) -> None:
    alone = crossing.restricted(("right",))
    with pytest.raises(InputError, match="never shows both hands"):
        repair_motion(alone)
    with pytest.raises(InputError, match="not in the motion"):
        repair_motion(crossing, frames=(3, 99))
    save_motion(alone, tmp_path / "alone.npz")
    out = tmp_path / "out.npz"
    out.write_bytes(b"keep")
    assert run(["repair-contact", str(tmp_path / "alone.npz"), "-o", str(out)]) == 2
    assert "both hands" in capsys.readouterr().err
    assert out.read_bytes() == b"keep"
    assert run(["repair-contact", "wave", "-o", str(out), "--frames", "a:b"]) == 2


def test_the_command_writes_motion_and_plot(crossing: Motion, tmp_path: Path, capsys) -> None:
    few = Motion(crossing.theta[9:], crossing.translation[9:], crossing.present[9:], 30.0, "few")
    save_motion(few, tmp_path / "in.npz")
    arguments = ["repair-contact", str(tmp_path / "in.npz"), "-o", str(tmp_path / "out.npz")]
    assert run([*arguments, "--plot", str(tmp_path / "depth.png")]) == 0
    assert "deepest" in capsys.readouterr().out
    assert len(load_motion(tmp_path / "out.npz")) == len(few)
    assert (tmp_path / "depth.png").read_bytes()[:4] == b"\x89PNG"
