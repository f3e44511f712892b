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
from .vector import float_bits, fma, like, load_rows3, load_rows4, maximum, minimum, sqrt, store

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
    """EWA projection of splats (Zwicker et al. 2002).

    Returns:
        x and y in pixels, depth, the blurred 2D covariance xx, xy, yy, its determinant, and
        the determinant without the blur.
    """
    px, py, pz = to_camera(camera, x, y, z)
    inverse_norm = like(qw, np.float32(1.0)) / sqrt(fma(qw, qw, fma(qx, qx, fma(qy, qy, qz * qz))))
    m = rotation(qw * inverse_norm, qx * inverse_norm, qy * inverse_norm, qz * inverse_norm)
    v00, v10, v20 = rotate(camera, m[0] * s0, m[3] * s0, m[6] * s0)
    v01, v11, v21 = rotate(camera, m[1] * s1, m[4] * s1, m[7] * s1)
    v02, v12, v22 = rotate(camera, m[2] * s2, m[5] * s2, m[8] * s2)
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
def _bounds(center, radius, size):
    """First and last pixel whose centre is within radius of center, clipped to the picture."""
    first = max(math.ceil(center - radius - np.float32(0.5)), np.float32(0.0))
    last = min(math.floor(center + radius - np.float32(0.5)), np.float32(size - 1))
    if first > last:
        return 0, -1
    return int(first), int(last)


@inline
def _finish(g, f, opacity, camera, width, height, records, keys, tiles):
    """Write splat g's record, depth key and number of tiles in its bounding box (0: dropped).

    f: the eight floats of ``footprint`` at stride 16 in a flat array.
    """
    mx, my, depth = f[0], f[16], f[32]
    xx, xy, yy, determinant, sharp = f[48], f[64], f[80], f[96], f[112]
    tiles[g] = 0
    keys[g] = 0
    if not (depth > camera[NEAR] and depth < camera[FAR]):
        return
    # NaN fails every comparison, so one chain of <= drops it together with overflow.
    if not (abs(mx) <= _HUGE and abs(my) <= _HUGE and determinant <= _HUGE * _HUGE):
        return
    if not (xx <= _HUGE and yy <= _HUGE and determinant > np.float32(0.0)):
        return
    if camera[ANTIALIASED] != 0.0:
        opacity = opacity * math.sqrt(max(sharp / determinant, np.float32(1e-12)))
    if not (opacity >= np.float32(ALPHA_MIN) and opacity <= _HUGE):
        return
    log_opacity = np.float32(math.log(opacity))
    reach = max(np.float32(2.0) * (log_opacity + _LOG_255), np.float32(0.0))
    rx = np.float32(math.sqrt(reach * xx)) * np.float32(1.00001) + _EDGE
    ry = np.float32(math.sqrt(reach * yy)) * np.float32(1.00001) + _EDGE
    first_x, last_x = _bounds(mx, rx, width)
    first_y, last_y = _bounds(my, ry, height)
    if first_x > last_x or first_y > last_y:
        return
    q = g * RECORD
    scale = np.float32(1.0) / determinant
    records[q] = mx
    records[q + 1] = my
    records[q + 2] = yy * scale * np.float32(0.0625)
    records[q + 3] = -xy * scale * np.float32(0.125)
    records[q + 4] = xx * scale * np.float32(0.0625)
    records[q + 5] = -log_opacity * np.float32(0.125)
    records[q + 9] = depth
    records[q + 10] = rx
    records[q + 11] = ry
    records[q + 12] = xy / xx
    records[q + 13] = np.float32(math.sqrt(determinant)) / xx
    records[q + 14] = xy / yy * ry
    records[q + 15] = opacity
    keys[g] = float_bits(depth)
    columns = last_x // TILE_WIDTH - first_x // TILE_WIDTH + 1
    tiles[g] = columns * (last_y // TILE_HEIGHT - first_y // TILE_HEIGHT + 1)


@inline
def _color(g, means, colors, coefficients, camera, basis, records, tiles):
    """Fill the record's colour; a splat of NaN colour is dropped."""
    q = g * RECORD
    if coefficients == 0:
        r, gr, b = colors[3 * g], colors[3 * g + 1], colors[3 * g + 2]
    else:
        r, gr, b = sh_color(
            colors,
            3 * g * coefficients,
            coefficients,
            means[3 * g] - camera[EYE],
            means[3 * g + 1] - camera[EYE + 1],
            means[3 * g + 2] - camera[EYE + 2],
            basis,
        )
    records[q + 6] = r
    records[q + 7] = gr
    records[q + 8] = b
    if not (abs(r) <= _HUGE and abs(gr) <= _HUGE and abs(b) <= _HUGE):
        tiles[g] = 0


@inline
def project_chunk_vector(
    start, stop, means, quats, scales, opacities, colors, coefficients,
    camera, width, height, records, keys, tiles,
):  # fmt: skip
    """Project splats start..stop with sixteen lanes; start is a multiple of 16."""
    out = np.empty(8 * 16, np.float32)
    basis = np.empty(16, np.float32)
    tail = np.zeros(48 + 64 + 48, np.float32)
    for i in range(start, stop, 16):
        count = min(16, stop - i)
        if count == 16:
            x, y, z = load_rows3(means, 3 * i)
            qw, qx, qy, qz = load_rows4(quats, 4 * i)
            s0, s1, s2 = load_rows3(scales, 3 * i)
        else:
            # The last lanes would read past the arrays: work on a padded copy.
            for k in range(3 * count):
                tail[k] = means[3 * i + k]
                tail[112 + k] = scales[3 * i + k]
            for k in range(4 * count):
                tail[48 + k] = quats[4 * i + k]
            x, y, z = load_rows3(tail, 0)
            qw, qx, qy, qz = load_rows4(tail, 48)
            s0, s1, s2 = load_rows3(tail, 112)
        f = footprint(camera, x, y, z, qw, qx, qy, qz, s0, s1, s2)
        store(out, 0, f[0])
        store(out, 16, f[1])
        store(out, 32, f[2])
        store(out, 48, f[3])
        store(out, 64, f[4])
        store(out, 80, f[5])
        store(out, 96, f[6])
        store(out, 112, f[7])
        for lane in range(count):
            g = i + lane
            _finish(g, out[lane:], opacities[g], camera, width, height, records, keys, tiles)
            if tiles[g]:
                _color(g, means, colors, coefficients, camera, basis, records, tiles)


@inline
def project_chunk_plain(
    start, stop, means, quats, scales, opacities, colors, coefficients,
    camera, width, height, records, keys, tiles,
):  # fmt: skip
    """The same without the vector type, for machines where it does not compile."""
    out = np.empty(8 * 16, np.float32)
    basis = np.empty(16, np.float32)
    for g in range(start, stop):
        f = footprint(
            camera, means[3 * g], means[3 * g + 1], means[3 * g + 2],
            quats[4 * g], quats[4 * g + 1], quats[4 * g + 2], quats[4 * g + 3],
            scales[3 * g], scales[3 * g + 1], scales[3 * g + 2],
        )  # fmt: skip
        for k in range(8):
            out[16 * k] = f[k]
        _finish(g, out, opacities[g], camera, width, height, records, keys, tiles)
        if tiles[g]:
            _color(g, means, colors, coefficients, camera, basis, records, tiles)


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
