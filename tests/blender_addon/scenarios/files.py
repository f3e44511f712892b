"""Saving, reopening, packing, appending, two avatars in one scene, undo after operators."""

import os
import shutil
from pathlib import Path

import bpy
import numpy as np
from common import ARGS, FOLDER, camera, import_hand, refused, save_exr, scenario

from blender_addon import link, look, rig, scene_data


def pose(hand, seed):
    theta = np.random.default_rng(seed).normal(0, 0.3, (16, 3))
    rig.set_theta(hand, theta)
    return theta


def select(hand):
    assert bpy.ops.hand_toolkit.select_hand(name=hand.name) == {"FINISHED"}


def find(side, root=0):
    found = scene_data.roots(bpy.context.scene)[root]
    return {r.hand_toolkit.side: r for r in scene_data.rigs_of(found)}[side]


def run():
    report = {}
    folder = FOLDER / "project"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "avatars").mkdir(parents=True)
    hand_path = folder / "avatars" / "me.hand"
    shutil.copy(ARGS[0], hand_path)
    root, rigs = import_hand(hand_path)
    report["unsaved_path"] = root.hand_toolkit.path
    camera(width=200, height=150)
    bpy.ops.hand_toolkit.use_engine()
    theta = pose(rigs["right"], 1)
    rig.insert_keys(rigs["right"], 1)
    rigs["right"]["index_curl"] = 0.4
    picture = save_exr(FOLDER / "before.exr")
    images = [i.name for i in bpy.data.images if i.packed_file]
    assert len(images) == 4, "a packed texture, and one of relief, for each hand"
    for hand in rigs.values():
        material = scene_data.surface_of(hand).data.materials[0]
        shader = next(n for n in material.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
        assert all(shader.inputs[n].is_linked for n in ("Base Color", "Roughness", "Normal"))
        relief = look.texture_of(scene_data.surface_of(hand), look.RELIEF_NODE)
        rough = np.empty(len(relief.pixels), np.float32)
        relief.pixels.foreach_get(rough)
        # nails at .26, palms at .58
        assert rough[3::4].min() < 0.35 < 0.5 < rough[3::4].max(), "nails gloss, palms do not"
    blend = folder / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    report["saved_path"] = root.hand_toolkit.path

    # the folder moves; the file opens without a worker and renders the same
    moved = FOLDER / "moved"
    shutil.rmtree(moved, ignore_errors=True)
    shutil.move(str(folder), str(moved))
    link.stop()
    bpy.ops.wm.open_mainfile(filepath=str(moved / "scene.blend"))
    assert link._worker is None, "opening a file needs no worker"
    hand = find("right")
    assert np.abs(rig.get_theta(hand) - theta).max() < 1e-5
    assert abs(hand["index_curl"] - 0.4) < 1e-6
    again = save_exr(FOLDER / "after.exr")
    report["reopened"] = float(np.abs(again - picture).max())

    # saved elsewhere the path follows; a saved copy leaves the open file's path alone
    os.makedirs(FOLDER / "deep" / "er", exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "deep" / "er" / "copy.blend"), copy=True)
    assert os.path.isfile(scene_data.avatar_path(scene_data.roots(bpy.context.scene)[0]))
    assert bpy.context.scene.objects[hand.name].hand_toolkit.side == "right"
    bpy.ops.wm.open_mainfile(filepath=str(FOLDER / "deep" / "er" / "copy.blend"))
    found = scene_data.roots(bpy.context.scene)[0]
    report["copied_path"] = found.hand_toolkit.path
    assert os.path.isfile(scene_data.avatar_path(found)), found.hand_toolkit.path

    # the file is gone: one line; packed before, it renders on
    os.rename(moved / "avatars" / "me.hand", moved / "avatars" / "gone.hand")
    link.stop()
    report["gone"] = refused(bpy.ops.render.render)
    os.rename(moved / "avatars" / "gone.hand", moved / "avatars" / "me.hand")
    select(find("right"))
    assert bpy.ops.hand_toolkit.pack_avatar() == {"FINISHED"}
    bpy.ops.wm.save_mainfile()
    os.rename(moved / "avatars" / "me.hand", moved / "avatars" / "gone.hand")
    bpy.ops.wm.open_mainfile(filepath=str(FOLDER / "deep" / "er" / "copy.blend"))
    link.stop()
    report["packed"] = float(np.abs(save_exr(FOLDER / "packed.exr") - picture).max())
    select(find("right"))
    assert bpy.ops.hand_toolkit.pack_avatar(pack=False) == {"FINISHED"}
    assert (moved / "avatars" / "me.hand").read_bytes() == Path(ARGS[0]).read_bytes()

    # a changed file is not taken silently
    shutil.copy(ARGS[1], moved / "avatars" / "me.hand")
    link.stop()
    report["changed"] = refused(bpy.ops.render.render)
    shutil.copy(ARGS[0], moved / "avatars" / "me.hand")

    # append and link, from a file that was saved since it moved
    bpy.ops.wm.open_mainfile(filepath=str(moved / "scene.blend"))
    bpy.ops.wm.save_mainfile()
    for how in (False, True):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        camera(width=200, height=150)
        with bpy.data.libraries.load(str(moved / "scene.blend"), link=how) as (source, target):
            target.collections = [name for name in source.collections if name == "me"]
        collection = target.collections[0]
        if how:
            instance = bpy.data.objects.new("instance", None)
            instance.instance_type, instance.instance_collection = "COLLECTION", collection
            bpy.context.scene.collection.objects.link(instance)
        else:
            bpy.context.scene.collection.children.link(collection)
        scene = bpy.context.scene
        scene.render.engine = "HAND_TOOLKIT"
        scene.render.film_transparent = True
        scene.view_layers[0].use_pass_z = True
        shown = save_exr(FOLDER / "library.exr")
        report["linked" if how else "appended"] = float(np.abs(shown - picture).max())
    report["override"] = override(collection, picture)

    # two avatars in one scene, then replacing one
    bpy.ops.wm.read_factory_settings(use_empty=True)
    first, _first_rigs = import_hand(ARGS[0])
    bpy.context.scene.cursor.location = (0.5, 0.0, 0.0)
    second, second_rigs = import_hand(ARGS[1])
    assert len(scene_data.roots(bpy.context.scene)) == 2
    assert len({first.name, second.name}) == 2 and first.hand_toolkit.key != second.hand_toolkit.key
    camera(location=(0.25, -1.6, 0.09), width=300, height=100)
    bpy.ops.hand_toolkit.use_engine()
    both = save_exr(FOLDER / "two.exr")[..., 3] > 0.5
    report["two"] = [int(both[:, :150].sum()), int(both[:, 150:].sum())]
    pose(second_rigs["left"], 2)
    moved_theta = rig.get_theta(second_rigs["left"])
    rig.insert_keys(second_rigs["left"], 1)
    place = second.matrix_world.copy()
    select(second_rigs["left"])
    names = {ob.name for ob in first.children_recursive}
    assert bpy.ops.hand_toolkit.replace_avatar(filepath=ARGS[0]) == {"FINISHED"}
    new = next(r for r in scene_data.roots(bpy.context.scene) if r != first)
    assert np.allclose(new.matrix_world, place)
    new_left = {r.hand_toolkit.side: r for r in scene_data.rigs_of(new)}["left"]
    bpy.context.scene.frame_set(1)
    report["replaced"] = float(np.abs(rig.get_theta(new_left) - moved_theta).max())
    assert names == {ob.name for ob in first.children_recursive}
    select(new_left)
    assert bpy.ops.hand_toolkit.remove_avatar() == {"FINISHED"}
    assert scene_data.roots(bpy.context.scene) == [first]
    assert not [o for o in bpy.data.objects if o.hand_toolkit.kind != "NONE" and o.users == 0]

    # undo after operators: names of what exists, and the pose
    report["undo"] = undo_all()
    return report


