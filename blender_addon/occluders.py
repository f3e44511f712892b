# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's other objects as triangles: what hides the hands from the camera, and shades them."""

from __future__ import annotations

import numpy as np

SOLID = {"MESH", "CURVE", "SURFACE", "FONT", "META"}
"""Objects with faces; hair, volumes and points neither hide nor shade the splats."""

MOST_TRIANGLES = 1_500_000
"""Of one frame: beyond that only the objects nearest to the hands are taken."""


class Gathered:
    """Triangles of all objects that are no hands.

    Attributes:
        vertices: (V, 3) float32, world.
        hiding: (F, 3) int32 faces that the camera sees.
        shading: (F, 3) int32 faces that cast shadows.
        left_out: objects beyond ``MOST_TRIANGLES``.
    """

    def __init__(self, vertices, hiding, shading, left_out=0):
        self.vertices, self.hiding, self.shading = vertices, hiding, shading
        self.left_out = left_out

    def arrays(self):
        """As the worker takes them."""
        return {
            "occluder_vertices": self.vertices,
            "hiding": self.hiding,
            "shading": self.shading,
        }


def gather(depsgraph, middle, hiding, shading):
    """The triangles of a depsgraph's visible objects.

    Args:
        depsgraph: evaluated.
        middle: (3,) where the hands are.
        hiding: whether the camera's view matters.
        shading: whether shadows do.

    Returns:
        Gathered.
    """
    found, meshes = [], {}
    for inst in depsgraph.object_instances:
        ob = inst.object
        if ob.type not in SOLID or not inst.show_self or ob.hand_toolkit.kind != "NONE":
            continue
        uses = hiding and _seen(inst, "visible_camera"), shading and _seen(inst, "visible_shadow")
        if not any(uses) or (ob.display_type in {"BOUNDS", "WIRE"} and ob.hide_render):
            continue
        data = _triangles(ob, depsgraph, meshes)
        if data is None:
            continue
        matrix = np.array(inst.matrix_world, np.float64)
        distance = _distance(matrix, ob.bound_box, middle)
        found.append((distance, len(found), data, matrix, uses))
    found.sort(key=lambda entry: entry[:2])
    vertices, faces, start, count, left_out = [], ([], []), 0, 0, 0
    for _, _, (points, triangles), matrix, uses in found:
        if count + len(triangles) > MOST_TRIANGLES:
            left_out += 1
            continue
        count += len(triangles)
        world = points @ matrix[:3, :3].T + matrix[:3, 3]
        vertices.append(world.astype(np.float32))
        for kind, use in zip(faces, uses):
            if use:
                kind.append(triangles + start)
        start += len(points)
    return Gathered(
        np.concatenate(vertices) if vertices else np.zeros((0, 3), np.float32),
        _joined(faces[0]),
        _joined(faces[1]),
        left_out,
    )


def _joined(faces):
    return np.concatenate(faces).astype(np.int32) if faces else np.zeros((0, 3), np.int32)


def _seen(inst, flag):
    """Whether rays of a kind meet the object: an instance asks its instancer, too."""
    owners = [inst.object, inst.parent] if inst.is_instance and inst.parent else [inst.object]
    return all(getattr(owner, flag, True) for owner in owners)


def _triangles(ob, depsgraph, meshes):
    """(V, 3) points and (F, 3) faces of an evaluated object; instances share them."""
    key = ob.data.as_pointer() if ob.type == "MESH" else ob.original.as_pointer()
    if key in meshes:
        return meshes[key]
    mesh = ob.data if ob.type == "MESH" else ob.to_mesh(depsgraph=depsgraph)
    result = None
    if mesh is not None and len(mesh.polygons):
        if hasattr(mesh, "calc_loop_triangles"):
            mesh.calc_loop_triangles()
        points = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", points)
        faces = np.empty(3 * len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("vertices", faces)
        result = points.reshape(-1, 3), faces.reshape(-1, 3)
    if ob.type != "MESH":
        ob.to_mesh_clear()
    meshes[key] = result
    return result


def _distance(matrix, box, middle):
    """From the hands to an object's box, roughly."""
    corners = np.array([tuple(c) for c in box]) @ matrix[:3, :3].T + matrix[:3, 3]
    low, high = corners.min(axis=0), corners.max(axis=0)
    return float(np.linalg.norm(np.maximum(np.maximum(low - middle, middle - high), 0.0)))
