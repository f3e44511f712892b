"""Motion files of research code, made here: each layout gives the same θ."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hand_toolkit.animate import load_motion
from hand_toolkit.core.errors import FileFormatError
from hand_toolkit.geometry.rotations import matrix_from_axis_angle
from hand_toolkit.hand_model import mano_poses

THETA = np.random.default_rng(0).normal(size=(5, 16, 3)) * 0.4
MATRICES = matrix_from_axis_angle(THETA)


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "m.npz", **arrays)
    return folder / "m.npz"


@pytest.mark.parametrize(
    "arrays",
    [
        {"poses": THETA},
        {"poses": THETA.reshape(5, 48), "side": "right"},
        {"poses": MATRICES},
        {"global_orient": MATRICES[:, :1], "hand_pose": MATRICES[:, 1:], "is_right": np.ones(5)},
        {"global_orient": THETA[:, 0], "hand_pose": THETA[:, 1:].reshape(5, 45)},
        {"handPose": THETA.reshape(5, 48), "handTrans": np.zeros((5, 3))},
        {"global_orient": THETA[:, 0], "hand_pose": THETA[:, 1:], "handedness": ["Right"] * 5},
    ],
)
def test_right_hands(arrays: dict, tmp_path: Path) -> None:
    motion = load_motion(saved(tmp_path, **arrays))
    np.testing.assert_allclose(motion.theta[:, 0], THETA, atol=1e-6)
    assert motion.present.tolist() == [[True, False]] * 5


@pytest.mark.parametrize(
    ("arrays", "signs"),
    [
        ({"is_rhand": False}, 1),
        ({"side": "left"}, 1),
        ({"handedness": "Left"}, 1),
        ({"hand_type": np.zeros(5)}, 1),
        ({"is_right": np.zeros(5)}, -1),
        ({"right": np.zeros(5), "mirrored": False}, 1),
    ],
)
def test_left_hands(arrays: dict, signs: int, tmp_path: Path) -> None:
    motion = load_motion(saved(tmp_path, poses=THETA, **arrays))
    np.testing.assert_allclose(motion.theta[:, 1], THETA * [1, signs, signs], atol=1e-9)
    assert motion.present.tolist() == [[False, True]] * 5


def test_frames_of_both_sides_and_our_own_presence(tmp_path: Path) -> None:
    motion = load_motion(saved(tmp_path, poses=THETA, is_right=np.array([1, 0, 1, 0, 0])))
    assert motion.present[:, 0].tolist() == [True, False, True, False, False]
    there = np.array([True, True, False, True, True])
    motion = load_motion(saved(tmp_path, poses=THETA, present=there))
    assert motion.present[:, 0].tolist() == there.tolist()


def test_one_frame_without_a_frame_axis(tmp_path: Path) -> None:
    for orient, pose in ((THETA[0, 0], THETA[0, 1:]), (MATRICES[0, 0], MATRICES[0, 1:])):
        motion = load_motion(saved(tmp_path, global_orient=orient, hand_pose=pose))
        np.testing.assert_allclose(motion.theta[0, 0], THETA[0], atol=1e-6)


def test_bodies_give_both_hands(tmp_path: Path) -> None:
    body = np.random.default_rng(1).normal(size=(3, 165))
    for arrays in (
        {"poses": body},
        {"pose_hand": body[:, 75:]},
        {"left_hand_pose": body[:, 75:120], "right_hand_pose": body[:, 120:]},
    ):
        motion = load_motion(saved(tmp_path, **arrays))
        np.testing.assert_allclose(motion.theta[:, 1, 1:].reshape(3, 45), body[:, 75:120])
        np.testing.assert_allclose(motion.theta[:, 0, 1:].reshape(3, 45), body[:, 120:])


def test_no_rotations_and_components_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no rotations"):
        load_motion(saved(tmp_path, poses=MATRICES * 2))
    with pytest.raises(FileFormatError, match="principal components"):
        load_motion(saved(tmp_path, hand_pose=np.zeros((5, 12))))
    with pytest.raises(FileFormatError, match="import-mano"):
        load_motion(saved(tmp_path, pose_m=np.zeros((5, 1, 51))))


def test_with_mano_poses_relative_to_its_mean_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAND_TOOLKIT_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "mano").mkdir(parents=True)
    mean = np.linspace(0, 0.4, 45)
    for side in ("right", "left"):
        arrays = {"hands_mean": mean, "hands_components": np.eye(45)[::-1]}
        mano_poses.keep_pose_space(side, arrays)
    flat = THETA.reshape(5, 48)
    hand = {"rot": flat[:, :3], "pose": flat[:, 3:], "trans": np.ones((5, 3))}
    np.save(tmp_path / "a.npy", np.array({"right": hand}, dtype=object))
    motion = load_motion(tmp_path / "a.npy")
    np.testing.assert_allclose(motion.theta[:, 0, 1:].reshape(5, 45), flat[:, 3:] + mean)
    frame = {"right": None, "left": {"pose": flat[0].tolist(), "trans": [0, 0, 1], "shape": []}}
    (tmp_path / "a.json").write_text(json.dumps({"0": {"5": frame}}), encoding="utf-8")
    motion = load_motion(tmp_path / "a.json")
    np.testing.assert_allclose(motion.theta[0, 1, 1:].ravel(), flat[0, 3:] + mean)
    poses = np.zeros((5, 1, 51))
    poses[:4, 0, :48], poses[:4, 0, 48:] = flat[:4], 1.0
    motion = load_motion(saved(tmp_path, pose_m=poses))
    assert motion.present[:, 0].tolist() == [True] * 4 + [False]
    np.testing.assert_allclose(motion.theta[0, 0, 1:].ravel(), flat[0, :2:-1] + mean)


@pytest.mark.parametrize("header", [b"{'descr': '<f8', 'shape': (3,", b"{1: 2, 'a': [3}", b"[1, 2"])
def test_headers_that_numpy_trips_over_are_one_sentence(header: bytes, tmp_path: Path) -> None:
    text = header + b"\n"
    member = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"\0" * 64
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("poses.npy", member)
    with pytest.raises(FileFormatError, match=r"m\.npz") as caught:
        load_motion(tmp_path / "m.npz")
    assert "\n" not in str(caught.value)
