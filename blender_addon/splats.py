# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats as points that geometry nodes bind to the skinned mesh.

The cloud keeps, per splat, the three vertices of its triangle, barycentric weights, and an offset,
rotation and size in the triangle's frame. A node group puts each splat on the *evaluated* mesh, so
armature, shape keys and sculpting move it live. The output carries the attributes that Blender 5.3
draws as Gaussian splats: ``radiance:base`` (SH of degree 0 and opacity), ``scale``, ``rotation``.
Older versions have neither the type nor a way to draw it: there the cloud is hidden from renders
(the mesh and our engine stand in), but its nodes run and can be tested.
"""

from __future__ import annotations

import bpy
import numpy as np

from . import pair

GROUP = "Hand splats"
SH_C0 = 0.28209479177387814
MODIFIER = "Bind to skin"


def native_splats():
    """Whether this Blender draws Gaussian splats itself (5.3 and newer)."""
    kind = bpy.types.PointCloud.bl_rna.properties.get("type")
    return kind is not None and "GAUSSIAN_SPLAT" in kind.enum_items


def build_cloud(collection, rig, surface, part):
    """The splat cloud of one hand, below its rig.

    Args:
        collection: where it is linked.
        rig: the armature, its parent.
        surface: the mesh that carries the splats.
        part: the hand's arrays.
    """
    name = f"{surface.name.removesuffix(' skin')} splats"
    count = len(part["triangle"])
    data = _native_cloud(name, count) if native_splats() else _loose_points(name, count)
    corner = part["faces"][part["triangle"]]
    rest = np.einsum("nk,nkc->nc", part["barycentric"], part["vertices"][corner])
    write(data, "position", "FLOAT_VECTOR", "vector", rest)
    for k in range(3):
        write(data, f"hand_vertex{k}", "INT", "value", corner[:, k])
    write(data, "hand_barycentric", "FLOAT_VECTOR", "vector", part["barycentric"])
    write(data, "hand_offset", "FLOAT_VECTOR", "vector", part["offset"])
    write(data, "hand_rotation", "QUATERNION", "value", part["quat"])
    write(data, "hand_scale", "FLOAT_VECTOR", "vector", part["scale"])
    write(data, "hand_rest_area", "FLOAT", "value", _areas(part)[part["triangle"]])
    write(data, "hand_evidence", "FLOAT", "value", part["evidence"])
    base = np.concatenate([(part["color"] - 0.5) / SH_C0, part["opacity"][:, None]], axis=1)
    kind = _base_type()
    field = "color" if kind == "FLOAT_COLOR" else "vector"
    write(data, "radiance:base", kind, field, base)
    write(data, "scale", "FLOAT_VECTOR", "vector", part["scale"])
    write(data, "rotation", "QUATERNION", "value", part["quat"])
    ob = bpy.data.objects.new(name, data)
    ob.hand_toolkit.kind = "SPLATS"
    ob.hand_toolkit.side = pair.side_of(rig)
    ob.hand_toolkit.root = rig.hand_toolkit.root
    armature = pair.armature_of(rig)
    ob.hand_toolkit.rig = armature
    collection.objects.link(ob)
    ob.parent = armature
    ob.location = surface.location
    modifier = ob.modifiers.new(MODIFIER, "NODES")
    modifier.node_group = binding_group()
    set_input(modifier, "Skin", surface)
    show = native_splats()
    ob.hide_render = not show
    ob.hide_viewport = not show
    if show:
        # The mesh stays for shadows and reflections; the camera sees the splats.
        surface.visible_camera = False
    return ob


def _native_cloud(name, count):
    """A point cloud that Blender 5.3 draws as splats."""
    cloud = bpy.data.pointclouds.new(name)
    cloud.resize(count)
    draw_as_splats(cloud)
    return cloud


def draw_as_splats(cloud):
    """Ask Blender 5.3 to draw a point cloud's ``radiance`` instead of balls."""
    cloud.type = "GAUSSIAN_SPLAT"


