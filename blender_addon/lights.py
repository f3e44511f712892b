# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene's world and lamps as shading spherical harmonics: what "from this scene" means.

Coefficients (9, 3) in Blender's world axes; the linear colour of a white matt surface with normal
n is ``sum_k c_k Y_k(n)`` (Ramamoorthi and Hanrahan 2001, eq. 8: radiance convolved with the cosine
lobe, over pi). Lamps go to the worker one by one, with shadows.
"""

from __future__ import annotations

import math

import numpy as np

BANDS = np.array([1.0] + [2.0 / 3.0] * 3 + [0.25] * 5)
"""Cosine lobe over pi for the nine terms."""


def sh_basis(directions):
    """(..., 9) real spherical harmonics of unit vectors (..., 3), order of 3D Gaussian splats."""
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    return np.stack(
        [
            np.full_like(x, 0.28209479177387814),
            -0.4886025119029199 * y,
            0.4886025119029199 * z,
            -0.4886025119029199 * x,
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (2 * z * z - x * x - y * y),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (x * x - y * y),
        ],
        axis=-1,
    )


def lamps(depsgraph):
    """(L, 16) rows of all lamps, as ``hand_toolkit.worker.scene_light`` reads them.

    Kind; position, or direction to a sun; linear colour: the shade of a white surface that faces
    it, a metre away from a near lamp; radius, or tangent of half a sun's angle; axis that it shines
    along; cosine of a spot's edge and width of its soft part; whether it casts shadows; two spare.
    """
    rows = []
    for inst in depsgraph.object_instances:
        ob = inst.object
        if ob.type == "LIGHT" and (not inst.is_instance or inst.show_self):
            rows.append(lamp_row(ob.data, np.array(inst.matrix_world, np.float64)))
    return np.array(rows, np.float64).reshape(-1, 16)


def lamp_row(lamp, matrix):
    """(16,) of one lamp.

    Args:
        lamp: its data.
        matrix: (4, 4) lamp to world.
    """
    color = np.array(lamp.color, np.float64)
    if getattr(lamp, "use_temperature", False):
        color = color * np.array(lamp.temperature_color, np.float64)
    color = color * 2.0 ** getattr(lamp, "exposure", 0.0) * lamp.energy
    axis = -matrix[:3, 2] / max(np.linalg.norm(matrix[:3, 2]), 1e-9)  # lamps shine along -z
    row = np.zeros(16)
    row[8:11] = axis
    row[13] = float(getattr(lamp, "use_shadow", True))
    if lamp.type == "SUN":
        row[1:4], row[4:7] = -axis, color / math.pi
        row[7] = math.tan(min(lamp.angle, 3.0) / 2)
        return row
    row[1:4] = matrix[:3, 3]
    if lamp.type == "AREA":
        # radiance P / (pi A) over the solid angle A cos / d²
        row[0], row[4:7] = 3, color / math.pi**2
        sides = lamp.size, lamp.size_y if lamp.shape in {"RECTANGLE", "ELLIPSE"} else lamp.size
        row[7] = 0.5 * math.sqrt(sides[0] * sides[1])
        return row
    # point and spot lamps radiate P / (4 pi²) per area of their sphere
    row[0], row[4:7], row[7] = 1, color / (4 * math.pi**2), lamp.shadow_soft_size
    if lamp.type == "SPOT":
        row[0] = 2
        row[11] = math.cos(lamp.spot_size / 2)
        row[12] = max((1 - row[11]) * lamp.spot_blend, 1e-6)
    return row


def sky_parts(world, count):
    """(D, 6) directions to ``count`` parts of the world and the shade of a facing surface by each.

    A part's direction is the mean of its light, so that a sun in a picture shines from its place.
    """
    if count <= 0 or world is None:
        return np.zeros((0, 6))
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    turn = math.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - z * z)
    cells = np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1)
    image, strength, color, rotation = _background(world)
    if image is None:
        shade = np.tile(color * strength * 4.0 / count, (count, 1))  # over pi, of 4 pi / count
        return np.concatenate([cells, shade], axis=1)
    directions, radiance, solid = _image(image)
    directions = directions @ rotation
    cell = np.argmax(directions @ cells.T, axis=1)
    shade = radiance * (strength * solid / math.pi)[:, None]
    weight = shade.sum(axis=1)
    total = np.stack([np.bincount(cell, shade[:, c], count) for c in range(3)], axis=1)
    middle = np.stack(
        [np.bincount(cell, weight * directions[:, c], count) for c in range(3)], axis=1
    )
    length = np.linalg.norm(middle, axis=1, keepdims=True)
    return np.concatenate(
        [np.where(length > 1e-9, middle / np.maximum(length, 1e-9), cells), total], axis=1
    )


def world_light(world):
    """(9, 3) coefficients of a world: a colour, or a picture, through its Background node."""
    light = np.zeros((9, 3))
    if world is None:
        return light
    image, strength, color, rotation = _background(world)
    if image is not None:
        return strength * image_light(image, rotation)
    light[0] = color * strength / 0.28209479177387814
    return light


def _background(world):
    """A world's picture or None, its strength, colour (3,), and the picture's rotation (3, 3)."""
    tree = world.node_tree if getattr(world, "use_nodes", True) else None
    background = _background_node(tree)
    if background is None:
        return None, 1.0, np.array(world.color[:3], np.float64), np.eye(3)
    strength = float(background.inputs["Strength"].default_value)
    socket = background.inputs["Color"]
    image = _environment_image(socket)
    turn = np.eye(3) if image is None else _rotation(socket)
    return image, strength, np.array(socket.default_value[:3], np.float64), turn


def _background_node(tree):
    if tree is None:
        return None
    outputs = [n for n in tree.nodes if n.type == "OUTPUT_WORLD" and n.is_active_output]
    for output in outputs:
        for link in output.inputs["Surface"].links:
            if link.from_node.type == "BACKGROUND":
                return link.from_node
    return None


def _environment_image(socket):
    for link in socket.links:
        if link.from_node.type == "TEX_ENVIRONMENT" and link.from_node.image is not None:
            return link.from_node.image
    return None


def _rotation(socket):
    """(3, 3) of a Mapping node before the environment texture, or identity."""
    texture = socket.links[0].from_node
    for link in texture.inputs["Vector"].links:
        if link.from_node.type == "MAPPING":
            from mathutils import Euler

            angles = link.from_node.inputs["Rotation"].default_value
            return np.array(Euler(angles).to_matrix(), np.float64)
    return np.eye(3)


_images = {}


def image_light(image, rotation):
    """(9, 3) coefficients of an equirectangular picture."""
    directions, radiance, solid = _image(image)
    basis = sh_basis(directions @ rotation)
    return np.einsum("pk,pc,p->kc", basis, radiance, solid) * BANDS[:, None]


def _image(image):
    """What ``_project`` makes of a picture, kept until the picture changes."""
    key = (image.name_full, tuple(image.size), image.filepath, image.colorspace_settings.name)
    if key not in _images:
        _images.clear()
        _images[key] = _project(image)
    return _images[key]


def _project(image):
    """Directions, linear radiance and solid angles of at most about 64 x 32 blocks of pixels."""
    width, height = image.size
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(height, width, image.channels)[..., :3].astype(np.float64)
    if image.colorspace_settings.name == "sRGB":
        pixels = np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    rows, columns = min(height, 32), min(width, 64)
    ys = np.linspace(0, height, rows + 1).astype(int)
    xs = np.linspace(0, width, columns + 1).astype(int)
    blocks = np.add.reduceat(np.add.reduceat(pixels, ys[:-1], 0), xs[:-1], 1)
    counts = np.diff(ys)[:, None] * np.diff(xs)[None, :]
    radiance = blocks / counts[..., None]
    latitude = (0.5 * (ys[1:] + ys[:-1]) / height - 0.5) * math.pi
    # Blender's centre column looks along +x, and columns go on clockwise seen from above
    longitude = (0.5 * (xs[1:] + xs[:-1]) / width - 0.5) * 2 * math.pi
    cos = np.cos(latitude)[:, None]
    directions = np.stack(
        [
            cos * np.cos(longitude),
            -cos * np.sin(longitude),
            np.sin(latitude)[:, None] * np.ones(columns),
        ],
        axis=-1,
    )
    solid = (np.diff(np.sin((ys / height - 0.5) * math.pi))[:, None]) * (
        np.diff(xs)[None, :] * 2 * math.pi / width
    )
    return directions.reshape(-1, 3), radiance.reshape(-1, 3), solid.reshape(-1)
