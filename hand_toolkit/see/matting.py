"""Alpha along an outline that is roughly known: closed-form matting on a narrow band."""

from __future__ import annotations

import numpy as np

from ..core.jit import compiled

EPSILON = 1e-5
"""Variance of a window's colours, of [0, 1], that says nothing (Levin et al. 2008 take 1e-7, for
photos without JPEG noise)."""

ITERATIONS = 80
TOLERANCE = 3e-3
"""Conjugate gradients end at this share of the first residual. On photos of 256 pixels a hundredth
changes the IoU with hand-drawn outlines by .0001; wide bands of large photos need more."""


def matte(picture: np.ndarray, prior: np.ndarray, unknown: np.ndarray, trust: float) -> np.ndarray:
    """Alpha that is locally linear in the photo's colours (Levin et al. 2008, eq. 12).

    Minimizes the matting Laplacian's energy plus ``trust`` times the squared distance from the
    prior, over the unknown pixels; the others stay as the prior says.

    Args:
        picture: (H, W, 3) float32 sRGB in [0, 1].
        prior: (H, W) float32 in [0, 1].
        unknown: (H, W) bool, where alpha is looked for.
        trust: weight of the prior; 1 is that of one window of nine pixels.

    Returns:
        (H, W) float32 in [0, 1].
    """
    alpha = np.ascontiguousarray(prior, dtype=np.float32).copy()
    high, wide = unknown.shape
    if not unknown.any() or high < 3 or wide < 3:
        return alpha
    centers = _window_centers(unknown)
    colours = np.ascontiguousarray(picture, dtype=np.float32)
    means, inverses = _window_statistics(colours, centers, EPSILON)
    rows = np.argwhere(unknown).astype(np.int32)
    _solve(alpha, colours, centers, means, inverses, rows, unknown, float(trust),
           ITERATIONS, TOLERANCE)  # fmt: skip
    return np.clip(alpha, 0.0, 1.0)


def _window_centers(unknown: np.ndarray) -> np.ndarray:
    """(K, 2) int32 rows and columns of the windows of 3 by 3 that hold an unknown pixel."""
    import cv2

    touched = cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    touched[[0, -1]] = False
    touched[:, [0, -1]] = False
    return np.argwhere(touched).astype(np.int32)


@compiled(nogil=True)
def _window_statistics(
    colours: np.ndarray, centers: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """(K, 3) mean colours, (K, 6) inverse covariances with ``epsilon``: xx xy xz yy yz zz."""
    count = len(centers)
    means, inverses = np.zeros((count, 3), np.float32), np.zeros((count, 6), np.float32)
    for k in range(count):
        y, x = centers[k]
        m = np.zeros(3)
        s = np.zeros(6)
        for j in range(y - 1, y + 2):
            for i in range(x - 1, x + 2):
                r, g, b = colours[j, i]
                m[0] += r
                m[1] += g
                m[2] += b
                s[0] += r * r
                s[1] += r * g
                s[2] += r * b
                s[3] += g * g
                s[4] += g * b
                s[5] += b * b
        m /= 9.0
        xx = s[0] / 9 - m[0] * m[0] + epsilon / 9
        xy = s[1] / 9 - m[0] * m[1]
        xz = s[2] / 9 - m[0] * m[2]
        yy = s[3] / 9 - m[1] * m[1] + epsilon / 9
        yz = s[4] / 9 - m[1] * m[2]
        zz = s[5] / 9 - m[2] * m[2] + epsilon / 9
        a, b2, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
        det = xx * a + xy * b2 + xz * c
        means[k] = m
        inverses[k, 0] = a / det
        inverses[k, 1] = b2 / det
        inverses[k, 2] = c / det
        inverses[k, 3] = (xx * zz - xz * xz) / det
        inverses[k, 4] = (xy * xz - xx * yz) / det
        inverses[k, 5] = (xx * yy - xy * xy) / det
    return means, inverses


@compiled(nogil=True)
def _laplacian(
    out: np.ndarray,
    alpha: np.ndarray,
    colours: np.ndarray,
    centers: np.ndarray,
    means: np.ndarray,
    inverses: np.ndarray,
) -> None:
    """The matting Laplacian of (H, W) ``alpha`` by the windows, without its matrix.

    In each window the residual of the linear regression of alpha on the colours (He et al.
    2013, section 3.4).
    """
    out[:] = 0.0
    for k in range(len(centers)):
        y, x = centers[k]
        mr, mg, mb = means[k]
        total, cr, cg, cb = 0.0, 0.0, 0.0, 0.0
        for j in range(y - 1, y + 2):
            for i in range(x - 1, x + 2):
                value = alpha[j, i]
                total += value
                cr += value * (colours[j, i, 0] - mr)
                cg += value * (colours[j, i, 1] - mg)
                cb += value * (colours[j, i, 2] - mb)
        mean = total / 9
        xx, xy, xz, yy, yz, zz = inverses[k]
        ar = (xx * cr + xy * cg + xz * cb) / 9
        ag = (xy * cr + yy * cg + yz * cb) / 9
        ab = (xz * cr + yz * cg + zz * cb) / 9
        for j in range(y - 1, y + 2):
            for i in range(x - 1, x + 2):
                line = (
                    ar * (colours[j, i, 0] - mr)
                    + ag * (colours[j, i, 1] - mg)
                    + ab * (colours[j, i, 2] - mb)
                )
                out[j, i] += alpha[j, i] - mean - line


@compiled(nogil=True)
def _solve(
    alpha: np.ndarray,
    colours: np.ndarray,
    centers: np.ndarray,
    means: np.ndarray,
    inverses: np.ndarray,
    rows: np.ndarray,
    unknown: np.ndarray,
    trust: float,
    iterations: int,
    tolerance: float,
) -> None:
    """Conjugate gradients over the unknown pixels of ``alpha``, in place."""
    count = len(rows)
    field = np.zeros(alpha.shape)
    applied = np.zeros(alpha.shape)
    for y in range(alpha.shape[0]):
        for x in range(alpha.shape[1]):
            field[y, x] = alpha[y, x]
    # the start is the prior, so its own term is 0 at first
    _laplacian(applied, field, colours, centers, means, inverses)
    residual = np.zeros(count)
    for n in range(count):
        residual[n] = -applied[rows[n, 0], rows[n, 1]]
    direction = residual.copy()
    step_sum = np.zeros(count)
    power = residual @ residual
    first = power
    field[:] = 0.0
    for _ in range(iterations):
        if power <= tolerance * tolerance * first or power <= 1e-12:
            break
        for n in range(count):
            field[rows[n, 0], rows[n, 1]] = direction[n]
        _laplacian(applied, field, colours, centers, means, inverses)
        bent = np.zeros(count)
        for n in range(count):
            bent[n] = applied[rows[n, 0], rows[n, 1]] + trust * direction[n]
        along = direction @ bent
        if along <= 0:
            break
        length = power / along
        step_sum += length * direction
        residual -= length * bent
        before = power
        power = residual @ residual
        direction = residual + (power / before) * direction
    for n in range(count):
        alpha[rows[n, 0], rows[n, 1]] += step_sum[n]
