"""The avatar path's light: normals of the skinned mesh, and splats' albedo under SH light.

What ``avatar.splats_on_surface`` does, sixteen splats at a time and in the camera's axes: normals
of the vertices weighted by area, interpolated at the splat; shading by the light's spherical
harmonics, never below 0; sRGB encoding. Tints are factors on the light.
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import math

import numpy as np

from .jit import inline
from .sh_kernels import sh_basis
from .vector import (
    broadcast,
    fma,
    gather_rows4,
    load_aligned,
    load_transposed,
    maximum,
    minimum,
    select_le,
    sqrt,
    store,
    store_transposed,
)

LIGHT_TERMS = 16
"""Rows of three numbers that a hand's light has room for."""

_LINEAR_TOP = np.float32(0.0031308)


def _fit_encoding() -> tuple[np.float32, ...]:
    """sRGB's curved part as a polynomial in the fourth root, within 1e-5 (8-bit steps are 4e-3).

    The curve is 1.055 r^(5/3) - 0.055 in the root r, nearly a polynomial itself.
    """
    low = float(_LINEAR_TOP) ** 0.25
    r = low + (1 - low) * (np.cos(np.linspace(0, np.pi, 4001)) + 1) / 2
    powers = np.stack([r**k for k in range(6)], axis=1)
    solution = np.linalg.lstsq(powers, 1.055 * r ** (4 / 2.4) - 0.055, rcond=None)[0]
    return tuple(np.float32(c) for c in solution)


_S0, _S1, _S2, _S3, _S4, _S5 = _fit_encoding()


@inline
def encode_srgb(linear):
    """IEC 61966-2-1 of linear colours, clipped to [0, 1]."""
    x = minimum(maximum(linear, np.float32(0.0)), np.float32(1.0))
    r = sqrt(sqrt(x))
    curve = fma(r, fma(r, fma(r, fma(r, fma(r, _S5, _S4), _S3), _S2), _S1), _S0)
    return select_le(x, _LINEAR_TOP, x * np.float32(12.92), curve)


@inline
def vertex_normals(first, last, fan_start, fan_faces, face_records, normals):
    """Unit normals of vertices first..last, (V, 4) rows, from the triangles around each."""
    for v in range(first, last):
        x, y, z = np.float32(0.0), np.float32(0.0), np.float32(0.0)
        for k in range(fan_start[v], fan_start[v + 1]):
            p = 16 * fan_faces[k]
            area = face_records[p + 12] * face_records[p + 14]
            x += area * face_records[p + 5]
            y += area * face_records[p + 8]
            z += area * face_records[p + 11]
        length = np.float32(math.sqrt(x * x + y * y + z * z))
        inverse = np.float32(1.0) / length if length > np.float32(1e-20) else np.float32(0.0)
        normals[4 * v], normals[4 * v + 1], normals[4 * v + 2] = (
            x * inverse,
            y * inverse,
            z * inverse,
        )


@inline
def face_normals(block, faces, normals, corner_normals):
    """Records of sixteen triangles with the normals of their corners, nine floats of sixteen."""
    i = 16 * block
    ax, ay, az, zero = gather_rows4(normals, faces[0], i)
    bx, by, bz, _ = gather_rows4(normals, faces[1], i)
    cx, cy, cz, _ = gather_rows4(normals, faces[2], i)
    store_transposed(
        corner_normals, 16 * i, ax, ay, az, bx, by, bz, cx, cy, cz,
        zero, zero, zero, zero, zero, zero, zero,
    )  # fmt: skip


@inline
def lit_colors(lanes, b1, b2, terms, light, place, red, green, blue, basis):
    """sRGB of sixteen splats with linear albedo ``red``, ``green``, ``blue``.

    Args:
        lanes: sixteen records of ``face_normals``, one a splat.
        b1, b2: barycentric weights of corners 1 and 2.
        terms: SH coefficients of the light.
        light: flat; those of this hand are rows of three from ``place`` on, camera axes.
        basis: 256 floats of room.
    """
    n = load_transposed(lanes, 0)
    b0 = broadcast(np.float32(1.0)) - b1 - b2
    x = fma(b0, n[0], fma(b1, n[3], b2 * n[6]))
    y = fma(b0, n[1], fma(b1, n[4], b2 * n[7]))
    z = fma(b0, n[2], fma(b1, n[5], b2 * n[8]))
    squared = maximum(fma(x, x, fma(y, y, z * z)), np.float32(1e-18))
    inverse = broadcast(np.float32(1.0)) / sqrt(squared)
    sh_basis(terms, x * inverse, y * inverse, z * inverse, basis)
    zero = broadcast(np.float32(0.0))
    r, g, b = zero, zero, zero
    for k in range(terms):
        value = load_aligned(basis, 16 * k)
        r = fma(value, light[place + 3 * k], r)
        g = fma(value, light[place + 3 * k + 1], g)
        b = fma(value, light[place + 3 * k + 2], b)
    return (
        encode_srgb(red * maximum(r, zero)),
        encode_srgb(green * maximum(g, zero)),
        encode_srgb(blue * maximum(b, zero)),
    )


@inline
def copy_record(target, place, records, source):
    """Copy one record of sixteen floats."""
    store(target, place, load_aligned(records, source))
