"""A hand in an artist's own file: on a body, renamed, baked, instanced, scaled, subdivided."""

import bpy
import numpy as np
from common import ARGS, FOLDER, camera, import_hand, refused, save_exr, scenario
from mathutils import Matrix

from blender_addon import axes, bones, compositing, controls, exporting, rig, scene_data
from blender_addon.shown import shown_hands


def seen(hand):
    bpy.context.view_layer.update()
    return rig.get_evaluated_theta(hand)


def select(hand):
    assert bpy.ops.hand_toolkit.select_hand(name=hand.name) == {"FINISHED"}


def run():
    report = {}
    scene = bpy.context.scene
    root, rigs = import_hand(ARGS[0])
    right, left = rigs["right"], rigs["left"]
    for hand in (right, left):
        controls.set_limits(hand, False)
    on_a_body(scene, root, right, left)
    renamed(right, left)
    report["baked"] = baked(right)
    report["removed"] = removed(right)
    report["instance"] = instance()
    report["units"] = [units(scale) for scale in (1.0, 0.01)]
    report["modifiers"] = modifiers()
    report["scaled"] = scaled()
    return report


def on_a_body(scene, root, right, left):
    """Parented to a body's bone the hand stays in its avatar."""
    data = bpy.data.armatures.new("Body")
    body = bpy.data.objects.new("Body", data)
    scene.collection.objects.link(body)
    bpy.context.view_layer.objects.active = body
    bpy.ops.object.mode_set(mode="EDIT")
    bone = data.edit_bones.new("hand.R")
    bone.head, bone.tail = (0, 0, 1), (0, 0, 1.1)
    bpy.ops.object.mode_set(mode="OBJECT")
    right.parent, right.parent_type, right.parent_bone = body, "BONE", "hand.R"
    surface = scene_data.surface_of(right)
    surface.parent = None
    surface.matrix_world = right.matrix_world
    assert scene_data.rigs_of(root) == [right, left]
    assert scene_data.armature_of(surface) == right and scene_data.surface_of(right) == surface
    select(right)
    assert rig.other_rig(right) == left and rig.other_rig(left) == right
    assert bpy.ops.hand_toolkit.preset_pose(pose="fist", both=True) == {"FINISHED"}
    place = right.matrix_world.copy()
    assert bpy.ops.hand_toolkit.photo_pose() == {"FINISHED"}
    bpy.context.view_layer.update()
    assert np.allclose(right.matrix_world, place), "the body says where it is"
    assert np.abs(rig.get_translation(right)).max() < 1e-6
    surface.parent, surface.matrix_parent_inverse = right, Matrix()
    surface.matrix_basis = Matrix()


def renamed(right, left):
    """The artist's names for bones; every button works on."""
    for hand in (right, left):
        for k, bone in enumerate(hand.data.bones):
            bone.name = f"DEF-{k}"
    select(right)
    theta = np.random.default_rng(3).normal(0, 0.3, (16, 3))
    rig.set_theta(right, theta)
    assert np.abs(seen(right) - theta).max() < 1e-5
    ops = bpy.ops.hand_toolkit
    for call, options in (
        (ops.preset_pose, {"pose": "pinch", "both": True}),
        (ops.mirror_pose, {}),
        (ops.key_pose, {}),
        (ops.toggle_limits, {"on": True}),
        (ops.toggle_limits, {"on": False}),
        (ops.fingertip_ik, {"finger": "thumb"}),
        (ops.fingertip_ik, {"finger": "thumb", "on": False}),
        (ops.load_motion, {"name": "open-close"}),
        (ops.rest_pose, {"both": True}),
    ):
        assert call(**options) == {"FINISHED"}
    names = list(scene_data.surface_of(right)["hand_shape_names"])
    assert ops.apply_shape(values=f"{names[0]}=1") == {"FINISHED"}
    groups = {g.name for g in scene_data.surface_of(right).vertex_groups}
    assert "DEF-3" in groups, "the skin follows by the new names"
    right[controls.curl_name("index")] = 1.0
    right.update_tag()
    assert np.linalg.norm(seen(right)[1]) > 1.2
    controls.reset_sliders(right)


def baked(right):
    """*Bake Action* with *Clear Constraints*: the pose stays, and the sliders can be had again."""
    right.animation_data.action = None
    right[controls.curl_name("index")] = 0.8
    right.update_tag()
    before = seen(right)
    right.select_set(True)
    bpy.context.view_layer.objects.active = right
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.pose.select_all(action="SELECT")
    bpy.ops.nla.bake(
        frame_start=1, frame_end=3, visual_keying=True, clear_constraints=True, bake_types={"POSE"}
    )
    bpy.ops.object.mode_set(mode="OBJECT")
    assert not controls.complete(right)
    kept = float(np.abs(seen(right) - before).max())
    for finger in axes.FINGERS:
        assert bpy.ops.hand_toolkit.fingertip_ik(finger=finger) == {"FINISHED"}
        assert bpy.ops.hand_toolkit.fingertip_ik(finger=finger, on=False) == {"FINISHED"}
    assert bpy.ops.hand_toolkit.restore_controls() == {"FINISHED"}
    assert controls.complete(right)
    again = float(np.abs(seen(right) - before).max())
    right[controls.curl_name("middle")] = 0.5
    right.update_tag()
    bent = float(np.abs(seen(right) - before).max())
    return [kept, again, bent]


