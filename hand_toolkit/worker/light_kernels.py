"""Compiled loops of a host's light: shadow maps looked up, lamps and sky added, splats coloured."""

from __future__ import annotations

import numpy as np

from ..core.jit import compiled

DISTANT, POINT, SPOT, AREA = range(4)
"""Kinds of lamps; see ``scene_light.LAMP_FIELDS``."""

BOUNCE = 0.08
"""Least share of the light in a shadow, for what skin and objects throw back into it."""
ROUGHNESS = 0.45
SPECULAR = 0.028
"""Reflectance of skin at normal incidence (Weyrich et al. 2006)."""

AWAY = -0.3
"""Cosine to the eye below which skin is not looked at: its shadows are left out."""

LOOSE_MATH = {"contract", "reassoc", "nsz", "arcp"}
"""Leaves infinity alone, which is the depth where a shadow map has nothing."""


@compiled(nogil=True, fastmath=LOOSE_MATH)
def share_at(  # type: ignore[no-untyped-def]
    x0, y0, z0, nx, ny, nz, depth, pose, focal, soft, distant, offset, bias
):
    """Share of a lamp that one point sees; see :func:`lit_share`."""
    size = depth.shape[0]
    middle = 0.5 * size
    widest = np.float64(size) / 10.0
    px, py, pz = x0 + offset * nx, y0 + offset * ny, z0 + offset * nz
    z = pose[2, 0] * px + pose[2, 1] * py + pose[2, 2] * pz + pose[2, 3]
    if z <= 1e-6:
        return 1.0
    x = (pose[0, 0] * px + pose[0, 1] * py + pose[0, 2] * pz + pose[0, 3]) / z * focal + middle
    y = (pose[1, 0] * px + pose[1, 1] * py + pose[1, 2] * pz + pose[1, 3]) / z * focal + middle
    texel = z / focal
    # how steep the surface is to the lamp: texels beside it are nearer by that much
    facing = -(pose[2, 0] * nx + pose[2, 1] * ny + pose[2, 2] * nz)
    facing = min(max(facing, 0.05), 1.0)
    steep = min(np.sqrt(1.0 - facing * facing) / facing, 4.0)
    reach = soft * 0.25 if distant else soft
    search = min(max(reach / texel, 1.5), widest)
    blockers, nearest = 0, 0.0
    for i in range(-3, 4):
        for j in range(-3, 4):
            u, v = int(np.floor(x + i * search / 3)), int(np.floor(y + j * search / 3))
            if 0 <= u < size and 0 <= v < size:
                there = depth[v, u]
                margin = bias + steep * texel * (0.5 + np.sqrt(i * i + j * j) * search / 3)
                if there < z - margin:
                    blockers += 1
                    nearest += there
    if blockers == 0:
        return 1.0
    gap = z - nearest / blockers
    wide = soft * gap if distant else soft * gap / max(z - gap, 1e-6)
    radius = min(max(wide / texel, 1.0), widest)
    seen, total = 0, 0
    for i in range(-4, 5):
        for j in range(-4, 5):
            if i * i + j * j > 18:
                continue
            u, v = int(np.floor(x + i * radius / 4)), int(np.floor(y + j * radius / 4))
            total += 1
            if 0 <= u < size and 0 <= v < size:
                margin = bias + steep * texel * (0.5 + np.sqrt(i * i + j * j) * radius / 4)
                if depth[v, u] < z - margin:
                    continue
            seen += 1
    return seen / total


@compiled(nogil=True, fastmath=LOOSE_MATH)
def lit_share(  # type: ignore[no-untyped-def]
    points, normals, depth, pose, focal, soft, distant, offset, bias, out
):
    """How much of a lamp each point sees, by its shadow map, with soft edges.

    Percentage-closer soft shadows (Fernando 2005): the mean depth of what is nearer than the
    point tells how wide the penumbra is, over which nearer texels are counted.

    Args:
        points, normals: (N, 3) world.
        depth: (S, S) shadow map, metres along the lamp's axis.
        pose: (3, 4) world to lamp.
        focal: texels.
        soft: the lamp's radius, metres; or tangent of its half angle where ``distant``.
        distant: whether the lamp is infinitely far (its map is drawn from afar).
        offset: metres that points are lifted off the surface.
        bias: metres before the point that still belong to its own surface.
        out: (N,) output.
    """
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        nx, ny, nz = normals[n, 0], normals[n, 1], normals[n, 2]
        out[n] = share_at(x, y, z, nx, ny, nz, depth, pose, focal, soft, distant, offset, bias)