def _loose_points(name, count):
    """Older versions: a mesh of loose vertices, the only points that scripts can make there."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(count)
    return mesh


def update_rest(rig, surface):
    """After the hand has another shape: the triangles' new rest areas."""
    from . import scene_data

    cloud = scene_data.splats_of(rig)
    if cloud is None:
        return
    points = np.empty(3 * len(surface.data.vertices), np.float32)
    surface.data.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3)
    names = [f"hand_vertex{k}" for k in range(3)]
    count = len(cloud.data.attributes[names[0]].data)
    corner = np.empty((3, count), np.int32)
    for k, name in enumerate(names):
        cloud.data.attributes[name].data.foreach_get("value", corner[k])
    a, b, c = points[corner]
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    cloud.data.attributes["hand_rest_area"].data.foreach_set("value", area.astype(np.float32))
    cloud.data.update_tag()


def _areas(part):
    a, b, c = (part["vertices"][part["faces"][:, k]].astype(np.float64) for k in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def _base_type():
    kinds = {i.identifier for i in bpy.types.Attribute.bl_rna.properties["data_type"].enum_items}
    return "FLOAT4" if "FLOAT4" in kinds else "FLOAT_COLOR"


def write(data, name, kind, field, values):
    """Fill a point attribute, made where it is missing."""
    attribute = data.attributes.get(name)
    if attribute is None:
        attribute = data.attributes.new(name, kind, "POINT")
    dtype = np.int32 if kind == "INT" else np.float32
    attribute.data.foreach_set(field, np.ascontiguousarray(values, dtype).ravel())


def set_input(modifier, name, value):
    """Set a geometry-nodes input by its name; 5.2 moved the inputs to RNA properties."""
    for item in modifier.node_group.interface.items_tree:
        if item.item_type == "SOCKET" and item.in_out == "INPUT" and item.name == name:
            inputs = getattr(getattr(modifier, "properties", None), "inputs", None)
            if inputs is not None:
                getattr(inputs, item.identifier).value = value
            else:
                modifier[item.identifier] = value
            return
    raise KeyError(name)


def binding_group():
    """The node group, made once per file: mean = Σ bᵢ vᵢ + g F offset, F the triangle's frame."""
    group = bpy.data.node_groups.get(GROUP)
    if group is not None:
        return group
    group = bpy.data.node_groups.new(GROUP, "GeometryNodeTree")
    face = group.interface
    face.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    face.new_socket("Skin", in_out="INPUT", socket_type="NodeSocketObject")
    face.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    make = _Maker(group)
    source = make.node("NodeGroupInput")
    skin = make.node("GeometryNodeObjectInfo")
    skin.transform_space = "RELATIVE"
    make.link(source.outputs["Skin"], skin.inputs["Object"])
    position = make.node("GeometryNodeInputPosition").outputs["Position"]
    corners = []
    for k in range(3):
        sample = make.node("GeometryNodeSampleIndex")
        sample.data_type = "FLOAT_VECTOR"
        sample.domain = "POINT"
        make.link(skin.outputs["Geometry"], sample.inputs["Geometry"])
        make.link(position, make.socket(sample.inputs, "Value", "VECTOR"))
        make.link(make.named(f"hand_vertex{k}", "INT"), sample.inputs["Index"])
        corners.append(make.socket(sample.outputs, "Value", "VECTOR"))
    a, b, c = corners
    along, aside = make.math("SUBTRACT", b, a), make.math("SUBTRACT", c, a)
    normal = make.math("CROSS_PRODUCT", along, aside)
    double_area = make.length(normal)
    area = make.scalar("MULTIPLY", double_area, 0.5)
    ratio = make.scalar("DIVIDE", area, make.named("hand_rest_area", "FLOAT"))
    growth = make.scalar("SQRT", ratio)
    frame = make.node("FunctionNodeAxesToRotation")
    frame.primary_axis = "Z"
    frame.secondary_axis = "X"
    make.link(normal, frame.inputs["Primary Axis"])
    make.link(along, frame.inputs["Secondary Axis"])
    turn = frame.outputs["Rotation"]
    split = make.node("ShaderNodeSeparateXYZ")
    make.link(make.named("hand_barycentric", "FLOAT_VECTOR"), split.inputs[0])
    weighted = [make.scale(corner, split.outputs[k]) for k, corner in enumerate(corners)]
    centre = make.math("ADD", make.math("ADD", weighted[0], weighted[1]), weighted[2])
    rotate = make.node("FunctionNodeRotateVector")
    make.link(make.named("hand_offset", "FLOAT_VECTOR"), rotate.inputs["Vector"])
    make.link(turn, rotate.inputs["Rotation"])
    offset = make.scale(rotate.outputs["Vector"], growth)
    place = make.node("GeometryNodeSetPosition")
    make.link(source.outputs["Geometry"], place.inputs["Geometry"])
    make.link(make.math("ADD", centre, offset), place.inputs["Position"])
    rotation = make.node("FunctionNodeRotateRotation")
    rotation.rotation_space = "LOCAL"
    make.link(turn, rotation.inputs["Rotation"])
    make.link(make.named("hand_rotation", "QUATERNION"), rotation.inputs["Rotate By"])
    stored = make.store(place.outputs["Geometry"], "rotation", "QUATERNION", rotation.outputs[0])
    size = make.scale(make.named("hand_scale", "FLOAT_VECTOR"), growth)
    stored = make.store(stored, "scale", "FLOAT_VECTOR", size)
    sink = make.node("NodeGroupOutput")
    make.link(stored, sink.inputs["Geometry"])
    return group


class _Maker:
    """Shorthand for building a node tree; nodes are placed in columns as they come."""

    def __init__(self, tree):
        self.tree = tree
        self.count = 0

    def node(self, kind):
        node = self.tree.nodes.new(kind)
        node.location = (200 * (self.count // 5), -220 * (self.count % 5))
        self.count += 1
        return node

    def link(self, source, target):
        self.tree.links.new(source, target)

    def socket(self, sockets, name, kind):
        """The enabled socket of that name and type: nodes have one of each data type."""
        return next(s for s in sockets if s.name == name and s.type == kind and s.enabled)

    def named(self, name, kind):
        node = self.node("GeometryNodeInputNamedAttribute")
        node.data_type = kind
        node.inputs["Name"].default_value = name
        return next(s for s in node.outputs if s.name == "Attribute" and s.enabled)

    def math(self, operation, a, b):
        node = self.node("ShaderNodeVectorMath")
        node.operation = operation
        self.link(a, node.inputs[0])
        self.link(b, node.inputs[1])
        return node.outputs["Vector"]

    def length(self, a):
        node = self.node("ShaderNodeVectorMath")
        node.operation = "LENGTH"
        self.link(a, node.inputs[0])
        return node.outputs["Value"]

    def scale(self, vector, factor):
        node = self.node("ShaderNodeVectorMath")
        node.operation = "SCALE"
        self.link(vector, node.inputs[0])
        self.link(factor, node.inputs["Scale"])
        return node.outputs["Vector"]

    def scalar(self, operation, a, b=None):
        node = self.node("ShaderNodeMath")
        node.operation = operation
        self.link(a, node.inputs[0])
        if isinstance(b, float):
            node.inputs[1].default_value = b
        elif b is not None:
            self.link(b, node.inputs[1])
        return node.outputs[0]

    def store(self, geometry, name, kind, value):
        node = self.node("GeometryNodeStoreNamedAttribute")
        node.data_type = kind
        node.domain = "POINT"
        node.inputs["Name"].default_value = name
        self.link(geometry, node.inputs["Geometry"])
        target = next(s for s in node.inputs if s.name == "Value" and s.enabled)
        self.link(value, target)
        return node.outputs["Geometry"]
