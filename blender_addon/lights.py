# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene's world and lamps as shading spherical harmonics: what "from this scene" means.

Coefficients (9, 3) in Blender's world axes; the linear colour of a white matt surface with normal
n is ``sum_k c_k Y_k(n)`` (Ramamoorthi and Hanrahan 2001, eq. 8: radiance convolved with the cosine
lobe, over pi). Lamps reach the hand unshadowed; shadows come with the shadow catcher.
"""

from __future__ import annotations

import math

import bpy
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


def gather(scene, depsgraph, point):
    """Light at ``point`` (3,) from the world and the lamps of ``scene``.

    Returns:
        (9, 3) coefficients.
    """
    light = world_light(scene.world)
    for inst in depsgraph.object_instances:
        ob = inst.object
        if ob.type == "LIGHT" and (not inst.is_instance or inst.show_self):
            light += lamp_light(ob.data, np.array(inst.matrix_world, np.float64), point)
    return light


def directional(direction, shading):
    """Coefficients of light from ``direction`` that shades a facing white surface ``shading``."""
    unit = np.asarray(direction, np.float64)
    unit = unit / max(np.linalg.norm(unit), 1e-9)
    # (cos lobe / pi) of an irradiance of pi gives exactly the colour asked for
    return (sh_basis(unit) * BANDS * math.pi)[:, None] * np.asarray(shading, np.float64)


def lamp_light(lamp, matrix, point):
    """Coefficients of one lamp at ``point``.

    Args:
        lamp: its data.
        matrix: (4, 4) lamp to world.
        point: (3,) metres.
    """
    color = np.array(lamp.color, np.float64)
    if getattr(lamp, "use_temperature", False):
        color = color * np.array(lamp.temperature_color, np.float64)
    color = color * 2.0 ** getattr(lamp, "exposure", 0.0)
    axis = matrix[:3, 2] / max(np.linalg.norm(matrix[:3, 2]), 1e-9)  # lamps shine along -z
    if lamp.type == "SUN":
        return directional(axis, color * lamp.energy / math.pi)
    to_lamp = matrix[:3, 3] - point
    distance = max(np.linalg.norm(to_lamp), 1e-3)
    unit = to_lamp / distance
    if lamp.type == "AREA":
        # radiance P / (pi A) over the solid angle A cos / d²
        facing = max(float(axis @ unit), 0.0)
        irradiance = lamp.energy * facing / (math.pi * distance**2)
    else:
        irradiance = lamp.energy / (4 * math.pi * distance**2)
        # Blender's point and spot lamps radiate P / (4 pi²) per area of their sphere
        irradiance *= 1.0
        if lamp.type == "SPOT":
            irradiance *= _spot_share(lamp, float(axis @ unit))
    return directional(unit, color * irradiance / math.pi)


def _spot_share(lamp, cosine):
    """Part of a spot's light in a direction: Blender's smooth edge of the cone."""
    edge = math.cos(lamp.spot_size / 2)
    if cosine <= edge:
        return 0.0
    blend = (1 - edge) * lamp.spot_blend
    share = min((cosine - edge) / max(blend, 1e-6), 1.0)
    return share * share * (3 - 2 * share)


def world_light(world):
    """Coefficients of a world: a colour, or an environment picture, through its Background node."""
    light = np.zeros((9, 3))
    if world is None:
        return light
    tree = world.node_tree if getattr(world, "use_nodes", True) else None
    background = _background_node(tree)
    if background is None:
        light[0] = np.array(world.color[:3], np.float64) / 0.28209479177387814
        return light
    strength = float(background.inputs["Strength"].default_value)
    socket = background.inputs["Color"]
    image = _environment_image(socket)
    if image is not None:
        return strength * image_light(image, _rotation(socket))
    light[0] = np.array(socket.default_value[:3], np.float64) * strength / 0.28209479177387814
    return light


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
    """Coefficients of an equirectangular picture, kept until the picture changes."""
    key = (image.name_full, tuple(image.size), image.filepath, image.colorspace_settings.name)
    if key not in _images:
        _images.clear()
        _images[key] = _project(image)
    directions, radiance, solid = _images[key]
    basis = sh_basis(directions @ rotation)
    return np.einsum("pk,pc,p->kc", basis, radiance, solid) * BANDS[:, None]


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


def light_scene_depsgraph(scene, depsgraph):
    """The depsgraph whose lamps light the hands: of this scene, or of the light scene."""
    other = scene.hand_toolkit.light_scene
    if other is None or other == scene:
        return scene, depsgraph
    other_scene = bpy.data.scenes.get(other.name)
    layer = other_scene.view_layers[0]
    return other_scene, layer.depsgraph
