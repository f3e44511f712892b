"""Spherical-harmonic colours and their gradients for the CPU kernels; formulas as in ``sh``."""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import math

import numpy as np

from .jit import inline
from .sh import C0, C1, C2, C3

_C0, _C1 = np.float32(C0), np.float32(C1)
_C20, _C21, _C22, _C23 = (np.float32(c) for c in C2)
_C30, _C31, _C32, _C33, _C34 = (np.float32(c) for c in C3)
_TWO, _THREE, _FOUR, _EIGHT = (np.float32(v) for v in (2, 3, 4, 8))


@inline
def sh_basis(count, x, y, z, basis):
    """Fill ``basis[:count]`` for a unit direction."""
    basis[0] = _C0
    if count > 1:
        basis[1] = -_C1 * y
        basis[2] = _C1 * z
        basis[3] = -_C1 * x
    if count > 4:
        xx, yy, zz = x * x, y * y, z * z
        basis[4] = _C20 * x * y
        basis[5] = _C21 * y * z
        basis[6] = _C22 * (_TWO * zz - xx - yy)
        basis[7] = _C21 * x * z
        basis[8] = _C23 * (xx - yy)
        if count > 9:
            basis[9] = _C30 * y * (_THREE * xx - yy)
            basis[10] = _C31 * x * y * z
            basis[11] = _C32 * y * (_FOUR * zz - xx - yy)
            basis[12] = _C33 * z * (_TWO * zz - _THREE * xx - _THREE * yy)
            basis[13] = _C32 * x * (_FOUR * zz - xx - yy)
            basis[14] = _C34 * z * (xx - yy)
            basis[15] = _C30 * x * (xx - _THREE * yy)


@inline
def sh_color(coefficients, offset, count, dx, dy, dz, basis):
    """Colour of one splat, max(0, 0.5 + sum), seen along (dx, dy, dz) of any length."""
    inverse = np.float32(1.0) / np.float32(math.sqrt(dx * dx + dy * dy + dz * dz))
    sh_basis(count, dx * inverse, dy * inverse, dz * inverse, basis)
    r = np.float32(0.5)
    g = np.float32(0.5)
    b = np.float32(0.5)
    for k in range(count):
        value = basis[k]
        r += value * coefficients[offset + 3 * k]
        g += value * coefficients[offset + 3 * k + 1]
        b += value * coefficients[offset + 3 * k + 2]
    zero = np.float32(0.0)
    # Not max(): that may turn a NaN coefficient into black instead of dropping the splat.
    r = zero if r < zero else r
    g = zero if g < zero else g
    b = zero if b < zero else b
    return r, g, b


@inline
def sh_color_backward(coefficients, offset, count, dx, dy, dz, basis, vr, vg, vb, grads):
    """Fill the coefficients' gradients; return the gradient of the direction.

    vr, vg, vb: gradient of the colour, already zero where the colour was cut at 0.
    """
    inverse = np.float32(1.0) / np.float32(math.sqrt(dx * dx + dy * dy + dz * dz))
    x, y, z = dx * inverse, dy * inverse, dz * inverse
    sh_basis(count, x, y, z, basis)
    for k in range(count):
        value = basis[k]
        grads[offset + 3 * k] = value * vr
        grads[offset + 3 * k + 1] = value * vg
        grads[offset + 3 * k + 2] = value * vb
        # From here on basis[k] is the gradient of the basis value.
        basis[k] = (
            vr * coefficients[offset + 3 * k]
            + vg * coefficients[offset + 3 * k + 1]
            + vb * coefficients[offset + 3 * k + 2]
        )
    ux = np.float32(0.0)
    uy = np.float32(0.0)
    uz = np.float32(0.0)
    if count > 1:
        uy -= _C1 * basis[1]
        uz += _C1 * basis[2]
        ux -= _C1 * basis[3]
    if count > 4:
        ux += _C20 * y * basis[4] - _TWO * _C22 * x * basis[6] + _C21 * z * basis[7]
        ux += _TWO * _C23 * x * basis[8]
        uy += _C20 * x * basis[4] + _C21 * z * basis[5] - _TWO * _C22 * y * basis[6]
        uy -= _TWO * _C23 * y * basis[8]
        uz += _C21 * y * basis[5] + _FOUR * _C22 * z * basis[6] + _C21 * x * basis[7]
    if count > 9:
        xx, yy, zz = x * x, y * y, z * z
        six = _TWO * _THREE
        ux += _C30 * six * x * y * basis[9] + _C31 * y * z * basis[10]
        ux += -_TWO * _C32 * x * y * basis[11] - six * _C33 * x * z * basis[12]
        ux += _C32 * (_FOUR * zz - _THREE * xx - yy) * basis[13]
        ux += _TWO * _C34 * x * z * basis[14] + _C30 * _THREE * (xx - yy) * basis[15]
        uy += _C30 * _THREE * (xx - yy) * basis[9] + _C31 * x * z * basis[10]
        uy += _C32 * (_FOUR * zz - xx - _THREE * yy) * basis[11] - six * _C33 * y * z * basis[12]
        uy += -_TWO * _C32 * x * y * basis[13] - _TWO * _C34 * y * z * basis[14]
        uy -= _C30 * six * x * y * basis[15]
        uz += _C31 * x * y * basis[10] + _EIGHT * _C32 * y * z * basis[11]
        uz += _C33 * _THREE * (_TWO * zz - xx - yy) * basis[12] + _EIGHT * _C32 * x * z * basis[13]
        uz += _C34 * (xx - yy) * basis[14]
    # Through the normalisation: only what is across the direction counts.
    along = x * ux + y * uy + z * uz
    return (ux - x * along) * inverse, (uy - y * along) * inverse, (uz - z * along) * inverse
