"""MANO import and posing against smplx, on files that the tests make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mano_files import (
    mano_arrays,
    mirrored_arrays,
    with_sign_bug,
    write_chumpy,
    write_plain,
)

from hand_toolkit.core.conventions import KEYPOINT_TO_MANO
from hand_toolkit.core.errors import FileFormatError, InputError, MissingDependencyError
from hand_toolkit.hand_model import HandModel, import_mano, pose_hand
from hand_toolkit.hand_model.mano import TIP_VERTICES, ManoProvider, imported_file
from hand_toolkit.testing.hand_model import check_hand_model


@pytest.fixture(scope="module")
def arrays() -> dict[str, dict[str, Any]]:
    right = mano_arrays()
    return {"right": right, "left": mirrored_arrays(right)}


@pytest.fixture(scope="module")
def folder(arrays: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both hands imported, the left with the published sign bug, the right with chumpy."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_TOOLKIT_HOME", str(home))
        right = write_chumpy(home / "MANO_RIGHT.pkl", arrays["right"])
        left = write_plain(home / "MANO_LEFT.pkl", with_sign_bug(arrays["left"]))
        assert import_mano([left, right]) == home / "mano"
    return home


@pytest.fixture
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HAND_TOOLKIT_HOME", str(folder))
    return folder


def test_keeps_the_contract(home: Path) -> None:
    check_hand_model(ManoProvider())


@pytest.mark.parametrize("side", ["right", "left"])
def test_matches_smplx(home: Path, arrays: dict[str, dict[str, Any]], side: str) -> None:
    import smplx
    from smplx.utils import Struct

    layer = smplx.MANO(
        "", is_rhand=side == "right", data_struct=Struct(**arrays[side]), use_pca=False,
        flat_hand_mean=True, batch_size=4, dtype=torch.float64,
    )  # fmt: skip
    rng = np.random.default_rng(5)
    theta = torch.tensor(rng.normal(0, 0.5, (4, 16, 3)))
    shape = torch.tensor(rng.normal(0, 1, (4, 10)))
    translation = torch.tensor(rng.normal(0, 0.3, (4, 3)))
    theirs = layer(
        betas=shape,
        global_orient=theta[:, 0],
        hand_pose=theta[:, 1:].reshape(4, 45),
        transl=translation,
    )
    regressor = torch.tensor(arrays[side]["J_regressor"])
    template = torch.tensor(arrays[side]["v_template"])
    directions = torch.tensor(arrays[side]["shapedirs"])
    rest = template + torch.einsum("bs,vcs->bvc", shape, directions)
    wrist = torch.einsum("v,bvc->bc", regressor[0], rest)
    ours = pose_hand(ManoProvider().load(side), theta, shape, translation + wrist)
    assert (ours.vertices - theirs.vertices).abs().max() < 1e-6
    assert (ours.joints - theirs.joints[:, :16]).abs().max() < 1e-6
    tips = theirs.vertices[:, list(TIP_VERTICES)]
    assert (ours.keypoints[:, KEYPOINT_TO_MANO < 0] - tips).abs().max() < 1e-6


def test_left_sign_bug_is_repaired(home: Path) -> None:
    right, left = (ManoProvider().load(side) for side in ("right", "left"))
    assert np.allclose(left.shape_dirs * [-1, 1, 1], right.shape_dirs, atol=1e-12)


@pytest.mark.parametrize("bug", [True, False])
def test_left_alone_is_repaired_only_when_broken(
    arrays: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bug: bool
) -> None:
    monkeypatch.setenv("HAND_TOOLKIT_HOME", str(tmp_path))
    left = arrays["left"]
    import_mano([write_plain(tmp_path / "x.pkl", with_sign_bug(left) if bug else left)])
    model = ManoProvider().load("left")
    regressor = left["J_regressor"][0]
    dirs = np.moveaxis(left["shapedirs"], 2, 0)
    wanted = dirs - np.einsum("v,svc->sc", regressor, dirs)[:, None]
    assert np.allclose(model.shape_dirs, wanted, atol=1e-12)


def test_both_ways_of_pickling_give_the_same_hand(
    home: Path, arrays: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chumpy = ManoProvider().load("right")
    for protocol in (2, 5):
        monkeypatch.setenv("HAND_TOOLKIT_HOME", str(tmp_path / str(protocol)))
        import_mano([write_plain(tmp_path / "r.pkl", arrays["right"], protocol)])
        _assert_same(ManoProvider().load("right"), chumpy)


def test_uvs_follow_the_default_hand(home: Path) -> None:
    """No face may stretch over the map: its edges stay in proportion to those in space."""
    model = ManoProvider().load("right")
    corners, uvs = model.template[model.faces], model.uvs[model.uv_faces]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1)
    uv_edges = np.linalg.norm(uvs - np.roll(uvs, 1, axis=1), axis=2).max(1)
    ratio = uv_edges / edges
    assert ratio.max() < 6 * np.median(ratio)
    e1, e2 = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    area = 0.5 * np.abs(e1[:, 0] * e2[:, 1] - e1[:, 1] * e2[:, 0])
    assert area.sum() > 0.25


def test_missing_model_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAND_TOOLKIT_HOME", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="hand-toolkit import-mano"):
        ManoProvider().load("right")


def test_damaged_import_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAND_TOOLKIT_HOME", str(tmp_path))
    path = imported_file("right")
    path.parent.mkdir(parents=True)
    np.savez(path, template=np.zeros((3, 3)))
    with pytest.raises(FileFormatError, match="damaged"):
        ManoProvider().load("right")
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(FileFormatError, match="damaged"):
        ManoProvider().load("right")


def _without(key: str, a: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in a.items() if k != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: _without("weights", a), "weights"),
        (lambda a: {**a, "v_template": a["v_template"][:-1]}, "v_template"),
        (lambda a: {**a, "v_template": a["v_template"] * np.nan}, "NaN"),
        (lambda a: {**a, "v_template": a["v_template"] * 1000}, "metre"),
        (lambda a: {**a, "f": a["f"] + 1}, "faces beyond"),
        (lambda a: {**a, "weights": a["weights"] * 2}, "sum to one"),
        (lambda a: {**a, "kintree_table": np.zeros((2, 16), int)}, "joint tree"),
    ],
)
def test_invalid_contents_are_named(
    arrays: dict[str, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Any,
    message: str,
) -> None:
    monkeypatch.setenv("HAND_TOOLKIT_HOME", str(tmp_path))
    changed = change(arrays["right"])
    path = tmp_path / "MANO_RIGHT.pkl"
    import pickle

    path.write_bytes(pickle.dumps(changed, protocol=2))
    with pytest.raises(FileFormatError, match=message):
        import_mano([path])
    assert not imported_file("right").exists()


def test_paths_are_checked(arrays: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file was given"):
        import_mano([])
    with pytest.raises(InputError, match="no file at"):
        import_mano([tmp_path / "nothing.pkl"])
    path = write_plain(tmp_path / "r.pkl", arrays["right"])
    with pytest.raises(InputError, match="second right hand"):
        import_mano([path, path])


def _assert_same(a: HandModel, b: HandModel) -> None:
    for name in ("template", "faces", "weights", "shape_dirs", "pose_dirs", "keypoint_template"):
        assert np.allclose(getattr(a, name), getattr(b, name), atol=1e-12), name


def test_what_poses_otherwise_than_smplx_is_not_imported(
    arrays: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hand_toolkit.hand_model import mano

    monkeypatch.setenv("HAND_TOOLKIT_HOME", str(tmp_path))
    convert = mano._convert

    def twisted(source: dict[str, np.ndarray], side: str) -> dict[str, np.ndarray]:
        made = convert(source, side)
        return {**made, "pose_dirs": made["pose_dirs"][::-1]}

    monkeypatch.setattr(mano, "_convert", twisted)
    with pytest.raises(FileFormatError, match=r"x\.pkl.* mm apart from smplx"):
        import_mano([write_plain(tmp_path / "x.pkl", arrays["right"])])
    assert not mano.imported_file("right").exists()
