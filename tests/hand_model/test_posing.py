"""Posing: rejects wrong shapes, keeps dtype, normals point outward, tensors are reused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hand_toolkit.core.errors import InputError
from hand_toolkit.hand_model import load_hand_model, pose_hand, pose_hand_numpy, vertex_normals
from hand_toolkit.hand_model.posing import model_tensors


def test_float32_agrees_with_float64() -> None:
    model = load_hand_model()
    rng = np.random.default_rng(1)
    arrays = rng.normal(0, 0.5, (3, 16, 3)), rng.normal(0, 0.4, (3, 34)), rng.normal(0, 1, (3, 3))
    double = pose_hand(model, *(torch.tensor(a) for a in arrays))
    single = pose_hand(model, *(torch.tensor(a, dtype=torch.float32) for a in arrays))
    assert single.vertices.dtype == torch.float32
    assert (single.vertices - double.vertices).abs().max() < 2e-6
    assert (single.transforms @ torch.tensor([0.0, 0, 0, 1])).shape == (3, 16, 4)


def test_wrist_turns_the_hand_rigidly_about_the_translation() -> None:
    model = load_hand_model()
    theta, translation = np.zeros((16, 3)), np.array([0.3, -0.2, 0.7])
    theta[0] = 0.4, -1.0, 0.3
    vertices, _, keypoints, _ = pose_hand_numpy(model, theta, np.zeros(34), translation)
    turn = Rotation.from_rotvec(theta[0]).as_matrix()
    assert np.abs(vertices - (model.template @ turn.T + translation)).max() < 1e-6
    assert np.abs(keypoints - (model.keypoint_template @ turn.T + translation)).max() < 1e-6


def test_normals_are_unit_outward_and_equal_in_torch() -> None:
    model = load_hand_model(level=1)
    vertices = model.template.astype(float)
    normals = vertex_normals(vertices, model.faces)
    assert np.abs(np.linalg.norm(normals, axis=1) - 1).max() < 1e-12
    tensor = torch.tensor(np.stack([vertices, 2 * vertices]), requires_grad=True)
    theirs = vertex_normals(tensor, model.faces)
    assert (theirs[1].detach().numpy() - normals).max() < 1e-12
    # a step along the normals makes the hand larger everywhere
    assert np.ptp(vertices + 0.002 * normals, axis=0).min() > np.ptp(vertices, axis=0).min()


@pytest.mark.parametrize(
    "bad",
    [
        ((2, 15, 3), (2, 34), (2, 3)),
        ((2, 16, 3), (1, 34), (2, 3)),
        ((2, 16, 3), (2, 10), (2, 3)),
        ((2, 16, 3), (2, 34), (3,)),
        ((16, 3), (34,), (3,)),
    ],
)
def test_wrong_shapes_are_named(bad: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(InputError, match="has shape"):
        pose_hand(load_hand_model(), *(torch.zeros(shape) for shape in bad))


def test_model_tensors_are_made_once() -> None:
    model = load_hand_model()
    first = model_tensors(model, torch.float32, torch.device("cpu"))
    assert model_tensors(model, torch.float32, torch.device("cpu")) is first
