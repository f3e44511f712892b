"""Contract checks for hand models; the built-in ones pass the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.conventions import KEYPOINT_TO_MANO, MANO_JOINTS, SIDES
from ..hand_model import HandModel, pose_hand, pose_hand_numpy, rest_hand, subdivide
from ..hand_model.limits import finger_theta
from ..hand_model.surface import signed_volume

FAR = 0.005
"""Metres by which a left hand's joints may differ from the mirrored right's."""


def check_hand_model(provider: Any, seed: int = 0) -> None:
    """Check that ``provider`` keeps the contract of :class:`hand_toolkit.hand_model.HandModel`.

    Args:
        provider: what ``register_hand_models`` registers: a ``name`` and ``load(side)``.
        seed: of the random poses and shapes tried.

    Raises:
        AssertionError: saying what is broken.
    """
    assert isinstance(provider.name, str) and provider.name, "provider.name must be a word"
    models = {side: provider.load(side) for side in SIDES}
    for side, model in models.items():
        assert isinstance(model, HandModel), f"load({side!r}) returned {type(model).__name__}"
        assert (model.name, model.side, model.level) == (provider.name, side, 0), (
            f"load({side!r}) returned {model!r}"
        )
        check_arrays(model)
        check_axes(model)
        check_shape_space(model)
        check_posing(model, np.random.default_rng(seed))
        check_subdivision(model)
    right, left = (rest_hand(models[side])[2] for side in SIDES)
    gap = np.abs(left * [-1, 1, 1] - right).max()
    assert gap < FAR, f"the left hand is not the mirrored right: joints differ by {gap:.4f} m"
    again = provider.load("right")
    assert np.array_equal(again.template, models["right"].template), "load() is not repeatable"


def check_arrays(model: HandModel) -> None:
    """Indices in range, weights and UVs valid, a clean surface facing outward."""
    arrays = {k: v for k, v in vars(model).items() if isinstance(v, np.ndarray)}
    for name, array in arrays.items():
        assert np.isfinite(array).all(), f"{name} has NaN or infinite values"
    for name, count in (("faces", len(model.template)), ("uv_faces", len(model.uvs))):
        indices = arrays[name]
        assert indices.dtype == np.int32, f"{name} are {indices.dtype}, not int32"
        assert indices.min() >= 0 and indices.max() < count, f"{name} point outside the arrays"
    assert (model.weights >= 0).all(), "skinning weights must not be negative"
    assert np.abs(model.weights.sum(1) - 1).max() < 1e-5, "skinning weights must sum to one"
    assert model.uvs.min() >= 0 and model.uvs.max() <= 1, "uvs must lie in [0, 1]"
    a, b, c = (model.template[model.faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    assert (area > 0).all(), f"{int((area <= 0).sum())} faces have no area"
    directed = np.concatenate([model.faces[:, [k, (k + 1) % 3]] for k in range(3)])
    assert len(np.unique(directed, axis=0)) == len(directed), (
        "an edge is used twice in one direction: faces are turned or the surface is not manifold"
    )
    volume = signed_volume(model.template, model.faces)
    assert 5e-5 < volume < 2e-3, f"volume {volume:.2e} m3: faces inward, or not in metres"


def check_axes(model: HandModel) -> None:
    """Wrist at the origin for every shape, fingers along x, thumb towards +z, palm to -y."""
    keypoints = model.keypoint_template
    assert np.abs(keypoints[0]).max() < 1e-6, "the wrist keypoint is not at the origin"
    assert np.abs(model.keypoint_dirs[:, 0]).max() < 1e-6, "a shape parameter moves the wrist"
    ahead = -1 if model.side == "right" else 1
    assert keypoints[12, 0] * ahead > 0.1, f"the {model.side} fingers must point to {ahead:+d} x"
    assert keypoints[4, 2] - keypoints[20, 2] > 0.05, "the thumb must lie towards +z"
    theta = finger_theta({"middle": (1.2, 0.0, 0.0)})
    if model.side == "left":
        theta = theta * [1, -1, -1]
    curled = _posed(model, theta)[2]
    assert curled[12, 1] < keypoints[12, 1] - 0.03, "flexing must move a finger towards -y"


def check_shape_space(model: HandModel) -> None:
    """Named parameters, a prior, and a hand that stays a hand up to three sigma."""
    assert len(set(model.shape_names)) == len(model.shape_names), "two parameters share a name"
    assert (model.shape_sigmas > 0).all(), "shape_sigmas must be positive"
    for k, name in enumerate(model.shape_names):
        for factor in (-3, 3):
            shape = np.zeros(len(model.shape_names))
            shape[k] = factor * model.shape_sigmas[k]
            vertices, _, _ = rest_hand(model, shape)
            volume = signed_volume(vertices, model.faces)
            assert volume > 2e-5, f"{name} at {factor} sigma leaves a volume of {volume:.1e} m3"


def check_posing(model: HandModel, rng: np.random.Generator) -> None:
    """Zero is rest, the wrist turns about the translation, numpy equals torch, gradients."""
    import torch

    count = len(model.shape_names)
    shape = rng.normal(0, 0.5, count) * model.shape_sigmas
    rest_vertices, rest_joints, rest_keypoints = rest_hand(model, shape)
    flat = pose_hand_numpy(model, np.zeros((16, 3)), shape, np.zeros(3))
    for got, want in zip(flat, (rest_vertices, rest_joints, rest_keypoints)):
        assert np.abs(got - want).max() < 1e-7, "theta of zero is not the rest pose"
    joints = KEYPOINT_TO_MANO[KEYPOINT_TO_MANO >= 0]
    assert np.allclose(flat[1][joints], flat[2][KEYPOINT_TO_MANO >= 0]), "keypoints miss joints"

    theta = rng.normal(0, 0.3, (2, 16, 3))
    shapes = rng.normal(0, 0.5, (2, count)) * model.shape_sigmas
    translation = rng.normal(0, 0.3, (2, 3))
    inputs = [torch.tensor(x, requires_grad=True) for x in (theta, shapes, translation)]
    posed = pose_hand(model, *inputs)
    for b in range(2):
        one = pose_hand_numpy(model, theta[b], shapes[b], translation[b])
        tensors = posed.vertices, posed.joints, posed.keypoints, posed.transforms
        for tensor, want in zip(tensors, one):
            gap = np.abs(tensor[b].detach().numpy() - want).max()
            assert gap < 1e-8, f"numpy and torch differ by {gap:.1e}"
    gap = np.abs(posed.joints[:, 0].detach().numpy() - translation).max()
    assert gap < 1e-9, "the translation is not the wrist's position"

    bent = np.zeros((16, 3))
    bent[MANO_JOINTS.index("index1")] = 0, 0, 0.7
    moved = np.linalg.norm(_posed(model, bent)[2] - rest_hand(model)[2], axis=1) > 5e-3
    assert set(np.flatnonzero(moved)) == {6, 7, 8}, "index1 must move the index's keypoints alone"

    weight = torch.tensor(rng.normal(size=posed.vertices.shape))
    mark = torch.tensor(rng.normal(size=posed.keypoints.shape))
    ((posed.vertices * weight).sum() + (posed.keypoints * mark).sum()).backward()
    step = 1e-6
    for value in inputs:
        direction = torch.tensor(rng.normal(size=value.shape))
        values = []
        for sign in (1, -1):
            moved_inputs = [x.detach() for x in inputs]
            place = next(i for i, x in enumerate(inputs) if x is value)
            moved_inputs[place] = moved_inputs[place] + sign * step * direction
            out = pose_hand(model, *moved_inputs)
            values.append(float((out.vertices * weight).sum() + (out.keypoints * mark).sum()))
        numeric = (values[0] - values[1]) / (2 * step)
        analytic = float((value.grad * direction).sum())  # type: ignore[operator]
        assert abs(numeric - analytic) < 1e-4 * max(1.0, abs(numeric)), (
            f"gradient {analytic:.6f}, finite difference {numeric:.6f}"
        )


def check_subdivision(model: HandModel) -> None:
    """Levels quadruple the faces and keep every array valid."""
    faces = len(model.faces)
    for level in (1, 2):
        finer = subdivide(model, level)
        assert len(finer.faces) == faces * 4**level, "a level must quadruple the faces"
        check_arrays(finer)


def _posed(model: HandModel, theta: np.ndarray) -> tuple[np.ndarray, ...]:
    return pose_hand_numpy(model, theta, np.zeros(len(model.shape_names)), np.zeros(3))
