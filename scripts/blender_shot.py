"""An artist's shot from nothing, in bpy: what `docs/blender.md` says of scenes, tried as a whole.

    python scripts/blender_shot.py OUTPUT [--hand FILE | --picture FILE] [--frames 3]
        [--samples 24] [--width 640] [--python PYTHON]

A hand with its forearm from a picture, attached to the hand bone of a body's armature (*Attach to
Body Bone*), closing around a cup until its fingers touch it (*Close until Contact*); a sky from an
HDR picture with its sun, the artist's Glare, depth of field, two view layers (the second with the
hand alone), keyed, rendered by Cycles with the hand's splats over each layer. It writes the frames,
a picture of each view layer and one of the scene after *Remove*, and fails where the artist's
world, nodes or layers were changed, or the hand is missing.

Run it with any Python that has bpy; ``--python`` names the one that has hand-toolkit.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from blender_run import ROOT, run


def main() -> None:
    """Build, render, check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("output", type=Path)
    parser.add_argument("--hand", type=Path, help="a .hand file, not to fit a picture")
    parser.add_argument(
        "--picture", type=Path, default=ROOT / "hand_toolkit" / "media" / "demo.jpg"
    )
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--width", type=int, default=640)
    run(parser, shoot)


def shoot(options: argparse.Namespace) -> None:
    """The shot."""
    import bpy

    import blender_addon

    bpy.ops.wm.read_factory_settings(use_empty=True)
    blender_addon.register()
    scene = bpy.context.scene
    hand = avatar(options)
    body = body_with(hand)
    cup = props()
    sleeve(body)
    sky(scene)
    nodes = glare(scene)
    camera(scene, options)
    animate(scene, hand, body, cup, options.frames)
    layer = second_layer(scene, cup)
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.device = options.samples, "CPU"
    scene.hand_toolkit.light = "SCENE"
    before = state(scene, nodes)

    scene.frame_set(1)
    _picture(scene, options.output / "before.png")
    assert bpy.ops.hand_toolkit.composite() == {"FINISHED"}
    kept = {k: v for k, v in state(scene, nodes).items() if k not in {"links", "nodes"}}
    changed = [name for name, value in kept.items() if value != before[name]]
    if changed:
        raise SystemExit(f"joining changed the artist's {', '.join(changed)}")
    scene.frame_start, scene.frame_end = 1, options.frames
    settings = scene.render.image_settings
    settings.file_format = "PNG"
    scene.render.filepath = str(options.output / "shot_")
    bpy.ops.render.render(animation=True)
    layers(scene, options)
    assert bpy.ops.hand_toolkit.remove_render() == {"FINISHED"}
    after = state(scene, nodes)
    if after != before:
        wrong = [name for name in before if after[name] != before[name]]
        raise SystemExit(f"Remove left the artist's {', '.join(wrong)} changed")
    scene.frame_set(1)
    _picture(scene, options.output / "removed.png")
    check(options, layer)
    bpy.ops.wm.save_as_mainfile(filepath=str(options.output / "shot.blend"))
    print(f"{bpy.app.version_string}: the shot is in {options.output}")


