"""One hand of an exported scene: rest shape, bind pose, and poses over time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.conventions import MANO_JOINTS, MANO_PARENTS
from ..geometry.rotations import continuous_quats, matrix_from_axis_angle, quat_from_matrix
from ..geometry.surfaces import vertex_normals
from ..hand_model import HandModel, pose_drivers, pose_features, pose_hand_numpy
from .axes import TO_Y_UP


@dataclass(frozen=True)
class Corrective:
    """One pose corrective of a hand as a blend shape that acts before skinning.

    Attributes:
        name: e.g. ``right_index2_1``, and with ``_back`` for where its number is negative.
        number: of the hand model's corrective.
        vertices: (M,) those that it moves.
        offsets: (M, 3) by how much at weight 1, y-up world of the bind pose, metres.
        weights: (T,) over time, not negative.
    """

    name: str
    number: int
    vertices: np.ndarray
    offsets: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class SceneHand:
    """One hand of the scene: rest shape, bind pose and poses over time.

    Attributes:
        side: "right" or "left".
        model: hand model at the mesh's level.
        vertices: (V, 3) rest shape, model axes, wrist at the origin, metres.
        joints: (16, 3) rest joints.
        keypoints: (21, 3) rest keypoints.
        bind_theta: (16, 3) the upright flat hand that mesh and splats are bound in.
        bind_translation: (3,) its wrist, toolkit world axes.
        theta: (T, 16, 3), or (T, 17, 3) with the forearm's.
        translation: (T, 3).
        present: (T,) bool.
    """

    side: str
    model: HandModel
    vertices: np.ndarray
    joints: np.ndarray
    keypoints: np.ndarray
    bind_theta: np.ndarray
    bind_translation: np.ndarray
    theta: np.ndarray
    translation: np.ndarray
    present: np.ndarray

    @cached_property
    def bind_rotation(self) -> np.ndarray:
        """(3, 3) from model axes to y-up world axes in the bind pose."""
        return TO_Y_UP @ matrix_from_axis_angle(self.bind_theta[0])

    def to_bind(self, points: np.ndarray) -> np.ndarray:
        """Model-space points (..., 3) in the bind pose, y-up world, metres."""
        return points @ self.bind_rotation.T + TO_Y_UP @ self.bind_translation

    @cached_property
    def bind_vertices(self) -> np.ndarray:
        """(V, 3) y-up world."""
        return self.to_bind(self.vertices)

    @cached_property
    def bind_normals(self) -> np.ndarray:
        """(V, 3) unit, y-up world."""
        return vertex_normals(self.bind_vertices, self.model.faces)

    @cached_property
    def bind_joints(self) -> np.ndarray:
        """(16, 4, 4) joint-to-world matrices of the bind pose, y-up world."""
        matrices = np.tile(np.eye(4), (16, 1, 1))
        matrices[:, :3, :3] = self.bind_rotation
        matrices[:, :3, 3] = self.to_bind(self.joints)
        return matrices

    @cached_property
    def local_offsets(self) -> np.ndarray:
        """(16, 3) place of each joint in its parent; the wrist's in the y-up world."""
        offsets = self.joints - self.joints[np.maximum(MANO_PARENTS, 0)]
        offsets[0] = TO_Y_UP @ self.bind_translation
        return offsets

    @cached_property
    def local_bind_quats(self) -> np.ndarray:
        """(16, 4) wxyz local rotations of the bind pose: the wrist's, then identities."""
        quats = np.tile([1.0, 0, 0, 0], (16, 1))
        quats[0] = quat_from_matrix(self.bind_rotation)
        return quats

    @cached_property
    def local_quats(self) -> np.ndarray:
        """(T, 16, 4) wxyz local rotations over time, without sign jumps."""
        rotation = matrix_from_axis_angle(self.theta[:, :16])
        rotation[:, 0] = TO_Y_UP @ rotation[:, 0]
        quats = quat_from_matrix(rotation)
        quats[0] *= np.where((quats[0] * self.local_bind_quats).sum(-1, keepdims=True) < 0, -1, 1)
        return continuous_quats(quats)

    @cached_property
    def correctives(self) -> tuple[Corrective, ...]:
        """What the mesh does beyond skinning, as blend shapes of the bind pose."""
        model = self.model
        if model.pose_dirs is None:
            return ()
        weights = pose_features(model, matrix_from_axis_angle(self.theta[:, :16]))
        joints = [int(j) for j in pose_drivers(model)[0]]
        found = []
        for k, joint in enumerate(joints):
            moved = np.flatnonzero(np.abs(model.pose_dirs[k]).max(1) > 1e-6)
            offsets = model.pose_dirs[k][moved] @ self.bind_rotation.T
            name = f"{self.side}_{MANO_JOINTS[joint]}_{k - joints.index(joint) + 1}"
            found.append(Corrective(name, k, moved, offsets, np.maximum(weights[:, k], 0)))
            if weights[:, k].min() < -1e-6:  # programs cut weights off at zero
                back = np.maximum(-weights[:, k], 0)
                found.append(Corrective(f"{name}_back", k, moved, -offsets, back))
        return tuple(found)

    @cached_property
    def forearm(self) -> np.ndarray:
        """(T, 3) the forearm's rotation to the hand; zero where none is given."""
        if self.theta.shape[1] == 17:
            return self.theta[:, 16]
        return np.zeros((len(self.theta), 3))

    @cached_property
    def wrist_positions(self) -> np.ndarray:
        """(T, 3) y-up world, metres."""
        return self.translation @ TO_Y_UP

    def posed_vertices(self, frame: int) -> np.ndarray:
        """(V, 3) y-up world, by the toolkit's own skinning."""
        shape_free = _with_shape(self.model, self.vertices, self.keypoints)
        posed = pose_hand_numpy(
            shape_free, self.theta[frame], np.zeros(0), self.translation[frame]
        )[0]
        return posed @ TO_Y_UP

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the 16 joints, e.g. ``right_index1``."""
        return tuple(f"{self.side}_{name}" for name in MANO_JOINTS)


def _with_shape(model: HandModel, vertices: np.ndarray, keypoints: np.ndarray) -> HandModel:
    """The model with this rest shape as its template and no shape parameters."""
    return dataclasses.replace(
        model,
        template=vertices,
        keypoint_template=keypoints,
        shape_names=(),
        shape_dirs=np.zeros((0, len(vertices), 3)),
        shape_sigmas=np.zeros(0),
        keypoint_dirs=np.zeros((0, 21, 3)),
    )
