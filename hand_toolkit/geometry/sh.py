"""Real spherical harmonics of degree 0 to 3 in the sign convention of 3D Gaussian splatting.

The polynomial form is Sloan's "Efficient Spherical Harmonic Evaluation" (JCGT 2013), as in
gsplat. The functions take numpy arrays or torch tensors. ``render/sh_kernels.py`` unrolls the
same polynomials, from the same constants, for the CPU renderer; the Blender extension, which may
import nothing of the toolkit, has nine of them in ``lights.py``. Tests hold both to this file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.conventions import SH_C0
from ._arrays import components, full_like, stack

C0 = SH_C0
C1 = 0.4886025119029199
C2 = (1.0925484305920792, -1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
C3 = (
    -0.5900435899266435,
    2.890611442640554,
    -0.4570457994644658,
    0.3731763325901154,
    1.445305721320277,
)

COUNTS = (1, 4, 9, 16)
"""Numbers of coefficients: degrees 0 to 3."""

LAMBERT_BANDS = np.array([1.0, 2.0 / 3.0, 1.0 / 4.0, 0.0])
"""Cosine-lobe convolution of bands 0 to 3, divided by pi (Ramamoorthi and Hanrahan 2001)."""


def bands(count: int) -> np.ndarray:
    """(count,) band 0 to 3 of each coefficient."""
    return np.floor(np.sqrt(np.arange(count))).astype(int)


def sh_basis(directions: Any, count: int = 9) -> Any:
    """Basis values (..., count) of unit ``directions`` (..., 3).

    Args:
        directions: numpy (evaluated in float64) or torch (in its own precision).
        count: 1, 4, 9 or 16.
    """
    if not hasattr(directions, "unbind"):
        directions = np.asarray(directions, dtype=np.float64)
    x, y, z = components(directions)
    basis = [full_like(x, C0)]
    if count > 1:
        basis += [-C1 * y, C1 * z, -C1 * x]
    if count > 4:
        basis += [
            C2[0] * x * y,
            C2[1] * y * z,
            C2[2] * (2 * z * z - x * x - y * y),
            C2[1] * x * z,
            C2[3] * (x * x - y * y),
        ]
    if count > 9:
        basis += [
            C3[0] * y * (3 * x * x - y * y),
            C3[1] * x * y * z,
            C3[2] * y * (4 * z * z - x * x - y * y),
            C3[3] * z * (2 * z * z - 3 * x * x - 3 * y * y),
            C3[2] * x * (4 * z * z - x * x - y * y),
            C3[4] * z * (x * x - y * y),
            C3[0] * x * (x * x - 3 * y * y),
        ]
    return stack(basis)


def sh_colors_torch(coefficients: Any, directions: Any) -> Any:
    """(N, 3) colours of (N, K, 3) coefficients seen along (N, 3) directions (any length).

    A splat's colour is max(0, 0.5 + sum of coefficient times basis function).
    """
    unit = directions / directions.norm(dim=-1, keepdim=True)
    basis = sh_basis(unit, coefficients.shape[1])
    return ((basis[:, :, None] * coefficients).sum(1) + 0.5).clamp(min=0)
