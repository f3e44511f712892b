"""What forearms do in motions of hands alone: they stand still, as far as wrists reach."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..geometry.rotations import axis_angle_from_quat, matrix_from_axis_angle, quat_from_matrix
from .motion import Motion

REACH_RAD = np.radians(50.0)
"""A hand that turns farther than this takes its forearm along."""


def with_forearms(motion: Motion) -> Motion:
    """The motion with a seventeenth row of θ: each forearm's rotation to its hand.

    Each forearm keeps the direction that its hand has on average, so that a waving hand bends at
    the wrist; a wrist that would bend farther than it can takes the forearm along. Motions that
    have forearms stay as they are.
    """
    if motion.theta.shape[2] == 17:
        return motion
    forearm = np.zeros((len(motion), 2, 1, 3))
    for k in range(2):
        there = motion.present[:, k]
        if there.any():
            forearm[there, k, 0] = steady_forearm(motion.theta[there, k, 0])
    return dataclasses.replace(motion, theta=np.concatenate([motion.theta, forearm], axis=2))


def steady_forearm(wrist: np.ndarray) -> np.ndarray:
    """(T, 3) rotations of the forearm to the hand, for wrist rotations (T, 3)."""
    turns = matrix_from_axis_angle(np.asarray(wrist, np.float64))
    u, _, v = np.linalg.svd(turns.mean(0))
    mean = u @ np.diag([1.0, 1.0, np.linalg.det(u @ v)]) @ v
    bend = axis_angle_from_quat(quat_from_matrix(turns.transpose(0, 2, 1) @ mean))
    angle = np.linalg.norm(bend, axis=1, keepdims=True)
    # smooth toward the limit: a hard stop would show as a jerk
    held = REACH_RAD * np.tanh(angle / REACH_RAD)
    return np.asarray(bend * held / np.maximum(angle, 1e-9))
