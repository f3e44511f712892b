# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats among the objects of a Cycles or EEVEE scene, joined by depth in one render call.

The hands get a scene of their own with our engine, sharing camera, frame range, hand objects and
lamps; the artist's scene keeps its engine. In it the hands' meshes are *indirect only*: they cast
shadows and show in mirrors, but the camera does not see them. A second view layer, with only the
hands as shadow catchers, tells how dark the scene's objects make the skin. The compositor puts the
nearer of the two pictures in front, per pixel, with soft edges.
"""

from __future__ import annotations

import bpy

from . import scene_data
from .engine import ENGINE

SUFFIX = " hands"
SHADOW_LAYER = "Hand shadows"
COLLECTION = "Hands for compositing"
TREE = "Hand compositing"


def set_up(context, shadows=True, samples=16):
    """Prepare ``context.scene`` for compositing; may be repeated.

    Args:
        context: of the operator.
        shadows: make the shadow-catcher layer (Cycles only).
        samples: of that layer.

    Returns:
        The scene of the hands.
    """
    scene = context.scene
    parts = [
        part
        for root in scene_data.roots(scene)
        for rig in scene_data.rigs_of(root)
        for part in (scene_data.surface_of(rig),)
        if part is not None
    ]
    collection = _gather(scene, parts)
    hands = _hand_scene(scene, collection)
    main = scene.view_layers[0]
    main.use_pass_z = True
    main_hands = _layer_collection(main.layer_collection, collection)
    cycles = scene.render.engine == "CYCLES"
    main_hands.exclude = False
    main_hands.indirect_only = cycles
    for part in parts:
        if not cycles:
            # EEVEE has no indirect-only collections; there the camera flag does it
            part.visible_camera = False
        part.is_shadow_catcher = bool(shadows and cycles)
    layer = scene.view_layers.get(SHADOW_LAYER)
    if shadows and cycles:
        layer = layer or scene.view_layers.new(SHADOW_LAYER)
        layer.samples = samples
        for child in layer.layer_collection.children:
            child.exclude = False
            child.indirect_only = child.collection != collection
        scene.render.film_transparent = True
    elif layer is not None:
        scene.view_layers.remove(layer)
        layer = None
    tree = _tree(scene)
    _build(tree, scene, hands, main.name, layer.name if layer is not None else None)
    scene.render.use_compositing = True
    return hands


def _gather(scene, parts):
    """A collection with the hands' meshes, linked to the scene, so layers can treat them alike."""
    collection = bpy.data.collections.get(scene.name + " " + COLLECTION)
    if collection is None:
        collection = bpy.data.collections.new(scene.name + " " + COLLECTION)
    if collection.name not in scene.collection.children:
        scene.collection.children.link(collection)
    for part in parts:
        for other in list(part.users_collection):
            if other != collection:
                other.objects.unlink(part)
        if part.name not in collection.objects:
            collection.objects.link(part)
    # Objects straight in the scene's own collection belong to every layer: give them a home.
    loose = list(scene.collection.objects)
    if loose:
        home = bpy.data.collections.get(scene.name + " objects")
        home = home or bpy.data.collections.new(scene.name + " objects")
        if home.name not in scene.collection.children:
            scene.collection.children.link(home)
        for ob in loose:
            home.objects.link(ob)
            scene.collection.objects.unlink(ob)
    return collection


def _layer_collection(layer_collection, collection):
    if layer_collection.collection == collection:
        return layer_collection
    for child in layer_collection.children:
        found = _layer_collection(child, collection)
        if found is not None:
            return found
    return None


def _hand_scene(scene, collection):
    name = scene.name + SUFFIX
    hands = bpy.data.scenes.get(name) or bpy.data.scenes.new(name)
    if collection.name not in hands.collection.children:
        hands.collection.children.link(collection)
    # The rigs must be evaluated there too; the avatars' collections hold them.
    for root in scene_data.roots(scene):
        for part in (root, *scene_data.rigs_of(root)):
            if part.name not in hands.objects:
                hands.collection.objects.link(part)
    hands.render.engine = ENGINE
    hands.render.film_transparent = True
    hands.view_layers[0].use_pass_z = True
    hands.hand_toolkit.light_scene = scene
    _copy_settings(scene, hands)
    return hands


SHARED_SETTINGS = (
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
)


def _copy_settings(scene, hands):
    """What the scene of the hands has in common with the artist's."""
    for name in SHARED_SETTINGS:
        value = getattr(scene.render, name, None)
        if value is not None and getattr(hands.render, name) != value:
            setattr(hands.render, name, value)
    hands.camera, hands.world = scene.camera, scene.world
    hands.frame_start, hands.frame_end = scene.frame_start, scene.frame_end
    hands.hand_toolkit.light = scene.hand_toolkit.light
    hands.hand_toolkit.blur_samples = scene.hand_toolkit.blur_samples
    hands.timeline_markers.clear()
    for marker in scene.timeline_markers:  # they may switch the camera
        if marker.camera is not None:
            hands.timeline_markers.new(marker.name, frame=marker.frame).camera = marker.camera


