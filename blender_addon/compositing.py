# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats among the objects of a Cycles or EEVEE scene, joined in one render call.

The hands get a scene of their own with our engine, which holds the artist's objects, camera and
lamps too: our engine cuts away what they hide and draws their shadows. Wherever the artist's nodes
use a view layer, the hands of that layer go over it first, so that everything behind (glare,
grading) works on both. While a picture renders the camera does not see the hands' meshes in the
artist's scene; their shadows and mirror images it does.

What is changed in the artist's scene is written down (``BEFORE``) and taken back by :func:`remove`;
world, film, view layers, collections and nodes stay as they are.
"""

from __future__ import annotations

import json

import bpy

from . import node_trees
from .engine import ENGINE
from .errors import HandError

SUFFIX = " hands"
BEFORE = "hand_toolkit_before"
"""Custom property of the artist's scene: JSON of what we have changed in it."""
SEEN = "hand_toolkit_seen"
"""Custom property of an object that we hide from the camera while a picture renders."""

SHARED_RENDER = (
    "resolution_x",
    "resolution_y",
    "resolution_percentage",
    "pixel_aspect_x",
    "pixel_aspect_y",
    "use_border",
    "use_crop_to_border",
    "border_min_x",
    "border_min_y",
    "border_max_x",
    "border_max_y",
    "fps",
    "fps_base",
    "use_motion_blur",
    "motion_blur_shutter",
    "motion_blur_position",
    "use_multiview",
    "views_format",
    "use_simplify",
    "simplify_subdivision",
    "simplify_subdivision_render",
    "use_single_layer",
)
SHARED_SETTINGS = ("light", "blur_samples", "gloss", "shadows")


def hands_of(scene):
    """The scene that holds the hands of ``scene`` for compositing, or None."""
    for other in bpy.data.scenes:
        if other != scene and other.hand_toolkit.light_scene == scene:
            return other
    return None


def remember(scene, **values):
    """Write down what the artist had, where that is not written down yet."""
    before = json.loads(scene.get(BEFORE, "{}"))
    scene[BEFORE] = json.dumps({**values, **before})


def restore_settings(scene, keep=()):
    """Give the artist's scene back the settings that were written down.

    Args:
        scene: the artist's.
        keep: names that stay as they are now.
    """
    before = json.loads(scene.get(BEFORE, "{}"))
    for name, value in before.items():
        if name in keep:
            continue
        if name == "depth":
            for layer, had in value.items():
                if layer in scene.view_layers:
                    scene.view_layers[layer].use_pass_z = had
        elif name == "view_transform":
            scene.view_settings.view_transform = value
        else:
            setattr(scene.render, name, value)
    left = {name: before[name] for name in keep if name in before}
    if left:
        scene[BEFORE] = json.dumps(left)
    elif BEFORE in scene:
        del scene[BEFORE]


def set_up(context):
    """Prepare ``context.scene`` for compositing; may be repeated.

    Returns:
        The scene of the hands.

    Raises:
        HandError: its compositing nodes cannot be changed.
    """
    scene = context.scene
    restore_settings(scene)  # of *Render Hands Only*, whose film and view transform are for it
    if scene.render.engine == ENGINE:
        remember(scene, engine=scene.render.engine)
        scene.render.engine = "CYCLES"
    nodes = node_trees.tree_of(scene)
    if nodes is not None and nodes.library is not None:
        raise HandError(
            f"the compositing nodes '{nodes.name}' are linked from another file; make them local"
        )
    hands = hands_of(scene)
    if hands is None:
        hands = bpy.data.scenes.new(scene.name + SUFFIX)
        hands.hand_toolkit.light_scene = scene
    hands.render.engine = ENGINE
    hands.render.film_transparent = True
    hands.render.use_compositing = hands.render.use_sequencer = False
    synchronise(scene, hands)
    remember(scene, use_compositing=scene.render.use_compositing)
    scene.render.use_compositing = True
    node_trees.join(scene, hands)
    return hands


def remove(scene):
    """Take everything of :func:`set_up` and of *Render Hands Only* back.

    Returns:
        Whether there was anything.
    """
    hands = hands_of(scene)
    changed = hands is not None or BEFORE in scene
    show(scene)
    node_trees.part(scene)
    restore_settings(scene)
    if hands is not None:
        bpy.data.scenes.remove(hands)
    return changed


