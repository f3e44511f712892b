"""The hand as a chain of hinges, with analytic derivatives, in numpy and batched.

A finger has three joints with up to three hinges each, 26 in all, so a keypoint's derivative
with respect to an angle is the hinge's axis crossed with the arm from its joint (the geometric
Jacobian, Craig, Introduction to Robotics, section 5.7). Only right hands are handled; a left
hand is fitted as its mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.conventions import MANO_PARENTS
from ..geometry.rotations import cross_matrix, matrix_from_axis_angle
from ..hand_model import HandModel
from ..hand_model.limits import FREE_AXIS, FREE_JOINT, joint_frames

FIRST_KEYPOINT = np.array([1, 5, 9, 13, 17])
"""Keypoint of the first joint of each finger, thumb to little finger."""

FIRST_JOINT = np.array([13, 1, 4, 10, 7])
"""MANO joint of the first joint of each finger."""

PALM = np.array([0, 5, 9, 13, 17])
"""Keypoints that move as one: the wrist and the four knuckles."""


@dataclass(frozen=True)
class State:
    """A batch of hands.

    Attributes:
        rotation: (B, 3, 3) wrist, camera axes.
        translation: (B, 3) wrist, metres.
        angles: (B, 26) hinge angles, radians.
        shape: (B, S) shape parameters.
    """

    rotation: np.ndarray
    translation: np.ndarray
    angles: np.ndarray
    shape: np.ndarray

    def __len__(self) -> int:
        return len(self.angles)

    def take(self, rows: np.ndarray) -> State:
        """Some of the batch."""
        return State(
            self.rotation[rows], self.translation[rows], self.angles[rows], self.shape[rows]
        )

    def moved(self, step: np.ndarray) -> State:
        """The state after a step (B, 6 + 26 + S) of the solver; the turn is on the left."""
        return State(
            matrix_from_axis_angle(step[:, :3]) @ self.rotation,
            self.translation + step[:, 3:6],
            self.angles + step[:, 6:32],
            self.shape + step[:, 32:],
        )

    @staticmethod
    def stack(states: list[State]) -> State:
        """One batch of several."""
        return State(
            np.concatenate([s.rotation for s in states]),
            np.concatenate([s.translation for s in states]),
            np.concatenate([s.angles for s in states]),
            np.concatenate([s.shape for s in states]),
        )


@dataclass(frozen=True)
class Posed:
    """Keypoints of a batch, relative to the wrist, with derivatives.

    Attributes:
        points: (B, 21, 3) camera axes, metres.
        jacobian: (B, 21, 3, 3 + 26 + S), with respect to the wrist's turn, angles and shape.
        frames: (B, 5, 4, 3, 3) rotation of each finger's bones: palm, then three phalanges.
        hinge_axes: (B, 5, 3, 3, 3) axis of hinge s of joint k of finger f, [f, k, s].
    """

    points: np.ndarray
    jacobian: np.ndarray
    frames: np.ndarray
    hinge_axes: np.ndarray


class HandChain:
    """A right-hand model's keypoints and vertices as functions of hinge angles and shape."""

    def __init__(self, model: HandModel) -> None:
        self.model = model
        self.shape_count = len(model.shape_names)
        self.size = 6 + 26 + self.shape_count
        self.rest = model.keypoint_template.astype(float)
        self.rest_dirs = model.keypoint_dirs.astype(float)
        chain = FIRST_KEYPOINT[:, None] + np.arange(4)
        # Bone k of finger f starts at its joint k - 1 (the wrist for k = 0) and ends at joint k.
        starts = np.concatenate([np.zeros((5, 1), dtype=int), chain[:, :3]], axis=1)
        self.bones = self.rest[chain] - self.rest[starts]
        self.bone_dirs = self.rest_dirs[:, chain] - self.rest_dirs[:, starts]
        self._hinges()

    def _hinges(self) -> None:
        """Slot tables (finger, joint, order) of the 26 hinges, unused slots with axis 0."""
        axes, joints = joint_frames()[FREE_JOINT, FREE_AXIS], FREE_JOINT + 1
        self.slot_axes = np.zeros((5, 3, 3, 3))
        self.slot_angle = np.full((5, 3, 3), -1)
        finger_of = {int(j): f for f, j in enumerate(FIRST_JOINT)}
        filled: dict[int, int] = {}
        for number, (axis, joint) in enumerate(zip(axes, joints)):
            level = (int(joint) - 1) % 3
            finger = finger_of[int(joint) - level]
            slot = filled.get(int(joint), 0)
            filled[int(joint)] = slot + 1
            self.slot_axes[finger, level, slot] = axis
            self.slot_angle[finger, level, slot] = number
        used = self.slot_angle >= 0
        self.used = np.argwhere(used)
        self.used_angle = self.slot_angle[used]
        self._cross = cross_matrix(self.slot_axes)
        self._cross2 = self._cross @ self._cross

    def pose(self, state: State, derivatives: bool = True) -> Posed:
        """Keypoints relative to the wrist, and their derivatives."""
        batch = len(state)
        slot_angles = np.where(
            self.slot_angle >= 0, state.angles[:, np.maximum(self.slot_angle, 0)], 0.0
        )[..., None, None]
        turns = (
            np.eye(3) + np.sin(slot_angles) * self._cross + (1 - np.cos(slot_angles)) * self._cross2
        )
        frame = np.repeat(state.rotation[:, None], 5, axis=1)
        frames = [frame]
        axes = np.empty((batch, 5, 3, 3, 3))
        for level in range(3):
            for slot in range(3):
                axes[:, :, level, slot] = np.einsum(
                    "bfij,fj->bfi", frame, self.slot_axes[:, level, slot]
                )
                frame = frame @ turns[:, :, level, slot]
            frames.append(frame)
        stacked = np.stack(frames, axis=2)
        bones = self.bones + np.tensordot(state.shape, self.bone_dirs, 1)
        arms = (stacked @ bones[..., None])[..., 0]
        chain = np.cumsum(arms, axis=2)
        points = np.concatenate([np.zeros((batch, 1, 3)), chain.reshape(batch, 20, 3)], axis=1)
        jacobian = np.empty((0,))
        if derivatives:
            jacobian = np.zeros((batch, 21, 3, self.size - 3))
            jacobian[..., :3] = -cross_matrix(points)
            finger, level, slot = self.used.T
            for tip in range(4):
                arm = chain[:, finger, tip] - chain[:, finger, level]
                moved = np.cross(axes[:, finger, level, slot], arm)
                moved[:, level >= tip] = 0.0
                jacobian[:, FIRST_KEYPOINT[finger] + tip, :, 3 + self.used_angle] = moved.transpose(
                    1, 0, 2
                )
            # d(arm)/d(shape) summed along the finger; (B, 5, 4, 3, S).
            by_shape = np.cumsum(stacked @ self.bone_dirs.transpose(1, 2, 3, 0)[None], axis=2)
            jacobian[:, 1:, :, 29:] = by_shape.reshape(batch, 20, 3, self.shape_count)
        return Posed(points, jacobian, stacked, axes)

    def vertices(
        self, state: State, posed: Posed, rows: np.ndarray, derivatives: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Some vertices of each hand, relative to the wrist, with derivatives.

        Pose blend shapes, where a model has them, are left out: they move the outline by
        less than a pixel.

        Args:
            state: B hands.
            posed: the result of :meth:`pose` for them, with derivatives if any are wanted.
            rows: (B, N) vertex indices.
            derivatives: False leaves the second result empty.

        Returns:
            points: (B, N, 3) metres.
            jacobian: (B, N, 3, 3 + 26 + S).
        """
        model = self.model
        batch, count = rows.shape
        dirs = model.shape_dirs[:, rows].astype(float)  # (S, B, N, 3)
        rest = model.template[rows] + np.einsum("bs,sbni->bni", state.shape, dirs)
        keys = self.rest + np.tensordot(state.shape, self.rest_dirs, 1)
        weights = model.weights[rows].astype(float)
        points = weights[..., :1] * (rest @ state.rotation.transpose(0, 2, 1))
        # by row vectors, so that one matrix product turns all of a hand's
        row_dirs = np.ascontiguousarray(dirs.transpose(1, 2, 0, 3))  # (B, N, S, 3)
        jacobian = np.zeros((batch, count, 3, self.size - 3))
        turns = cross_matrix(posed.hinge_axes).swapaxes(-1, -2)  # v @ turn is axis x v
        by_shape = jacobian[..., 29:]
        by_shape[:] = weights[:, :, 0, None, None] * _turned(row_dirs, state.rotation)
        for finger in range(5):
            for level in range(3):
                joint, key = FIRST_JOINT[finger] + level, FIRST_KEYPOINT[finger] + level
                # most vertices hang on two or three joints
                near = np.flatnonzero((weights[:, :, joint] > 1e-4).any(axis=0))
                if not len(near):
                    continue
                weight = weights[:, near, joint, None]
                frame = posed.frames[:, finger, level + 1]
                local = rest[:, near] - keys[:, None, key]
                moved = posed.points[:, None, key] + local @ frame.transpose(0, 2, 1)
                points[:, near] += weight * moved
                if not derivatives:
                    continue
                local_dirs = row_dirs[:, near] - self.rest_dirs[:, key]
                shape_part = posed.jacobian[:, None, key, :, 29:] + _turned(local_dirs, frame)
                by_shape[:, near] += weight[..., None] * shape_part
                for up in range(level + 1):
                    root = posed.points[:, None, FIRST_KEYPOINT[finger] + up]
                    for slot in range(3):
                        number = self.slot_angle[finger, up, slot]
                        if number >= 0:
                            turn = turns[:, finger, up, slot]
                            by_angle = jacobian[..., 3 + number]
                            by_angle[:, near] += weight * ((moved - root) @ turn)
        if derivatives:
            jacobian[..., :3] = -cross_matrix(points)
        return points, jacobian

    def theta(self, state: State) -> np.ndarray:
        """(B, 16, 3) MANO axis-angle of the batch."""
        from scipy.spatial.transform import Rotation

        posed = self.pose(state, derivatives=False)
        world = np.empty((len(state), 16, 3, 3))
        world[:, 0] = state.rotation
        for finger in range(5):
            for level in range(3):
                world[:, FIRST_JOINT[finger] + level] = posed.frames[:, finger, level + 1]
        local = world.copy()
        parents = world[:, MANO_PARENTS[1:]]
        local[:, 1:] = parents.swapaxes(-1, -2) @ world[:, 1:]
        return Rotation.from_matrix(local.reshape(-1, 3, 3)).as_rotvec().reshape(-1, 16, 3)


def _turned(rows: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """(B, N, 3, S) columns: vectors (B, N, S, 3) turned by (B, 3, 3)."""
    flat = rows.reshape(len(rows), -1, 3) @ rotation.swapaxes(-1, -2)
    return np.asarray(flat.reshape(rows.shape).swapaxes(-1, -2))
