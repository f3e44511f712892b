"""Rotations as axis-angles, matrices and wxyz quaternions, for numpy arrays and torch tensors.

Axis-angles are radians; a matrix acts on columns; a quaternion product applies its right factor
first. Torch results are differentiable where a function does not say otherwise. What only
composes rotations in numpy uses scipy's ``Rotation``. ``render/project.py`` and
``render/skinning.py`` unroll the quaternion formulas with explicit SIMD; tests hold them to this
file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._arrays import components, full_like, identity, sin, sqrt, stack


def cross_matrix(vectors: Any) -> Any:
    """(..., 3, 3) with M(v) w = v x w, of vectors (..., 3)."""
    x, y, z = components(vectors)
    zero = full_like(x, 0.0)
    rows = stack([zero, -z, y, z, zero, -x, -y, x, zero])
    return rows.reshape(*vectors.shape[:-1], 3, 3)


def matrix_from_axis_angle(axis_angle: Any) -> Any:
    """(..., 3, 3) rotations of (..., 3) axis-angles (Rodrigues), smooth through zero."""
    # the epsilon only keeps the gradient of the square root finite at zero
    angle = sqrt((axis_angle**2).sum(-1) + 1e-16)[..., None, None]
    cross = cross_matrix(axis_angle)
    half = sin(angle / 2) / angle
    return identity(axis_angle) + sin(angle) / angle * cross + 2 * half**2 * (cross @ cross)


def matrix_from_quat(quats: Any) -> Any:
    """(..., 3, 3) rotations of (..., 4) unit quaternions."""
    w, x, y, z = components(quats)
    rows = stack(
        [
            *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        ]
    )
    return rows.reshape(*quats.shape[:-1], 3, 3)


def quat_from_matrix(matrices: Any) -> Any:
    """(..., 4) unit quaternions, of either sign, of (..., 3, 3) rotations, without gradient.

    Of the four candidates of Shepperd (1978) the one with the largest pivot is accurate; the
    choice jumps, which is why a gradient through it would not be smooth.
    """
    m = matrices if isinstance(matrices, np.ndarray) else matrices.detach()
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = (
        m[..., 2, 1] - m[..., 1, 2],
        m[..., 0, 2] - m[..., 2, 0],
        m[..., 1, 0] - m[..., 0, 1],
    )
    xy, xz, yz = (
        m[..., 0, 1] + m[..., 1, 0],
        m[..., 0, 2] + m[..., 2, 0],
        m[..., 1, 2] + m[..., 2, 1],
    )
    candidates = stack(
        [
            stack([1 + xx + yy + zz, wx, wy, wz]),
            stack([wx, 1 + xx - yy - zz, xy, xz]),
            stack([wy, xy, 1 - xx + yy - zz, yz]),
            stack([wz, xz, yz, 1 - xx - yy + zz]),
        ],
        -2,
    )
    best = stack([xx + yy + zz, xx - yy - zz, -xx + yy - zz, -xx - yy + zz]).argmax(-1)
    if isinstance(m, np.ndarray):
        quat = np.take_along_axis(candidates, best[..., None, None], -2)[..., 0, :]
        return quat / np.linalg.norm(quat, axis=-1, keepdims=True)
    index = best[..., None, None].expand(*best.shape, 1, 4)
    quat = candidates.gather(-2, index)[..., 0, :]
    return quat * (quat * quat).sum(-1, keepdim=True).clamp_min(1e-18).rsqrt()


def quat_from_axis_angle(axis_angle: np.ndarray) -> np.ndarray:
    """(..., 4) unit quaternions of (..., 3) axis-angles, numpy."""
    from scipy.spatial.transform import Rotation

    axis_angle = np.asarray(axis_angle, np.float64)
    quats = Rotation.from_rotvec(axis_angle.reshape(-1, 3)).as_quat()
    return np.roll(quats, 1, axis=-1).reshape(*axis_angle.shape[:-1], 4)


def axis_angle_from_quat(quats: np.ndarray) -> np.ndarray:
    """(..., 3) axis-angles, at most pi long, of (..., 4) quaternions, numpy."""
    from scipy.spatial.transform import Rotation

    turns = Rotation.from_quat(np.roll(quats, -1, axis=-1).reshape(-1, 4))
    return turns.as_rotvec().reshape(*quats.shape[:-1], 3)


def quat_multiply(a: Any, b: Any) -> Any:
    """Hamilton product (..., 4): rotation b first, then a."""
    aw, ax, ay, az = components(a)
    bw, bx, by, bz = components(b)
    return stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ]
    )


def normalized_quats(quats: Any) -> np.ndarray:
    """Unit quaternions float32, the identity where the length is zero."""
    quats = np.asarray(quats, dtype=np.float64)
    length = np.linalg.norm(quats, axis=-1, keepdims=True)
    unit = np.where(length > 1e-12, quats / np.maximum(length, 1e-12), [1.0, 0, 0, 0])
    return unit.astype(np.float32)


def continuous_quats(quats: np.ndarray) -> np.ndarray:
    """Quaternions (T, ..., 4) with signs chosen so that each frame is nearest to the last."""
    quats = np.array(quats, dtype=np.float64)
    for t in range(1, len(quats)):
        flip = (quats[t] * quats[t - 1]).sum(-1) < 0
        quats[t][flip] *= -1
    return quats


def covariances(quats: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """(N, 3, 3) float64 covariances R diag(s)^2 R^T of (N, 4) unit quaternions and (N, 3) s."""
    axes = matrix_from_quat(np.asarray(quats, np.float64)) * np.asarray(scales, np.float64)[:, None]
    return axes @ axes.transpose(0, 2, 1)


def shortest_rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(3, 3) smallest rotation that turns direction ``a`` (3,) into direction ``b``."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    axis, cosine = np.cross(a, b), float(a @ b)
    sine = np.linalg.norm(axis)
    if sine < 1e-12 and cosine > 0:
        return np.eye(3)
    if sine < 1e-12:  # half a turn about any axis across
        axis = np.cross(a, np.eye(3)[np.argmin(np.abs(a))])
    return matrix_from_axis_angle(axis / np.linalg.norm(axis) * np.arctan2(sine, cosine))
