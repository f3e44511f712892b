# SPDX-License-Identifier: GPL-3.0-or-later
"""Light that the scene's meshes give the hands: what they throw back, and what they emit.

Rays go from the middle of the hands all around. Where one meets a mesh, the lamps and the world
that shine there, times the material's colour, come back as a part of the surroundings' light.
"""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Vector

from . import lights

RAYS, VIEWPORT_RAYS = 256, 64
STEP = 1e-4
"""By which a ray goes on behind a hand, and a shadow's begins off a surface, of its distance."""
MOST_HANDS = 24
"""Skins that a ray passes on its way out of the hands."""


def bounced(depsgraph, hands, lamps, viewport=False):
    """(9, 3) shading coefficients, as of ``lights.world_light``, of the light from meshes.

    Args:
        depsgraph: evaluated.
        hands: what ``shown.shown_hands`` found.
        lamps: (L, 16) of ``lights.lamps``.
        viewport: fewer rays, for speed.
    """
    scene, light = depsgraph.scene, np.zeros((9, 3))
    if not any(_gives(inst) for inst in depsgraph.object_instances):
        return light
    middle = Vector(np.mean([h.vertices.mean(axis=0) for h in hands], axis=0).tolist())
    world = lights.world_light(scene.world)
    count = VIEWPORT_RAYS if viewport else RAYS
    k = np.arange(count) + 0.5
    z, turn = 1 - 2 * k / count, math.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - z * z)
    directions = np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1)
    basis = lights.sh_basis(directions) * (4 * math.pi / count)
    materials = {}
    for direction, weights in zip(directions, basis):
        found = _beyond_hands(scene, depsgraph, middle, Vector(direction.tolist()))
        if found is not None:
            radiance = _radiance(scene, depsgraph, found, lamps, world, materials)
            light += weights[:, None] * radiance
    return light * lights.BANDS[:, None]


def _gives(inst):
    """Whether an instance is a mesh other than a hand's."""
    ob = inst.object
    return ob.type == "MESH" and inst.show_self and ob.hand_toolkit.kind == "NONE"


def _beyond_hands(scene, depsgraph, start, direction):
    """Place, normal, polygon and object of what a ray meets that is no hand, or None."""
    place = start
    for _ in range(MOST_HANDS):
        hit, where, normal, index, ob, _matrix = scene.ray_cast(depsgraph, place, direction)
        if not hit:
            return None
        if ob.hand_toolkit.kind == "NONE":
            # whichever side of a sheet the ray meets is the one that shines
            return where, normal if normal.dot(direction) < 0 else -normal, index, ob, start
        place = where + direction * (STEP + STEP * (where - start).length)
    return None


def _radiance(scene, depsgraph, found, lamps, world, materials):
    """(3,) linear light that a place sends to the hands."""
    where, normal, index, ob, start = found
    albedo, emitted = _material(ob, index, depsgraph, materials)
    if not albedo.any():
        return emitted
    n = np.array(normal)
    shade = np.maximum(lights.sh_basis(n) @ world, 0.0)
    lifted = where + normal * (STEP + STEP * (where - start).length)
    for lamp in lamps:
        shade = shade + _lamp(scene, depsgraph, lamp, lifted, n)
    return emitted + albedo * shade


def _lamp(scene, depsgraph, lamp, place, normal):
    """(3,) what a lamp shades a white surface there; see ``lights.lamps``."""
    distant, strength, reach = lamp[0] == 0, 1.0, 1e6
    to_lamp = lamp[1:4] if distant else lamp[1:4] - np.array(place)
    if not distant:
        reach = max(float(np.linalg.norm(to_lamp)), 1e-6)
        to_lamp = to_lamp / reach
        strength = 1.0 / max(reach, lamp[7]) ** 2
        along = -float(to_lamp @ lamp[8:11])
        if lamp[0] == 3:
            strength *= max(along, 0.0)
        elif lamp[0] == 2:
            t = min(max((along - lamp[11]) / max(lamp[12], 1e-6), 0.0), 1.0)
            strength *= t * t * (3 - 2 * t)
    strength *= max(float(normal @ to_lamp), 0.0)
    if strength <= 0:
        return np.zeros(3)
    ray = Vector(to_lamp.tolist())
    if lamp[13] and scene.ray_cast(depsgraph, place, ray, distance=reach * (1 - STEP))[0]:
        return np.zeros(3)
    return strength * lamp[4:7]


def _material(ob, index, depsgraph, materials):
    """(3,) linear reflectance and (3,) emitted light of an object's polygon."""
    mesh = ob.evaluated_get(depsgraph).data
    slot = 0
    if isinstance(mesh, bpy.types.Mesh) and 0 <= index < len(mesh.polygons):
        slot = mesh.polygons[index].material_index
    slots = ob.material_slots
    material = slots[min(slot, len(slots) - 1)].material if slots else None
    key = material.name_full if material is not None else ""
    if key not in materials:
        materials[key] = _colors(material)
    return materials[key]


PLAIN = 0.8
"""Reflectance of objects without a material, Blender's own."""


def _colors(material):
    if material is None:
        return np.full(3, PLAIN), np.zeros(3)
    tree = material.node_tree if getattr(material, "use_nodes", True) else None
    shaders = {n.type: n for n in tree.nodes} if tree is not None else {}
    shader = shaders.get("BSDF_PRINCIPLED")
    if shader is not None:
        inputs = shader.inputs
        mirror = float(inputs["Metallic"].default_value)
        through = inputs.get("Transmission Weight")
        solid = 1.0 - (0.0 if through is None else float(through.default_value))
        emission = inputs.get("Emission Color")
        glow = np.zeros(3)
        if emission is not None:
            glow = np.array(emission.default_value[:3]) * inputs["Emission Strength"].default_value
        # metals throw light one way alone, which a soft light does not tell apart
        return _value(inputs["Base Color"]) * solid * (1.0 - 0.3 * mirror), glow
    if "BSDF_DIFFUSE" in shaders:
        return _value(shaders["BSDF_DIFFUSE"].inputs["Color"]), np.zeros(3)
    if "EMISSION" in shaders:
        inputs = shaders["EMISSION"].inputs
        return np.zeros(3), _value(inputs["Color"]) * inputs["Strength"].default_value
    return np.array(material.diffuse_color[:3]), np.zeros(3)


_means = {}


def _value(socket):
    """(3,) colour of a socket; of a picture's its mean."""
    for link in socket.links:
        image = getattr(link.from_node, "image", None)
        if image is not None and image.size[0]:
            return _mean(image)
    return np.array(socket.default_value[:3], np.float64)


def _mean(image):
    key = (image.name_full, tuple(image.size), image.filepath)
    if key not in _means:
        values = np.empty(image.size[0] * image.size[1] * image.channels, np.float32)
        image.pixels.foreach_get(values)
        color = values.reshape(-1, image.channels)[::17, :3].mean(axis=0)
        if image.channels < 3:
            color = np.repeat(values[::17].mean(), 3)
        if image.colorspace_settings.name == "sRGB":
            color = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
        _means[key] = color.astype(np.float64)
    return _means[key]
