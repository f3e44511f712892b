"""Stage 5 of the CPU renderer: gather each splat's gradients and take them through projection.

``footprint_backward`` is the transposed Jacobian of ``project.footprint`` and of the conic
and the opacity made from it, written once for float32 and for sixteen lanes.
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import numpy as np

from .constants import BLUR
from .jit import inline
from .project import ANTIALIASED, EYE, FOCAL, RECORD, SLOPE, rotate, rotation, to_camera
from .sh_kernels import sh_color_backward
from .vector import (
    VECTOR,
    fma,
    like,
    load,
    load_aligned,
    load_rows3,
    load_rows4,
    maximum,
    minimum,
    select_le,
    sqrt,
    store,
    store_aligned,
    sum_lanes,
)

_BLUR = np.float32(BLUR)
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)
_HALF = np.float32(0.5)

# Rows of a block's scratch: the gradients that reach the footprint, sixteen splats wide.
_V_DEPTH, _V_OPACITY, _V_X, _V_Y, _V_XX, _V_XY, _V_YY, _VISIBLE = range(8)
_MEAN, _QUAT, _SCALE, _OPACITY = 8, 11, 15, 18
POSE_SUMS = 15
"""Nine of the rotation, three of the translation, three of the camera's position (SH)."""


@inline
def rotate_back(camera, a, b, c):
    """The transposed camera rotation applied to a camera-space vector."""
    return (
        fma(a, camera[0], fma(b, camera[3], c * camera[6])),
        fma(a, camera[1], fma(b, camera[4], c * camera[7])),
        fma(a, camera[2], fma(b, camera[5], c * camera[8])),
    )


