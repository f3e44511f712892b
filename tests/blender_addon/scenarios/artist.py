"""An artist's scene with sky, glare, two view layers: joined with hands, rendered, taken back."""

import bpy
import numpy as np
from common import ARGS, FOLDER, camera, compositing_tree, import_hand, load_pixels, scenario

from blender_addon import compositing, scene_data

WIDTH, HEIGHT = 240, 180


def run():
    scene = bpy.context.scene
    root, rigs = import_hand(ARGS[0])
    build(scene, root, rigs)
    before = snapshot(scene)
    empty = picture("before", hidden=rigs)

    assert bpy.ops.hand_toolkit.composite() == {"FINISHED"}
    assert bpy.ops.hand_toolkit.composite() == {"FINISHED"}, "twice"
    changed = [k for k, v in snapshot(scene).items() if v != before[k] and k not in ALLOWED]
    report = {"changed": changed}
    joined = picture("joined")
    report["visible_after"] = all(scene_data.surface_of(r).visible_camera for r in rigs.values())
    report["hidden_before"] = scene_data.surface_of(rigs["right"]).hide_viewport
    report["sky"] = float(np.abs(joined - empty)[-20:].max())
    report["alpha"] = float(joined[..., 3].min())
    report["hands"] = changed_share(joined, empty)
    np.savez(FOLDER / "edges.npz", **edges(scene))

    # the artist's own view layers: the second has only the left hand
    tree = compositing_tree(scene)
    over = [n for n in tree.nodes if n.label == "Hands over"]
    front = next(n for n in over if tree.nodes[n["hand_layer"]].layer == "Front Layers")
    sink = next(n for n in tree.nodes if n.type in {"COMPOSITE", "GROUP_OUTPUT"})
    kept = sink.inputs[0].links[0].from_socket
    tree.links.new(front.outputs[0], sink.inputs[0])
    scene.render.film_transparent = True
    solid = picture("layer")[..., 3] > 0.5
    scene.render.film_transparent = False
    tree.links.new(kept, sink.inputs[0])
    report["layer"] = [int(solid[:, : WIDTH // 2].sum()), int(solid[:, WIDTH // 2 :].sum())]
    report["left_is_left"] = bool(rigs["left"].location.x < 0)

    # a link that the artist makes afterwards stays where it is
    assert bpy.ops.hand_toolkit.remove_render() == {"FINISHED"}
    after = snapshot(scene)
    report["not_back"] = [k for k in before if after[k] != before[k]]
    report["scenes"] = [s.name for s in bpy.data.scenes]
    report["again"] = float(np.abs(picture("again", hidden=rigs) - empty).max())

    # *Render Hands Only*, then the scene, then nothing
    scene.render.film_transparent = False
    assert bpy.ops.hand_toolkit.use_engine() == {"FINISHED"}
    assert bpy.ops.hand_toolkit.composite() == {"FINISHED"}
    report["film"] = scene.render.film_transparent
    report["engine"] = scene.render.engine
    assert bpy.ops.hand_toolkit.remove_render() == {"FINISHED"}
    report["not_back_either"] = [k for k in before if snapshot(scene)[k] != before[k]]

    # without any nodes
    strip(scene)
    assert bpy.ops.hand_toolkit.composite() == {"FINISHED"}
    report["plain"] = changed_share(picture("plain"), empty)
    assert bpy.ops.hand_toolkit.remove_render() == {"FINISHED"}
    bare = compositing_tree(scene) is None
    report["plain_left"] = [] if bare else [n.name for n in compositing_tree(scene).nodes]
    report["stereo"] = stereo(scene, rigs)
    return report


def build(scene, root, rigs):
    """Sky, a box before one hand, collections, two view layers, glare."""
    for hand in rigs.values():  # where Blender draws splats itself, the mesh is the yardstick
        scene_data.surface_of(hand).visible_camera = True
        scene_data.splats_of(hand).hide_render = True
    camera(width=WIDTH, height=HEIGHT)
    scene.camera.data.lens = 55
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.device = 2, "CPU"
    scene.cycles.use_denoising = False
    world = bpy.data.worlds.new("Sky")
    scene.world = world
    if not world.node_tree:
        world.use_nodes = True
    background = next((n for n in world.node_tree.nodes if n.type == "BACKGROUND"), None)
    if background is None:
        background = world.node_tree.nodes.new("ShaderNodeBackground")
        output = world.node_tree.nodes.new("ShaderNodeOutputWorld")
        world.node_tree.links.new(background.outputs[0], output.inputs["Surface"])
    background.inputs["Color"].default_value = (0.2, 0.4, 0.8, 1)
    props = bpy.data.collections.new("Props")
    scene.collection.children.link(props)
    bpy.ops.mesh.primitive_cube_add(size=0.1, location=(0.12, -0.12, 0.02))
    box = bpy.context.object
    scene.collection.objects.unlink(box)
    props.objects.link(box)
    bpy.ops.hand_toolkit.select_hand(name=rigs["right"].name)
    layer = scene.view_layers.new("Front Layers")
    layer.layer_collection.children["Props"].exclude = True
    left = bpy.data.collections.new("Left hand")
    scene.collection.children.link(left)
    for ob in (rigs["right"], *rigs["right"].children):
        left.objects.link(ob)
        bpy.data.collections[root.name].objects.unlink(ob)
    left.name = "Right hand"
    layer.layer_collection.children["Right hand"].exclude = True
    tree = compositing_tree(scene, make=True)
    for node in list(tree.nodes):
        tree.nodes.remove(node)
    back, front = (tree.nodes.new("CompositorNodeRLayers") for _ in range(2))
    back.layer, front.layer = scene.view_layers[0].name, layer.name
    glare = tree.nodes.new("CompositorNodeGlare")
    over = tree.nodes.new("CompositorNodeAlphaOver")
    modern = not hasattr(bpy.types, "CompositorNodeComposite")
    sink = tree.nodes.new("NodeGroupOutput" if modern else "CompositorNodeComposite")
    tree.links.new(back.outputs["Image"], glare.inputs[0])
    colors = [s for s in over.inputs if s.type == "RGBA"]
    tree.links.new(front.outputs["Image"], colors[1])
    tree.links.new(glare.outputs[0], colors[0])
    tree.links.new(glare.outputs[0], sink.inputs[0])


def strip(scene):
    if hasattr(scene, "compositing_node_group"):
        scene.compositing_node_group = None
    else:
        scene.node_tree.nodes.clear()
        scene.use_nodes = False


ALLOWED = {"links", "nodes"}
"""What joining may change, until it is removed."""


def snapshot(scene):
    """What belongs to the artist."""
    tree = compositing_tree(scene)
    state = {
        "world": scene.world.name,
        "objects": sorted(
            # the scene of the hands holds loose objects in its own collection, too
            (o.name, [c.name for c in o.users_collection if c.name in bpy.data.collections])
            for o in scene.objects
        ),
        "collections": [c.name for c in scene.collection.children_recursive],
        "flags": sorted(
            (o.name, o.visible_camera, o.hide_render, o.hide_viewport, o.is_shadow_catcher)
            for o in scene.objects
        ),
        "nodes": sorted((n.name, n.label, n.mute) for n in tree.nodes),
        "links": sorted(
            (k.from_node.name, k.from_socket.name, k.to_node.name, k.to_socket.identifier)
            for k in tree.links
        ),
        "view_transform": scene.view_settings.view_transform,
    }
    for name in ("engine", "film_transparent", "use_compositing", "resolution_x", "filepath"):
        state[name] = getattr(scene.render, name)
    for layer in scene.view_layers:
        state[f"layer {layer.name}"] = [
            layer.use_pass_z,
            layer.samples,
            *((c.name, c.exclude, c.indirect_only) for c in layer.layer_collection.children),
        ]
    state.pop("filepath")
    return state


def picture(name, hidden=()):
    """Linear RGBA of the scene as it renders; ``hidden`` rigs' skins are left out."""
    scene = bpy.context.scene
    surfaces = [scene_data.surface_of(hidden[side]) for side in hidden]
    for surface in surfaces:
        surface.hide_render = True
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
    scene.render.filepath = str(FOLDER / f"{name}.exr")
    bpy.ops.render.render(write_still=True)
    for surface in surfaces:
        surface.hide_render = False
    return load_pixels(FOLDER / f"{name}.exr")


def changed_share(a, b):
    return float((np.abs(a - b)[..., :3].max(axis=-1) > 0.05).mean())


def edges(scene):
    """Coverage of the hands by Cycles' own mesh and by us, sharp, out of focus, behind a box."""
    found = {}
    scene.cycles.samples = 16
    scene.view_layers["Front Layers"].use = False
    compositing.remove(scene)
    strip_nodes = compositing_tree(scene)
    kept = getattr(scene, "compositing_node_group", None)
    if kept is not None:
        scene.compositing_node_group = None
    else:
        scene.render.use_compositing = False
    boxes = [o for o in scene.objects if o.name.startswith("Cube")]
    dof = scene.camera.data.dof
    for name, use in (("sharp", False), ("blurred", True)):
        dof.use_dof, dof.focus_distance, dof.aperture_fstop = use, 0.45, 1.0
        scene.render.film_transparent = True
        for ob in boxes:
            ob.is_holdout = True
        found[f"{name}_mesh"] = picture(f"{name}_mesh")[..., 3]
        for ob in boxes:
            ob.is_holdout = False
        hands = compositing.set_up(bpy.context)
        found[f"{name}_ours"] = only_hands(scene, hands)
        compositing.remove(scene)
    dof.use_dof = False
    scene.render.film_transparent = False
    scene.render.use_compositing = True
    if kept is not None:
        scene.compositing_node_group = strip_nodes
    scene.cycles.samples = 2
    scene.view_layers["Front Layers"].use = True
    assert bpy.ops.hand_toolkit.composite() == {"FINISHED"}
    return found


def only_hands(scene, hands):
    """Alpha of the hands' own scene."""
    settings = hands.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
    hands.render.filepath = str(FOLDER / "ours.exr")
    bpy.ops.render.render(write_still=True, scene=hands.name)
    return load_pixels(FOLDER / "ours.exr")[..., 3]


def stereo(scene, rigs):
    """Mean column of the right hand for both eyes, by Cycles' mesh and by us."""
    scene.render.film_transparent = True
    scene.render.use_multiview = True
    scene.render.views_format = "STEREO_3D"
    settings = scene.render.image_settings  # 4.x reads no EXR of a single eye
    settings.file_format, settings.color_depth = "PNG", "8"
    settings.views_format = "INDIVIDUAL"
    scene.camera.data.stereo.interocular_distance = 0.04
    scene.camera.data.stereo.convergence_distance = 0.6
    for ob in scene.objects:
        ob.hide_render |= ob.name.startswith("Cube")
    found = {}
    for mode in ("OFFAXIS", "PARALLEL", "TOE"):
        scene.camera.data.stereo.convergence_mode = mode
        for engine in ("CYCLES", "HAND_TOOLKIT"):
            scene.render.engine = engine
            scene.render.filepath = str(FOLDER / f"eye_{engine}.png")
            bpy.ops.render.render(write_still=True)
            eyes = [load_pixels(FOLDER / f"eye_{engine}{eye}.png")[..., 3] for eye in ("_L", "_R")]
            columns = np.arange(WIDTH)
            found[f"{mode} {engine}"] = [float((e * columns).sum() / e.sum()) for e in eyes]
    scene.render.engine = "CYCLES"
    return found


scenario(run)
