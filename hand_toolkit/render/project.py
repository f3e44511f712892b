"""Stage 1 of the CPU renderer: splats to 2D footprints, sixteen at a time.

Each splat becomes one 64-byte record, a cache line, which the tile loops prefetch::

    0 x     1 y      2 A/16   3 B/8     4 C/16    5 -ln(opacity)/8   6 7 8 colour   9 depth
    10 rx   11 ry    12 tilt  13 height 14 top    15 opacity

x, y are pixels, A B C the inverse 2D covariance. The exponent that the tile loops
evaluate is an eighth of sigma - ln(opacity), so that opacity costs nothing per pixel.
rx, ry are the half extents of the ellipse alpha = 1/255. At offset t from its centre that
ellipse spans ``tilt * t -+ height * sqrt(rx² - t²)`` in y; its highest point is at ``top``.

``footprint`` is written once for float32 and for sixteen lanes (see ``vector``).
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import math

import numpy as np

from .constants import ALPHA_MIN, BLUR, FRUSTUM_MARGIN
from .jit import inline
from .sh_kernels import sh_color
from .vector import (
    float_bits,
    floor,
    fma,
    like,
    load,
    load_rows3,
    load_rows4,
    log,
    max_lanes,
    maximum,
    minimum,
    select_le,
    sqrt,
    store_bits,
    store_integers,
    store_transposed,
)

RECORD = 16
"""Floats in a record."""

SPLATS_PER_CHUNK = 2048

# Layout of the camera array, float32.
ROTATION, TRANSLATION, FOCAL, CENTER, NEAR, FAR = 0, 9, 12, 14, 16, 17
SLOPE, EYE, ANTIALIASED, CAMERA_SIZE = 18, 22, 25, 32

TILE_WIDTH = 16
TILE_HEIGHT = 64

_BLUR = np.float32(BLUR)
_LOG_255 = np.float32(math.log(1.0 / ALPHA_MIN))
_HUGE = np.float32(1e18)
_HALF = np.float32(0.5)
_EDGE = np.float32(1e-3)
"""Pixels added around each ellipse, so that rounding never loses an edge pixel."""


@inline
def rotation(qw, qx, qy, qz):
    """Row-major rotation matrix of a unit quaternion."""
    x2 = qx + qx
    y2 = qy + qy
    z2 = qz + qz
    one = like(qw, np.float32(1.0))
    return (
        one - (qy * y2 + qz * z2),
        qx * y2 - qw * z2,
        qx * z2 + qw * y2,
        qx * y2 + qw * z2,
        one - (qx * x2 + qz * z2),
        qy * z2 - qw * x2,
        qx * z2 - qw * y2,
        qy * z2 + qw * x2,
        one - (qx * x2 + qy * y2),
    )


@inline
def to_camera(camera, x, y, z):
    """World to camera coordinates."""
    return (
        fma(x, camera[0], fma(y, camera[1], fma(z, camera[2], like(x, camera[9])))),
        fma(x, camera[3], fma(y, camera[4], fma(z, camera[5], like(x, camera[10])))),
        fma(x, camera[6], fma(y, camera[7], fma(z, camera[8], like(x, camera[11])))),
    )


@inline
def rotate(camera, a, b, c):
    """The camera's rotation applied to a direction."""
    return (
        fma(a, camera[0], fma(b, camera[1], c * camera[2])),
        fma(a, camera[3], fma(b, camera[4], c * camera[5])),
        fma(a, camera[6], fma(b, camera[7], c * camera[8])),
    )