def removed(right):
    """What hangs on a hand outlives it."""
    ring = bpy.data.objects.new("Ring", None)
    bpy.context.scene.collection.objects.link(ring)
    ring.parent, ring.parent_type = right, "BONE"
    ring.parent_bone = bones.pose_bone(right, "ring1").name
    bpy.context.view_layer.update()
    place = ring.matrix_world.copy()
    select(right)
    assert bpy.ops.hand_toolkit.remove_avatar() == {"FINISHED"}
    bpy.context.view_layer.update()
    assert not [o for o in bpy.data.objects if o.hand_toolkit.kind != "NONE"]
    return float(np.abs(np.array(ring.matrix_world) - np.array(place)).max())


def instance():
    """An instance of a collection with a hand, of this file and of another."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    root, _rigs = import_hand(ARGS[0])
    path = str(FOLDER / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_source, target):
        target.collections = [root_name()]
    empty = bpy.data.objects.new("instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", target.collections[0]
    bpy.context.scene.collection.objects.link(empty)
    empty.location = (3.0, 0.0, 0.0)
    bpy.context.view_layer.objects.active = empty
    assert root is not None
    found = {"pose": refused(bpy.ops.hand_toolkit.rest_pose)}
    assert bpy.ops.hand_toolkit.use_engine() == {"FINISHED"}
    assert bpy.ops.hand_toolkit.frame_camera() == {"FINISHED"}
    found["camera"] = list(bpy.context.scene.camera.location)
    picture = save_exr(FOLDER / "instance.exr")
    found["shown"] = float((picture[..., 3] > 0.5).mean())
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 160, 120
    assert bpy.ops.hand_toolkit.composite() == {"FINISHED"}
    compositing.begin(scene)
    skins = [o for o in bpy.data.objects if o.hand_toolkit.kind == "SURFACE"]
    found["hidden"] = [o.visible_camera for o in skins]
    compositing.end(scene)
    found["seen"] = [o.visible_camera for o in skins]
    return found


def root_name():
    return "pair"


def units(scale):
    """Length of a hand in metres, and its picture and depth, in a scene of other units."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.unit_settings.scale_length = scale
    _root, rigs = import_hand(ARGS[0])
    bpy.context.view_layer.update()
    hands = shown_hands(bpy.context.evaluated_depsgraph_get())
    span = float(np.ptp(hands[0].vertices, axis=0).max()) * scale
    ob = camera(location=tuple(np.array((0.0, -0.75, 0.09)) / scale), width=160, height=120)
    ob.data.clip_end = 1000.0
    bpy.ops.hand_toolkit.use_engine()
    data = bpy.data.lights.new("Lamp", "POINT")
    data.energy = 8.0 / scale**2
    lamp = bpy.data.objects.new("Lamp", data)
    scene.collection.objects.link(lamp)
    lamp.location = np.array((0.3, -0.6, 0.5)) / scale
    pictures = {}
    for light in ("PHOTO", "SCENE"):
        scene.hand_toolkit.light = light
        pictures[light] = save_exr(FOLDER / f"units_{scale}_{light}.exr")
    np.savez(FOLDER / f"units_{scale}.npz", **pictures)
    where = exporting.world_translation(rigs["right"])
    return {"span": span, "wrist": [float(v) for v in where]}


def modifiers():
    """Subdivision and Solidify are taken; Decimate is refused in a sentence."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    _root, rigs = import_hand(ARGS[0])
    camera(width=160, height=120)
    bpy.ops.hand_toolkit.use_engine()
    plain = save_exr(FOLDER / "plain.exr")
    found = {}
    for kind, options in (
        ("SUBSURF", {"levels": 1, "render_levels": 1}),
        ("SOLIDIFY", {"thickness": 0.001}),
    ):
        for hand in rigs.values():
            modifier = scene_data.surface_of(hand).modifiers.new(kind, kind)
            for name, value in options.items():
                setattr(modifier, name, value)
        shown = save_exr(FOLDER / f"{kind}.exr")
        found[kind] = float(np.abs(shown - plain).mean() / plain[..., 3].mean())
    surface = scene_data.surface_of(rigs["right"])
    surface.modifiers.new("Decimate", "DECIMATE").ratio = 0.3
    surface.modifiers.move(len(surface.modifiers) - 1, 0)
    found["refused"] = refused(bpy.ops.render.render)
    return found


def scaled():
    """A hand twice as large is drawn as from half as far; a mirrored one as its mirror image."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    root, rigs = import_hand(ARGS[0])
    ob = camera(width=161, height=121)
    bpy.ops.hand_toolkit.use_engine()
    data = bpy.data.lights.new("Sun", "SUN")
    sun = bpy.data.objects.new("Sun", data)
    scene.collection.objects.link(sun)
    sun.rotation_euler = (1.0, 0.0, 0.0)
    found = {}
    for light in ("PHOTO", "SCENE"):
        scene.hand_toolkit.light = light
        plain = save_exr(FOLDER / "plain.exr")
        root.scale, ob.location = (2, 2, 2), np.array((0.0, -0.75, 0.09)) * 2
        large = save_exr(FOLDER / "large.exr")
        root.scale, ob.location = (1, 1, 1), (0.0, -0.75, 0.09)
        root.scale.x = -1
        mirrored = save_exr(FOLDER / "mirrored.exr")
        shown = plain[..., 3].mean()
        found[light] = [
            float(np.abs(large - plain).mean() / shown),
            float(np.abs(mirrored[:, ::-1] - plain).mean() / shown),
        ]
        root.scale.x = 1
    root.scale.x = -1
    bpy.context.view_layer.update()
    select(rigs["right"])
    target = str(FOLDER / "mirrored.bvh")
    found["export"] = refused(bpy.ops.hand_toolkit.export, filepath=target, format="bvh")
    return found


scenario(run)
