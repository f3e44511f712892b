"""What a fit minimises: pictures, masks, and how smooth and small features are (XHand, III-C)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

SHARE = 0.8
"""λ: of L1 beside SSIM, and ω of the rendered beside the inverse-rendered picture."""

ALBEDO_PARTS = (0.25, 0.1, 1.0)
DISPLACEMENT_PARTS = (0.5, 0.1, 20.0)
"""Quantile of |L f| that parts vertices, and the weights below and above it."""


def picture_loss(picture: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """λ L1 + (1 - λ)(1 - SSIM) where ``weight`` (H, W) says, for pictures (H, W, 3)."""
    total = weight.sum().clamp_min(1.0)
    plain = ((picture - target).abs().mean(-1) * weight).sum() / total
    alike = ((1 - ssim_map(picture, target, weight)) * weight).sum() / total
    return SHARE * plain + (1 - SHARE) * alike


def ssim_map(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(H, W) structural similarity within ``weight`` (Wang et al. 2004, eq. 13).

    Means of the 11 pixel window are taken over what is weighed alone, so that what lies beside
    the hand does not enter.
    """
    w = weight[..., None]
    made: torch.Tensor = _Window.apply(
        torch.cat([a * w, b * w, a * a * w, b * b * w, a * b * w, w], -1)
    )
    made = made[..., :15] / made[..., 15:].clamp_min(1e-3)
    ma, mb, aa, bb, ab = made.split(3, -1)
    c1, c2 = 0.01**2, 0.03**2
    over = (2 * ma * mb + c1) * (2 * (ab - ma * mb) + c2)
    under = (ma**2 + mb**2 + c1) * ((aa - ma**2).clamp_min(0) + (bb - mb**2).clamp_min(0) + c2)
    result: torch.Tensor = (over / under).mean(-1)
    return result


class _Window(torch.autograd.Function):
    """The Gaussian window, zero beyond the border and so its own adjoint; OpenCV's is ten times as
    fast as torch's convolution on one core."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        return _blurred(values)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        return _blurred(grad)


def _blurred(values: torch.Tensor) -> torch.Tensor:
    import cv2

    array = np.ascontiguousarray(values.detach().cpu().numpy(), np.float32)
    made = cv2.GaussianBlur(array, (11, 11), 1.5, borderType=cv2.BORDER_CONSTANT)
    return torch.from_numpy(made).to(values)


def laplacian(faces: np.ndarray, count: int) -> torch.Tensor:
    """(V, V) sparse: each vertex less the mean of its neighbours."""
    edges = mesh_edges(faces)
    both = np.concatenate([edges, edges[:, ::-1]])
    degree = np.maximum(np.bincount(both[:, 0], minlength=count), 1)
    own = np.arange(count)
    index = np.concatenate([np.stack([own, own], 1), both]).T
    value = np.concatenate([np.ones(count), -1.0 / degree[both[:, 0]]])
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(np.ascontiguousarray(index)),
        torch.from_numpy(value.astype(np.float32)),
        (count, count),
        check_invariants=True,
    )
    return matrix.coalesce()


def mesh_edges(faces: np.ndarray) -> np.ndarray:
    """(E, 2) each edge once."""
    pairs = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
    return np.unique(np.sort(pairs, axis=1), axis=0)


def smoothness(
    features: torch.Tensor, matrix: torch.Tensor, parts: tuple[float, float, float], plain: bool
) -> torch.Tensor:
    """Part-aware Laplacian: mean of γ |L f|, γ by the quantile of |L f|.

    Args:
        features: (V, F).
        matrix: (V, V) of :func:`laplacian`.
        parts: quantile, γ below and γ above it.
        plain: the upper weight everywhere instead.
    """
    rough = (matrix @ features).abs().sum(-1)
    low, high = parts[1], parts[2]
    if plain:
        return high * rough.mean()
    with torch.no_grad():
        border = rough.kthvalue(max(1, int(parts[0] * len(rough)))).values
        gamma: Any = torch.where(rough <= border, low, high)
    return (gamma * rough).mean()
