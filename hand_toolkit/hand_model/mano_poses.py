"""MANO's mean pose and principal components, where the user has imported MANO."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.errors import FileFormatError
from ..core.files import atomic_path
from ..core.npz import read_npz
from .user_data import user_data_folder

KEYS = {"hands_mean": (45,), "hands_components": (45, 45)}


def pose_space_file(side: str) -> Path:
    """Where the converted pose space of ``side`` lies."""
    return user_data_folder() / "mano" / f"poses_{side}.npz"


def keep_pose_space(side: str, arrays: dict[str, np.ndarray]) -> None:
    """Keep what a MANO pickle says of poses; files without it change nothing."""
    kept = {key: np.asarray(arrays[key], np.float64) for key in KEYS if key in arrays}
    if all(key in kept and kept[key].shape == shape for key, shape in KEYS.items()):
        with atomic_path(pose_space_file(side)) as temporary:
            np.savez(temporary, **kept)  # type: ignore[arg-type]


def mano_pose_space(side: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean finger pose (15, 3) and components (45, 45), one a row, of MANO's hand.

    Args:
        side: "right" or "left".

    Raises:
        FileFormatError: MANO was not imported.
    """
    path = pose_space_file(side)
    if not path.is_file():
        raise FileFormatError(
            "its poses are relative to MANO's mean pose, which is licensed data; give your "
            "MANO files to 'hand-toolkit import-mano' first"
        )
    arrays = read_npz(path)
    return arrays["hands_mean"].reshape(15, 3), arrays["hands_components"]