def synchronise(scene, hands):
    """What the scene of the hands has in common with the artist's."""
    _copy(scene.render, hands.render, SHARED_RENDER)
    _copy(scene.hand_toolkit, hands.hand_toolkit, SHARED_SETTINGS)
    _copy(scene, hands, ("frame_start", "frame_end", "frame_step", "camera", "world"))
    hands.timeline_markers.clear()
    for marker in scene.timeline_markers:  # they may switch the camera
        if marker.camera is not None:
            hands.timeline_markers.new(marker.name, frame=marker.frame).camera = marker.camera
    _copy_views(scene.render, hands.render)
    _copy_members(scene.collection.children, hands.collection.children)
    _copy_members(scene.collection.objects, hands.collection.objects)
    _copy_layers(scene, hands)


def _copy(source, target, names):
    for name in names:
        value = getattr(source, name, None)
        if value is not None and getattr(target, name) != value:
            setattr(target, name, value)


def _copy_views(source, target):
    for view in source.views:
        one = target.views.get(view.name) or target.views.new(view.name)
        for name in ("camera_suffix", "file_suffix", "use"):
            if getattr(one, name) != getattr(view, name):
                setattr(one, name, getattr(view, name))


def _copy_members(source, target):
    wanted, there = set(source), set(target)
    for member in there - wanted:
        target.unlink(member)
    for member in source:  # in their order
        if member not in there:
            target.link(member)


def _copy_layers(scene, hands):
    """A view layer for each of the artist's, showing the same collections."""
    for layer in scene.view_layers:
        one = hands.view_layers.get(layer.name)
        if one is None:
            one = hands.view_layers.new(layer.name)
        if one.use != layer.use:
            one.use = layer.use
        one.use_pass_z = True
        if not _knows(layer.layer_collection, one.layer_collection):
            one.update()  # collections that were just linked reach a layer when it is asked for
        _copy_collection(layer.layer_collection, one.layer_collection)
    for one in list(hands.view_layers):
        if one.name not in scene.view_layers:
            hands.view_layers.remove(one)


def _knows(source, target):
    """Whether a layer has all collections of another, but for the topmost."""
    if target is None:
        return False
    names = {child.name for child in target.children}
    return all(child.name in names for child in source.children)


def _copy_collection(source, target):
    _copy(source, target, ("exclude", "hide_viewport", "holdout", "indirect_only"))
    for child in source.children:
        other = target.children.get(child.name)
        if other is not None:
            _copy_collection(child, other)


@bpy.app.handlers.persistent
def begin(scene, *_args):
    """Before a render: follow what the artist has changed, and hide the meshes from the camera."""
    hands = hands_of(scene)
    if hands is None:
        return
    synchronise(scene, hands)
    for ob in _everything(scene):
        # newer versions draw the splats themselves; taking them out of the render crashes 5.3 here
        if ob.hand_toolkit.kind in {"SURFACE", "SPLATS"} and ob.visible_camera:
            _note(ob)
            ob.visible_camera = False


_linked = []
"""Objects of other files that are hidden now: what is theirs cannot carry a note of ours."""


def _note(ob):
    if ob.library is None:
        ob[SEEN] = True
    else:
        _linked.append(ob)


def _everything(scene):
    """The scene's objects and those of the collections that it shows instances of."""
    found = dict.fromkeys(scene.objects)
    for ob in scene.objects:
        if ob.instance_type == "COLLECTION" and ob.instance_collection is not None:
            found |= dict.fromkeys(ob.instance_collection.all_objects)
    return list(found)


@bpy.app.handlers.persistent
def end(scene, *_args):
    """After a render, or when it was stopped: the meshes are seen again."""
    show(scene)


def show(scene):
    """Let the camera see what :func:`begin` hid."""
    for ob in _everything(scene):
        if SEEN in ob or ob in _linked:
            if SEEN in ob:
                del ob[SEEN]
            else:
                _linked.remove(ob)
            ob.visible_camera = True


@bpy.app.handlers.persistent
def after_load(*_args):
    """A file that was saved while a picture rendered."""
    _linked.clear()
    for scene in bpy.data.scenes:
        show(scene)
