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
    broadcast,
    fma,
    like,
    load,
    load_aligned,
    load_rows3,
    load_rows4,
    load_transposed,
    maximum,
    minimum,
    prefetch,
    select_le,
    sqrt,
    store,
    store_aligned,
    store_rows3,
    store_rows4,
    sum_lanes,
)

_BLUR = np.float32(BLUR)
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)
_HALF = np.float32(0.5)

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
def _gather_sums(g, slot_start, slots, slot_entry, tile_needed, entry_grads, sums, place):
    """Add up the entry gradients of splat g, sixteen numbers at once, to ``sums[place:]``."""
    total = broadcast(_ZERO)
    for slot in range(slot_start[g], slot_start[g + 1]):
        tile = slots[slot, 0]
        if tile >= 0:
            e = slot_entry[slot]
            if e < tile_needed[tile]:
                total = total + load_aligned(entry_grads, e * RECORD)
    store_aligned(sums, place, total)


@inline
def _gather_sums_plain(g, slot_start, slots, slot_entry, tile_needed, entry_grads, sums):
    sums[:10] = _ZERO
    for slot in range(slot_start[g], slot_start[g + 1]):
        tile = slots[slot, 0]
        if tile >= 0:
            e = slot_entry[slot]
            if e < tile_needed[tile]:
                for k in range(10):
                    sums[k] += entry_grads[e * RECORD + k]


@inline
def _footprint_gradients(record_xx, record_xy, record_yy, opacity, s3, s4, s5, s6, s7, s8, s9):
    """The ten sums of a splat to the gradients of depth, opacity, centre and conic."""
    xx = record_xx * np.float32(16.0)
    xy = record_xy * np.float32(8.0)
    yy = record_yy * np.float32(16.0)
    zero = like(xx, _ZERO)
    return (
        s3,
        s4 / opacity,
        fma(xx, s5, xy * s7),
        fma(xy, s5, yy * s7),
        zero - s6 * _HALF,
        zero - s8,
        zero - s9 * _HALF,
    )


@inline
def _sh_backward(
    g, red, green, blue, v_red, v_green, v_blue, means, colors, coefficients, camera, basis,
    color_grads,
):  # fmt: skip
    """Gradients of one splat's SH coefficients; returns that of its view direction."""
    # A channel cut at black passes nothing.
    return sh_color_backward(
        colors,
        3 * g * coefficients,
        coefficients,
        means[3 * g] - camera[EYE],
        means[3 * g + 1] - camera[EYE + 1],
        means[3 * g + 2] - camera[EYE + 2],
        basis,
        v_red if red > _ZERO else _ZERO,
        v_green if green > _ZERO else _ZERO,
        v_blue if blue > _ZERO else _ZERO,
        color_grads,
    )


@inline
def _shown(visible, value):
    """``value`` where ``visible`` is positive, else 0, also for NaN."""
    return select_le(visible, _ZERO, _ZERO, value)