@inline
def footprint(camera, x, y, z, qw, qx, qy, qz, s0, s1, s2):
    """``footprint_of_axes`` of splats given by world mean, quaternion and scales."""
    px, py, pz = to_camera(camera, x, y, z)
    inverse_norm = like(qw, np.float32(1.0)) / sqrt(fma(qw, qw, fma(qx, qx, fma(qy, qy, qz * qz))))
    m = rotation(qw * inverse_norm, qx * inverse_norm, qy * inverse_norm, qz * inverse_norm)
    v00, v10, v20 = rotate(camera, m[0] * s0, m[3] * s0, m[6] * s0)
    v01, v11, v21 = rotate(camera, m[1] * s1, m[4] * s1, m[7] * s1)
    v02, v12, v22 = rotate(camera, m[2] * s2, m[5] * s2, m[8] * s2)
    return footprint_of_axes(camera, px, py, pz, v00, v01, v02, v10, v11, v12, v20, v21, v22)


@inline
def footprint_of_axes(camera, px, py, pz, v00, v01, v02, v10, v11, v12, v20, v21, v22):
    """EWA projection of splats (Zwicker et al. 2002).

    Args:
        camera: packed intrinsics.
        px, py, pz: means in the camera frame.
        v00 ... v22: row-major matrices whose columns are the splats' axes in the camera
            frame, as long as their standard deviations.

    Returns:
        x and y in pixels, depth, the blurred 2D covariance xx, xy, yy, its determinant, and
        the determinant without the blur.
    """
    inverse_z = like(pz, np.float32(1.0)) / pz
    u = px * inverse_z
    v = py * inverse_z
    jx = inverse_z * camera[FOCAL]
    jy = inverse_z * camera[FOCAL + 1]
    # gsplat clamps the slope in the Jacobian only; the centre stays where it projects.
    uc = maximum(minimum(u, camera[SLOPE + 1]), camera[SLOPE])
    vc = maximum(minimum(v, camera[SLOPE + 3]), camera[SLOPE + 2])
    a0 = jx * (v00 - uc * v20)
    a1 = jx * (v01 - uc * v21)
    a2 = jx * (v02 - uc * v22)
    b0 = jy * (v10 - vc * v20)
    b1 = jy * (v11 - vc * v21)
    b2 = jy * (v12 - vc * v22)
    aa = fma(a0, a0, fma(a1, a1, a2 * a2))
    bb = fma(b0, b0, fma(b1, b1, b2 * b2))
    ab = fma(a0, b0, fma(a1, b1, a2 * b2))
    # |a x b|² is the determinant of the sharp covariance (Cauchy-Binet). Every term below
    # is positive; xx*yy - xy² would cancel for needle-shaped splats.
    c0 = a1 * b2 - a2 * b1
    c1 = a2 * b0 - a0 * b2
    c2 = a0 * b1 - a1 * b0
    sharp = fma(c0, c0, fma(c1, c1, c2 * c2))
    determinant = fma(aa + bb, like(aa, _BLUR), sharp + _BLUR * _BLUR)
    return (
        fma(u, camera[FOCAL], like(u, camera[CENTER])),
        fma(v, camera[FOCAL + 1], like(v, camera[CENTER + 1])),
        pz,
        aa + _BLUR,
        ab,
        bb + _BLUR,
        determinant,
        sharp,
    )