def override(collection, picture):
    """A linked hand is not to be posed; its library override is, and is drawn as posed."""
    scene, layer = bpy.context.scene, bpy.context.view_layer
    linked = next(o for o in collection.objects if o.hand_toolkit.kind == "RIG")
    scene.collection.objects.link(linked)
    layer.objects.active = linked
    refusal = refused(bpy.ops.hand_toolkit.rest_pose)
    scene.collection.objects.unlink(linked)
    for ob in list(scene.collection.objects):
        if ob.instance_type == "COLLECTION":
            bpy.data.objects.remove(ob)
    collection.override_hierarchy_create(scene, layer, do_fully_editable=True)
    hand = find("right")
    assert hand.override_library is not None and scene_data.root_of(hand).library is None
    select(hand)
    same = save_exr(FOLDER / "override.exr")
    assert bpy.ops.hand_toolkit.preset_pose(pose="fist") == {"FINISHED"}
    assert bpy.ops.hand_toolkit.key_pose() == {"FINISHED"}
    posed = save_exr(FOLDER / "override.exr")
    return {
        "refused": refusal,
        "same": float(np.abs(same - picture).max()),
        "moved": float(np.abs(posed - picture)[..., 3].mean()),
    }


def undo_all():
    """Every operator that changes the scene, undone: the state before comes back."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="start")
    import_hand(ARGS[0])
    bpy.ops.ed.undo_push(message="imported")
    select(find("right"))
    bpy.ops.ed.undo_push(message="selected")
    motion = ARGS[2]
    steps = {
        "preset_pose": {"pose": "fist", "both": True},
        "rest_pose": {},
        "mirror_pose": {},
        "random_pose": {"seed": 3, "strength": 0.7},
        "key_pose": {},
        "toggle_limits": {"on": False},
        "fingertip_ik": {"finger": "index"},
        "load_motion": {"filepath": motion},
        "photo_pose": {"camera": True},
        "reset_sliders": {},
        "edit_shape": {},
        "pack_avatar": {},
        "apply_shape": {"values": ""},
        "reset_tone": {},
        "use_engine": {},
        "frame_camera": {},
        "composite": {},
        "remove_render": {},
        "remove_avatar": {},
        "import_avatar": {"filepath": ARGS[0]},
        "replace_avatar": {"filepath": ARGS[1]},
    }
    undone = []
    for name, options in steps.items():
        if name == "apply_shape":
            names = scene_data.surface_of(find("right"))["hand_shape_names"]
            options["values"] = f"{names[0]}=1"
        if name == "composite":
            camera()
            bpy.ops.ed.undo_push(message="camera")
        if name == "remove_render":
            bpy.ops.hand_toolkit.composite()
            bpy.ops.ed.undo_push(message="composite")
        if name in ("rest_pose", "mirror_pose"):
            pose(find("right"), 5)
            bpy.ops.ed.undo_push(message="posed")
        if name in ("reset_sliders", "reset_tone"):
            find("right")["index_curl"] = 0.5
            scene_data.root_of(find("right")).color = (0.5, 0.6, 0.7, 1.0)
            bpy.ops.ed.undo_push(message="changed")
        before = state()
        assert getattr(bpy.ops.hand_toolkit, name)(**options) == {"FINISHED"}, name
        bpy.ops.ed.undo_push(message=name)
        changed = state()
        bpy.ops.ed.undo()
        after = state()
        assert after == before, (name, set(map(str, before)) ^ set(map(str, after)))
        undone.append(name if changed != before else f"{name} (no change)")
    return undone


def state():
    """What an operator may change, as plain values."""
    entries = []
    bpy.context.view_layer.update()
    for ob in bpy.data.objects:
        entries.append((ob.name, ob.parent.name if ob.parent else "", len(ob.constraints)))
        entries.append((ob.name, tuple(ob.color), scene_data.PACKED in ob))
        entries.append((ob.name, len(ob.hand_toolkit_shape), tuple(ob.location)))
        if ob.type == "ARMATURE":
            for bone in ob.pose.bones:
                values = (*bone.rotation_quaternion, *bone.location, *bone.bone.head_local)
                entries.append((ob.name, bone.name, tuple(round(v, 5) for v in values)))
                entries += [(ob.name, bone.name, c.name, c.enabled) for c in bone.constraints]
            entries.append((ob.name, len(rig.action_curves(ob)), ob.get("index_curl")))
    for scene in bpy.data.scenes:
        entries.append((scene.name, scene.render.engine, len(scene.view_layers)))
    entries.append(sorted(c.name for c in bpy.data.collections))
    return entries


scenario(run)