@inline
def project_backward_chunk_vector(
    start, stop, means, quats, scales, opacities, colors, coefficients, camera, records,
    slot_start, tiles, slots, slot_entry, tile_needed, entry_grads,
    mean_grads, quat_grads, scale_grads, opacity_grads, color_grads, pose_sums,
):  # fmt: skip
    """Gradients of splats start..stop; their part of the pose's goes to ``pose_sums``.

    The gradient arrays have room for whole groups of sixteen, except ``color_grads`` of SH
    coefficients. Splats that touch no tile get zeros.
    """
    raw = np.zeros(256 + 16 * 4 + 16, np.float32)
    offset = ((64 - raw.ctypes.data % 64) % 64) // 4
    sums = raw[offset : offset + 256]
    flags = raw[offset + 256 : offset + 272]
    eye = np.zeros(48, np.float32)
    tail = np.zeros(48 + 64 + 48 + 16, np.float32)
    basis = np.empty(16, np.float32)
    pose = np.zeros(POSE_SUMS, np.float64)
    zero = broadcast(_ZERO)
    w00 = w01 = w02 = w10 = w11 = w12 = w20 = w21 = w22 = t0 = t1 = t2 = zero
    for i in range(start, stop, 16):
        count = min(16, stop - i)
        some = False
        # Entries lie in tile order: fetch those of the next splats while these are computed.
        for slot in range(slot_start[min(i + 16, stop)], slot_start[min(i + 32, stop)]):
            if slots[slot, 0] >= 0:
                prefetch(entry_grads, slot_entry[slot] * RECORD)
        for lane in range(16):
            if lane < count and tiles[i + lane] > 0:
                some = True
                flags[lane] = _ONE
                _gather_sums(
                    i + lane, slot_start, slots, slot_entry, tile_needed, entry_grads,
                    sums, 16 * lane,
                )  # fmt: skip
            else:
                flags[lane] = _ZERO
                store_aligned(sums, 16 * lane, zero)
        if not some:
            store_rows3(mean_grads, 3 * i, zero, zero, zero)
            store_rows4(quat_grads, 4 * i, zero, zero, zero, zero)
            store_rows3(scale_grads, 3 * i, zero, zero, zero)
            store(opacity_grads, i, zero)
            if coefficients == 0:
                store_rows3(color_grads, 3 * i, zero, zero, zero)
            else:
                color_grads[3 * coefficients * i : 3 * coefficients * (i + count)] = _ZERO
            continue
        if count == 16:
            x, y, z = load_rows3(means, 3 * i)
            qw, qx, qy, qz = load_rows4(quats, 4 * i)
            s0, s1, s2 = load_rows3(scales, 3 * i)
            opacity = load(opacities, i)
        else:
            tail[: 3 * count] = means[3 * i : 3 * (i + count)]
            tail[48 : 48 + 4 * count] = quats[4 * i : 4 * (i + count)]
            tail[112 : 112 + 3 * count] = scales[3 * i : 3 * (i + count)]
            tail[160 : 160 + count] = opacities[i : i + count]
            x, y, z = load_rows3(tail, 0)
            qw, qx, qy, qz = load_rows4(tail, 48)
            s0, s1, s2 = load_rows3(tail, 112)
            opacity = load(tail, 160)
        visible = load(flags, 0)
        s = load_transposed(sums, 0)
        record = load_transposed(records, i * RECORD)
        f = _footprint_gradients(
            record[2], record[3], record[4], record[15], s[3], s[4], s[5], s[6], s[7], s[8], s[9]
        )
        r = footprint_backward(
            camera, x, y, z, qw, qx, qy, qz, s0, s1, s2, opacity,
            f[0], f[1], f[2], f[3], f[4], f[5], f[6],
        )  # fmt: skip
        gx, gy, gz = r[0], r[1], r[2]
        if coefficients == 0:
            store_rows3(
                color_grads, 3 * i,
                _shown(visible, s[0]), _shown(visible, s[1]), _shown(visible, s[2]),
            )  # fmt: skip
        else:
            eye[:] = _ZERO
            for lane in range(count):
                g = i + lane
                if flags[lane] > _ZERO:
                    q = g * RECORD
                    ex, ey, ez = _sh_backward(
                        g, records[q + 6], records[q + 7], records[q + 8],
                        sums[16 * lane], sums[16 * lane + 1], sums[16 * lane + 2],
                        means, colors, coefficients, camera, basis, color_grads,
                    )  # fmt: skip
                    eye[3 * lane] = ex
                    eye[3 * lane + 1] = ey
                    eye[3 * lane + 2] = ez
                    pose[12] -= ex
                    pose[13] -= ey
                    pose[14] -= ez
                else:
                    color_grads[3 * coefficients * g : 3 * coefficients * (g + 1)] = _ZERO
            ex_v, ey_v, ez_v = load_rows3(eye, 0)
            gx = gx + ex_v
            gy = gy + ey_v
            gz = gz + ez_v
        store_rows3(
            mean_grads, 3 * i, _shown(visible, gx), _shown(visible, gy), _shown(visible, gz)
        )
        store_rows4(
            quat_grads, 4 * i, _shown(visible, r[3]), _shown(visible, r[4]),
            _shown(visible, r[5]), _shown(visible, r[6]),
        )  # fmt: skip
        store_rows3(
            scale_grads, 3 * i, _shown(visible, r[7]), _shown(visible, r[8]), _shown(visible, r[9])
        )
        store(opacity_grads, i, _shown(visible, r[10]))
        w00 = w00 + _shown(visible, r[11])
        w01 = w01 + _shown(visible, r[12])
        w02 = w02 + _shown(visible, r[13])
        w10 = w10 + _shown(visible, r[14])
        w11 = w11 + _shown(visible, r[15])
        w12 = w12 + _shown(visible, r[16])
        w20 = w20 + _shown(visible, r[17])
        w21 = w21 + _shown(visible, r[18])
        w22 = w22 + _shown(visible, r[19])
        t0 = t0 + _shown(visible, r[20])
        t1 = t1 + _shown(visible, r[21])
        t2 = t2 + _shown(visible, r[22])
    pose[0] = sum_lanes(w00)
    pose[1] = sum_lanes(w01)
    pose[2] = sum_lanes(w02)
    pose[3] = sum_lanes(w10)
    pose[4] = sum_lanes(w11)
    pose[5] = sum_lanes(w12)
    pose[6] = sum_lanes(w20)
    pose[7] = sum_lanes(w21)
    pose[8] = sum_lanes(w22)
    pose[9] = sum_lanes(t0)
    pose[10] = sum_lanes(t1)
    pose[11] = sum_lanes(t2)
    pose_sums[:] = pose


