"""The avatar path's first stages: hand poses to skinned triangles, and splats bound to them.

Everything that does not move is prepared once, in blocks of sixteen, so that each frame is
vector arithmetic on consecutive memory. Vertices are skinned straight into the camera
frame, as the camera pose is multiplied into the joints' transforms. Each triangle becomes a
64-byte record::

    0 1 2 corner 0     3 ... 11 frame, row-major (columns e1, e2, n)     12 length of edge 01
    13 14 edge 02 along e1 and e2     15 growth, sqrt(area / rest area)

A splat with barycentric weights b and offset o then lies at ``corner + frame . (b1 * length
+ b2 * e02x + growth * ox, b2 * e02y + growth * oy, growth * oz)``. Its axes are ``growth *
frame . local``, where ``local`` (rotation times scales) never changes: no quaternion is
touched. Splats are sorted by triangle, so neighbours in memory are neighbours on the hand.

The equations are those of ``hand_model.posing`` and ``avatar.binding``.
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import math

import numpy as np

from .jit import inline
from .parallel import await_stage, claim, finish
from .project import footprint_of_axes, record_of, store_records
from .sh_kernels import sh_color
from .shading import LIGHT_TERMS, copy_record, face_normals, lit_colors, vertex_normals
from .vector import (
    broadcast,
    fma,
    gather_rows4,
    load_aligned,
    load_rows3,
    load_transposed,
    max_lanes,
    select_le,
    sqrt,
    store,
    store_rows4,
    store_transposed,
)

JOINTS = 16
SPLAT_FIELDS = 15
"""Vectors of a splat block: local axes (9), b1, b2, offset (3), opacity."""

NOTHING, POSE, SURFACE = 0, 1, 2
"""What ``skin_stages`` is to do: nothing, pose the mesh, or take vertices that are there."""

BEHIND = np.float32(0.25)
"""Cosine from which a triangle faces away for good. Nearer the outline splats of the far side still
show past the near one's."""

BLOCKS_PER_CHUNK = 64
FACES_PER_CHUNK = 64
VERTICES_PER_CHUNK = 1024


