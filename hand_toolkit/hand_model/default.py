"""The default hand: MakeHuman's CC0 hand in MANO's convention, shipped with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..conventions import side_index
from .base import HandModel
from .surface import mirrored, triangles_of

DATA_FILE = Path(__file__).with_name("default_hand.npz")


class DefaultHandProvider:
    """Offers the model "default"; it needs no download and no licence form."""

    name = "default"

    def load(self, side: str) -> HandModel:
        """The level-0 default hand of ``side``; the left is the mirrored right.

        Raises:
            InputError: an unknown side.
        """
        side_index(side)
        with np.load(DATA_FILE, allow_pickle=False) as data:
            weights = data["weights"].astype(np.float64)
            weights /= weights.sum(1, keepdims=True)
            quads, uv_quads = data["quads"].astype(np.int32), data["uv_quads"].astype(np.int32)
            right = HandModel(
                name=self.name,
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
                atlas_uvs=data["atlas_uvs"],
                quads=quads,
                uv_quads=uv_quads,
            )
            return right if side == "right" else mirrored(right, data["left_atlas_uvs"])
