"""Our engine's pixels, depth, camera, border, film and motion blur, for the test to judge."""

import json

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from common import ARGS, FOLDER, camera, import_hand, refused, save_exr, scenario
from mathutils import Vector

from blender_addon import axes, exporting, render_operators, rig, scene_data
from blender_addon import camera as cameras
from blender_addon.shown import draw_frame, shown_hands


def project(view, point):
    """Pixel (x right, y up) and depth of a world point by the view's pinhole."""
    m = np.array(view.camera["world_to_camera"])
    x, y, z = m[:3, :3] @ point + m[:3, 3]
    c = view.camera
    return (
        c["fx"] * x / z + c["cx"],
        c["height"] - (c["fy"] * y / z + c["cy"]),
        z - view.depth_offset,
    )


def check_cameras(ob):
    """The pinhole agrees with Blender's own projection in every setting of a camera."""
    scene, data, render = bpy.context.scene, ob.data, bpy.context.scene.render
    rng = np.random.default_rng(0)
    worst = {"PERSP": 0.0, "ORTHO": 0.0}
    ob.rotation_euler = (1.4, 0.1, 0.2)
    for width, height in ((640, 360), (300, 500)):
        for fit in ("AUTO", "HORIZONTAL", "VERTICAL"):
            for shift in ((0, 0), (0.2, -0.1)):
                for aspect in ((1, 1), (2, 1)):
                    for percent in (100, 50):
                        for kind in worst:
                            data.type, data.sensor_fit = kind, fit
                            data.ortho_scale = 0.4
                            data.shift_x, data.shift_y = shift
                            render.resolution_x, render.resolution_y = width, height
                            render.resolution_percentage = percent
                            render.pixel_aspect_x, render.pixel_aspect_y = aspect
                            bpy.context.view_layer.update()
                            graph = bpy.context.evaluated_depsgraph_get()
                            view = cameras.of_scene(graph, np.zeros(3))
                            for point in rng.normal(0, 0.05, (3, 3)):
                                there = world_to_camera_view(scene, ob, Vector(point))
                                x, y, z = project(view, point)
                                w, h = view.camera["width"], view.camera["height"]
                                error = max(abs(x - there.x * w), abs(y - there.y * h))
                                worst[kind] = max(worst[kind], error, 1e3 * abs(z - there.z))
    data.type, data.sensor_fit, data.shift_x, data.shift_y = "PERSP", "AUTO", 0, 0
    render.resolution_percentage = 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1
    ob.rotation_euler = (np.pi / 2, 0, 0)
    return worst


