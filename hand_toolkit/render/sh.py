"""Real spherical harmonics of degree 0 to 3 in the 3DGS sign convention.

The polynomial form is Sloan's "Efficient Spherical Harmonic Evaluation" (JCGT 2013), as
in gsplat; a splat's colour is max(0, 0.5 + sum of coefficient times basis function).
"""

from __future__ import annotations

from typing import Any

C0 = 0.28209479177387814
C1 = 0.4886025119029199
C2 = (1.0925484305920792, -1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
C3 = (
    -0.5900435899266435,
    2.890611442640554,
    -0.4570457994644658,
    0.3731763325901154,
    1.445305721320277,
)


def sh_basis_torch(directions: Any, count: int) -> Any:
    """(N, count) basis values for unit ``directions`` (N, 3); count is 1, 4, 9 or 16."""
    import torch

    x, y, z = directions.unbind(-1)
    basis = [torch.full_like(x, C0)]
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
    return torch.stack(basis, -1)


def sh_colors_torch(coefficients: Any, directions: Any) -> Any:
    """(N, 3) colours of (N, K, 3) coefficients seen along (N, 3) directions (any length)."""
    unit = directions / directions.norm(dim=-1, keepdim=True)
    basis = sh_basis_torch(unit, coefficients.shape[1])
    return ((basis[:, :, None] * coefficients).sum(1) + 0.5).clamp(min=0)
