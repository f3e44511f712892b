"""MANO (Romero et al. 2017) from the user's own licensed files.

:func:`import_mano` converts MANO_RIGHT.pkl and MANO_LEFT.pkl once to NPZ files without
objects in the user's data folder; the provider "mano" loads those.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..core.conventions import KEYPOINT_TO_MANO, MANO_PARENTS, SIDES, side_index
from ..core.errors import PARSER_FAULTS, FileFormatError, InputError, MissingDependencyError
from .base import HandModel
from .mano_check import check_against_smplx
from .mano_poses import keep_pose_space
from .restricted_pickle import read_restricted_pickle
from .user_data import user_data_folder

TIP_VERTICES = (744, 320, 443, 554, 671)
"""Thumb to little finger, as smplx's ``vertex_ids`` and manopth have them."""

LICENCE = "MANO (Max Planck Institute, research licence: the model data must not be passed on)"
NEXT_STEP = (
    "run: hand-toolkit import-mano MANO_RIGHT.pkl MANO_LEFT.pkl "
    "(free for research from mano.is.tue.mpg.de)"
)
_SHAPES: dict[str, tuple[int | None, ...]] = {
    "v_template": (778, 3),
    "shapedirs": (778, 3, None),
    "posedirs": (778, 3, 135),
    "J_regressor": (16, 778),
    "weights": (778, 16),
    "f": (1538, 3),
    "kintree_table": (2, 16),
}


class ManoProvider:
    """Offers the model "mano" once the user has imported it."""

    name = "mano"

    def load(self, side: str) -> HandModel:
        """The level-0 MANO hand of ``side``.

        Raises:
            InputError: an unknown side.
            MissingDependencyError: that side has not been imported.
            FileFormatError: the imported file is damaged.
        """
        side_index(side)
        path = imported_file(side)
        if not path.is_file():
            raise MissingDependencyError(
                f"the hand model 'mano' has no {side} hand at '{path}'; {NEXT_STEP}"
            )
        try:
            with np.load(path, allow_pickle=False) as data:
                arrays = {k: data[k] for k in data.files}
            return _model(arrays, side)
        except PARSER_FAULTS as error:
            raise FileFormatError(
                f"the imported MANO file '{path}' is damaged ({error}); {NEXT_STEP}"
            ) from error


def _model(arrays: dict[str, Any], side: str) -> HandModel:
    names = tuple(str(name) for name in arrays["shape_names"])
    fields: dict[str, Any] = {
        k: v for k, v in arrays.items() if k not in ("shape_names", "licence")
    }
    return HandModel(
        name=ManoProvider.name, side=side, level=0, shape_names=names, licence=LICENCE, **fields
    )


def imported_file(side: str) -> Path:
    """Where the converted hand of ``side`` lies."""
    return user_data_folder() / "mano" / f"mano_{side}.npz"


def import_mano(paths: Iterable[str | os.PathLike[str]]) -> Path:
    """Convert MANO's pickles for use as the hand model "mano".

    Nothing that the files name is run. Sides are told apart by the direction of the
    fingers. The left hand's ``shapedirs``, which the published file carries with the right
    hand's x, are repaired (smplx issue 48). What was converted is posed and compared with smplx
    before anything is written.

    Args:
        paths: MANO_RIGHT.pkl, MANO_LEFT.pkl or both.

    Returns:
        The folder that holds the converted files.

    Raises:
        InputError: no file, a missing file, or two of one side.
        FileFormatError: a file that is not MANO's, or that poses otherwise than smplx's layer.
    """
    files = [Path(path) for path in paths]
    if not files:
        raise InputError(f"no file was given; {NEXT_STEP}")
    sources: dict[str, dict[str, np.ndarray]] = {}
    names: dict[str, str] = {}
    spaces: dict[str, dict[str, np.ndarray]] = {}
    for file in files:
        if not file.is_file():
            raise InputError(f"no file at '{file}'; give the path of MANO_RIGHT.pkl or _LEFT.pkl")
        loaded = read_restricted_pickle(file)
        arrays = _validated(loaded, file.name)
        side = _side_of(arrays, file.name)
        if side in sources:
            raise InputError(f"'{file.name}' is a second {side} hand; give one file per side")
        sources[side], names[side], spaces[side] = arrays, file.name, loaded
    if "left" in sources:
        _repair_left(sources["left"], sources.get("right"))
    converted = {side: _convert(sources[side], side) for side in SIDES if side in sources}
    for side, arrays in converted.items():
        check_against_smplx(sources[side], _model(arrays, side), names[side])
    for side, arrays in converted.items():
        _write(imported_file(side), arrays)
        keep_pose_space(side, spaces[side])
    return imported_file("right").parent


