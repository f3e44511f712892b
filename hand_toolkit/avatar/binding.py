"""Splats bound to a triangle mesh: whatever deforms the mesh moves the splats.

A splat stores a triangle, barycentric weights, and an offset, rotation and scale in the
triangle's frame (GaussianAvatars' rigging). The frame of triangle (v0, v1, v2) has the columns
e1 = (v1 - v0)/|v1 - v0|, e2 = n x e1, n = (v1 - v0) x (v2 - v0) normalised. Offsets and scales
are metres on the rest mesh; on a deformed mesh they grow with sqrt(area / rest area), so that
stretched skin shows no holes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..core.types import _check, _finite, _Repr


@dataclass(frozen=True, repr=False)
class SurfaceBinding(_Repr):
    """How N splats sit on a mesh.

    Attributes:
        triangle: (N,) int32 face index.
        barycentric: (N, 3) weights of the face's corners, rows sum to 1.
        offset: (N, 3) metres in the triangle's frame, rest size.
        quat: (N, 4) wxyz rotation from the splat's axes to the triangle's frame, unit.
        scale: (N, 3) standard deviations along the splat's axes, metres, rest size.
    """

    triangle: np.ndarray
    barycentric: np.ndarray
    offset: np.ndarray
    quat: np.ndarray
    scale: np.ndarray

    def __post_init__(self) -> None:
        triangle = np.ascontiguousarray(self.triangle, dtype=np.int32)
        object.__setattr__(self, "triangle", triangle)
        n = len(triangle)
        for name, width in (("barycentric", 3), ("offset", 3), ("quat", 4), ("scale", 3)):
            value = np.ascontiguousarray(getattr(self, name), dtype=np.float32)
            _check(name, value, (n, width))
            _finite(name, value)
            object.__setattr__(self, name, value)
        if n and triangle.min() < 0:
            raise InputError(f"triangle index {triangle.min()} is negative; accepted is 0 and up")
        if n and self.scale.min() < 0:
            raise InputError(f"splat scale {self.scale.min()} is negative; accepted is 0 and up")
        norms = np.linalg.norm(self.quat, axis=1, keepdims=True)
        if n and norms.min() < 1e-6:
            raise InputError("a splat rotation is the zero quaternion; give unit quaternions")
        if n and np.abs(norms - 1).max() > 1e-5:
            object.__setattr__(self, "quat", (self.quat / norms).astype(np.float32))

    def __len__(self) -> int:
        return len(self.triangle)

    def take(self, index: np.ndarray) -> SurfaceBinding:
        """The splats of ``index`` (bool mask or integers)."""
        return SurfaceBinding(
            self.triangle[index],
            self.barycentric[index],
            self.offset[index],
            self.quat[index],
            self.scale[index],
        )


def triangle_frames(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames (F, 3, 3) with columns e1, e2, n, and areas (F,) m², of faces (F, 3).

    Degenerate faces get the identity frame and zero area.
    """
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    ab = b - a
    normal = np.cross(ab, c - a)
    double_area = np.linalg.norm(normal, axis=1)
    length = np.linalg.norm(ab, axis=1)
    ok = (double_area > 1e-14) & (length > 1e-10)
    e1 = ab / np.where(ok, length, 1)[:, None]
    n = normal / np.where(ok, double_area, 1)[:, None]
    frames = np.stack([e1, np.cross(n, e1), n], axis=2)
    frames[~ok] = np.eye(3)
    return frames, 0.5 * double_area


def quat_from_matrix(matrix: np.ndarray) -> np.ndarray:
    """wxyz quaternions (N, 4) of rotation matrices (N, 3, 3)."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(matrix).as_quat(canonical=True)[:, [3, 0, 1, 2]]


def quat_multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hamilton product of wxyz quaternions (..., 4): rotation b first, then a."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def place(
    binding: SurfaceBinding, vertices: np.ndarray, faces: np.ndarray, rest_area: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means (N, 3), wxyz quaternions (N, 4) and scales (N, 3) on a deformed mesh.

    Args:
        binding: the splats.
        vertices: (V, 3) deformed vertices, metres.
        faces: (F, 3).
        rest_area: (F,) areas of the rest mesh, m².

    Raises:
        InputError: a splat names a face that the mesh does not have.
    """
    if len(binding) and int(binding.triangle.max()) >= len(faces):
        raise InputError(
            f"a splat is bound to triangle {int(binding.triangle.max())}, but the mesh has "
            f"{len(faces)}; the avatar belongs to another hand model or subdivision level"
        )
    frames, area = triangle_frames(vertices, faces)
    growth = np.sqrt(area / np.maximum(rest_area, 1e-14))[binding.triangle]
    frame = frames[binding.triangle]
    corners = vertices[faces[binding.triangle]]
    means = np.einsum("nk,nkc->nc", binding.barycentric, corners)
    means = means + growth[:, None] * np.einsum("nij,nj->ni", frame, binding.offset)
    quats = quat_multiply(quat_from_matrix(frames)[binding.triangle], binding.quat)
    scales = binding.scale * growth[:, None]
    return means.astype(np.float32), quats.astype(np.float32), scales.astype(np.float32)
