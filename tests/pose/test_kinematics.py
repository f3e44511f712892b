"""The chain against the hand model's own posing, and its derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest

from hand_toolkit.geometry.rotations import matrix_from_axis_angle
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.pose.fit import hand_chain
from hand_toolkit.pose.kinematics import HandChain, State


@pytest.fixture(scope="module")
def chain() -> HandChain:
    return hand_chain("default")


@pytest.fixture
def state(chain: HandChain) -> State:
    random = np.random.default_rng(3)
    return State(
        matrix_from_axis_angle(random.normal(size=(2, 3))),
        random.normal(size=(2, 3)) * 0.1 + [0, 0, 0.5],
        random.normal(size=(2, 26)) * 0.4,
        random.normal(size=(2, chain.shape_count)) * 0.3,
    )


def test_agrees_with_the_hand_model(chain: HandChain, state: State) -> None:
    model = load_hand_model("default_2", "right")  # the chain leaves pose correctives out
    rows = np.tile(np.arange(0, len(model.template), 7), (2, 1))
    posed = chain.pose(state)
    vertices, _ = chain.vertices(state, posed, rows)
    theta = chain.theta(state)
    for k in range(2):
        expected = pose_hand_numpy(model, theta[k], state.shape[k], state.translation[k])
        np.testing.assert_allclose(posed.points[k] + state.translation[k], expected[2], atol=1e-7)
        np.testing.assert_allclose(
            vertices[k] + state.translation[k], expected[0][rows[k]], atol=1e-6
        )


def test_derivatives(chain: HandChain, state: State) -> None:
    rows = np.random.default_rng(0).integers(0, len(chain.model.template), (2, 30))
    posed = chain.pose(state)
    _, by_vertex = chain.vertices(state, posed, rows)
    step = 1e-6
    for column in range(chain.size - 3):
        change = np.zeros((2, chain.size))
        change[:, column if column < 3 else column + 3] = step
        ahead, behind = state.moved(change), state.moved(-change)
        posed_ahead, posed_behind = chain.pose(ahead), chain.pose(behind)
        by_keypoint = (posed_ahead.points - posed_behind.points) / (2 * step)
        np.testing.assert_allclose(posed.jacobian[..., column], by_keypoint, atol=1e-7)
        moved = (
            chain.vertices(ahead, posed_ahead, rows)[0]
            - chain.vertices(behind, posed_behind, rows)[0]
        ) / (2 * step)
        np.testing.assert_allclose(by_vertex[..., column], moved, atol=1e-7)