def run():
    scene = bpy.context.scene
    _root, rigs = import_hand(ARGS[0])
    ob = camera()
    assert "no camera" in _without_camera(scene, ob)
    report = {"framed": check_framing(scene, ob), "projection": check_cameras(ob)}
    camera_size = (480, 360)
    scene.render.resolution_x, scene.render.resolution_y = camera_size
    assert bpy.ops.hand_toolkit.use_engine() == {"FINISHED"}
    assert bpy.ops.hand_toolkit.preset_pose(pose="relaxed", both=True) == {"FINISHED"}
    bpy.context.view_layer.update()

    # the same picture through the toolkit itself: θ, places and camera for the test
    graph = bpy.context.evaluated_depsgraph_get()
    view = cameras.of_scene(graph)
    turn = np.eye(4)
    turn[:3, :3] = axes.TO_BLENDER
    toolkit_camera = {
        **{k: view.camera[k] for k in ("fx", "fy", "cx", "cy", "width", "height")},
        "world_to_camera": (np.array(view.camera["world_to_camera"]) @ turn).tolist(),
    }
    (FOLDER / "camera.json").write_text(json.dumps(toolkit_camera))
    pose = np.zeros((1, 2, 16, 3))
    where = np.zeros((1, 2, 3))
    for k, side in enumerate(axes.SIDES):
        pose[0, k] = exporting.world_theta(rigs[side])
        where[0, k] = exporting.world_translation(rigs[side])
    np.savez(FOLDER / "pose.npz", poses=pose, trans=where, present=np.ones((1, 2), bool), fps=24.0)
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode = "PNG", "RGBA"
    scene.render.filepath = str(FOLDER / "engine.png")
    bpy.ops.render.render(write_still=True)

    # pixels and depth as the engine gets them, beside the proxy mesh's depth
    hands = shown_hands(graph)
    pixels, depth = draw_frame(hands, view, None, ({"light": "photo"}, {}))
    exr = save_exr(FOLDER / "engine.exr")
    report["engine_equals_frame"] = float(np.abs(exr - pixels).max())
    proxy = mesh_depth(view, hands)
    np.savez(FOLDER / "depth.npz", depth=depth, proxy=proxy, alpha=pixels[..., 3])

    # the border renders the same pixels
    render = scene.render
    render.use_border, render.use_crop_to_border = True, True
    render.border_min_x, render.border_max_x = 0.25, 0.7
    render.border_min_y, render.border_max_y = 0.3, 0.8
    cropped = save_exr(FOLDER / "border.exr")
    x0, y0, x1, y1 = cameras.border_box(render, *camera_size)
    assert cropped.shape == (y1 - y0, x1 - x0, 4), cropped.shape
    report["border"] = float(np.abs(cropped - exr[y0:y1, x0:x1]).max())
    render.use_crop_to_border = False
    uncropped = save_exr(FOLDER / "border.exr")
    assert uncropped.shape == exr.shape
    report["border_uncropped"] = float(np.abs(uncropped[y0:y1, x0:x1] - exr[y0:y1, x0:x1]).max())
    assert np.abs(uncropped[: y0 - 1]).max() == 0
    render.use_border = False

    # resolution percentage
    render.resolution_percentage = 50
    assert save_exr(FOLDER / "half.exr").shape == (180, 240, 4)
    render.resolution_percentage = 100

    # an opaque film shows the world's colour
    scene.world = scene.world or bpy.data.worlds.new("World")
    world_color(scene.world, (0.1, 0.3, 0.05))
    render.film_transparent = False
    opaque = save_exr(FOLDER / "opaque.exr")
    assert np.allclose(opaque[5, 5], (0.1, 0.3, 0.05, 1.0), atol=1e-4), opaque[5, 5]
    assert opaque[..., 3].min() == 1.0
    render.film_transparent = True

    # skin tone: a factor in linear light
    surface = scene_data.surface_of(rigs["right"])
    _root.color = (0.5, 0.5, 0.5, 1.0)
    toned = save_exr(FOLDER / "toned.exr")
    inside = (exr[..., 3] > 0.999) & (np.arange(480) < 200)
    report["tone"] = float(np.median(toned[inside][:, :3] / np.maximum(exr[inside][:, :3], 1e-4)))
    _root.color = (1.0, 1.0, 1.0, 1.0)

    # motion blur: a hand that crosses the shutter is smeared, one at rest is not
    rig.insert_keys(rigs["right"], 1)
    rigs["right"].pose.bones["wrist.R"].location.x += 0.1
    rig.insert_keys(rigs["right"], 3)
    scene.frame_set(2)
    sharp = save_exr(FOLDER / "sharp.exr")
    render.use_motion_blur, render.motion_blur_shutter = True, 0.5
    scene.hand_toolkit.blur_samples = 6
    blurred = save_exr(FOLDER / "blurred.exr")
    soft = ((blurred[..., 3] > 0.1) & (blurred[..., 3] < 0.9)).sum(0)
    hard = ((sharp[..., 3] > 0.1) & (sharp[..., 3] < 0.9)).sum(0)
    report["blur"] = [int(soft[:240].sum()), int(hard[:240].sum())]
    report["still"] = float(np.abs(blurred - sharp)[:, 300:].max())
    report["blur_mass"] = float(blurred[..., 3].sum() / sharp[..., 3].sum())
    render.use_motion_blur = False
    scene.frame_set(1)

    # shape keys and sculpting on the mesh move the splats
    key = surface.shape_key_add(name="push", from_mix=False)
    for point in key.data:
        point.co.z += 0.02
    key.value = 1.0
    moved = save_exr(FOLDER / "moved.exr")
    report["shape_key_moves"] = float(np.abs(moved - exr)[..., 3].mean())
    key.value = 0.0

    # a deleted mesh vertex is refused in one line, the scene stays
    import bmesh

    surface.shape_key_clear()
    bm = bmesh.new()
    bm.from_mesh(surface.data)
    bm.verts.ensure_lookup_table()
    bm.verts.remove(bm.verts[0])
    bm.to_mesh(surface.data)
    bm.free()
    report["bad_mesh"] = refused(bpy.ops.render.render)
    return report


