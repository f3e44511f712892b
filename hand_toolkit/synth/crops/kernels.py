"""Compiled loops of the crop renderer: light at vertices, colour and class at pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.jit import compiled

NEAREST_COSINE = -0.5
"""Normals turned further from a light get nothing of it, wrapped or not."""

SAME_SURFACE_M = 0.003
"""A pixel's samples that lie this near in depth are shaded once."""


@compiled(nogil=True, fastmath=True)
def add_light(  # type: ignore[no-untyped-def]
    irradiance, normals, seen, depth, direction, color, wrap, bias
):
    """Add a directional light at vertices, with four shadow taps.

    Light that enters skin near a shadow's edge leaves it within; wrapping the cosine, red most,
    stands for it.

    Args:
        irradiance: (V, 3) in and out.
        normals: (V, 3) unit.
        seen: (V, 3) pixel x, y and depth of the vertices in the light's picture.
        depth: (H, W) nearest depth there, infinite where there is nothing.
        direction: (3,) unit, to the light.
        color: (3,) linear.
        wrap: share of the cosine's range behind the terminator, for red.
        bias: depth by which a vertex may lie behind without shadow, metres.
    """
    height, width = depth.shape
    for i in range(len(normals)):
        cosine = (
            normals[i, 0] * direction[0]
            + normals[i, 1] * direction[1]
            + normals[i, 2] * direction[2]
        )
        if cosine < NEAREST_COSINE:
            continue
        share = 0.0
        for tap in range(4):
            x = int(seen[i, 0] + (tap % 2) - 0.5)
            y = int(seen[i, 1] + (tap // 2) - 0.5)
            outside = x < 0 or y < 0 or x >= width or y >= height
            if outside or seen[i, 2] < depth[y, x] + bias:
                share += 0.25
        for k in range(3):
            soft = wrap * (1 - 0.4 * k)
            irradiance[i, k] += color[k] * share * max(0.0, (cosine + soft) / (1 + soft))


@compiled(nogil=True, fastmath=True)
def shade(  # type: ignore[no-untyped-def]
    triangle, points, faces, corner_uvs, irradiance, normals, part, textures, tint, cloth, half,
    gloss, gain, classes, out, labels,
):  # fmt: skip
    """Colour and class of every pixel, box-filtered from a picture of twice the size.

    Args:
        triangle: (2S, 2S) nearest face, -1 for none.
        points: (V, 3) pixel x, y of the large picture and depth.
        faces: (F, 3); corner_uvs: (F, 3, 2), origin lower left.
        irradiance, normals: (V, 3).
        part: (F,) row of ``classes`` and of ``cloth``.
        textures: (T, H, W, 3) linear albedo of skins, and tint: (3,) that multiplies it.
        cloth: (P, 7) per part: linear colour, contrast and two frequencies of a pattern; last
            1 for cloth, or -1 - t for skin number t.
        half: (L, 3) half vectors of the lights that shine back, gloss: (L, 2) strength and
            exponent.
        gain: (3,) exposure and white balance.
        classes: (P,) class of each part.
        out: (S, S, 4) float32 sRGB, straight, and coverage; zeros before.
        labels: (S, S) uint8, most frequent class of the four samples.
    """
    size = out.shape[0]
    high, wide = textures.shape[1], textures.shape[2]
    votes = np.zeros(8, np.int32)
    value = np.zeros(3, np.float32)
    for row in range(size):
        for column in range(size):
            votes[:] = 0
            shaded, shaded_kind = np.float64(-1.0), -1
            for sample in range(4):
                y, x = 2 * row + sample // 2, 2 * column + sample % 2
                face = triangle[y, x]
                if face < 0:
                    votes[0] += 1
                    continue
                a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
                kind = part[face]
                votes[classes[kind]] += 1
                out[row, column, 3] += 0.25
                if kind == shaded_kind and abs(points[a, 2] - shaded) < SAME_SURFACE_M:
                    for k in range(3):
                        out[row, column, k] += 0.25 * value[k]
                    continue
                shaded, shaded_kind = points[a, 2], kind
                px, py = x + 0.5, y + 0.5
                area = (points[b, 0] - points[a, 0]) * (points[c, 1] - points[a, 1]) - (
                    points[b, 1] - points[a, 1]
                ) * (points[c, 0] - points[a, 0])
                u = (
                    (points[b, 0] - px) * (points[c, 1] - py)
                    - (points[b, 1] - py) * (points[c, 0] - px)
                ) / area
                v = (
                    (points[c, 0] - px) * (points[a, 1] - py)
                    - (points[c, 1] - py) * (points[a, 0] - px)
                ) / area
                # perspective: attributes are linear on the surface, not in the picture
                u, v, w = u / points[a, 2], v / points[b, 2], (1 - u - v) / points[c, 2]
                total = u + v + w
                u, v, w = u / total, v / total, w / total
                tx = (
                    u * corner_uvs[face, 0, 0]
                    + v * corner_uvs[face, 1, 0]
                    + w * corner_uvs[face, 2, 0]
                ) * wide - 0.5
                ty = (
                    1
                    - u * corner_uvs[face, 0, 1]
                    - v * corner_uvs[face, 1, 1]
                    - w * corner_uvs[face, 2, 1]
                ) * high - 0.5
                shine = 0.0
                nx = u * normals[a, 0] + v * normals[b, 0] + w * normals[c, 0]
                ny = u * normals[a, 1] + v * normals[b, 1] + w * normals[c, 1]
                nz = u * normals[a, 2] + v * normals[b, 2] + w * normals[c, 2]
                length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
                for light in range(len(half)):
                    cosine = nx * half[light, 0] + ny * half[light, 1] + nz * half[light, 2]
                    if cosine > 0:
                        shine += gloss[light, 0] * (cosine / length) ** gloss[light, 1]
                green = u * irradiance[a, 1] + v * irradiance[b, 1] + w * irradiance[c, 1]
                if cloth[kind, 6] > 0:
                    wave = np.sin(tx * cloth[kind, 4]) * np.sin(ty * cloth[kind, 5])
                    tone = 1 + cloth[kind, 3] * wave
                    for k in range(3):
                        value[k] = cloth[kind, k] * tone
                    shine *= 0.3
                else:
                    skin = int(-1 - cloth[kind, 6])
                    ix, iy = min(max(int(tx), 0), wide - 2), min(max(int(ty), 0), high - 2)
                    fx = min(max(tx - ix, 0.0), 1.0)
                    fy = min(max(ty - iy, 0.0), 1.0)
                    for k in range(3):
                        above = (1 - fx) * textures[skin, iy, ix, k] + fx * textures[
                            skin, iy, ix + 1, k
                        ]
                        below = (1 - fx) * textures[skin, iy + 1, ix, k] + fx * textures[
                            skin, iy + 1, ix + 1, k
                        ]
                        value[k] = tint[k] * ((1 - fy) * above + fy * below)
                for k in range(3):
                    light_k = u * irradiance[a, k] + v * irradiance[b, k] + w * irradiance[c, k]
                    value[k] = value[k] * light_k + shine * green
                    out[row, column, k] += 0.25 * value[k]
            cover = out[row, column, 3]
            if cover > 0:
                for k in range(3):
                    tone = out[row, column, k] * gain[k] / cover
                    # a film's shoulder instead of a hard clip
                    if tone > 0.6:
                        tone = 0.6 + 0.4 * (1 - np.exp(-(tone - 0.6) / 0.4))
                    if tone < 0.0031308:
                        tone = 12.92 * tone
                    else:
                        tone = 1.055 * tone ** (1 / 2.4) - 0.055
                    out[row, column, k] = tone
            best = 0
            for k in range(8):
                if votes[k] > votes[best]:
                    best = k
            labels[row, column] = best


def empty_pictures(size: int) -> tuple[Any, Any]:
    """What :func:`shade` fills: (size, size, 4) float32 and (size, size) uint8."""
    return np.zeros((size, size, 4), np.float32), np.zeros((size, size), np.uint8)