@compiled(nogil=True, fastmath=LOOSE_MATH)
def highlight(nx, ny, nz, vx, vy, vz, lx, ly, lz, facing):  # type: ignore[no-untyped-def]
    """Gloss relative to the shade of a facing white surface: GGX with Kelemen's visibility.

    Kelemen and Szirmay-Kalos (2001): D F / (4 (l.h)²); times pi, as shade is irradiance over pi.
    """
    hx, hy, hz = lx + vx, ly + vy, lz + vz
    length = max(np.sqrt(hx * hx + hy * hy + hz * hz), 1e-9)
    cosine = min(max((nx * hx + ny * hy + nz * hz) / length, 0.0), 1.0)
    across = min(max((lx * hx + ly * hy + lz * hz) / length, 0.1), 1.0)
    alpha = ROUGHNESS**2
    around = cosine * cosine * (alpha * alpha - 1.0) + 1.0
    spread = alpha * alpha / (np.pi * around * around)
    away = 1.0 - across
    mirror = SPECULAR + (1.0 - SPECULAR) * away * away * away * away * away
    return np.pi * spread * mirror / (4.0 * across * across) * min(max(facing, 0.0), 1.0)


@compiled(nogil=True, fastmath=LOOSE_MATH)
def sky_at(vertices, normals, parts, seen, eye, gloss, ratio, shine):  # type: ignore[no-untyped-def]
    """What of the sky's light, and which highlights of it, each vertex has.

    Args:
        vertices, normals: (V, 3) world.
        parts: (D, 6) directions and shades.
        seen: (V, D) share of each part that a vertex sees.
        eye: (3,) the camera.
        gloss: whether highlights are wanted.
        ratio: (V, 3) output, light that arrives over light that there is.
        shine: (V, 3) output.
    """
    for n in range(vertices.shape[0]):
        nx, ny, nz = normals[n, 0], normals[n, 1], normals[n, 2]
        vx, vy, vz = eye[0] - vertices[n, 0], eye[1] - vertices[n, 1], eye[2] - vertices[n, 2]
        away = max(np.sqrt(vx * vx + vy * vy + vz * vz), 1e-9)
        for c in range(3):
            ratio[n, c] = 0.0
            shine[n, c] = 0.0
        w0, w1, w2 = 0.0, 0.0, 0.0
        for d in range(parts.shape[0]):
            lx, ly, lz = parts[d, 0], parts[d, 1], parts[d, 2]
            facing = nx * lx + ny * ly + nz * lz
            if facing <= 0.0:
                continue
            w0 += facing * parts[d, 3]
            w1 += facing * parts[d, 4]
            w2 += facing * parts[d, 5]
            for c in range(3):
                ratio[n, c] += facing * seen[n, d] * parts[d, 3 + c]
            if gloss:
                strength = seen[n, d] * highlight(
                    nx, ny, nz, vx / away, vy / away, vz / away, lx, ly, lz, facing
                )
                for c in range(3):
                    shine[n, c] += strength * parts[d, 3 + c]
        ratio[n, 0] = ratio[n, 0] / w0 if w0 > 1e-7 else 1.0
        ratio[n, 1] = ratio[n, 1] / w1 if w1 > 1e-7 else 1.0
        ratio[n, 2] = ratio[n, 2] / w2 if w2 > 1e-7 else 1.0


@compiled(nogil=True, fastmath=LOOSE_MATH)
def on_skin(  # type: ignore[no-untyped-def]
    triangle, barycentric, faces, vertices, normals, values, point, normal, light
):
    """Places, unit normals and values of splats, from those of the mesh's vertices.

    Args:
        triangle, barycentric: (N,), (N, 3) where each splat is.
        faces: (F, 3).
        vertices, normals: (V, 3).
        values: (V, C).
        point, normal: (N, 3) output.
        light: (N, C) output.
    """
    for n in range(triangle.shape[0]):
        face = faces[triangle[n]]
        wa, wb, wc = barycentric[n, 0], barycentric[n, 1], barycentric[n, 2]
        a, b, c = face[0], face[1], face[2]
        for k in range(3):
            point[n, k] = wa * vertices[a, k] + wb * vertices[b, k] + wc * vertices[c, k]
            normal[n, k] = wa * normals[a, k] + wb * normals[b, k] + wc * normals[c, k]
        x, y, z = normal[n, 0], normal[n, 1], normal[n, 2]
        inverse = 1.0 / max(np.sqrt(x * x + y * y + z * z), 1e-9)
        for k in range(3):
            normal[n, k] *= inverse
        for k in range(values.shape[1]):
            light[n, k] = wa * values[a, k] + wb * values[b, k] + wc * values[c, k]