@inline
def footprint_backward(
    camera, x, y, z, qw, qx, qy, qz, s0, s1, s2, opacity,
    v_depth, v_opacity, v_x, v_y, v_xx, v_xy, v_yy,
):  # fmt: skip
    """Gradients of one splat or of sixteen.

    v_...: gradients of depth, effective opacity, centre and conic (A, B, C).

    Returns:
        Gradients of mean (3), quaternion (4), scales (3), opacity, and this splat's part of
        those of the camera rotation (9, row-major) and translation (3).
    """
    one = like(x, _ONE)
    zero = like(x, _ZERO)
    px, py, pz = to_camera(camera, x, y, z)
    inverse_norm = one / sqrt(fma(qw, qw, fma(qx, qx, fma(qy, qy, qz * qz))))
    qw = qw * inverse_norm
    qx = qx * inverse_norm
    qy = qy * inverse_norm
    qz = qz * inverse_norm
    m = rotation(qw, qx, qy, qz)
    v00, v10, v20 = rotate(camera, m[0] * s0, m[3] * s0, m[6] * s0)
    v01, v11, v21 = rotate(camera, m[1] * s1, m[4] * s1, m[7] * s1)
    v02, v12, v22 = rotate(camera, m[2] * s2, m[5] * s2, m[8] * s2)
    inverse_z = one / pz
    u = px * inverse_z
    v = py * inverse_z
    jx = inverse_z * camera[FOCAL]
    jy = inverse_z * camera[FOCAL + 1]
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
    c0 = a1 * b2 - a2 * b1
    c1 = a2 * b0 - a0 * b2
    c2 = a0 * b1 - a1 * b0
    sharp = fma(c0, c0, fma(c1, c1, c2 * c2))
    inverse_det = one / fma(aa + bb, like(aa, _BLUR), sharp + _BLUR * _BLUR)
    conic_xx = (bb + _BLUR) * inverse_det
    conic_xy = zero - ab * inverse_det
    conic_yy = (aa + _BLUR) * inverse_det

    # Conic = inverse of the covariance: dL/dcovariance = -conic . dL/dconic . conic.
    h = v_xy * _HALF
    t00 = fma(v_xx, conic_xx, h * conic_xy)
    t01 = fma(v_xx, conic_xy, h * conic_yy)
    t10 = fma(h, conic_xx, v_yy * conic_xy)
    t11 = fma(h, conic_xy, v_yy * conic_yy)
    g_xx = zero - fma(conic_xx, t00, conic_xy * t10)
    g_xy = zero - fma(conic_xx, t01, conic_xy * t11)
    g_yy = zero - fma(conic_xy, t01, conic_yy * t11)
    if camera[ANTIALIASED] != _ZERO:
        # opacity * sqrt(sharp / det); the form of gsplat's add_blur_vjp, where
        # 1 - sharp/det is taken from its positive terms.
        ratio = sharp * inverse_det
        comp = sqrt(maximum(ratio, np.float32(1e-12)))
        lost = fma(aa + bb, like(aa, _BLUR), like(aa, _BLUR * _BLUR)) * inverse_det
        v_square = select_le(ratio, np.float32(1e-12), zero, v_opacity * opacity * _HALF / comp)
        g_xx = fma(v_square, lost * conic_xx - inverse_det * _BLUR, g_xx)
        g_xy = fma(v_square, lost * conic_xy, g_xy)
        g_yy = fma(v_square, lost * conic_yy - inverse_det * _BLUR, g_yy)
        v_opacity = v_opacity * comp

    # Covariance = rows a, b: xx = a.a, xy = a.b, yy = b.b.
    two_xx = g_xx + g_xx
    two_xy = g_xy + g_xy
    two_yy = g_yy + g_yy
    ga0 = fma(two_xx, a0, two_xy * b0)
    ga1 = fma(two_xx, a1, two_xy * b1)
    ga2 = fma(two_xx, a2, two_xy * b2)
    gb0 = fma(two_xy, a0, two_yy * b0)
    gb1 = fma(two_xy, a1, two_yy * b1)
    gb2 = fma(two_xy, a2, two_yy * b2)
    # a = jx (V0 - uc V2), b = jy (V1 - vc V2), jx = fx / z.
    g_jz = fma(ga0, a0, fma(ga1, a1, ga2 * a2)) + fma(gb0, b0, fma(gb1, b1, gb2 * b2))
    g_uc = zero - jx * fma(ga0, v20, fma(ga1, v21, ga2 * v22))
    g_vc = zero - jy * fma(gb0, v20, fma(gb1, v21, gb2 * v22))
    gv00 = jx * ga0
    gv01 = jx * ga1
    gv02 = jx * ga2
    gv10 = jy * gb0
    gv11 = jy * gb1
    gv12 = jy * gb2
    gv20 = zero - fma(uc, gv00, vc * gv10)
    gv21 = zero - fma(uc, gv01, vc * gv11)
    gv22 = zero - fma(uc, gv02, vc * gv12)
    # The clamped slope passes gradients only inside; the centre always does.
    inside_u = select_le(u, camera[SLOPE + 1], select_le(camera[SLOPE], u, g_uc, zero), zero)
    inside_v = select_le(v, camera[SLOPE + 3], select_le(camera[SLOPE + 2], v, g_vc, zero), zero)
    g_u = fma(v_x, camera[FOCAL], inside_u)
    g_v = fma(v_y, camera[FOCAL + 1], inside_v)
    g_px = g_u * inverse_z
    g_py = g_v * inverse_z
    g_pz = v_depth - inverse_z * (g_jz + fma(g_u, u, g_v * v))

    vx, vy, vz = rotate_back(camera, g_px, g_py, g_pz)
    # V = W M with M = rotation(q) diag(s).
    gm00, gm10, gm20 = rotate_back(camera, gv00, gv10, gv20)
    gm01, gm11, gm21 = rotate_back(camera, gv01, gv11, gv21)
    gm02, gm12, gm22 = rotate_back(camera, gv02, gv12, gv22)
    vs0 = fma(gm00, m[0], fma(gm10, m[3], gm20 * m[6]))
    vs1 = fma(gm01, m[1], fma(gm11, m[4], gm21 * m[7]))
    vs2 = fma(gm02, m[2], fma(gm12, m[5], gm22 * m[8]))
    r00, r10, r20 = gm00 * s0, gm10 * s0, gm20 * s0
    r01, r11, r21 = gm01 * s1, gm11 * s1, gm21 * s1
    r02, r12, r22 = gm02 * s2, gm12 * s2, gm22 * s2
    d21 = r21 - r12
    d02 = r02 - r20
    d10 = r10 - r01
    p10 = r10 + r01
    p20 = r20 + r02
    p21 = r21 + r12
    gw = fma(qx, d21, fma(qy, d02, qz * d10))
    gx = fma(qw, d21, fma(qy, p10, qz * p20)) - (qx + qx) * (r11 + r22)
    gy = fma(qw, d02, fma(qx, p10, qz * p21)) - (qy + qy) * (r00 + r22)
    gz = fma(qw, d10, fma(qx, p20, qy * p21)) - (qz + qz) * (r00 + r11)
    # The factor 2 of the rotation matrix, then the normalisation of the quaternion.
    along = fma(qw, gw, fma(qx, gx, fma(qy, gy, qz * gz)))
    double = inverse_norm + inverse_norm
    vqw = (gw - qw * along) * double
    vqx = (gx - qx * along) * double
    vqy = (gy - qy * along) * double
    vqz = (gz - qz * along) * double

    # dL/dW = dL/dV M^T + dL/dp mean^T.
    w00 = fma(gv00, m[0] * s0, fma(gv01, m[1] * s1, fma(gv02, m[2] * s2, g_px * x)))
    w01 = fma(gv00, m[3] * s0, fma(gv01, m[4] * s1, fma(gv02, m[5] * s2, g_px * y)))
    w02 = fma(gv00, m[6] * s0, fma(gv01, m[7] * s1, fma(gv02, m[8] * s2, g_px * z)))
    w10 = fma(gv10, m[0] * s0, fma(gv11, m[1] * s1, fma(gv12, m[2] * s2, g_py * x)))
    w11 = fma(gv10, m[3] * s0, fma(gv11, m[4] * s1, fma(gv12, m[5] * s2, g_py * y)))
    w12 = fma(gv10, m[6] * s0, fma(gv11, m[7] * s1, fma(gv12, m[8] * s2, g_py * z)))
    w20 = fma(gv20, m[0] * s0, fma(gv21, m[1] * s1, fma(gv22, m[2] * s2, g_pz * x)))
    w21 = fma(gv20, m[3] * s0, fma(gv21, m[4] * s1, fma(gv22, m[5] * s2, g_pz * y)))
    w22 = fma(gv20, m[6] * s0, fma(gv21, m[7] * s1, fma(gv22, m[8] * s2, g_pz * z)))
    return (
        vx, vy, vz, vqw, vqx, vqy, vqz, vs0, vs1, vs2, v_opacity,
        w00, w01, w02, w10, w11, w12, w20, w21, w22, g_px, g_py, g_pz,
    )  # fmt: skip


