"""Shape and pose: linear shape directions, MANO's kinematic chain, linear blend skinning.

The equations are MANO's (Romero et al. 2017, eq. 2-6; SMPL, Loper et al. 2015), with the
wrist joint at the origin for every shape, so the translation is the wrist's position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from ..core.conventions import KEYPOINT_TO_MANO, MANO_PARENTS
from ..geometry.rotations import matrix_from_axis_angle
from .arm import bent, split_pose
from .base import HandModel, PosedHand, check_shape

if TYPE_CHECKING:
    import torch

_JOINT_KEYPOINTS = np.array([int(np.flatnonzero(j == KEYPOINT_TO_MANO)[0]) for j in range(16)])
"""Keypoint at each MANO joint."""

_KEYPOINT_BONES = np.where(KEYPOINT_TO_MANO >= 0, KEYPOINT_TO_MANO, np.roll(KEYPOINT_TO_MANO, 1))
"""MANO joint that carries each keypoint; a tip is carried by the joint before it."""

_drivers: WeakKeyDictionary[HandModel, tuple[np.ndarray, np.ndarray]] = WeakKeyDictionary()
_flat: WeakKeyDictionary[HandModel, np.ndarray] = WeakKeyDictionary()
_sparse: WeakKeyDictionary[HandModel, Any] = WeakKeyDictionary()
_tensors: WeakKeyDictionary[HandModel, dict[Any, dict[str, torch.Tensor]]] = WeakKeyDictionary()


def pose_hand(
    model: HandModel, theta: torch.Tensor, shape: torch.Tensor, translation: torch.Tensor
) -> PosedHand:
    """Pose a batch of hands; differentiable in all three inputs.

    Args:
        model: any hand model.
        theta: (B, 16, 3) axis-angle, radians, MANO order; zero is the flat hand.
        shape: (B, S) shape parameters; zero is the mean hand.
        translation: (B, 3) wrist position, metres.

    Returns:
        Vertices, joints, keypoints and skinning transforms, in the inputs' dtype and device.

    Raises:
        InputError: an array of another shape.
    """
    import torch

    batch = theta.shape[0]
    check_shape("theta", theta, (None, 16, 3))
    check_shape("shape", shape, (batch, len(model.shape_names)))
    check_shape("translation", translation, (batch, 3))
    data = model_tensors(model, theta.dtype, theta.device)
    rotations = matrix_from_axis_angle(theta)
    feature = None if model.pose_dirs is None else pose_features(model, rotations)
    amounts = shape if feature is None else torch.cat([shape, feature], 1)
    vertices = data["template"] + (amounts @ data["dirs"]).reshape(batch, -1, 3)
    keypoints = data["keypoint_template"] + (shape @ data["keypoint_dirs"]).reshape(batch, 21, 3)
    joints = keypoints[:, _JOINT_KEYPOINTS]
    if feature is not None and "keypoint_pose_dirs" in data:
        keypoints = keypoints + (feature @ data["keypoint_pose_dirs"]).reshape(batch, 21, 3)

    turned = [rotations[:, 0]]
    placed = [translation]
    for j in range(1, 16):
        parent = int(MANO_PARENTS[j])
        offset = joints[:, j] - joints[:, parent]
        placed.append(placed[parent] + (turned[parent] @ offset[..., None])[..., 0])
        turned.append(turned[parent] @ rotations[:, j])
    rotation = torch.stack(turned, 1)
    posed_joints = torch.stack(placed, 1)
    shift = posed_joints - (rotation @ joints[..., None])[..., 0]
    affine = torch.cat([rotation, shift[..., None]], -1)

    blended = (data["weights"] @ affine.reshape(batch, 16, 12)).reshape(batch, -1, 3, 4)
    posed = (blended[..., :3] @ vertices[..., None])[..., 0] + blended[..., 3]
    bones = (data["keypoint_weights"] @ affine.reshape(batch, 16, 12)).reshape(batch, 21, 3, 4)
    posed_keypoints = (bones[..., :3] @ keypoints[..., None])[..., 0] + bones[..., 3]
    bottom = torch.zeros_like(affine[:, :, :1])
    bottom[..., 3] = 1
    return PosedHand(
        vertices=posed,
        joints=posed_joints,
        keypoints=posed_keypoints,
        transforms=torch.cat([affine, bottom], 2),
    )


def pose_hand_numpy(
    model: HandModel, theta: np.ndarray, shape: np.ndarray, translation: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """:func:`pose_hand` of one hand without torch, in float64.

    Args:
        model: any hand model.
        theta: (16, 3) axis-angle, radians; a model with a forearm takes (17, 3), see ``arm``.
        shape: (S,) shape parameters.
        translation: (3,) wrist position, metres.

    Returns:
        Vertices (V, 3), joints (16, 3), keypoints (21, 3), metres, transforms (16, 4, 4).

    Raises:
        InputError: an array of another shape.
    """
    theta, forearm = split_pose(model, theta)
    translation = np.asarray(translation, np.float64)
    check_shape("translation", translation, (3,))
    vertices, joints, keypoints = rest_hand(model, shape)
    rotations = matrix_from_axis_angle(theta)
    if model.pose_dirs is not None:
        feature = pose_features(model, rotations)
        vertices = vertices + (_sparse_dirs(model) @ feature).reshape(-1, 3)
        if model.keypoint_pose_dirs is not None:
            keypoints = keypoints + np.tensordot(feature, model.keypoint_pose_dirs, 1)
    vertices = bent(model, vertices, forearm)
    transforms = np.tile(np.eye(4), (16, 1, 1))
    placed = np.zeros((16, 3))
    for j in range(16):
        parent = int(MANO_PARENTS[j])
        if parent < 0:
            turn, placed[j] = rotations[j], translation
        else:
            above = transforms[parent, :3, :3]
            turn = above @ rotations[j]
            placed[j] = placed[parent] + above @ (joints[j] - joints[parent])
        transforms[j, :3, :3] = turn
        transforms[j, :3, 3] = placed[j] - turn @ joints[j]
    blended = (model.weights @ transforms[:, :3].reshape(16, 12)).reshape(-1, 3, 4)
    posed = np.einsum("vij,vj->vi", blended[..., :3], vertices) + blended[..., 3]
    bones = (keypoint_weights(model) @ transforms[:, :3].reshape(16, 12)).reshape(21, 3, 4)
    posed_keypoints = np.einsum("kij,kj->ki", bones[..., :3], keypoints) + bones[..., 3]
    return posed, placed, posed_keypoints, transforms


def pose_features(model: HandModel, rotations: Any) -> Any:
    """(..., K) what drives the pose correctives of a model that has them.

    Args:
        model: the hand.
        rotations: (..., 16, 3, 3) rotation of each joint in its parent, numpy or torch.
    """
    flat = rotations.reshape(*rotations.shape[:-3], 144)
    if isinstance(rotations, np.ndarray):
        drivers, still = _driver_matrix(model)
        return flat @ drivers - still
    data = model_tensors(model, rotations.dtype, rotations.device)
    return flat @ data["drivers"] - data["drivers_still"]


def pose_drivers(model: HandModel) -> tuple[np.ndarray, np.ndarray]:
    """What drives each corrective of a model that has them: joint (K,) and matrix (K, 3, 3).

    The feature is the sum of the entries of matrix times ``R - I`` of the joint.
    """
    if model.pose_joints is not None and model.pose_axes is not None:
        return model.pose_joints, model.pose_axes
    return np.repeat(np.arange(1, 16), 9), np.tile(np.eye(9).reshape(9, 3, 3), (15, 1, 1))


def _driver_matrix(model: HandModel) -> tuple[np.ndarray, np.ndarray]:
    """(144, K) features of the joints' rotation matrices, and (K,) those of the rest pose."""
    if model not in _drivers:
        joints, matrices = pose_drivers(model)
        drivers = np.zeros((16, 9, len(joints)))
        drivers[joints, :, np.arange(len(joints))] = matrices.reshape(-1, 9)
        drivers = drivers.reshape(144, -1)
        _drivers[model] = drivers, np.tile(np.eye(3).ravel(), 16) @ drivers
    return _drivers[model]


