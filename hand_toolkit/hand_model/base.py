"""The one interface of every hand model: a linear-shape, linear-blend-skinned hand.

A model is data (numpy) plus one torch function. MANO and the default hand are both of this
form, so nothing else in the project knows which one it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..core.errors import InputError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
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
        pose_dirs: (K, V, 3) pose correctives, metres in the rest pose per unit of each feature:
            MANO's 135 blend shapes, or those that ``pose_joints`` and ``pose_axes`` name. None
            where there are none.
        licence: one line for exporters' metadata.
        atlas_uvs: (T, 2) coordinates on a texture that both hands share (the MakeHuman atlas
            for the default hand), indexed by ``uv_faces`` too; None where there is none.
        quads: (F / 2, 4) int32 quads; face pair 2i, 2i + 1 is quad i cut from its first to
            its third corner. None for a model made of triangles.
        uv_quads: (F / 2, 4) int32 indices into ``uvs``.
        keypoint_weights: (21, 16) skinning weights of the keypoints; None lets each follow
            its own joint and a tip the last joint of its finger.
        keypoint_pose_dirs: (135, 21, 3) pose blend shapes of the keypoints, or None.
        pose_joints: (K,) MANO joint that drives each corrective; None for MANO's 135.
        pose_axes: (K, 3, 3) matrices whose entrywise product with ``R - I`` of that joint sums to
            the feature; None for MANO's 135, the entries of ``R - I`` themselves.
        metric_scale: what its metres rest on, a clause for users: one photo has no scale.
        forearm_weights: (V, 3) skinning weights of the forearm's bones (see ``hand_model.arm``),
            taken from the wrist's; None for hands that end at the wrist.
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
    atlas_uvs: np.ndarray | None = None
    quads: np.ndarray | None = None
    uv_quads: np.ndarray | None = None
    keypoint_weights: np.ndarray | None = None
    keypoint_pose_dirs: np.ndarray | None = None
    pose_joints: np.ndarray | None = None
    pose_axes: np.ndarray | None = None
    metric_scale: str = "a photo has no scale of its own, it is the hand model's"
    forearm_weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        vertices, shapes = len(self.template), len(self.shape_names)
        features = 135 if self.pose_joints is None else len(self.pose_joints)
        expected: dict[str, tuple[int | None, ...]] = {
            "template": (vertices, 3),
            "faces": (None, 3),
            "uvs": (None, 2),
            "uv_faces": (len(self.faces), 3),
            "weights": (vertices, 16),
            "shape_dirs": (shapes, vertices, 3),
            "shape_sigmas": (shapes,),
            "keypoint_template": (21, 3),
            "keypoint_dirs": (shapes, 21, 3),
            "pose_dirs": (features, vertices, 3),
            "atlas_uvs": (len(self.uvs), 2),
            "quads": (len(self.faces) // 2, 4),
            "uv_quads": (len(self.faces) // 2, 4),
            "keypoint_weights": (21, 16),
            "keypoint_pose_dirs": (features, 21, 3),
            "pose_joints": (features,),
            "pose_axes": (features, 3, 3),
            "forearm_weights": (vertices, 3),
        }
        if (self.pose_joints is None) != (self.pose_axes is None):
            raise InputError(
                f"hand model '{self.name}' has pose_joints or pose_axes alone; give both or none"
            )
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is not None:
                check_shape(f"{name} of hand model '{self.name}'", array, shape)
        if not 0 <= self.level <= 3:
            raise InputError(f"subdivision level is {self.level}; accepted is 0 to 3")

    def __repr__(self) -> str:
        return (
            f"HandModel({self.name!r}, {self.side!r}, level={self.level}, "
            f"vertices={len(self.template)}, faces={len(self.faces)}, "
            f"shape={len(self.shape_names)})"
        )


@dataclass(frozen=True, eq=False)
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


def check_shape(name: str, array: Any, shape: tuple[int | None, ...]) -> None:
    """Compare an array's shape; None accepts any length.

    Raises:
        InputError: the shape differs.
    """
    got = tuple(array.shape)
    if len(got) != len(shape) or any(w is not None and g != w for g, w in zip(got, shape)):
        want = ", ".join("any" if n is None else str(n) for n in shape)
        raise InputError(f"{name} has shape {got}; accepted is ({want})")