@inline
def _gather_sums(g, slot_start, tiles, slot_tile, slot_entry, tile_needed, entry_grads, sums):
    """Add up the entry gradients of splat g; sixteen numbers at once."""
    total = load_aligned(sums, 16)
    first = slot_start[g]
    for slot in range(first, first + tiles[g]):
        e = slot_entry[slot]
        if e >= 0 and e < tile_needed[slot_tile[slot]]:
            total = total + load_aligned(entry_grads, e * RECORD)
    store_aligned(sums, 0, total)


@inline
def _gather_sums_plain(g, slot_start, tiles, slot_tile, slot_entry, tile_needed, entry_grads, sums):
    sums[:10] = 0.0
    first = slot_start[g]
    for slot in range(first, first + tiles[g]):
        e = slot_entry[slot]
        if e >= 0 and e < tile_needed[slot_tile[slot]]:
            for k in range(10):
                sums[k] += entry_grads[e * RECORD + k]


@inline
def _sums_to_footprint(sums, q, lane, records, block):
    """Ten sums to the gradients of depth, opacity, centre and conic, in column ``lane``."""
    xx, xy, yy = records[q + 2] * 16.0, records[q + 3] * 8.0, records[q + 4] * 16.0
    block[16 * _V_DEPTH + lane] = sums[3]
    block[16 * _V_OPACITY + lane] = sums[4] / records[q + 15]
    block[16 * _V_X + lane] = xx * sums[5] + xy * sums[7]
    block[16 * _V_Y + lane] = xy * sums[5] + yy * sums[7]
    block[16 * _V_XX + lane] = -0.5 * sums[6]
    block[16 * _V_XY + lane] = -sums[8]
    block[16 * _V_YY + lane] = -0.5 * sums[9]
    block[16 * _VISIBLE + lane] = 1.0


