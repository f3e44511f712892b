"""The one interface of every hand model: a linear-shape, linear-blend-skinned hand.

A model is data (numpy) plus one torch function. MANO and the default hand are both of this
form, so nothing else in the project knows which one it has.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..conventions import MANO_PARENTS

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class HandModel:
    """One hand: template, shape space, skinning weights, UVs.

    The wrist joint of the rest pose is the origin for every shape, so a hand's
    translation is its wrist position. Rest axes are those of ``conventions``.

    Attributes:
        name: "default", "mano" or a plugin's.
        side: "right" or "left".
        level: midpoint subdivisions applied so far, 0 to 3.
        template: (V, 3) rest vertices of the mean shape, metres.
        faces: (F, 3) int32 vertex indices, counter-clockwise seen from outside. Face f of a
            left hand is face f of the right hand with corners 0 and 1 swapped ([1, 0, 2]), at
            every level, so that what is bound to one hand's faces can be mirrored to the other.
        uvs: (T, 2) texture coordinates in [0, 1], origin at the lower left.
        uv_faces: (F, 3) int32 indices into ``uvs``.
        weights: (V, 16) skinning weights, rows sum to 1.
        shape_names: S names of the shape parameters.
        shape_dirs: (S, V, 3) vertex displacement per unit of each parameter, metres.
        shape_sigmas: (S,) standard deviation of each parameter under the shape prior.
        keypoint_template: (21, 3) rest keypoints (conventions.KEYPOINTS), metres.
        keypoint_dirs: (S, 21, 3) their displacement per unit of each shape parameter.
        pose_dirs: (135, V, 3) MANO's pose blend shapes, or None.
        licence: one line for exporters' metadata.
    """

    name: str
    side: str
    level: int
    template: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray
    uv_faces: np.ndarray
    weights: np.ndarray
    shape_names: tuple[str, ...]
    shape_dirs: np.ndarray
    shape_sigmas: np.ndarray
    keypoint_template: np.ndarray
    keypoint_dirs: np.ndarray
    pose_dirs: np.ndarray | None = None
    licence: str = ""


@dataclass(frozen=True)
class PosedHand:
    """Torch result of :func:`pose_hand`.

    Attributes:
        vertices: (B, V, 3) metres.
        joints: (B, 16, 3) MANO joints, metres.
        keypoints: (B, 21, 3) metres.
        transforms: (B, 16, 4, 4) rest-to-posed transform per joint (what skinning applies).
    """

    vertices: torch.Tensor
    joints: torch.Tensor
    keypoints: torch.Tensor
    transforms: torch.Tensor


class HandModelProvider(Protocol):
    """What ``register_hand_models`` registers."""

    name: str

    def load(self, side: str) -> HandModel:
        """The level-0 model of that side.

        Raises:
            MissingDependencyError: the user must import the model's files first.
        """
        ...


def parents() -> np.ndarray:
    """(16,) parent joint of each MANO joint, -1 for the wrist."""
    return MANO_PARENTS


__all__ = ["HandModel", "HandModelProvider", "PosedHand", "dataclasses", "parents"]
