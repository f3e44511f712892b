"""The default hand: MakeHuman's CC0 hand in MANO's convention, shipped with the package.

It has the size of the mean adult (see ``extract.anthropometry``), and bends as flesh does (see
``extract.correctives``). Its earlier forms stay beside it, since avatars made for them are drawn
on them: "default_1", a tenth larger, and "default_2", without pose correctives.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.conventions import side_index
from .base import HandModel
from .surface import mirrored, triangles_of

DATA_FILE = Path(__file__).with_name("default_hand.npz")
FIRST_DATA_FILE = Path(__file__).with_name("default_hand_1.npz")
CORRECTIVES_FILE = Path(__file__).with_name("default_correctives.npz")
FOREARM_FILE = Path(__file__).with_name("default_forearm.npz")


@dataclass(frozen=True)
class DefaultHandProvider:
    """Offers the model "default"; it needs no download and no licence form.

    Attributes:
        name: of the model.
        path: its data.
        metric_scale: as in :class:`HandModel`.
        correctives: its pose correctives, or None.
    """

    name: str = "default"
    path: Path = DATA_FILE
    metric_scale: str = (
        "a photo has no scale of its own, it is that of the mean adult "
        "(hand length 187 mm, ANSUR II, men and women; standard deviation 6%)"
    )
    correctives: Path | None = CORRECTIVES_FILE

    def load(self, side: str) -> HandModel:
        """The level-0 default hand of ``side``; the left is the mirrored right.

        Raises:
            InputError: an unknown side.
        """
        side_index(side)
        model = _read(self.path, "right", self.name)
        if self.correctives is not None:
            model = _corrected(model, self.correctives)
        if side == "left":
            with np.load(self.path, allow_pickle=False) as data:
                model = mirrored(model, data["left_atlas_uvs"])
        return dataclasses.replace(model, metric_scale=self.metric_scale)


FIRST_DEFAULT_HAND = DefaultHandProvider(
    "default_1",
    FIRST_DATA_FILE,
    "a photo has no scale of its own, it is that of the first default hand, which was 13% longer "
    "than the mean adult's",
    None,
)
"""The default hand of avatar files of version 1: 212 mm long, its knuckles further out."""

SECOND_DEFAULT_HAND = DefaultHandProvider("default_2", correctives=None)
"""The default hand of avatar files of version 2: its fingers bend like tubes."""


def load_default_forearm(side: str = "right") -> HandModel:
    """The default hand with its forearm, for rendering.

    The first 1609 vertices are the hand's, those of the forearm follow the wrist alone.
    ``uvs`` are the MakeHuman atlas's; each side has its own place there.

    Raises:
        InputError: an unknown side.
    """
    side_index(side)
    return _read(FOREARM_FILE, side, "default_forearm")


def _corrected(model: HandModel, path: Path) -> HandModel:
    with np.load(path, allow_pickle=False) as data:
        return dataclasses.replace(
            model,
            pose_dirs=data["directions"].astype(np.float32),
            pose_joints=data["joints"].astype(np.int64),
            pose_axes=data["axes"].astype(np.float64),
        )


def _read(path: Path, side: str, name: str) -> HandModel:
    with np.load(path, allow_pickle=False) as data:
        weights = data["weights"].astype(np.float64)
        weights /= weights.sum(1, keepdims=True)
        quads, uv_quads = data["quads"].astype(np.int32), data["uv_quads"].astype(np.int32)
        forearm = "atlas_uvs" not in data
        right = HandModel(
            name=name,
            side="right",
            level=0,
            template=data["template"],
            faces=triangles_of(quads),
            uvs=data["uvs"],
            uv_faces=triangles_of(uv_quads),
            weights=weights.astype(np.float32),
            shape_names=tuple(str(name) for name in data["shape_names"]),
            shape_dirs=data["shape_dirs"].astype(np.float32),
            shape_sigmas=data["shape_sigmas"],
            keypoint_template=data["keypoint_template"],
            keypoint_dirs=data["keypoint_dirs"],
            licence=str(data["licence"]),
            atlas_uvs=None if forearm else data["atlas_uvs"],
            quads=quads,
            uv_quads=uv_quads,
        )
        if side == "right":
            return right
        if forearm:
            return dataclasses.replace(mirrored(right), uvs=data["left_uvs"])
        return mirrored(right, data["left_atlas_uvs"])