@inline
def record_of(camera, width, height, print_, opacity, red, green, blue):
    """The sixteen record fields of one splat or of sixteen, and how many tiles they touch.

    The number of tiles is that of the ellipse's bounding box, 0 for a splat that is dropped.
    A condition written ``select_le(a, b, tiles, zero)`` also drops NaN.

    print_: what ``footprint`` returned.
    """
    mx, my, depth, xx, xy, yy, determinant, sharp = print_
    zero = like(mx, np.float32(0.0))
    one = like(mx, np.float32(1.0))
    inverse = one / determinant
    if camera[ANTIALIASED] != np.float32(0.0):
        opacity = opacity * sqrt(maximum(sharp * inverse, np.float32(1e-12)))
    log_opacity = log(opacity)
    reach = maximum(np.float32(2.0) * log_opacity + np.float32(2.0) * _LOG_255, zero)
    rx = sqrt(reach * xx) * np.float32(1.00001) + _EDGE
    ry = sqrt(reach * yy) * np.float32(1.00001) + _EDGE
    # First and last pixel whose centre lies inside, clipped to the picture.
    first_x = maximum(zero - floor(rx - mx + _HALF), zero)
    last_x = minimum(floor(mx + rx - _HALF), np.float32(width - 1))
    first_y = maximum(zero - floor(ry - my + _HALF), zero)
    last_y = minimum(floor(my + ry - _HALF), np.float32(height - 1))
    across, down = np.float32(1.0 / TILE_WIDTH), np.float32(1.0 / TILE_HEIGHT)
    columns = floor(last_x * across) - floor(first_x * across) + one
    tiles = columns * (floor(last_y * down) - floor(first_y * down) + one)
    tiles = select_le(first_x, last_x, tiles, zero)
    tiles = select_le(first_y, last_y, tiles, zero)
    tiles = select_le(depth, camera[NEAR], zero, tiles)
    tiles = select_le(camera[FAR], depth, zero, tiles)
    tiles = select_le(maximum(mx, zero - mx), _HUGE, tiles, zero)
    tiles = select_le(maximum(my, zero - my), _HUGE, tiles, zero)
    tiles = select_le(xx, _HUGE, tiles, zero)
    tiles = select_le(yy, _HUGE, tiles, zero)
    tiles = select_le(determinant, _HUGE * _HUGE, tiles, zero)
    tiles = select_le(determinant, zero, zero, tiles)
    tiles = select_le(np.float32(ALPHA_MIN), opacity, tiles, zero)
    tiles = select_le(opacity, _HUGE, tiles, zero)
    tiles = select_le(maximum(red, zero - red), _HUGE, tiles, zero)
    tiles = select_le(maximum(green, zero - green), _HUGE, tiles, zero)
    tiles = select_le(maximum(blue, zero - blue), _HUGE, tiles, zero)
    return (
        mx,
        my,
        yy * inverse * np.float32(0.0625),
        zero - xy * inverse * np.float32(0.125),
        xx * inverse * np.float32(0.0625),
        zero - log_opacity * np.float32(0.125),
        red,
        green,
        blue,
        depth,
        rx,
        ry,
        xy / xx,
        sqrt(determinant) / xx,
        xy / yy * ry,
        opacity,
        tiles,
    )


@inline
def _sh_colors(start, count, means, colors, coefficients, camera, basis, out):
    """SH colours of splats start..start+count to a flat (count, 3) array."""
    for lane in range(count):
        g = start + lane
        out[3 * lane], out[3 * lane + 1], out[3 * lane + 2] = sh_color(
            colors,
            3 * g * coefficients,
            coefficients,
            means[3 * g] - camera[EYE],
            means[3 * g + 1] - camera[EYE + 1],
            means[3 * g + 2] - camera[EYE + 2],
            basis,
        )


@inline
def store_records(i, f, records, keys, tiles):
    """Write what ``record_of`` returned for splats i..i+16."""
    store_integers(tiles, i, f[16])
    store_bits(keys, i, f[9])
    if max_lanes(f[16]) > np.float32(0.0):
        store_transposed(
            records, i * RECORD, f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7],
            f[8], f[9], f[10], f[11], f[12], f[13], f[14], f[15],
        )  # fmt: skip


