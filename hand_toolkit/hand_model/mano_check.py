"""A converted MANO hand against smplx, the reference implementation by MANO's authors.

Posing has one path for every hand model, :func:`hand_toolkit.hand_model.pose_hand`: it also gives
the keypoints and transforms that the rest of the toolkit needs, and in a defined order of
operations. The licence keeps MANO's files out of this project's tests, so each user's own files are
put to the test when they are imported.
"""

from __future__ import annotations

import numpy as np

from ..core.errors import FileFormatError
from .base import HandModel

TOLERANCE_M = 1e-6
"""Farthest that a vertex or joint may lie from smplx's: rounding, not another convention."""

POSES = 4


def check_against_smplx(arrays: dict[str, np.ndarray], model: HandModel, file: str) -> None:
    """Pose a hand by smplx's layer and as the toolkit does, in a few random poses and shapes.

    Args:
        arrays: MANO's own, by their names in the pickle, float64; the left hand's repaired.
        model: what was made of them.
        file: the name for the message.

    Raises:
        FileFormatError: the two disagree.
    """
    import smplx
    import torch
    from smplx.utils import Struct

    from .posing import pose_hand

    count = arrays["shapedirs"].shape[2]
    # the layer wants the PCA of poses too, which full poses about the flat hand do not use
    pca = {"hands_mean": np.zeros(45), "hands_components": np.eye(45)}
    layer = smplx.MANO(
        "",
        data_struct=Struct(**arrays, **pca),
        is_rhand=model.side == "right",
        use_pca=False,
        flat_hand_mean=True,
        num_betas=count,
        batch_size=POSES,
        dtype=torch.float64,
    )
    # smplx keeps at most ten shape parameters
    count = min(count, layer.num_betas)
    rng = np.random.default_rng(0)
    theta = torch.tensor(rng.normal(0, 0.5, (POSES, 16, 3)))
    shape = torch.zeros(POSES, len(model.shape_names), dtype=torch.float64)
    shape[:, :count] = torch.tensor(rng.normal(0, 1, (POSES, count)))
    theirs = layer(
        betas=shape[:, :count],
        global_orient=theta[:, 0],
        hand_pose=theta[:, 1:].reshape(POSES, 45),
        transl=torch.zeros(POSES, 3, dtype=torch.float64),
    )
    # smplx turns the hand about the wrist of the file's own axes; here the wrist is the origin
    ours = pose_hand(model, theta, shape, theirs.joints[:, 0].detach())
    apart = max(
        float((ours.vertices - theirs.vertices).abs().max()),
        float((ours.joints - theirs.joints[:, :16]).abs().max()),
    )
    if not apart < TOLERANCE_M:
        raise FileFormatError(
            f"'{file}' poses {apart * 1e3:.3g} mm apart from smplx's MANO; it is another version "
            "or damaged: download MANO_RIGHT.pkl and MANO_LEFT.pkl of version 1.2 again"
        )