def _validated(loaded: dict[str, Any], name: str) -> dict[str, np.ndarray]:
    arrays = {}
    for key, shape in _SHAPES.items():
        array = loaded.get(key)
        if not isinstance(array, np.ndarray):
            raise FileFormatError(f"'{name}' has no array '{key}'; it is not a MANO hand")
        if array.ndim != len(shape) or any(w not in (None, g) for g, w in zip(array.shape, shape)):
            raise FileFormatError(
                f"'{name}' has '{key}' of shape {array.shape}; a MANO hand has {shape}"
            )
        if not np.isfinite(array).all():
            raise FileFormatError(f"'{name}' has NaN or infinite values in '{key}'")
        arrays[key] = array.astype(np.int64 if key in ("f", "kintree_table") else np.float64)
    if not 1 <= arrays["shapedirs"].shape[2] <= 300:
        raise FileFormatError(f"'{name}' has {arrays['shapedirs'].shape[2]} shape parameters")
    if arrays["f"].min() < 0 or arrays["f"].max() >= 778:
        raise FileFormatError(f"'{name}' has faces beyond its 778 vertices")
    if (arrays["kintree_table"][0, 1:] != MANO_PARENTS[1:]).any():
        raise FileFormatError(f"'{name}' has another joint tree than MANO's")
    for key in ("weights", "J_regressor"):
        if np.abs(arrays[key].sum(1) - 1).max() > 1e-3:
            raise FileFormatError(f"'{name}' has rows in '{key}' that do not sum to one")
    if np.abs(arrays["v_template"]).max() > 1:
        raise FileFormatError(f"'{name}' is larger than a metre; a MANO hand is in metres")
    return arrays


def _side_of(arrays: dict[str, np.ndarray], name: str) -> str:
    joints = arrays["J_regressor"] @ arrays["v_template"]
    reach = joints[4, 0] - joints[0, 0]
    if abs(reach) < 0.02:
        raise FileFormatError(
            f"'{name}' does not point its fingers along x at rest; it is not a MANO hand"
        )
    return "right" if reach < 0 else "left"


def _repair_left(left: dict[str, np.ndarray], right: dict[str, np.ndarray] | None) -> None:
    """Negate the x of the left ``shapedirs`` where they are the right hand's.

    With the right hand at hand the test is smplx's: both x agree. Alone, the first
    component, overall size, must move x and z alike.
    """
    directions = left["shapedirs"]
    if right is not None and right["shapedirs"].shape == directions.shape:
        same = np.abs(directions[:, 0] - right["shapedirs"][:, 0]).sum() < 1
    else:
        centred = left["v_template"] - left["v_template"].mean(0)
        growth = (centred * directions[:, :, 0]).sum(0)
        same = growth[0] * growth[2] < 0
    if same:
        directions[:, 0] *= -1


def _convert(arrays: dict[str, np.ndarray], side: str) -> dict[str, np.ndarray]:
    """MANO's arrays as those of :class:`HandModel`, wrist at the origin for every shape."""
    from .mano_uv import transfer_uvs

    regressor = arrays["J_regressor"] / arrays["J_regressor"].sum(1, keepdims=True)
    weights = arrays["weights"] / arrays["weights"].sum(1, keepdims=True)
    template = arrays["v_template"]
    shape_dirs = np.moveaxis(arrays["shapedirs"], 2, 0)
    pose_dirs = np.moveaxis(arrays["posedirs"], 2, 0)
    # keypoints are vertices (tips) or regressed joints: rows of one linear map
    rows = np.zeros((21, 778))
    keypoint_weights = np.zeros((21, 16))
    keypoint_pose_dirs = np.zeros((135, 21, 3))
    tips = iter(TIP_VERTICES)
    for keypoint, joint in enumerate(KEYPOINT_TO_MANO):
        if joint >= 0:
            rows[keypoint] = regressor[joint]
            keypoint_weights[keypoint, joint] = 1
        else:
            vertex = next(tips)
            rows[keypoint, vertex] = 1
            keypoint_weights[keypoint] = weights[vertex]
            keypoint_pose_dirs[:, keypoint] = pose_dirs[:, vertex]
    wrist = regressor[0] @ template
    wrist_dirs = np.einsum("v,svc->sc", regressor[0], shape_dirs)[:, None]
    faces = arrays["f"]
    keypoints = rows @ template - wrist
    uvs, uv_faces = transfer_uvs(template - wrist, faces, weights, keypoints, side)
    return {
        "template": template - wrist,
        "faces": faces.astype(np.int32),
        "uvs": uvs.astype(np.float32),
        "uv_faces": uv_faces.astype(np.int32),
        "weights": weights,
        "shape_names": np.array([f"beta{k + 1}" for k in range(len(shape_dirs))]),
        "shape_dirs": shape_dirs - wrist_dirs,
        "shape_sigmas": np.ones(len(shape_dirs)),
        "keypoint_template": keypoints,
        "keypoint_dirs": np.einsum("kv,svc->skc", rows, shape_dirs) - wrist_dirs,
        "keypoint_weights": keypoint_weights,
        "keypoint_pose_dirs": keypoint_pose_dirs,
        "pose_dirs": pose_dirs,
    }


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **arrays)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


__all__ = ["ManoProvider", "import_mano", "imported_file"]
