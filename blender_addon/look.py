# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin: the material of the mesh, its baked texture, and the skin tone.

The tone is the avatar's own colour (Object Properties > Viewport Display > Color of its empty): a
factor on the skin in linear light, which can be keyed like any property. Drivers hand it to the
meshes of both hands, whose colour the material, our engine and the native splats read.
"""

from __future__ import annotations

import bpy
import numpy as np

COLORS = "Skin color"
IMAGE_NODE = "Hand skin texture"
MIX_NODE = "Hand skin source"
RELIEF_NODE = "Hand skin relief and roughness"

SUBSURFACE_M = 0.0037
"""How far red light travels in skin (Jensen et al. 2001); green and blue go a third and a fifth as
far, as ``SUBSURFACE_RADIUS`` says."""

SUBSURFACE_RADIUS = (1.0, 0.37, 0.185)


def skin_material(surface, part):
    """Give the mesh its vertex colours and a material that shows them until a texture comes.

    Args:
        surface: the mesh object.
        part: the hand's arrays, of which ``triangle``, ``barycentric``, ``opacity`` and
            ``albedo`` are used.
    """
    mesh = surface.data
    colors = vertex_colors(part)
    layer = mesh.color_attributes.new(COLORS, "BYTE_COLOR", "POINT")
    layer.data.foreach_set("color_srgb", np.ascontiguousarray(colors, np.float32).ravel())
    mesh.color_attributes.active_color = layer
    material = bpy.data.materials.new(surface.name)
    # The Solid viewport shows this one colour until it is set to textures.
    material.diffuse_color = (*_mean_linear(colors), 1.0)
    if not material.use_nodes:
        material.use_nodes = True
    tree = material.node_tree
    shader = next(n for n in tree.nodes if n.type == "BSDF_PRINCIPLED")
    shader.inputs["Roughness"].default_value = 0.5
    shader.inputs["Specular IOR Level"].default_value = 0.35  # 2.8 % at normal incidence
    shader.inputs["Subsurface Weight"].default_value = 1.0
    shader.inputs["Subsurface Scale"].default_value = SUBSURFACE_M
    shader.inputs["Subsurface Radius"].default_value = SUBSURFACE_RADIUS
    attribute = tree.nodes.new("ShaderNodeVertexColor")
    attribute.layer_name = COLORS
    attribute.location = (-760, 120)
    image = tree.nodes.new("ShaderNodeTexImage")
    image.name = image.label = IMAGE_NODE
    image.location = (-860, 420)
    source = tree.nodes.new("ShaderNodeMix")
    source.name = source.label = MIX_NODE
    source.data_type = "RGBA"
    source.location = (-540, 320)
    source.inputs["Factor"].default_value = 0.0
    tint = tree.nodes.new("ShaderNodeObjectInfo")
    tint.location = (-540, 60)
    tone = tree.nodes.new("ShaderNodeMix")
    tone.data_type = "RGBA"
    tone.blend_type = "MULTIPLY"
    tone.inputs["Factor"].default_value = 1.0
    tone.location = (-320, 240)
    a, b, result = (_color_socket(s) for s in ((source, "A"), (source, "B"), (source, None)))
    tree.links.new(attribute.outputs["Color"], a)
    tree.links.new(image.outputs["Color"], b)
    tree.links.new(result, _color_socket((tone, "A")))
    tree.links.new(tint.outputs["Color"], _color_socket((tone, "B")))
    tree.links.new(_color_socket((tone, None)), shader.inputs["Base Color"])
    surface.data.materials.append(material)


def follow_tone(surface, root):
    """Let the avatar's colour drive that of a hand's mesh."""
    for k in range(3):
        driver = surface.driver_add("color", k).driver
        driver.type = "SUM"
        variable = driver.variables.new()
        variable.type = "SINGLE_PROP"
        variable.targets[0].id = root
        variable.targets[0].data_path = f"color[{k}]"


def tone_owner(surface):
    """The object whose colour is the skin tone: the avatar, or the mesh itself in older files."""
    animation = surface.animation_data
    driven = animation is not None and any(d.data_path == "color" for d in animation.drivers)
    return surface.hand_toolkit.root if driven else surface


def _color_socket(which):
    """The colour socket of a Mix node: it has one of each name per data type."""
    node, name = which
    if name is None:
        return next(s for s in node.outputs if s.type == "RGBA")
    return next(s for s in node.inputs if s.type == "RGBA" and s.name == name)


def _mean_linear(colors):
    """Mean of sRGB colours (N, 4) in linear light, without their alpha."""
    srgb = colors[:, :3]
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return [float(c) for c in linear.mean(axis=0)]


def vertex_colors(part):
    """(V, 4) sRGB mean of the splats around each vertex; neighbours fill vertices without any."""
    faces = part["faces"]
    count = len(part["vertices"])
    corner = faces[part["triangle"]]
    weight = part["barycentric"] * part["opacity"][:, None]
    total = np.bincount(corner.ravel(), weight.ravel(), minlength=count)
    colors = np.stack(
        [
            np.bincount(
                corner.ravel(), (weight * part["albedo"][:, c : c + 1]).ravel(), minlength=count
            )
            for c in range(3)
        ],
        axis=1,
    )
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    for _ in range(64):
        empty = total < 1e-6
        if not empty.any() or empty.all():
            break
        gained = np.zeros_like(total)
        spread = np.zeros_like(colors)
        for a, b in ((0, 1), (1, 0)):
            use = empty[edges[:, b]] & ~empty[edges[:, a]]
            source, target = edges[use, a], edges[use, b]
            np.add.at(gained, target, 1.0)
            np.add.at(spread, target, colors[source] / total[source, None])
        filled = empty & (gained > 0)
        colors[filled], total[filled] = spread[filled], gained[filled]
    rgb = colors / np.maximum(total, 1e-6)[:, None]
    return np.concatenate([rgb, np.ones((count, 1))], axis=1)


def set_texture(surface, pixels):
    """Show the baked texture on the mesh.

    Args:
        surface: the mesh object.
        pixels: (H, W, 4) uint8 sRGB, top row first. It is packed into the .blend.
    """
    image = _packed_image(surface.name, pixels, "sRGB", alpha=False)
    show_texture(surface, image)
    return image


def set_relief(surface, pixels):
    """Show the baked relief and roughness on the mesh.

    Args:
        surface: the mesh object.
        pixels: (H, W, 4) uint8, tangent-space normal and roughness, top row first.
    """
    image = _packed_image(f"{surface.name} relief", pixels, "Non-Color", alpha=True)
    show_relief(surface, image)
    return image


def _packed_image(name, pixels, space, alpha):
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height, alpha=alpha)
    image.colorspace_settings.name = space
    if alpha:
        image.alpha_mode = "CHANNEL_PACKED"  # roughness, not transparency
    flat = pixels[::-1].astype(np.float32) / 255.0
    image.pixels.foreach_set(np.ascontiguousarray(flat).ravel())
    image.update()
    image.pack()
    return image


def show_texture(surface, image):
    """Let the mesh's material show a picture in place of its vertex colours."""
    for material in surface.data.materials:
        node = material.node_tree.nodes.get(IMAGE_NODE) if material else None
        if node is not None:
            node.image = image
            material.node_tree.nodes[MIX_NODE].inputs["Factor"].default_value = 1.0