@compiled(nogil=True, fastmath=LOOSE_MATH)
def add_lamp(  # type: ignore[no-untyped-def]
    lamp, point, normal, eye, least, shadow, pose, focal, soft, offset, bias, whole, lit, shine
):
    """Add a lamp's shade to that of points.

    Args:
        lamp: (16,), see ``scene_light.LAMP_FIELDS``.
        point, normal: (N, 3) world.
        eye: (3,) the camera.
        least: share of the light that is left in its shadow.
        shadow: (S, S) shadow map, (0, 0) for a lamp that casts none.
        pose, focal, soft, offset, bias: of the map, see :func:`lit_share`.
        whole, lit: (N, 3) shade without and with shadows, added to.
        shine: (N, 3) highlights, added to.
    """
    kind = int(lamp[0])
    shadowed = shadow.shape[0] > 0
    for n in range(point.shape[0]):
        nx, ny, nz = normal[n, 0], normal[n, 1], normal[n, 2]
        lx, ly, lz = lamp[1], lamp[2], lamp[3]
        strength = 1.0
        if kind != DISTANT:
            lx, ly, lz = lx - point[n, 0], ly - point[n, 1], lz - point[n, 2]
            distance = max(np.sqrt(lx * lx + ly * ly + lz * lz), 1e-3)
            lx, ly, lz = lx / distance, ly / distance, lz / distance
            reach = max(distance, lamp[7])
            strength = 1.0 / (reach * reach)
            along = -(lx * lamp[8] + ly * lamp[9] + lz * lamp[10])
            if kind == AREA:
                strength *= max(along, 0.0)
            elif kind == SPOT:
                t = min(max((along - lamp[11]) / max(lamp[12], 1e-6), 0.0), 1.0)
                strength *= t * t * (3.0 - 2.0 * t)
        facing = nx * lx + ny * ly + nz * lz
        if facing <= 0.0 or strength <= 0.0:
            continue
        vx, vy, vz = eye[0] - point[n, 0], eye[1] - point[n, 1], eye[2] - point[n, 2]
        away = max(np.sqrt(vx * vx + vy * vy + vz * vz), 1e-9)
        seen = 1.0
        if shadowed and nx * vx + ny * vy + nz * vz > AWAY * away:
            seen = share_at(
                point[n, 0], point[n, 1], point[n, 2], nx, ny, nz,
                shadow, pose, focal, soft, kind == DISTANT, offset, bias,
            )  # fmt: skip
        gloss = (
            strength
            * seen
            * highlight(nx, ny, nz, vx / away, vy / away, vz / away, lx, ly, lz, facing)
        )
        shade = strength * facing
        part = shade * max(seen, least)
        for c in range(3):
            whole[n, c] += shade * lamp[4 + c]
            lit[n, c] += part * lamp[4 + c]
            shine[n, c] += gloss * lamp[4 + c]


@compiled(nogil=True, fastmath=LOOSE_MATH)
def lit_skin(base, tint, lit, shine, gloss, out):  # type: ignore[no-untyped-def]
    """Colours ``out`` (N, 3) sRGB of skin ``base`` (N, 3), linear, in the light of a scene.

    Args:
        tint: (3,) linear factor on the skin.
        lit, shine: (N, 3) of :func:`add_lamp`.
        gloss: factor on the highlights.
    """
    for n in range(base.shape[0]):
        for c in range(3):
            out[n, c] = encoded(base[n, c] * tint[c] * lit[n, c] + gloss * shine[n, c])


@compiled(nogil=True, fastmath=LOOSE_MATH)
def darkened_skin(base, tint, own, whole, lit, out):  # type: ignore[no-untyped-def]
    """Colours ``out`` (N, 3) sRGB in a light of their own, with the shadows of another.

    Args:
        base: (N, 3) linear.
        tint: (3,) linear factor on the skin.
        own: (N, 3) shade of the own light.
        whole, lit: (N, 3) shade of the other one without and with its shadows.
    """
    for n in range(base.shape[0]):
        for c in range(3):
            dark = 1.0  # a skin that only its own light reaches has no shadows to take
            if whole[n, c] > 1e-5:
                dark = max(lit[n, c] / whole[n, c], BOUNCE)
            out[n, c] = encoded(base[n, c] * own[n, c] * dark * tint[c])


@compiled(nogil=True, fastmath=LOOSE_MATH)
def encoded(linear):  # type: ignore[no-untyped-def]
    """The sRGB value of a linear one, both clipped to [0, 1]."""
    value = min(max(linear, 0.0), 1.0)
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1.0 / 2.4) - 0.055