@inline
def project_chunk_vector(
    start, stop, means, quats, scales, opacities, colors, coefficients,
    camera, width, height, records, keys, tiles,
):  # fmt: skip
    """Project splats start..stop with sixteen lanes; start is a multiple of 16.

    ``records``, ``keys`` and ``tiles`` have room for whole groups of sixteen.
    """
    basis = np.empty(16, np.float32)
    shaded = np.zeros(48, np.float32)
    tail = np.zeros(48 + 64 + 48 + 16, np.float32)
    for i in range(start, stop, 16):
        count = min(16, stop - i)
        if coefficients > 0:
            _sh_colors(i, count, means, colors, coefficients, camera, basis, shaded)
        elif count < 16:
            shaded[: 3 * count] = colors[3 * i : 3 * (i + count)]
        if count == 16:
            x, y, z = load_rows3(means, 3 * i)
            qw, qx, qy, qz = load_rows4(quats, 4 * i)
            s0, s1, s2 = load_rows3(scales, 3 * i)
            opacity = load(opacities, i)
        else:
            # The last lanes would read past the arrays. Copied to a padded place, they have
            # opacity 0, which drops them.
            tail[: 3 * count] = means[3 * i : 3 * (i + count)]
            tail[48 : 48 + 4 * count] = quats[4 * i : 4 * (i + count)]
            tail[112 : 112 + 3 * count] = scales[3 * i : 3 * (i + count)]
            tail[160 : 160 + count] = opacities[i : i + count]
            x, y, z = load_rows3(tail, 0)
            qw, qx, qy, qz = load_rows4(tail, 48)
            s0, s1, s2 = load_rows3(tail, 112)
            opacity = load(tail, 160)
        if coefficients > 0 or count < 16:
            red, green, blue = load_rows3(shaded, 0)
        else:
            red, green, blue = load_rows3(colors, 3 * i)
        f = record_of(
            camera,
            width,
            height,
            footprint(camera, x, y, z, qw, qx, qy, qz, s0, s1, s2),
            opacity,
            red,
            green,
            blue,
        )
        store_records(i, f, records, keys, tiles)


@inline
def project_chunk_plain(
    start, stop, means, quats, scales, opacities, colors, coefficients,
    camera, width, height, records, keys, tiles,
):  # fmt: skip
    """The same without the vector type, for machines where it does not compile."""
    basis = np.empty(16, np.float32)
    shaded = np.zeros(3, np.float32)
    for g in range(start, stop):
        if coefficients > 0:
            _sh_colors(g, 1, means, colors, coefficients, camera, basis, shaded)
        else:
            shaded[:] = colors[3 * g : 3 * g + 3]
        print_ = footprint(
            camera, means[3 * g], means[3 * g + 1], means[3 * g + 2],
            quats[4 * g], quats[4 * g + 1], quats[4 * g + 2], quats[4 * g + 3],
            scales[3 * g], scales[3 * g + 1], scales[3 * g + 2],
        )  # fmt: skip
        f = record_of(camera, width, height, print_, opacities[g], shaded[0], shaded[1], shaded[2])
        tiles[g] = int(f[16])
        keys[g] = float_bits(np.float32(f[9]))
        if tiles[g] > 0:
            for k in range(RECORD):
                records[g * RECORD + k] = f[k]


def camera_array(camera, world_to_camera, antialiased):
    """Pack a Camera and a (4, 4) pose into the float32 array that the kernels read."""
    packed = np.zeros(CAMERA_SIZE, np.float32)
    pose = np.asarray(world_to_camera, np.float64)
    packed[ROTATION : ROTATION + 9] = pose[:3, :3].ravel()
    packed[TRANSLATION : TRANSLATION + 3] = pose[:3, 3]
    packed[FOCAL : FOCAL + 2] = camera.fx, camera.fy
    packed[CENTER : CENTER + 2] = camera.cx, camera.cy
    packed[NEAR], packed[FAR] = camera.near, camera.far

    for axis, (center, focal, size) in enumerate(
        ((camera.cx, camera.fx, camera.width), (camera.cy, camera.fy, camera.height))
    ):
        margin = FRUSTUM_MARGIN * size / focal
        packed[SLOPE + 2 * axis] = -(center / focal + margin)
        packed[SLOPE + 2 * axis + 1] = (size - center) / focal + margin
    packed[EYE : EYE + 3] = -np.linalg.solve(pose[:3, :3], pose[:3, 3])
    packed[ANTIALIASED] = float(antialiased)
    return packed