def show_relief(surface, image):
    """Let the mesh's material take its normals and its roughness from a picture."""
    for material in surface.data.materials:
        tree = material.node_tree if material else None
        if tree is None or IMAGE_NODE not in tree.nodes:
            continue
        node = tree.nodes.get(RELIEF_NODE) or _relief_nodes(tree)
        node.image = image


def _relief_nodes(tree):
    """Nodes that hand a picture's normal and roughness to the shader; the picture's node."""
    shader = next(n for n in tree.nodes if n.type == "BSDF_PRINCIPLED")
    node = tree.nodes.new("ShaderNodeTexImage")
    node.name = node.label = RELIEF_NODE
    node.location = (-860, -160)
    bump = tree.nodes.new("ShaderNodeNormalMap")
    bump.location = (-320, -160)
    tree.links.new(node.outputs["Color"], bump.inputs["Color"])
    tree.links.new(node.outputs["Alpha"], shader.inputs["Roughness"])
    tree.links.new(bump.outputs["Normal"], shader.inputs["Normal"])
    return node


def texture_of(surface, node=IMAGE_NODE):
    """The picture that a node of the mesh's material shows, or None."""
    nodes = (m.node_tree.nodes.get(node) for m in surface.data.materials if m is not None)
    return next((n.image for n in nodes if n is not None and n.image is not None), None)