@inline
def _color_backward(
    g, q, sums, means, colors, coefficients, camera, records, basis, color_grads, eye
):
    """Gradient of the colour or SH coefficients; that of the view direction goes to ``eye``."""
    if coefficients == 0:
        color_grads[3 * g] = sums[0]
        color_grads[3 * g + 1] = sums[1]
        color_grads[3 * g + 2] = sums[2]
        return
    # A channel cut at black passes nothing.
    vr = sums[0] if records[q + 6] > 0.0 else _ZERO
    vg = sums[1] if records[q + 7] > 0.0 else _ZERO
    vb = sums[2] if records[q + 8] > 0.0 else _ZERO
    eye[0], eye[1], eye[2] = sh_color_backward(
        colors,
        3 * g * coefficients,
        coefficients,
        means[3 * g] - camera[EYE],
        means[3 * g + 1] - camera[EYE + 1],
        means[3 * g + 2] - camera[EYE + 2],
        basis,
        vr,
        vg,
        vb,
        color_grads,
    )


@inline
def project_backward_chunk(
    start, stop, means, quats, scales, opacities, colors, coefficients, camera, records,
    slot_start, tiles, slot_tile, slot_entry, tile_needed, entry_grads,
    mean_grads, quat_grads, scale_grads, opacity_grads, color_grads, pose_sums,
):  # fmt: skip
    """Gradients of splats start..stop; their part of the pose's goes to ``pose_sums``."""
    block = np.zeros(19 * 16, np.float32)
    inputs = np.zeros(48 + 64 + 48 + 16, np.float32)
    aligned = np.zeros(64, np.float32)
    offset = ((64 - aligned.ctypes.data % 64) % 64) // 4
    sums = aligned[offset:]
    basis = np.empty(16, np.float32)
    eye = np.zeros(3, np.float32)
    pose = np.zeros(POSE_SUMS, np.float64)
    per_splat = max(1, coefficients)
    for i in range(start, stop, 16):
        count = min(16, stop - i)
        block[: 8 * 16] = 0.0
        some = False
        for lane in range(count):
            g = i + lane
            if tiles[g] == 0:
                color_grads[3 * per_splat * g : 3 * per_splat * (g + 1)] = 0.0
                continue
            some = True
            if VECTOR:
                _gather_sums(
                    g, slot_start, tiles, slot_tile, slot_entry, tile_needed, entry_grads, sums
                )
            else:
                _gather_sums_plain(
                    g, slot_start, tiles, slot_tile, slot_entry, tile_needed, entry_grads, sums
                )
            q = g * RECORD
            _sums_to_footprint(sums, q, lane, records, block)
            _color_backward(
                g, q, sums, means, colors, coefficients, camera, records, basis, color_grads, eye
            )
            for k in range(3):
                block[16 * (_MEAN + k) + lane] = eye[k]
                pose[12 + k] -= eye[k]
        if not some:
            mean_grads[3 * i : 3 * (i + count)] = 0.0
            quat_grads[4 * i : 4 * (i + count)] = 0.0
            scale_grads[3 * i : 3 * (i + count)] = 0.0
            opacity_grads[i : i + count] = 0.0
            continue
        # Dropped splats may hold NaN: their lanes compute on harmless numbers.
        for lane in range(16):
            ok = block[16 * _VISIBLE + lane] > 0.0
            g = i + lane
            for k in range(3):
                inputs[3 * lane + k] = means[3 * g + k] if ok else _ONE
                inputs[112 + 3 * lane + k] = scales[3 * g + k] if ok else _ONE
            for k in range(4):
                inputs[48 + 4 * lane + k] = quats[4 * g + k] if ok else _ONE
            inputs[160 + lane] = opacities[g] if ok else _ZERO
        if VECTOR:
            x, y, z = load_rows3(inputs, 0)
            qw, qx, qy, qz = load_rows4(inputs, 48)
            s0, s1, s2 = load_rows3(inputs, 112)
            r = footprint_backward(
                camera, x, y, z, qw, qx, qy, qz, s0, s1, s2, load(inputs, 160),
                load(block, 16 * _V_DEPTH), load(block, 16 * _V_OPACITY),
                load(block, 16 * _V_X), load(block, 16 * _V_Y),
                load(block, 16 * _V_XX), load(block, 16 * _V_XY), load(block, 16 * _V_YY),
            )  # fmt: skip
            visible = load(block, 16 * _VISIBLE)
            store(block, 16 * 8, load(block, 16 * 8) + select_le(visible, _ZERO, _ZERO, r[0]))
            store(block, 16 * 9, load(block, 16 * 9) + select_le(visible, _ZERO, _ZERO, r[1]))
            store(block, 16 * 10, load(block, 16 * 10) + select_le(visible, _ZERO, _ZERO, r[2]))
            for k in range(3, 11):
                store(block, 16 * (8 + k), select_le(visible, _ZERO, _ZERO, r[k]))
            for k in range(12):
                pose[k] += sum_lanes(select_le(visible, _ZERO, _ZERO, r[11 + k]))
        else:
            for lane in range(count):
                if block[16 * _VISIBLE + lane] > 0.0:
                    n, m, s = 3 * lane, 48 + 4 * lane, 112 + 3 * lane
                    p = footprint_backward(
                        camera, inputs[n], inputs[n + 1], inputs[n + 2],
                        inputs[m], inputs[m + 1], inputs[m + 2], inputs[m + 3],
                        inputs[s], inputs[s + 1], inputs[s + 2], inputs[160 + lane],
                        block[16 * _V_DEPTH + lane], block[16 * _V_OPACITY + lane],
                        block[16 * _V_X + lane], block[16 * _V_Y + lane],
                        block[16 * _V_XX + lane], block[16 * _V_XY + lane],
                        block[16 * _V_YY + lane],
                    )  # fmt: skip
                    for k in range(3):
                        block[16 * (8 + k) + lane] += p[k]
                    for k in range(3, 11):
                        block[16 * (8 + k) + lane] = p[k]
                    for k in range(12):
                        pose[k] += p[11 + k]
                else:
                    for k in range(3, 11):
                        block[16 * (8 + k) + lane] = 0.0
        for lane in range(count):
            g = i + lane
            hidden = block[16 * _VISIBLE + lane] == 0.0
            for k in range(3):
                value = block[16 * (_MEAN + k) + lane]
                mean_grads[3 * g + k] = _ZERO if hidden else value
                scale_grads[3 * g + k] = block[16 * (_SCALE + k) + lane]
            for k in range(4):
                quat_grads[4 * g + k] = block[16 * (_QUAT + k) + lane]
            opacity_grads[g] = block[16 * _OPACITY + lane]
    pose_sums[:] = pose
