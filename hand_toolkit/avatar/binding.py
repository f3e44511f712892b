"""Splats bound to a triangle mesh: whatever deforms the mesh moves the splats.

A splat stores a triangle, barycentric weights, and an offset, rotation and scale in the
triangle's frame (GaussianAvatars' rigging; the frames are those of ``geometry.surfaces``).
Offsets and scales are metres on the rest mesh; on a deformed mesh they grow with
sqrt(area / rest area), so that stretched skin shows no holes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..core.types import _check, _finite, _Repr
from ..geometry.rotations import quat_from_matrix
from ..geometry.surfaces import at_surface, carried, triangle_frames


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
    triangle = binding.triangle
    means, quats, scales = carried(
        at_surface(vertices, faces, triangle, binding.barycentric),
        frames[triangle],
        quat_from_matrix(frames)[triangle],
        np.sqrt(area / np.maximum(rest_area, 1e-14))[triangle],
        binding.offset,
        binding.quat,
        binding.scale,
    )
    return means.astype(np.float32), quats.astype(np.float32), scales.astype(np.float32)
