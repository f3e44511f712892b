"""Spherical-harmonic colours and gradients for the CPU kernels; formulas as in ``geometry.sh``."""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import math

import numpy as np

from ..geometry.sh import C0, C1, C2, C3
from .jit import inline
from .vector import like, put

_C0, _C1 = np.float32(C0), np.float32(C1)
_C20, _C21, _C22, _C23 = (np.float32(c) for c in C2)
_C30, _C31, _C32, _C33, _C34 = (np.float32(c) for c in C3)
_TWO, _THREE, _FOUR, _EIGHT = (np.float32(v) for v in (2, 3, 4, 8))


@inline
def sh_basis(count, x, y, z, basis):
    """``put`` the first ``count`` values for a unit direction, or for sixteen, into ``basis``."""
    put(basis, 0, like(x, _C0))
    if count > 1:
        put(basis, 1, y * -_C1)
        put(basis, 2, z * _C1)
        put(basis, 3, x * -_C1)
    if count > 4:
        xx, yy, zz = x * x, y * y, z * z
        put(basis, 4, x * y * _C20)
        put(basis, 5, y * z * _C21)
        put(basis, 6, (zz * _TWO - xx - yy) * _C22)
        put(basis, 7, x * z * _C21)
        put(basis, 8, (xx - yy) * _C23)
        if count > 9:
            put(basis, 9, y * (xx * _THREE - yy) * _C30)
            put(basis, 10, x * y * z * _C31)
            put(basis, 11, y * (zz * _FOUR - xx - yy) * _C32)
            put(basis, 12, z * (zz * _TWO - xx * _THREE - yy * _THREE) * _C33)
            put(basis, 13, x * (zz * _FOUR - xx - yy) * _C32)
            put(basis, 14, z * (xx - yy) * _C34)
            put(basis, 15, x * (xx - yy * _THREE) * _C30)


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