def _sparse_dirs(model: HandModel) -> Any:
    """(3 V, K) the pose correctives; most of the default hand's are zero."""
    import scipy.sparse as sparse

    if model not in _sparse:
        assert model.pose_dirs is not None
        flat = model.pose_dirs.reshape(len(model.pose_dirs), -1).astype(np.float64)
        _sparse[model] = sparse.csr_matrix(flat.T)
    return _sparse[model]


def rest_hand(
    model: HandModel, shape: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The flat hand of a shape, wrist at the origin.

    Args:
        model: any hand model.
        shape: (S,) shape parameters; None is the mean hand.

    Returns:
        Vertices (V, 3), joints (16, 3) and keypoints (21, 3), float64 metres.

    Raises:
        InputError: ``shape`` has another length.
    """
    count = len(model.shape_names)
    shape = np.zeros(count) if shape is None else np.asarray(shape, np.float64)
    check_shape("shape", shape, (count,))
    vertices = model.template + (shape @ _shape_dirs(model)).reshape(-1, 3)
    keypoints = model.keypoint_template + np.tensordot(shape, model.keypoint_dirs, 1)
    return vertices, keypoints[_JOINT_KEYPOINTS], keypoints


def _shape_dirs(model: HandModel) -> np.ndarray:
    """(S, 3 V) float64, kept: turning them on every call takes longer than the product."""
    if model not in _flat:
        flat = model.shape_dirs.reshape(-1, 3 * len(model.template))
        _flat[model] = np.ascontiguousarray(flat, np.float64)
    return _flat[model]


def keypoint_weights(model: HandModel) -> np.ndarray:
    """(21, 16) skinning weights of the model's keypoints."""
    if model.keypoint_weights is not None:
        return model.keypoint_weights
    return np.eye(16)[_KEYPOINT_BONES]


def model_tensors(
    model: HandModel, dtype: torch.dtype, device: torch.device
) -> dict[str, torch.Tensor]:
    """The model's arrays as tensors, kept per dtype and device; direction arrays are flat."""
    import torch

    cache = _tensors.setdefault(model, {})
    key = (dtype, str(device))
    if key not in cache:
        arrays = {
            "template": model.template,
            "weights": model.weights,
            "dirs": model.shape_dirs.reshape(-1, 3 * len(model.template)),
            "keypoint_template": model.keypoint_template,
            "keypoint_dirs": model.keypoint_dirs.reshape(-1, 63),
        }
        arrays["keypoint_weights"] = keypoint_weights(model)
        if model.pose_dirs is not None:
            features = len(model.pose_dirs)
            bends = model.pose_dirs.reshape(features, -1)
            arrays["dirs"] = np.concatenate([arrays["dirs"], bends])
            arrays["drivers"], arrays["drivers_still"] = _driver_matrix(model)
            if model.keypoint_pose_dirs is not None:
                arrays["keypoint_pose_dirs"] = model.keypoint_pose_dirs.reshape(features, -1)
        cache[key] = {
            name: torch.tensor(np.ascontiguousarray(a), dtype=dtype, device=device)
            for name, a in arrays.items()
        }
    return cache[key]