@inline
def pose_joints(
    theta, translation, rest_joints, parents, camera_pose, transforms, features, correctives
):
    """Rest-to-camera transform of every joint, and the features that drive pose correctives.

    theta (H, 16, 3), translation (H, 3), rest_joints (H, 16, 3) and camera_pose (4, 4) are
    float64; transforms (H * 16, 12) are the rows of 3 x 4 matrices. correctives: see
    ``MeshLayout.correctives``.
    """
    driver, axes = correctives[0], correctives[1]
    turns = np.empty((JOINTS, 3, 3))
    own = np.empty((JOINTS, 3, 3))
    placed = np.empty((JOINTS, 3))
    for hand in range(theta.shape[0]):
        for j in range(JOINTS):
            x, y, z = theta[hand, j, 0], theta[hand, j, 1], theta[hand, j, 2]
            angle = math.sqrt(x * x + y * y + z * z)
            # Rodrigues with factors that stay exact at zero.
            a = math.sin(angle) / angle if angle > 1e-9 else 1.0
            half = math.sin(0.5 * angle) / angle if angle > 1e-9 else 0.5
            b = 2.0 * half * half
            r = np.empty((3, 3))
            r[0, 0] = 1.0 - b * (y * y + z * z)
            r[0, 1] = b * x * y - a * z
            r[0, 2] = b * x * z + a * y
            r[1, 0] = b * x * y + a * z
            r[1, 1] = 1.0 - b * (x * x + z * z)
            r[1, 2] = b * y * z - a * x
            r[2, 0] = b * x * z - a * y
            r[2, 1] = b * y * z + a * x
            r[2, 2] = 1.0 - b * (x * x + y * y)
            parent = parents[j]
            if parent < 0:
                turns[j] = r
                placed[j] = translation[hand]
            else:
                for row in range(3):
                    moved = placed[parent, row]
                    for k in range(3):
                        step = rest_joints[hand, j, k] - rest_joints[hand, parent, k]
                        moved += turns[parent, row, k] * step
                        turns[j, row, k] = (
                            turns[parent, row, 0] * r[0, k]
                            + turns[parent, row, 1] * r[1, k]
                            + turns[parent, row, 2] * r[2, k]
                        )
                    placed[j, row] = moved
                own[j] = r
            # camera . (turn | placed - turn . rest joint)
            shift = np.empty(3)
            for row in range(3):
                shift[row] = placed[j, row]
                for k in range(3):
                    shift[row] -= turns[j, row, k] * rest_joints[hand, j, k]
            for row in range(3):
                moved = camera_pose[row, 3]
                for k in range(3):
                    moved += camera_pose[row, k] * shift[k]
                    transforms[hand * JOINTS + j, 4 * row + k] = (
                        camera_pose[row, 0] * turns[j, 0, k]
                        + camera_pose[row, 1] * turns[j, 1, k]
                        + camera_pose[row, 2] * turns[j, 2, k]
                    )
                transforms[hand * JOINTS + j, 4 * row + 3] = moved
        for k in range(driver.shape[1]):
            amount = 0.0
            for entry in range(9):
                amount += axes[hand, k, entry] * (
                    own[driver[hand, k], entry // 3, entry % 3] - (1.0 if entry % 4 == 0 else 0.0)
                )
            features[hand, k] = amount


@inline
def skin_block(block, hand, rest, weights, correctives, features, transforms, vertices):
    """Skin sixteen vertices into the camera frame (linear blend skinning)."""
    base = 48 * block
    x, y, z = load_aligned(rest, base), load_aligned(rest, base + 16), load_aligned(rest, base + 32)
    _, _, start, which, dirs = correctives
    for k in range(start[block], start[block + 1]):
        amount = broadcast(features[hand, which[k]])
        x = fma(amount, load_aligned(dirs, 48 * k), x)
        y = fma(amount, load_aligned(dirs, 48 * k + 16), y)
        z = fma(amount, load_aligned(dirs, 48 * k + 32), z)
    zero = broadcast(np.float32(0.0))
    px, py, pz = zero, zero, zero
    for j in range(JOINTS):
        w = load_aligned(weights, (block * JOINTS + j) * 16)
        t = transforms[hand * JOINTS + j]
        px = fma(w, fma(x, t[0], fma(y, t[1], fma(z, t[2], broadcast(t[3])))), px)
        py = fma(w, fma(x, t[4], fma(y, t[5], fma(z, t[6], broadcast(t[7])))), py)
        pz = fma(w, fma(x, t[8], fma(y, t[9], fma(z, t[10], broadcast(t[11])))), pz)
    store_rows4(vertices, 64 * block, px, py, pz, zero)


@inline
def face_block(block, faces, inverse_rest, vertices, face_records):
    """Records of sixteen triangles; degenerate ones get the identity frame and no growth."""
    i = 16 * block
    ax, ay, az, _ = gather_rows4(vertices, faces[0], i)
    bx, by, bz, _ = gather_rows4(vertices, faces[1], i)
    cx, cy, cz, _ = gather_rows4(vertices, faces[2], i)
    ux, uy, uz = bx - ax, by - ay, bz - az
    vx, vy, vz = cx - ax, cy - ay, cz - az
    nx = uy * vz - uz * vy
    ny = uz * vx - ux * vz
    nz = ux * vy - uy * vx
    one = broadcast(np.float32(1.0))
    zero = broadcast(np.float32(0.0))
    double_area = sqrt(fma(nx, nx, fma(ny, ny, nz * nz)))
    length = sqrt(fma(ux, ux, fma(uy, uy, uz * uz)))
    flat = select_le(double_area, np.float32(1e-14), one, zero)
    flat = select_le(length, np.float32(1e-10), one, flat)
    half = np.float32(0.5)
    inverse = one / select_le(flat, half, length, one)
    ux, uy, uz = ux * inverse, uy * inverse, uz * inverse
    inverse = one / select_le(flat, half, double_area, one)
    nx, ny, nz = nx * inverse, ny * inverse, nz * inverse
    e1x = select_le(flat, half, ux, one)
    e1y = select_le(flat, half, uy, zero)
    e1z = select_le(flat, half, uz, zero)
    e2x = select_le(flat, half, ny * uz - nz * uy, zero)
    e2y = select_le(flat, half, nz * ux - nx * uz, one)
    e2z = select_le(flat, half, nx * uy - ny * ux, zero)
    nx = select_le(flat, half, nx, zero)
    ny = select_le(flat, half, ny, zero)
    nz = select_le(flat, half, nz, one)
    along = fma(vx, e1x, fma(vy, e1y, vz * e1z))
    across = fma(vx, e2x, fma(vy, e2y, vz * e2z))
    growth = sqrt(double_area * half * load_aligned(inverse_rest, i))
    store_transposed(
        face_records, 16 * i, ax, ay, az, e1x, e2x, nx, e1y, e2y, ny, e1z, e2z, nz,
        length, along, across, growth,
    )  # fmt: skip


@inline
def skin_stages(control, stage, skin):
    """Pose, skin and frame all triangles; stages ``stage`` to ``stage + 4`` of any kernel.

    skin: the tuple that ``HandsRenderer`` makes; its first item says what there is to do, its
        last whether light needs the normals.
    """
    (
        work, theta, translation, rest_joints, parents, camera_pose, transforms, features,
        rest, weights, block_hand, correctives, vertices, faces, inverse_rest, face_records,
        fan_start, fan_faces, normals, corner_normals, lit,
    ) = skin  # fmt: skip
    if work == NOTHING:
        return
    if work == POSE:
        if claim(control, stage) == 0:
            pose_joints(
                theta, translation, rest_joints, parents, camera_pose, transforms, features,
                correctives,
            )  # fmt: skip
            finish(control, stage)
        await_stage(control, stage, 1)
        blocks = len(block_hand)
        chunks = (blocks + BLOCKS_PER_CHUNK - 1) // BLOCKS_PER_CHUNK
        c = claim(control, stage + 1)
        while c < chunks:
            for block in range(c * BLOCKS_PER_CHUNK, min(blocks, (c + 1) * BLOCKS_PER_CHUNK)):
                skin_block(
                    block, block_hand[block], rest, weights, correctives, features, transforms,
                    vertices,
                )  # fmt: skip
            finish(control, stage + 1)
            c = claim(control, stage + 1)
        await_stage(control, stage + 1, chunks)
    blocks = len(inverse_rest) // 16
    chunks = (blocks + FACES_PER_CHUNK - 1) // FACES_PER_CHUNK
    c = claim(control, stage + 2)
    while c < chunks:
        for block in range(c * FACES_PER_CHUNK, min(blocks, (c + 1) * FACES_PER_CHUNK)):
            face_block(block, faces, inverse_rest, vertices, face_records)
        finish(control, stage + 2)
        c = claim(control, stage + 2)
    await_stage(control, stage + 2, chunks)
    if not lit:
        return
    count = len(fan_start) - 1
    parts = (count + VERTICES_PER_CHUNK - 1) // VERTICES_PER_CHUNK
    c = claim(control, stage + 3)
    while c < parts:
        start = c * VERTICES_PER_CHUNK
        stop = min(count, start + VERTICES_PER_CHUNK)
        vertex_normals(start, stop, fan_start, fan_faces, face_records, normals)
        finish(control, stage + 3)
        c = claim(control, stage + 3)
    await_stage(control, stage + 3, parts)
    c = claim(control, stage + 4)
    while c < chunks:
        for block in range(c * FACES_PER_CHUNK, min(blocks, (c + 1) * FACES_PER_CHUNK)):
            face_normals(block, faces, normals, corner_normals)
        finish(control, stage + 4)
        c = claim(control, stage + 4)
    await_stage(control, stage + 4, chunks)


@inline
def _sh_block(block, x, y, z, camera, coefficients, sh, points, basis, shaded):
    """Colours of sixteen splats with SH coefficients, seen from the camera."""
    store(points, 0, x)
    store(points, 16, y)
    store(points, 32, z)
    for lane in range(16):
        px, py, pz = points[lane], points[16 + lane], points[32 + lane]
        # The view direction in world axes: the camera's rotation, transposed.
        shaded[3 * lane], shaded[3 * lane + 1], shaded[3 * lane + 2] = sh_color(
            sh,
            3 * coefficients * (16 * block + lane),
            coefficients,
            camera[0] * px + camera[3] * py + camera[6] * pz,
            camera[1] * px + camera[4] * py + camera[7] * pz,
            camera[2] * px + camera[5] * py + camera[8] * pz,
            basis,
        )


@inline
def place_chunk(
    start, stop, splats, splat_face, shown, splat_hand, one_sided, coefficients, sh, colors, light,
    camera, width, height, face_records, records, keys, tiles,
):  # fmt: skip
    """Place splats start..stop (multiples of 16) on their triangles and project them.

    one_sided: of each block, whether its splats lie flat on a closed surface, so that none shows
        from behind.
    colors: blocks of sRGB colours and of linear albedo, three vectors each.
    light: number of SH coefficients of each hand's light (0: colours as they are), the
        coefficients, and the triangles' corner normals.
    """
    baked, albedo = colors
    terms, lights, corner_normals = light
    room = np.empty(256 + 16, np.float32)
    offset = ((64 - room.ctypes.data % 64) % 64) // 4
    values = room[offset : offset + 256]
    points = np.empty(48, np.float32)
    shaded = np.empty(48, np.float32)
    basis = np.empty(16, np.float32)
    lanes = np.empty(256 + 16, np.float32)
    offset = ((64 - lanes.ctypes.data % 64) % 64) // 4
    faces = lanes[offset : offset + 256]
    zero = broadcast(np.float32(0.0))
    for i in range(start, stop, 16):
        block = i // 16
        if not shown[splat_hand[block]]:
            tiles[i : i + 16] = 0
            continue
        for lane in range(16):
            p = 16 * splat_face[i + lane]
            copy_record(faces, 16 * lane, face_records, p)
        f = load_transposed(faces, 0)
        b = block * SPLAT_FIELDS * 16
        growth = f[15]
        b1, b2 = load_aligned(splats, b + 144), load_aligned(splats, b + 160)
        ox = fma(b1, f[12], fma(b2, f[13], growth * load_aligned(splats, b + 176)))
        oy = fma(b2, f[14], growth * load_aligned(splats, b + 192))
        oz = growth * load_aligned(splats, b + 208)
        px = fma(f[3], ox, fma(f[4], oy, fma(f[5], oz, f[0])))
        py = fma(f[6], ox, fma(f[7], oy, fma(f[8], oz, f[1])))
        pz = fma(f[9], ox, fma(f[10], oy, fma(f[11], oz, f[2])))
        opacity = load_aligned(splats, b + 224)
        if one_sided[block]:
            away = fma(f[5], px, fma(f[8], py, f[11] * pz))
            away = away - BEHIND * sqrt(fma(px, px, fma(py, py, pz * pz)))
            if max_lanes(zero - away) < np.float32(0.0):
                tiles[i : i + 16] = 0
                continue
            opacity = select_le(away, np.float32(0.0), opacity, zero)
        a00, a01, a02 = _scaled_row(splats, b, growth)
        a10, a11, a12 = _scaled_row(splats, b + 48, growth)
        a20, a21, a22 = _scaled_row(splats, b + 96, growth)
        print_ = footprint_of_axes(
            camera, px, py, pz,
            fma(f[3], a00, fma(f[4], a10, f[5] * a20)),
            fma(f[3], a01, fma(f[4], a11, f[5] * a21)),
            fma(f[3], a02, fma(f[4], a12, f[5] * a22)),
            fma(f[6], a00, fma(f[7], a10, f[8] * a20)),
            fma(f[6], a01, fma(f[7], a11, f[8] * a21)),
            fma(f[6], a02, fma(f[7], a12, f[8] * a22)),
            fma(f[9], a00, fma(f[10], a10, f[11] * a20)),
            fma(f[9], a01, fma(f[10], a11, f[11] * a21)),
            fma(f[9], a02, fma(f[10], a12, f[11] * a22)),
        )  # fmt: skip
        hand = splat_hand[block]
        if terms[hand] > 0:
            for lane in range(16):
                copy_record(faces, 16 * lane, corner_normals, 16 * splat_face[i + lane])
            red, green, blue = lit_colors(
                faces, b1, b2, terms[hand], lights, 3 * LIGHT_TERMS * hand,
                load_aligned(albedo, 3 * i), load_aligned(albedo, 3 * i + 16),
                load_aligned(albedo, 3 * i + 32), values,
            )  # fmt: skip
        elif coefficients == 0:
            red = load_aligned(baked, 3 * i)
            green = load_aligned(baked, 3 * i + 16)
            blue = load_aligned(baked, 3 * i + 32)
        else:
            _sh_block(block, px, py, pz, camera, coefficients, sh, points, basis, shaded)
            red, green, blue = load_rows3(shaded, 0)
        store_records(
            i, record_of(camera, width, height, print_, opacity, red, green, blue),
            records, keys, tiles,
        )  # fmt: skip


@inline
def _scaled_row(splats, b, growth):
    return (
        growth * load_aligned(splats, b),
        growth * load_aligned(splats, b + 16),
        growth * load_aligned(splats, b + 32),
    )
