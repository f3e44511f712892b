"""Hands that were made: meshes with the θ and β that stand for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.conventions import side_index
from .theta import FittedMeshes

MIRROR = np.array([-1.0, 1.0, 1.0])
MIRROR_THETA = np.array([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class MadeHands:
    """N hands of one side.

    Attributes:
        side: "right" or "left".
        theta: (N, 16, 3) axis-angle.
        shape: (N, S) of the default hand.
        translation: (N, 3) wrists, metres; zero where nothing places them.
        vertices: (N, V, 3) the sampled meshes, metres, in the axes and place of θ.
        residual_mm: (N,) how far θ and β are from the mesh, mean over the vertices.
        likelihood: (N,) of each among them, summing to one.
    """

    side: str
    theta: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    vertices: np.ndarray
    residual_mm: np.ndarray
    likelihood: np.ndarray

    def __len__(self) -> int:
        return len(self.theta)

    def take(self, rows: np.ndarray) -> MadeHands:
        """Some of them; their likelihoods sum to one again."""
        likelihood = self.likelihood[rows]
        return MadeHands(
            self.side, self.theta[rows], self.shape[rows], self.translation[rows],
            self.vertices[rows], self.residual_mm[rows],
            likelihood / max(float(likelihood.sum()), 1e-30),
        )  # fmt: skip

    @property
    def keypoints(self) -> np.ndarray:
        """(N, 21, 3) metres."""
        from .pyramid import build_pyramid

        return np.asarray(build_pyramid("default", 3, 4).regressor @ self.vertices)


def joined_hands(parts: list[MadeHands]) -> MadeHands:
    """Hands of one side end to end; take some of them to make their likelihoods sum to one."""
    names = ("theta", "shape", "translation", "vertices", "residual_mm", "likelihood")
    return MadeHands(
        parts[0].side, *(np.concatenate([getattr(p, name) for p in parts]) for name in names)
    )


def taken_fits(fitted: FittedMeshes, rows: np.ndarray) -> FittedMeshes:
    """Some of a batch of fits."""
    return FittedMeshes(fitted.state.take(rows), fitted.theta[rows], fitted.residual_m[rows])


def joined_fits(parts: list[FittedMeshes]) -> FittedMeshes:
    """One batch of several."""
    from ...pose.kinematics import State

    return FittedMeshes(
        State.stack([p.state for p in parts]),
        np.concatenate([p.theta for p in parts]),
        np.concatenate([p.residual_m for p in parts]),
    )


def made_hands(
    side: str,
    vertices: np.ndarray,
    fitted: FittedMeshes,
    *,
    likelihood: np.ndarray,
    own: bool = False,
    turn: np.ndarray | None = None,
    shift: np.ndarray | None = None,
) -> MadeHands:
    """Hands as callers get them.

    Args:
        side: left hands are mirrored.
        vertices: of right hands.
        fitted: their θ.
        likelihood: of each.
        own: turn them so that the wrist's θ is zero, and put the wrist at the origin.
        turn: (3, 3) otherwise, to the caller's axes.
        shift: (N, 3) and place of the palm's centre there.
    """
    from scipy.spatial.transform import Rotation

    theta = fitted.theta.copy()
    if own:
        turns = fitted.state.rotation.transpose(0, 2, 1)
        placed = (vertices - fitted.state.translation[:, None]) @ turns.transpose(0, 2, 1)
        theta[:, 0] = 0
        where = np.zeros((len(theta), 3))
    else:
        turn = np.eye(3) if turn is None else turn
        shift = np.zeros((len(theta), 3)) if shift is None else shift
        placed = vertices @ turn.T + shift[:, None]
        where = fitted.state.translation @ turn.T + shift
        theta[:, 0] = Rotation.from_matrix(turn @ fitted.state.rotation).as_rotvec()
    if side_index(side):
        placed, where, theta = placed * MIRROR, where * MIRROR, theta * MIRROR_THETA
    return MadeHands(
        side, theta, fitted.state.shape, where, placed, 1000 * fitted.residual_m, likelihood
    )
