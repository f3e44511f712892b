# SPDX-License-Identifier: GPL-3.0-or-later
"""The compositor's nodes: hands over every view layer that the artist's nodes use, and back."""

from __future__ import annotations

import bpy

TREE = "Hand compositing"
"""Name of the tree that we make where the scene has none, and prefix of our nodes' names."""
PLAIN = "hand_toolkit_plain"
"""Custom property of a scene that had no compositing nodes before ours."""


def tree_of(scene):
    """The scene's compositing nodes, or None where there are none."""
    if hasattr(scene, "compositing_node_group"):  # 5.0 and newer
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def join(scene, hands):
    """Put the hands over every view layer of ``scene`` in its nodes; repeated, anew.

    Args:
        scene: the artist's.
        hands: the scene with the hands, with a view layer for each of the artist's.
    """
    part(scene)
    tree = tree_of(scene)
    if tree is None or not _uses(tree, scene):
        tree = _plain_tree(scene, tree)
    for each in _all_trees(tree):
        for node in list(each.nodes):
            if _is_layer_of(node, scene) and node.layer in hands.view_layers:
                _put_over(each, node, hands)


def part(scene):
    """Take our nodes out again; what they stood between is connected as before."""
    tree = tree_of(scene)
    if tree is None:
        return
    for each in _all_trees(tree):
        for node in [n for n in each.nodes if n.name.startswith(TREE + " ")]:
            source = _PASSES.get(node.label)
            if source is not None:
                _give_back(each, node, source)
        for node in [n for n in each.nodes if n.name.startswith(TREE + " ")]:
            each.nodes.remove(node)
    if PLAIN in scene:
        del scene[PLAIN]
        if hasattr(scene, "compositing_node_group"):
            scene.compositing_node_group = None
            if tree.users == 0:
                bpy.data.node_groups.remove(tree)
        else:
            tree.nodes.clear()
            scene.use_nodes = False


_PASSES = {"Hands over": "Image", "Hands' alpha": "Alpha", "Nearest": "Depth"}
"""Label of the node that stands in for a pass -> that pass of the artist's view layer."""


def _give_back(tree, node, source):
    """Connect what ``node`` feeds with the artist's own pass again."""
    layer = tree.nodes.get(node["hand_layer"])
    socket = _output(node)
    if layer is None or source not in layer.outputs:
        return
    for target in [link.to_socket for link in socket.links]:
        if not target.node.name.startswith(TREE + " "):
            tree.links.new(layer.outputs[source], target)


def _put_over(tree, layer, hands):
    """The hands over one Render Layers node, for each of its passes that is used."""
    used = {name: _targets(layer, name) for name in _PASSES.values()}
    if not any(used.values()):
        return
    make = Maker(tree, layer)
    front = make.node("CompositorNodeRLayers")
    front.scene, front.layer = hands, layer.layer
    over = make.alpha_over(layer.outputs["Image"], front.outputs["Image"])
    made = {"Image": over}
    if used["Alpha"]:
        made["Alpha"] = make.alpha_of(over)
    if used["Depth"]:
        made["Depth"] = make.nearest(layer.outputs["Depth"], front.outputs["Depth"])
    for label, name in _PASSES.items():
        if name in made:
            made[name].node.label = label
            made[name].node["hand_layer"] = layer.name
            for target in used[name]:
                tree.links.new(made[name], target)


def _targets(layer, name):
    socket = layer.outputs.get(name)
    if socket is None or not socket.enabled:
        return []
    return [link.to_socket for link in socket.links]


def _is_layer_of(node, scene):
    return node.bl_idname == "CompositorNodeRLayers" and node.scene == scene


def _all_trees(tree, known=None):
    """The tree and the groups inside it that are ours to change."""
    known = [] if known is None else known
    if tree not in known and tree.library is None:
        known.append(tree)
        for node in tree.nodes:
            inner = getattr(node, "node_tree", None)
            if inner is not None:
                _all_trees(inner, known)
    return known


def _uses(tree, scene):
    """Whether the nodes show a view layer of the scene at all."""
    return any(
        _is_layer_of(node, scene) and any(s.links for s in node.outputs)
        for each in _all_trees(tree)
        for node in each.nodes
    )


def _plain_tree(scene, tree):
    """Nodes that show the scene's first view layer, for a scene that has none."""
    scene[PLAIN] = True
    if hasattr(scene, "compositing_node_group"):
        if tree is None:
            tree = bpy.data.node_groups.new(TREE, "CompositorNodeTree")
            scene.compositing_node_group = tree
            tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
    layer = tree.nodes.new("CompositorNodeRLayers")
    layer.scene, layer.layer = scene, scene.view_layers[0].name
    kind = "CompositorNodeComposite" if hasattr(bpy.types, "CompositorNodeComposite") else ""
    sink = tree.nodes.new(kind or "NodeGroupOutput")
    sink.location.x = 900
    tree.links.new(layer.outputs["Image"], sink.inputs[0])
    return tree


def _output(node):
    """The one output of a node that is used: Mix nodes have one of each data type."""
    if node.bl_idname in {"CompositorNodeSeparateColor", "CompositorNodeSepRGBA"}:
        return node.outputs["Alpha"] if "Alpha" in node.outputs else node.outputs[3]
    return node.outputs[0]


class Maker:
    """Makes compositor nodes; their sockets and types differ between 4.2, 4.5 and 5.x."""

    def __init__(self, tree, beside):
        """Nodes go below the node ``beside``."""
        self.tree, self.beside = tree, beside
        self.count = 0

    def node(self, *kinds):
        """A new node of the first of ``kinds`` that this version has."""
        kind = next(k for k in kinds if hasattr(bpy.types, k))
        node = self.tree.nodes.new(kind)
        node.name = f"{TREE} {len(self.tree.nodes)}"
        place = self.beside.location
        node.location = (
            place[0] + 260 * (self.count % 3),
            place[1] - 420 - 200 * (self.count // 3),
        )
        self.count += 1
        return node

    def alpha_over(self, below, above):
        """``above``, premultiplied, over ``below``."""
        node = self.node("CompositorNodeAlphaOver")
        named = {s.name: s for s in node.inputs}
        colors = [s for s in node.inputs if s.type == "RGBA"]
        self.tree.links.new(below, named.get("Background", colors[0]))
        self.tree.links.new(above, named.get("Foreground", colors[1]))
        return node.outputs[0]

    def alpha_of(self, image):
        """The alpha of an image."""
        node = self.node("CompositorNodeSeparateColor", "CompositorNodeSepRGBA")
        self.tree.links.new(image, node.inputs[0])
        return _output(node)

    def nearest(self, a, b):
        """The smaller of two depths."""
        node = self.node("CompositorNodeMath", "ShaderNodeMath")
        node.operation = "MINIMUM"
        self.tree.links.new(a, node.inputs[0])
        self.tree.links.new(b, node.inputs[1])
        return node.outputs[0]
