"""Rotation algebra of finger joints, in quaternions, for numpy arrays and torch tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

TINY = 1e-16


def compose_rotation(angles: Any, frames: np.ndarray) -> Any:
    """Axis-angle (..., J, 3) of ``R(frames[0], a0) R(frames[1], a1) R(frames[2], a2)``.

    Args:
        angles: (..., J, 3) radians.
        frames: (J, 3, 3) orthonormal right-handed axes in rows.
    """
    sin, cos, stack, _, axes = _functions(angles, frames)
    s, c = sin(angles / 2), cos(angles / 2)
    (s0, s1, s2), (c0, c1, c2) = (tuple(x[..., k] for k in range(3)) for x in (s, c))
    # in the frame's own coordinates the three factors are about x, y and z
    w = c0 * c1 * c2 - s0 * s1 * s2
    x = s0 * c1 * c2 + c0 * s1 * s2
    y = c0 * s1 * c2 - s0 * c1 * s2
    z = c0 * c1 * s2 + s0 * s1 * c2
    return _log(w, (stack([x, y, z])[..., None, :] @ axes)[..., 0, :], angles)


def split_rotation(axis_angle: Any, frames: np.ndarray) -> Any:
    """The inverse of :func:`compose_rotation`; the middle angle lies within ±90°.

    Args:
        axis_angle: (..., J, 3) radians.
        frames: (J, 3, 3) orthonormal right-handed axes in rows.
    """
    sin, cos, stack, atan2, axes = _functions(axis_angle, frames)
    angle = ((axis_angle**2).sum(-1) + TINY) ** 0.5
    local = (axes @ axis_angle[..., None])[..., 0] * (sin(angle / 2) / angle)[..., None]
    w = cos(angle / 2)
    x, y, z = (local[..., k] for k in range(3))
    # R = Rx(a) Ry(b) Rz(c): R02 = sin b, R12 = -sin a cos b, R22 = cos a cos b, ...
    r02 = 2 * (x * z + w * y)
    r12, r22 = 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)
    r01, r00 = 2 * (x * y - w * z), 1 - 2 * (y * y + z * z)
    cosine = (r12**2 + r22**2 + TINY) ** 0.5
    return stack([atan2(-r12, r22), atan2(r02, cosine), atan2(-r01, r00)])


def _log(w: Any, vector: Any, like: Any) -> Any:
    """Axis-angle of a unit quaternion, angle at most pi."""
    _, _, _, atan2, _ = _functions(like, None)
    if isinstance(w, np.ndarray):
        sign = np.where(w < 0, -1.0, 1.0)
    else:
        sign = 1.0 - 2.0 * (w < 0).to(w.dtype)
    length = ((vector**2).sum(-1) + TINY) ** 0.5
    angle = 2 * atan2(length, w * sign)
    return vector * (sign * angle / length)[..., None]


def _functions(like: Any, frames: np.ndarray | None) -> tuple[Any, Any, Any, Any, Any]:
    """sin, cos, stack on the last axis, atan2 and ``frames`` of the kind of ``like``."""
    if isinstance(like, np.ndarray):
        return np.sin, np.cos, lambda p: np.stack(p, -1), np.arctan2, frames
    import torch

    axes = None
    if frames is not None:
        axes = torch.tensor(frames, dtype=like.dtype, device=like.device)
    return torch.sin, torch.cos, lambda p: torch.stack(p, -1), torch.atan2, axes