def avatar(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    """The right hand of a new avatar; its other hand leaves the scene."""
    import bpy

    from blender_addon import scene_data

    if options.hand:
        bpy.ops.hand_toolkit.import_avatar(filepath=str(options.hand.resolve()))
    else:
        bpy.ops.hand_toolkit.create_from_image(
            filepath=str(options.picture.resolve()),
            output=str(options.output / "me.hand"),
            quality="draft",
            options='{"forearm": "on"}',
        )
    root = scene_data.roots(bpy.context.scene)[0]
    rigs = {r.hand_toolkit.side: r for r in scene_data.rigs_of(root)}
    for part in scene_data.parts_of(root):
        if part != root and part.hand_toolkit.side == "left":
            part.hide_render = part.hide_viewport = True
    return rigs["right"]


def body_with(hand):  # type: ignore[no-untyped-def]
    """A body's armature, forearm and hand bone, with the hand on it."""
    import bpy

    data = bpy.data.armatures.new("Body")
    body = bpy.data.objects.new("Body", data)
    bpy.context.scene.collection.objects.link(body)
    bpy.context.view_layer.objects.active = body
    bpy.ops.object.mode_set(mode="EDIT")
    forearm, wrist = data.edit_bones.new("forearm.R"), data.edit_bones.new("hand.R")
    forearm.head, forearm.tail = (0.33, 0.06, 0.1), (0.11, 0.0, 0.09)
    wrist.head, wrist.tail = forearm.tail, (0.03, 0.0, 0.09)
    wrist.align_roll((0.0, 1.0, 0.0))  # the back of the hand away from the camera
    wrist.parent, wrist.use_connect = forearm, True
    bpy.ops.object.mode_set(mode="OBJECT")
    ops = bpy.ops.hand_toolkit
    ops.select_hand(name=hand.name)
    assert ops.attach(armature=body.name) == {"FINISHED"}
    assert hand.parent == body and hand.parent_bone == "hand.R"
    return body


def props():  # type: ignore[no-untyped-def]
    """A table, a wall that throws a shadow, and a cup before the palm."""
    import bpy

    def material(name, color, rough):  # type: ignore[no-untyped-def]
        made = bpy.data.materials.new(name)
        if not made.node_tree:
            made.use_nodes = True
        shader = next(n for n in made.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
        shader.inputs["Base Color"].default_value = (*color, 1.0)
        shader.inputs["Roughness"].default_value = rough
        return made

    collection = bpy.data.collections.new("Props")
    bpy.context.scene.collection.children.link(collection)

    def add(make, name, color, rough=0.5, **where):  # type: ignore[no-untyped-def]
        make(**where)
        ob = bpy.context.object
        ob.name = name
        ob.data.materials.append(material(name, color, rough))
        for other in list(ob.users_collection):
            other.objects.unlink(ob)
        collection.objects.link(ob)
        return ob

    mesh = bpy.ops.mesh
    add(mesh.primitive_plane_add, "Table", (0.3, 0.2, 0.13), 0.35, size=4, location=(0, 0, 0.035))
    add(mesh.primitive_cube_add, "Post", (0.5, 0.18, 0.1), size=0.04, location=(0.02, 0.3, 0.15))
    bpy.context.object.scale = (0.4, 0.4, 6.0)
    made = bpy.data.objects.new("Cup", _cup())
    bpy.context.scene.collection.objects.link(made)
    bpy.context.view_layer.objects.active = made
    made.location = (0.025, -0.058, 0.09)
    return add(lambda: None, "Cup", (0.08, 0.22, 0.45), 0.2)


def _cup():  # type: ignore[no-untyped-def]
    """A beaker, 66 mm wide and 110 mm high, with a wall of 3 mm."""
    import bpy

    profile = [(0.0, -0.055), (0.033, -0.055), (0.033, 0.055), (0.03, 0.055), (0.03, -0.051)]
    profile += [(0.0, -0.051)]
    count = 64
    points = [
        (radius * math.cos(2 * math.pi * k / count), radius * math.sin(2 * math.pi * k / count), z)
        for radius, z in profile
        for k in range(count)
    ]
    faces = [
        (ring * count + k, ring * count + (k + 1) % count,
         (ring + 1) * count + (k + 1) % count, (ring + 1) * count + k)
        for ring in range(len(profile) - 1)
        for k in range(count)
    ]  # fmt: skip
    mesh = bpy.data.meshes.new("Cup")
    mesh.from_pydata(points, [], faces)
    for polygon in mesh.polygons:
        polygon.use_smooth = abs(polygon.normal.z) < 0.5
    return mesh


def sleeve(body) -> None:  # type: ignore[no-untyped-def]
    """A cuff on the body's forearm, from which the hand comes."""
    import bpy
    from mathutils import Matrix

    bone = body.data.bones["forearm.R"]
    along = bone.tail_local - bone.head_local
    bpy.ops.mesh.primitive_cylinder_add(radius=0.043, depth=0.3, end_fill_type="NOTHING")
    cuff = bpy.context.object
    cuff.name = "Sleeve"
    thick = cuff.modifiers.new("Cloth", "SOLIDIFY")
    thick.thickness = 0.004
    for polygon in cuff.data.polygons:
        polygon.use_smooth = True
    material = bpy.data.materials.new("Cloth")
    if not material.node_tree:
        material.use_nodes = True
    shader = next(n for n in material.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (0.32, 0.3, 0.26, 1.0)
    shader.inputs["Roughness"].default_value = 0.9
    cuff.data.materials.append(material)
    cuff.parent, cuff.parent_type, cuff.parent_bone = body, "BONE", bone.name
    bpy.context.view_layer.update()
    middle = bone.head_local + along * (1.0 - (0.065 + 0.15) / along.length)
    turn = along.to_track_quat("Z", "Y").to_matrix().to_4x4()
    cuff.matrix_world = body.matrix_world @ Matrix.Translation(middle) @ turn


def sky(scene) -> None:  # type: ignore[no-untyped-def]
    """A sky with a sun, as an HDR picture."""
    import bpy
    import numpy as np

    width, height = 512, 256
    rise = ((np.arange(height) + 0.5) / height - 0.5) * math.pi
    turn = ((np.arange(width) + 0.5) / width - 0.5) * 2 * math.pi
    flat = np.cos(rise)[:, None]
    directions = np.stack(
        [flat * np.cos(turn), -flat * np.sin(turn), np.sin(rise)[:, None] * np.ones(width)], axis=-1
    )
    up = directions[..., 2:]
    above = np.array([0.25, 0.45, 0.9]) * (1 - 0.6 * up) + 0.35 * np.exp(-6 * up)
    colors = np.where(up > 0, above, np.array([0.16, 0.13, 0.1]))
    sun = np.array([-0.55, -0.6, 0.58]) / np.linalg.norm([-0.55, -0.6, 0.58])
    colors = colors + 350 * np.array([1.0, 0.9, 0.75]) * ((directions @ sun)[..., None] > 0.9995)
    image = bpy.data.images.new("Sky", width, height, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    pixels = np.concatenate([colors, np.ones((height, width, 1))], axis=-1)
    image.pixels.foreach_set(pixels.astype(np.float32).ravel())
    image.pack()
    world = bpy.data.worlds.new("Sky")
    scene.world = world
    if not world.node_tree:
        world.use_nodes = True
    tree = world.node_tree
    background = next((n for n in tree.nodes if n.type == "BACKGROUND"), None)
    if background is None:
        background = tree.nodes.new("ShaderNodeBackground")
        output = tree.nodes.new("ShaderNodeOutputWorld")
        tree.links.new(background.outputs[0], output.inputs["Surface"])
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    tree.links.new(texture.outputs["Color"], background.inputs["Color"])


def glare(scene):  # type: ignore[no-untyped-def]
    """The artist's nodes: the scene's picture through a Glare."""
    import bpy

    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new("Grading", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        sink = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        sink = tree.nodes.new("CompositorNodeComposite")
    layer = tree.nodes.new("CompositorNodeRLayers")
    layer.scene, layer.layer = scene, scene.view_layers[0].name
    node = tree.nodes.new("CompositorNodeGlare")
    tree.links.new(layer.outputs["Image"], node.inputs[0])
    tree.links.new(node.outputs[0], sink.inputs[0])
    return tree


def camera(scene, options: argparse.Namespace) -> None:  # type: ignore[no-untyped-def]
    """A long lens, wide open, on the hand."""
    import bpy
    from mathutils import Vector

    data = bpy.data.cameras.new("Camera")
    data.lens, data.clip_start = 65.0, 0.01
    data.dof.use_dof, data.dof.aperture_fstop, data.dof.focus_distance = True, 4.0, 0.69
    ob = bpy.data.objects.new("Camera", data)
    scene.collection.objects.link(ob)
    ob.location = (-0.3, -0.6, 0.17)  # low, so that the sky stands behind the table
    ob.rotation_mode = "QUATERNION"
    ob.rotation_quaternion = (Vector((0.055, -0.02, 0.11)) - ob.location).to_track_quat("-Z", "Y")
    scene.camera = ob
    scene.render.resolution_x, scene.render.resolution_y = options.width, options.width * 9 // 16
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.exposure = 0.2


def animate(scene, hand, body, cup, last: int) -> None:  # type: ignore[no-untyped-def]
    """Open, then closed around the cup; the body brings the hand there."""
    import bpy

    ops = bpy.ops.hand_toolkit
    ops.select_hand(name=hand.name)
    scene.frame_set(1)
    ops.preset_pose(pose="relaxed")
    ops.key_pose()
    scene.frame_set(last)
    assert ops.grasp(target=cup.name) == {"FINISHED"}
    ops.key_pose()
    bone = body.pose.bones["forearm.R"]
    bone.rotation_mode = "XYZ"
    for frame, turn in ((1, 0.1), (last, 0.0)):
        bone.rotation_euler = (turn, 0.0, 0.0)
        bone.keyframe_insert("rotation_euler", frame=frame)


def second_layer(scene, cup):  # type: ignore[no-untyped-def]
    """A view layer without the props."""
    layer = scene.view_layers.new("Hand alone")
    layer.layer_collection.children["Props"].exclude = True
    assert cup.name in scene.objects
    return layer


def layers(scene, options: argparse.Namespace) -> None:  # type: ignore[no-untyped-def]
    """The last frame of each of the hands' view layers, as our engine draws them."""
    import bpy

    from blender_addon import compositing

    hands = compositing.hands_of(scene)
    hands.frame_set(options.frames)
    scene.frame_set(options.frames)  # which the scene of the hands follows when a render begins
    for layer in hands.view_layers:
        for other in hands.view_layers:
            other.use = other == layer
        hands.render.image_settings.file_format = "PNG"
        hands.render.image_settings.color_mode = "RGBA"
        hands.render.filepath = str(options.output / f"layer {layer.name}.png")
        bpy.ops.render.render(write_still=True, scene=hands.name)
    for layer in hands.view_layers:
        layer.use = True


def state(scene, tree) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """What is the artist's, to be compared."""
    return {
        "world": scene.world.name,
        "film": scene.render.film_transparent,
        "engine": scene.render.engine,
        "view layers": [(v.name, v.use, v.use_pass_z) for v in scene.view_layers],
        "collections": [c.name for c in scene.collection.children_recursive],
        "objects": [(o.name, o.hide_render, o.visible_camera) for o in scene.objects],
        "nodes": sorted(n.name for n in tree.nodes),
        "links": sorted((k.from_node.name, k.to_node.name) for k in tree.links),
    }


def _picture(scene, path: Path) -> None:  # type: ignore[no-untyped-def]
    import bpy

    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def check(options: argparse.Namespace, layer) -> None:  # type: ignore[no-untyped-def]
    """The sky is the artist's, the hand moves, the second layer shows more of it than the first."""
    import bpy
    import numpy as np

    def read(name: str):  # type: ignore[no-untyped-def]
        image = bpy.data.images.load(str(options.output / name))
        pixels = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(pixels)
        return pixels.reshape(image.size[1], image.size[0], 4)

    frames = [read(f"shot_{k:04d}.png") for k in range(1, options.frames + 1)]
    before, removed = read("before.png"), read("removed.png")
    top = slice(-max(4, before.shape[0] // 20), None)
    sky_moved = float(np.abs(frames[0][top] - before[top]).mean())
    moved = float(np.abs(frames[-1] - frames[0]).mean())
    shares = [read(f"layer {n}.png")[..., 3].mean() for n in ("ViewLayer", layer.name)]
    figures = {
        "sky against the scene without splats (mean difference, 0 to 1)": sky_moved,
        "first against last frame": moved,
        "the hand's share of the first view layer": float(shares[0]),
        "of the second, where nothing hides it": float(shares[1]),
        "the scene after Remove against before": float(np.abs(removed - before).mean()),
    }
    for name, value in figures.items():
        print(f"{name:<64}{value:8.4f}")
    if sky_moved > 0.02 or moved < 0.002 or not shares[1] > shares[0] > 0.01:
        raise SystemExit("the shot is not what it should be")
    if figures["the scene after Remove against before"] > 0.02:
        raise SystemExit("after Remove the scene renders otherwise than before")


if __name__ == "__main__":
    main()
