from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_toolkit.animate import (
    MOTIONS,
    POSES,
    Motion,
    builtin_motion,
    finger_pose,
    interpolate,
    load_motion,
    pose_names,
    resample,
    save_motion,
    smooth,
)
from hand_toolkit.core.errors import FileFormatError, InputError


def random_motion(count: int = 12, seed: int = 0) -> Motion:
    rng = np.random.default_rng(seed)
    return Motion(
        rng.normal(size=(count, 2, 16, 3)) * 0.5,
        rng.normal(size=(count, 2, 3)),
        np.ones((count, 2), bool),
        30.0,
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_interpolation_takes_the_shortest_arc(seed: int, t: float) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 5, 3)) * 2
    mid = interpolate(a, b, t)
    ra, rb, rm = (Rotation.from_rotvec(v) for v in (a, b, mid))
    whole, part = (ra.inv() * rb).magnitude(), (ra.inv() * rm).magnitude()
    np.testing.assert_allclose(part, t * whole, atol=1e-6)
    assert (whole <= np.pi + 1e-9).all()


def test_resampling_keeps_the_frames_it_shares() -> None:
    motion = random_motion()
    finer = resample(motion, 60)
    assert len(finer) == 23
    np.testing.assert_allclose(finer.translation[::2], motion.translation, atol=1e-9)
    assert len(resample(motion, speed=2)) == 6
    with pytest.raises(InputError, match="positive"):
        resample(motion, 0)


def test_smoothing_calms_noise_and_keeps_absent_frames() -> None:
    rng = np.random.default_rng(0)
    theta = np.zeros((60, 2, 16, 3)) + rng.normal(size=(60, 2, 16, 3)) * 0.05
    present = np.ones((60, 2), bool)
    present[20:25, 1] = False
    motion = Motion(theta, np.zeros((60, 2, 3)), present, 30)
    calm = smooth(motion)
    assert np.diff(calm.theta[:, 0], axis=0).std() < 0.5 * np.diff(theta[:, 0], axis=0).std()
    np.testing.assert_array_equal(calm.theta[20:25, 1], theta[20:25, 1])


def test_own_layout_round_trip(tmp_path: Path) -> None:
    motion = random_motion()
    loaded = load_motion(save_motion(motion, tmp_path / "m.npz"))
    np.testing.assert_array_equal(loaded.theta, motion.theta)
    np.testing.assert_array_equal(loaded.present, motion.present)
    assert loaded.fps == 30


def test_amass_and_mano_layouts(tmp_path: Path) -> None:
    poses = np.random.default_rng(0).normal(size=(4, 156))
    np.savez(tmp_path / "amass.npz", poses=poses, mocap_framerate=120.0, trans=np.zeros((4, 3)))
    amass = load_motion(tmp_path / "amass.npz")
    assert amass.fps == 120
    np.testing.assert_array_equal(amass.theta[:, 1, 1:].reshape(4, 45), poses[:, 66:111])
    np.testing.assert_array_equal(amass.theta[:, 0, 1:].reshape(4, 45), poses[:, 111:156])
    np.savez(
        tmp_path / "mano.npz",
        hand_pose=poses[:, :45],
        global_orient=poses[:, 45:48],
        transl=poses[:, 48:51],
        side="left",
    )
    mano = load_motion(tmp_path / "mano.npz")
    np.testing.assert_array_equal(mano.theta[:, 1, 0], poses[:, 45:48])
    np.testing.assert_array_equal(mano.translation[:, 1], poses[:, 48:51])
    assert not mano.present[:, 0].any()


@pytest.mark.parametrize(
    "arrays",
    [
        {"poses": np.zeros((3, 7))},
        {"poses": np.full((3, 16, 3), np.nan)},
        {"nothing": np.zeros(3)},
        {"poses": np.zeros((0, 16, 3))},
        {"poses": np.zeros((3, 16, 3)), "fps": np.float64(-1)},
        {"poses": np.zeros((3, 16, 3)), "side": "middle"},
        {"poses": np.array(["a"])},
    ],
)
def test_files_that_are_no_motion(tmp_path: Path, arrays: dict) -> None:
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(FileFormatError, match=r"m\.npz is not a motion|m\.npz' cannot"):
        load_motion(tmp_path / "m.npz")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_noise_is_no_motion(tmp_path_factory: pytest.TempPathFactory, blob: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "m.npz"
    path.write_bytes(blob)
    with pytest.raises(FileFormatError):
        load_motion(path)


def test_objects_in_npz_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", poses=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FileFormatError):
        load_motion(tmp_path / "m.npz")


@pytest.mark.parametrize("name", MOTIONS)
def test_builtin_motions_move_within_a_hand_s_limits(name: str) -> None:
    motion = builtin_motion(name)
    assert motion.duration > 1
    steps = np.abs(np.diff(motion.theta, axis=0))
    # waving is the wrist's: its fingers keep still
    assert (steps[:, :, 1:].max() < 1e-9) == (name == "wave")
    assert steps.max() > 0.01, "nothing moves"
    assert steps[:, :, 1:].max() < 0.35, "fingers jump"
    if name != "clasp":  # whose fingers lie between each other, and so are no mirror images
        assert np.abs(motion.theta[:, 1, 1:] - motion.theta[:, 0, 1:] * [1, -1, -1]).max() < 1e-9


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(InputError, match="open-close"):
        builtin_motion("jump")
    with pytest.raises(InputError, match="fist"):
        finger_pose("jump")


def test_recorded_letters_and_numbers_are_real_poses() -> None:
    from hand_toolkit.hand_model.limits import FREE_HIGHEST, FREE_LOWEST, decompose

    names = pose_names()
    assert {f"asl_{c}" for c in "abcdefghijklmnopqrstuvwxyz"} | {
        f"asl_{k}" for k in range(1, 11)
    } <= {*names}
    assert len(names) >= 2 * len(POSES)
    poses = {name: finger_pose(name) for name in names}
    for theta in poses.values():
        angles = decompose(theta)
        assert (angles > FREE_LOWEST - 1e-3).all() and (angles < FREE_HIGHEST + 1e-3).all()
    # the index finger is straight in D and L and bent in A and S; 2 spreads what U keeps together
    curl = {name: np.linalg.norm(theta[1:4], axis=1).sum() for name, theta in poses.items()}
    assert max(curl["asl_d"], curl["asl_l"]) < 0.5 * min(curl["asl_a"], curl["asl_s"])
    apart = [np.linalg.norm(poses[n][1] - poses[n][4]) for n in ("asl_2", "asl_u")]
    assert apart[0] > apart[1]


def test_a_word_is_spelt_letter_by_letter() -> None:
    motion = builtin_motion("asl:Hi 0")
    letters = ["asl_h", "asl_i", "relaxed", "asl_o"]
    at = 0
    for letter in letters:
        wanted = finger_pose(letter)[1:]
        close = np.abs(motion.theta[at:, 0, 1:] - wanted).max((1, 2)) < 1e-9
        assert close.any(), letter
        at += int(np.argmax(close))
    assert motion.present.all() and motion.fps == 30
    with pytest.raises(InputError, match="'ß' is not spelt"):
        builtin_motion("asl:Straße")
    with pytest.raises(InputError, match="nothing to spell"):
        builtin_motion("asl:")