@bpy.app.handlers.persistent
def follow(scene, *_args):
    """Before a render: the scene of the hands takes what the artist has changed since."""
    for hands in bpy.data.scenes:
        if hands.render.engine == ENGINE and hands.hand_toolkit.light_scene == scene != hands:
            _copy_settings(scene, hands)


def _tree(scene):
    """The compositor's node tree of a scene, in whatever way the version keeps it."""
    if hasattr(scene, "compositing_node_group"):  # 5.0 and newer
        tree = scene.compositing_node_group
        if tree is None:
            tree = bpy.data.node_groups.new(TREE, "CompositorNodeTree")
            scene.compositing_node_group = tree
        if not any(
            item.item_type == "SOCKET" and item.in_out == "OUTPUT"
            for item in tree.interface.items_tree
        ):
            tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        return tree
    scene.use_nodes = True
    return scene.node_tree


def _build(tree, scene, hands, layer, shadow_layer):
    for node in [n for n in tree.nodes if n.name.startswith(TREE)]:
        tree.nodes.remove(node)
    make = _Maker(tree)
    back = make.layer(scene, layer)
    front = make.layer(hands, hands.view_layers[0].name)
    hand = front.outputs["Image"]
    if shadow_layer is not None:
        # a shadow catcher is black with the shadow's darkness as alpha
        dark = make.layer(scene, shadow_layer)
        lit = make.math("SUBTRACT", 1.0, dark.outputs["Alpha"])
        hand = make.multiply(hand, lit, front.outputs["Alpha"])
    nearer = make.math("LESS_THAN", front.outputs["Depth"], back.outputs["Depth"])
    over = make.alpha_over(back.outputs["Image"], hand)
    under = make.alpha_over(hand, back.outputs["Image"])
    result = make.mix(nearer, under, over)
    make.output(result)


class _Maker:
    """Makes compositor nodes; their sockets and types differ between 4.2, 4.5 and 5.x."""

    def __init__(self, tree):
        self.tree = tree
        self.count = 0

    def node(self, *kinds):
        for kind in kinds:
            if hasattr(bpy.types, kind):
                node = self.tree.nodes.new(kind)
                break
        node.name = f"{TREE} {self.count}"
        node.location = (220 * (self.count // 3), -300 * (self.count % 3))
        self.count += 1
        return node

    def link(self, source, target):
        if isinstance(source, float):
            target.default_value = source
        else:
            self.tree.links.new(source, target)

    def layer(self, scene, name):
        node = self.node("CompositorNodeRLayers")
        node.scene = scene
        node.layer = name
        return node

    def math(self, operation, a, b):
        node = self.node("ShaderNodeMath" if self._shader_nodes() else "CompositorNodeMath")
        node.operation = operation
        self.link(a, node.inputs[0])
        self.link(b, node.inputs[1])
        return node.outputs[0]

    def _shader_nodes(self):
        return not hasattr(bpy.types, "CompositorNodeMath")

    def multiply(self, image, factor, alpha):
        """``image`` with its colour times ``factor``, its alpha kept."""
        node = self._mix_node("MULTIPLY")
        inputs = self._mix_inputs(node)
        self.link(1.0, inputs[0])
        self.link(image, inputs[1])
        self.link(factor, inputs[2])
        set_alpha = self.node("CompositorNodeSetAlpha")
        if hasattr(set_alpha, "mode"):
            set_alpha.mode = "REPLACE_ALPHA"
        else:
            set_alpha.inputs["Type"].default_value = "Replace Alpha"
        self.link(self._mix_output(node), set_alpha.inputs["Image"])
        self.link(alpha, set_alpha.inputs["Alpha"])
        return set_alpha.outputs[0]

    def alpha_over(self, below, above):
        node = self.node("CompositorNodeAlphaOver")
        colors = [s for s in node.inputs if s.type == "RGBA"]
        self.link(below, colors[0])
        self.link(above, colors[1])
        return node.outputs[0]

    def mix(self, factor, a, b):
        node = self._mix_node("MIX")
        inputs = self._mix_inputs(node)
        self.link(factor, inputs[0])
        self.link(a, inputs[1])
        self.link(b, inputs[2])
        return self._mix_output(node)

    def _mix_node(self, blend):
        if self._shader_nodes():
            node = self.node("ShaderNodeMix")
            node.data_type = "RGBA"
        else:
            node = self.node("CompositorNodeMixRGB")
        node.blend_type = blend
        return node

    def _mix_inputs(self, node):
        if node.bl_idname == "ShaderNodeMix":
            colors = [s for s in node.inputs if s.type == "RGBA"]
            return next(s for s in node.inputs if s.type == "VALUE"), colors[0], colors[1]
        return node.inputs[0], node.inputs[1], node.inputs[2]

    def _mix_output(self, node):
        if node.bl_idname == "ShaderNodeMix":
            return next(s for s in node.outputs if s.type == "RGBA")
        return node.outputs[0]

    def output(self, image):
        if hasattr(bpy.types, "CompositorNodeComposite"):
            node = next((n for n in self.tree.nodes if n.type == "COMPOSITE"), None)
            node = node or self.node("CompositorNodeComposite")
        else:
            node = next((n for n in self.tree.nodes if n.type == "GROUP_OUTPUT"), None)
            node = node or self.node("NodeGroupOutput")
        self.link(image, node.inputs[0])
