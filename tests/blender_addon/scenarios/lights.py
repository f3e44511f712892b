"""World and lamps as spherical harmonics, beside what Cycles makes of a white matt ball."""

from types import SimpleNamespace

import bpy
import numpy as np
from common import FOLDER, load_pixels, scenario

from blender_addon import bounce, lights

SIZE = 64


def ball():
    bpy.ops.mesh.primitive_uv_sphere_add(segments=96, ring_count=48, radius=0.1)
    ob = bpy.context.object
    bpy.ops.object.shade_smooth()
    material = bpy.data.materials.new("white")
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    shader = tree.nodes.new("ShaderNodeBsdfDiffuse")
    shader.inputs["Color"].default_value = (1, 1, 1, 1)
    out = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(shader.outputs[0], out.inputs["Surface"])
    ob.data.materials.append(material)
    return ob


def cycles(path):
    scene = bpy.context.scene
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_depth = "OPEN_EXR", "32"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return load_pixels(path)[..., :3]


def compare(name):
    """Relative error of the SH shading over the ball, where Cycles lights it well."""
    scene = bpy.context.scene
    picture = cycles(FOLDER / f"{name}.exr")
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    u, v = (x + 0.5) / SIZE * 2 - 1, (y + 0.5) / SIZE * 2 - 1
    radius = np.sqrt(u**2 + v**2)
    inside = radius < 0.9
    # an orthographic camera along +y, the ball fills the picture
    normal = np.stack([u, -np.sqrt(np.maximum(1 - radius**2, 0)), v], axis=-1)
    shading = np.maximum(lights.sh_basis(normal) @ lights.world_light(scene.world), 0)
    for row in lights.lamps(graph):
        shading = shading + shade(row, 0.1 * normal, normal)
    hand = SimpleNamespace(vertices=np.zeros((1, 3)))
    thrown = bounce.bounced(graph, [hand], lights.lamps(graph))
    shading = shading + np.maximum(lights.sh_basis(normal) @ thrown, 0)
    difference = np.abs(shading - picture)[inside]
    return {
        "thrown": float(np.abs(thrown).max()),
        "mean": float(difference.mean() / picture[inside].mean()),
        "brightness": float(shading[inside].mean() / picture[inside].mean()),
    }


def shade(row, point, normal):
    """(..., 3) what a lamp's row says of points, unshadowed: the worker's formula, plainly."""
    if row[0] == 0:
        return np.maximum(normal @ row[1:4], 0)[..., None] * row[4:7]
    to_lamp = row[1:4] - point
    distance = np.linalg.norm(to_lamp, axis=-1, keepdims=True)
    to_lamp = to_lamp / distance
    along = -(to_lamp @ row[8:11])
    share = np.ones_like(along)
    if row[0] == 2:
        t = np.clip((along - row[11]) / row[12], 0, 1)
        share = t * t * (3 - 2 * t)
    if row[0] == 3:
        share = np.maximum(along, 0)
    facing = np.maximum(np.sum(normal * to_lamp, axis=-1), 0)
    return (share * facing)[..., None] * row[4:7] / distance**2


def lamp(kind, energy, location, rotation=(0, 0, 0), color=(1, 1, 1), **more):
    data = bpy.data.lights.new(kind, kind)
    data.energy, data.color = energy, color
    for key, value in more.items():
        setattr(data, key, value)
    ob = bpy.data.objects.new(kind, data)
    bpy.context.scene.collection.objects.link(ob)
    ob.location, ob.rotation_euler = location, rotation
    return ob


def floor(color, glow=0.0):
    """A table below the ball, seen edge-on; it may shine by itself."""
    bpy.ops.mesh.primitive_plane_add(size=3, location=(0, 0, -0.35))
    ob = bpy.context.object
    material = bpy.data.materials.new("floor")
    if not material.node_tree:
        material.use_nodes = True
    shader = next(n for n in material.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*color, 1)
    shader.inputs["Specular IOR Level"].default_value = 0.0
    shader.inputs["Emission Color"].default_value = (1, 1, 1, 1)
    shader.inputs["Emission Strength"].default_value = glow
    ob.data.materials.append(material)
    return ob


def run():
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.device = 64, "CPU"
    scene.cycles.use_denoising = False
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    ball().hand_toolkit.kind = "SURFACE"  # which rays from within pass, as they pass a hand's
    data = bpy.data.cameras.new("Camera")
    data.type, data.ortho_scale = "ORTHO", 0.2
    ob = bpy.data.objects.new("Camera", data)
    scene.collection.objects.link(ob)
    ob.location, ob.rotation_euler = (0, -2, 0), (np.pi / 2, 0, 0)
    scene.camera = ob
    world = bpy.data.worlds.new("World")
    scene.world = world
    if not world.node_tree:
        world.use_nodes = True
    tree = world.node_tree
    background = next((n for n in tree.nodes if n.type == "BACKGROUND"), None)
    if background is None:
        background = tree.nodes.new("ShaderNodeBackground")
        output = tree.nodes.new("ShaderNodeOutputWorld")
        tree.links.new(background.outputs[0], output.inputs["Surface"])
    background.inputs["Color"].default_value = (0.4, 0.6, 0.9, 1)
    background.inputs["Strength"].default_value = 0.7
    report = {"world": compare("world")}

    background.inputs["Strength"].default_value = 0.0
    for name, made in (
        ("sun", lambda: lamp("SUN", 2.0, (0, 0, 0), (1.0, 0.3, 0.2), (1, 0.8, 0.6))),
        ("point", lambda: lamp("POINT", 30.0, (1.5, -2.0, 1.0), shadow_soft_size=0.05)),
        ("spot", lambda: lamp("SPOT", 60.0, (0, -3.0, 0), (np.pi / 2, 0, 0), spot_size=1.0)),
        ("area", lambda: lamp("AREA", 20.0, (0, -3.0, 0.0), (np.pi / 2, 0, 0), size=0.2)),
    ):
        ob = made()
        report[name] = compare(name)
        bpy.data.objects.remove(ob)

    ob, table = lamp("SUN", 3.0, (0, 0, 0), (0.7, 0.2, 0.0)), floor((0.7, 0.4, 0.3))
    report["table"] = compare("table")
    bpy.data.objects.remove(ob)
    bpy.data.objects.remove(table)
    table = floor((0.0, 0.0, 0.0), glow=1.5)
    report["glow"] = compare("glow")
    bpy.data.objects.remove(table)

    # an environment picture: a bright patch to the upper right, blue elsewhere
    image = bpy.data.images.new("sky", 64, 32, float_buffer=True)
    pixels = np.zeros((32, 64, 4), np.float32)
    pixels[...] = (0.05, 0.1, 0.3, 1)
    pixels[18:26, 4:14, :3] = (6.0, 5.0, 4.0)
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    tree.links.new(texture.outputs["Color"], background.inputs["Color"])
    background.inputs["Strength"].default_value = 1.0
    report["picture"] = compare("picture")
    mapping = tree.nodes.new("ShaderNodeMapping")
    coordinates = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(coordinates.outputs["Generated"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])
    mapping.inputs["Rotation"].default_value = (0.3, 0.2, 1.0)
    report["turned"] = compare("turned")
    return report


scenario(run)