def check_framing(scene, ob):
    """(lowest, highest, span) of the hands in the picture by every camera that was framed."""
    frame = bpy.ops.hand_toolkit.frame_camera
    found = {}
    ob.location = (0.0, -12.0, 0.0)
    assert bpy.ops.hand_toolkit.use_engine() == {"FINISHED"}
    found["far"] = render_operators.picture_share(bpy.context)
    for name, kind, turn in (
        ("front", "PERSP", (np.pi / 2, 0.0, 0.0)),
        ("above", "PERSP", (0.9, 0.1, 0.7)),
        ("parallel", "ORTHO", (1.2, 0.0, -0.4)),
    ):
        ob.data.type, ob.rotation_euler = kind, turn
        bpy.context.view_layer.update()
        assert frame() == {"FINISHED"}
        found[name] = _seen(scene, ob)
        assert np.allclose(ob.rotation_euler, turn, atol=1e-5), "it moves, and does not turn"
    scene.camera = None
    assert frame() == {"FINISHED"} and scene.camera not in (None, ob)
    found["new"] = _seen(scene, scene.camera)
    bpy.data.objects.remove(scene.camera)
    scene.camera = ob
    ob.data.type, ob.rotation_euler = "PERSP", (np.pi / 2, 0.0, 0.0)
    ob.location = (0.0, -0.75, 0.09)
    return found


def _seen(scene, ob):
    bpy.context.view_layer.update()
    hands = shown_hands(bpy.context.evaluated_depsgraph_get())
    points = np.concatenate([h.vertices for h in hands])[::7]
    at = np.array([world_to_camera_view(scene, ob, Vector(p)) for p in points])
    assert at[:, 2].min() > ob.data.clip_start
    low, high = at[:, :2].min(), at[:, :2].max()
    return [float(low), float(high), float(np.ptp(at[:, :2], axis=0).max())]


def _without_camera(scene, ob):
    bpy.ops.hand_toolkit.use_engine()
    created = scene.camera
    scene.camera = None
    try:
        return refused(bpy.ops.render.render)
    finally:
        scene.camera = ob
        if created not in (None, ob):
            bpy.data.objects.remove(created)


def world_color(world, color):
    if hasattr(world, "use_nodes") and not world.node_tree:
        world.use_nodes = True
    tree = world.node_tree
    background = next((n for n in tree.nodes if n.type == "BACKGROUND"), None)
    if background is None:
        background = tree.nodes.new("ShaderNodeBackground")
        output = tree.nodes.new("ShaderNodeOutputWorld")
        tree.links.new(background.outputs[0], output.inputs["Surface"])
    background.inputs["Color"].default_value = (*color, 1.0)
    background.inputs["Strength"].default_value = 1.0


def mesh_depth(view, hands):
    """(H, W) planar depth of the hands' meshes by ray casting, bottom row first, inf outside.

    Rays that meet a mesh from within come through the opening at the wrist, which the splats close.
    """
    from mathutils.bvhtree import BVHTree

    c = view.camera
    m = np.array(c["world_to_camera"])
    eye = -m[:3, :3].T @ m[:3, 3]
    graph = bpy.context.evaluated_depsgraph_get()
    trees = []
    for ob in bpy.context.scene.objects:
        if ob.hand_toolkit.kind == "SURFACE":
            mesh = ob.evaluated_get(graph).data
            matrix = np.array(ob.matrix_world)
            points = np.empty(3 * len(mesh.vertices), np.float32)
            mesh.vertices.foreach_get("co", points)
            points = points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
            faces = np.empty(3 * len(mesh.polygons), np.int32)
            mesh.loops.foreach_get("vertex_index", faces)
            trees.append(BVHTree.FromPolygons(points.tolist(), faces.reshape(-1, 3).tolist()))
    depth = np.full((c["height"], c["width"]), np.inf)
    for y in range(0, c["height"], 2):
        for x in range(0, c["width"], 2):
            ray = np.array([(x + 0.5 - c["cx"]) / c["fx"], (y + 0.5 - c["cy"]) / c["fy"], 1.0])
            world = m[:3, :3].T @ ray
            length = np.linalg.norm(world)
            for tree in trees:
                hit = tree.ray_cast(Vector(eye), Vector(world / length))
                if hit[0] is not None and hit[1].dot(Vector(world)) < 0:
                    row = c["height"] - 1 - y
                    depth[row, x] = min(depth[row, x], hit[3] / length)
    return depth


scenario(run)