@inline
def project_backward_chunk_plain(
    start, stop, means, quats, scales, opacities, colors, coefficients, camera, records,
    slot_start, tiles, slots, slot_entry, tile_needed, entry_grads,
    mean_grads, quat_grads, scale_grads, opacity_grads, color_grads, pose_sums,
):  # fmt: skip
    """The same without the vector type."""
    sums = np.zeros(10, np.float32)
    basis = np.empty(16, np.float32)
    pose_sums[:] = 0.0
    per_splat = 3 * max(1, coefficients)
    for g in range(start, stop):
        if tiles[g] <= 0:
            mean_grads[3 * g : 3 * g + 3] = _ZERO
            quat_grads[4 * g : 4 * g + 4] = _ZERO
            scale_grads[3 * g : 3 * g + 3] = _ZERO
            opacity_grads[g] = _ZERO
            color_grads[per_splat * g : per_splat * (g + 1)] = _ZERO
            continue
        _gather_sums_plain(g, slot_start, slots, slot_entry, tile_needed, entry_grads, sums)
        q = g * RECORD
        f = _footprint_gradients(
            records[q + 2], records[q + 3], records[q + 4], records[q + 15],
            sums[3], sums[4], sums[5], sums[6], sums[7], sums[8], sums[9],
        )  # fmt: skip
        r = footprint_backward(
            camera, means[3 * g], means[3 * g + 1], means[3 * g + 2],
            quats[4 * g], quats[4 * g + 1], quats[4 * g + 2], quats[4 * g + 3],
            scales[3 * g], scales[3 * g + 1], scales[3 * g + 2], opacities[g],
            f[0], f[1], f[2], f[3], f[4], f[5], f[6],
        )  # fmt: skip
        for k in range(3):
            mean_grads[3 * g + k] = r[k]
            scale_grads[3 * g + k] = r[7 + k]
        for k in range(4):
            quat_grads[4 * g + k] = r[3 + k]
        opacity_grads[g] = r[10]
        for k in range(12):
            pose_sums[k] += r[11 + k]
        if coefficients == 0:
            color_grads[3 * g : 3 * g + 3] = sums[:3]
        else:
            eye = _sh_backward(
                g, records[q + 6], records[q + 7], records[q + 8], sums[0], sums[1], sums[2],
                means, colors, coefficients, camera, basis, color_grads,
            )  # fmt: skip
            for k in range(3):
                mean_grads[3 * g + k] += eye[k]
                pose_sums[12 + k] -= eye[k]
