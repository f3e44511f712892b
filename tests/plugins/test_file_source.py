"""Pose files: the toolkit's layout and those of HaMeR, WiLoR and ACR."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_toolkit_plugins.file_source import MANO_WRIST, FileSource
from scipy.spatial.transform import Rotation

from hand_toolkit.core.conventions import mirror_theta
from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.core.metrics import pa_mpjpe_mm
from hand_toolkit.core.types import Photo
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.hand_model.limits import FREE_MEAN, compose
from hand_toolkit.pose import estimate_pose
from hand_toolkit.testing.pose_source import check_pose_source

SIZE = (320, 240)
FOCAL = 500.0
PHOTO = Photo(np.zeros((240, 320, 3), np.uint8), name="photo.png")


def truth(side: str) -> dict[str, np.ndarray]:
    """θ, keypoints (camera), pixels and wrist of a hand facing the camera."""
    wrist = Rotation.from_euler("zyx", [90, 90, 10], degrees=True).as_rotvec()
    theta = compose(FREE_MEAN, wrist)
    if side == "left":
        theta = mirror_theta(theta)
    model = load_hand_model("default", side)
    place = np.array([0.01, 0.05, 0.5])
    points = pose_hand_numpy(model, theta, np.zeros(len(model.shape_names)), place)[2]
    pixels = points[:, :2] / points[:, 2:] * FOCAL + np.array(SIZE) / 2
    return {"theta": theta, "points": points, "pixels": pixels, "wrist": place}


def detect(path: Path, count: int = 2) -> list[Any]:
    return FileSource(path).detect(PHOTO, count)


def test_own_json(tmp_path: Path) -> None:
    path = tmp_path / "hands.json"
    hands = [
        {
            "side": side,
            "keypoints_2d": truth(side)["pixels"].tolist(),
            "keypoints_3d": truth(side)["points"].tolist(),
            "confidence": confidence,
        }
        for side, confidence in (("left", 0.4), ("right", 0.8))
    ]
    path.write_text(json.dumps({"hands": hands}))
    found = detect(path)
    assert [o.side for o in found] == ["right", "left"]
    np.testing.assert_allclose(found[0].keypoints_2d, truth("right")["pixels"])
    np.testing.assert_allclose(found[0].keypoints_3d[0], 0)
    assert len(detect(path, 1)) == 1
    check_pose_source(FileSource(path), PHOTO)


def test_per_picture_json(tmp_path: Path) -> None:
    path = tmp_path / "hands.json"
    hand = {"side": "right", "keypoints_2d": truth("right")["pixels"].tolist()}
    path.write_text(json.dumps({"images": {"photo.png": [hand], "other.png": []}}))
    assert len(detect(path)) == 1
    assert FileSource(path).detect(Photo(PHOTO.pixels, name="other.png"), 2) == []
    with pytest.raises(InputError, match=r"no entry for the picture 'x\.png'"):
        FileSource(path).detect(Photo(PHOTO.pixels, name="x.png"), 2)


def test_own_npz(tmp_path: Path) -> None:
    path = tmp_path / "hands.npz"
    right, left = truth("right"), truth("left")
    np.savez(
        path,
        side=np.array(["right", "left"]),
        keypoints_2d=np.stack([right["pixels"], left["pixels"]]),
        theta=np.stack([right["theta"], left["theta"]]),
    )
    found = detect(path)
    assert [o.side for o in found] == ["right", "left"]
    np.testing.assert_allclose(found[1].theta, left["theta"])


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("joints", [True, False])
def test_hamer_layout(tmp_path: Path, side: str, joints: bool) -> None:
    """HaMeR predicts a right hand in a mirrored crop; its translation is in the photo."""
    t = truth(side)
    theta = mirror_theta(t["theta"]) if side == "left" else t["theta"]
    matrices = Rotation.from_rotvec(theta).as_matrix()
    flip = np.array([-1.0 if side == "left" else 1.0, 1, 1])
    origin = t["wrist"] - MANO_WRIST * flip
    arrays: dict[str, Any] = {
        "global_orient": matrices[None, :1],
        "hand_pose": matrices[None, 1:],
        "betas": np.zeros((1, 10)),
        "is_right": np.array([float(side == "right")]),
        "pred_cam_t_full": origin[None],
        "scaled_focal_length": np.array(FOCAL),
    }
    if joints:
        arrays["pred_keypoints_3d"] = ((t["points"] - origin) * flip)[None]
    path = tmp_path / "out.npz"
    np.savez(path, **arrays)
    (observation,) = detect(path)
    assert observation.side == side
    assert observation.hand_model == "mano"
    np.testing.assert_allclose(observation.theta, t["theta"], atol=1e-9)
    np.testing.assert_allclose(observation.keypoints_2d, t["pixels"], atol=1e-6)
    np.testing.assert_allclose(observation.translation, t["wrist"], atol=1e-9)
    estimate = estimate_pose(PHOTO, source=FileSource(path), focal_px=FOCAL)
    assert pa_mpjpe_mm(estimate.hands[0].joints_cam_m, t["points"]) < 2
    assert np.abs(estimate.hands[0].translation - t["wrist"]).max() < 0.03


def test_wilor_json_with_its_own_mirroring(tmp_path: Path) -> None:
    t = truth("left")
    theta = mirror_theta(t["theta"])
    record = {
        "right": 0,
        "mirrored": False,
        "pred_mano_params": {
            "global_orient": theta[:1].tolist(),
            "hand_pose": theta[1:].tolist(),
            "betas": [0.0] * 10,
        },
        "joints": (t["points"] - t["wrist"]).tolist(),
        "cam_t": t["wrist"].tolist(),
        "focal_length": FOCAL,
    }
    path = tmp_path / "out.json"
    path.write_text(json.dumps([record]))
    (observation,) = detect(path)
    assert observation.side == "left"
    np.testing.assert_allclose(observation.theta, t["theta"], atol=1e-9)
    np.testing.assert_allclose(observation.keypoints_2d, t["pixels"], atol=1e-6)


def test_acr_layout(tmp_path: Path) -> None:
    right, left = truth("right"), truth("left")
    path = tmp_path / "acr.npz"
    np.savez(
        path,
        hand_type=np.array([0, 1]),
        pj2d_org=np.stack([left["pixels"], right["pixels"]]).astype(np.float16),
        j3d=np.stack([left["points"] - left["wrist"], right["points"] - right["wrist"]]),
        poses=np.zeros((2, 48)),
        betas=np.zeros((2, 10)),
    )
    found = detect(path)
    assert [o.side for o in found] == ["left", "right"]
    assert found[0].theta is None
    np.testing.assert_allclose(found[0].keypoints_2d, left["pixels"], atol=0.2)


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("raise SystemExit('executed')",))


def test_objects_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "evil.npz"
    np.savez(path, side=np.array([Evil()], dtype=object))
    with pytest.raises(FileFormatError, match="never loaded"):
        detect(path)
    bare = tmp_path / "bare.npz"
    bare.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(FileFormatError, match="cannot be read"):
        detect(bare)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.json", b"{", FileFormatError, "cannot be read"),
        ("a.json", b"\xff\xfe", FileFormatError, "cannot be read"),
        ("a.json", b"3", FileFormatError, "holds no hands"),
        ("a.json", b'{"hands": [5]}', FileFormatError, "hand 0"),
        ("a.json", b"[" * 100000, FileFormatError, "nested too deeply|cannot be read"),
        ("a.json", b'{"x": 1}', FileFormatError, "of no known layout"),
        ("a.json", b'{"hands": [{"side": "up"}]}', InputError, "side is 'up'"),
        ("a.json", b'{"hands": [{"side": "left"}]}', InputError, "place in the picture is unknown"),
        (
            "a.json",
            b'{"hands": [{"side": "left", "keypoints_2d": [[1, 2]]}]}',
            InputError,
            "'keypoints_2d' has shape",
        ),
        (
            "a.json",
            b'{"hands": [{"side": "left", "keypoints_2d": [["a", "b"]]}]}',
            InputError,
            "not an array of numbers",
        ),
        (
            "a.json",
            b'{"landmarks": [[{"x": 0, "y": 0, "z": 0}]], "handedness": [[{"categoryName": "'
            + b"x" * 900
            + b'"}]]}',
            InputError,
            "side 'x{40}'",
        ),
        ("a.json", b'{"hands": [{"side": "' + b"x" * 900 + b'"}]}', InputError, "side is 'x{40}'"),
        ("a.npz", b"PK\x03\x04junk", FileFormatError, "cannot be read"),
        ("a.pkl", b"", InputError, "accepted are .json, .npz"),
    ],
)
def test_bad_files(
    tmp_path: Path, name: str, content: bytes, error: type[Exception], message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        detect(path)
    assert "\n" not in str(caught.value)


def test_nan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, side=np.array(["left"]), keypoints_2d=np.full((1, 21, 2), np.nan))
    with pytest.raises(InputError, match="NaN"):
        detect(path)


def test_no_file_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HAND_TOOLKIT_POSE_FILE", raising=False)
    with pytest.raises(InputError, match="'file:PATH'"):
        FileSource().detect(PHOTO, 1)
    with pytest.raises(InputError, match="cannot read"):
        detect(tmp_path / "none.json")


def test_option_after_a_colon(tmp_path: Path) -> None:
    path = tmp_path / "hands.json"
    t = truth("right")
    hand = {"side": "right", "keypoints_2d": t["pixels"].tolist()}
    path.write_text(json.dumps({"hands": [hand]}))
    estimate = estimate_pose(PHOTO, source=f"file:{path}", refine=False)
    assert np.abs(estimate.hands[0].keypoints_2d - t["pixels"]).mean() < 6
