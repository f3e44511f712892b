# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a scene the worker draws: its hands, light and background, and one frame of them."""

from __future__ import annotations

import threading

import numpy as np

from . import bounce, lights, link, occluders, scene_data
from .client import FrameBlock
from .errors import HandError

FAR_DEPTH = 1.0e10
_block = FrameBlock()
_block_lock = threading.Lock()


class Drawn:
    """One hand as the depsgraph shows it."""

    def __init__(self, root, side, tint, vertices, matrix=None):
        self.root, self.side, self.tint, self.vertices = root, side, tint, vertices
        matrix = np.eye(4) if matrix is None else matrix
        self.mirrored = bool(np.linalg.det(matrix[:3, :3]) < 0)
        self.scale = scene_data.natural_scale(matrix)


def shown_hands(depsgraph):
    """The hands that are visible, with their deformed meshes in world space.

    Raises:
        HandError: a modifier has left a mesh that the splats cannot sit on.
    """
    found = []
    for inst in depsgraph.object_instances:
        ob = inst.object
        if ob.type != "MESH" or ob.hand_toolkit.kind != "SURFACE" or not inst.show_self:
            continue
        original = ob.original
        root = scene_data.root_of(original)
        if root is None or not _wanted(original, depsgraph.view_layer):
            continue
        matrix = np.array(inst.matrix_world, np.float64)
        points = skin_points(ob.data, original)
        world = (points @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32)
        tint = tuple(ob.color[:3])
        found.append(Drawn(root, original.hand_toolkit.side, tint, world, matrix))
    return found


def _wanted(ob, layer):
    """Whether a view layer shows the object itself, and not only its shadow and reflection."""
    try:
        return not (ob.indirect_only_get(view_layer=layer) or ob.holdout_get(view_layer=layer))
    except (RuntimeError, TypeError):  # of a library's instance, which no layer holds by itself
        return True


def skin_points(mesh, original):
    """(V, 3) evaluated places of the skin's own vertices, whatever modifiers have added.

    Subdivision, Multires, Solidify and their like keep the vertices and add others; each vertex
    carries its number (``scene_data.VERTEX``), which tells them apart.

    Args:
        mesh: evaluated.
        original: the object with the mesh as it is stored.

    Raises:
        HandError: some of the vertices are gone.
    """
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3)
    count = len(original.data.vertices)
    if len(points) == count:
        return points
    numbers = mesh.attributes.get(scene_data.VERTEX)
    if numbers is None or numbers.domain != "POINT":
        # of an older file: subdivided meshes begin with the vertices that they had
        kinds = {m.type for m in original.modifiers if m.show_render or m.show_viewport}
        if kinds <= {"ARMATURE", "SUBSURF", "MULTIRES", "NODES"} and len(points) > count:
            return points[:count]
        index = np.zeros(0, np.int64)
    else:
        values = np.empty(len(points), np.int32)
        numbers.data.foreach_get("value", values)
        there, first = np.unique(values, return_index=True)
        index = first[(there >= 0) & (there < count)]
    if len(index) != count:
        raise HandError(
            f"a modifier of '{original.name}' takes vertices away, which the splats sit on; take "
            "it off, or apply it to a copy (Subdivision and others that add vertices are fine)"
        )
    return points[index]


def centre_of(hands):
    """(3,) middle of the hands in world space, or None where there is none."""
    return np.mean([h.vertices.mean(axis=0) for h in hands], axis=0) if hands else None


SKY_PARTS, VIEWPORT_SKY_PARTS = 24, 10
"""Directions from which the world's light is shadowed."""


def scene_light(depsgraph, hands, viewport=False):
    """``params`` and ``arrays`` of the light that a frame is drawn in.

    Args:
        depsgraph: of the frame.
        hands: what ``shown_hands`` found.
        viewport: fewer directions of the sky, for speed.
    """
    scene = depsgraph.scene
    settings = scene.hand_toolkit
    params = {"light": settings.light.lower(), "gloss": settings.gloss}
    params["shadows"], params["trim"] = settings.shadows, settings.trim or composited(scene)
    arrays = {}
    if not hands or not (settings.light == "SCENE" or casts(scene)):
        return params, arrays
    arrays["light"] = lights.world_light(scene.world)
    arrays["lamps"] = lights.lamps(depsgraph)
    arrays["sky"] = lights.sky_parts(scene.world, VIEWPORT_SKY_PARTS if viewport else SKY_PARTS)
    if settings.light == "SCENE":
        arrays["bounce"] = bounce.bounced(depsgraph, hands, arrays["lamps"], viewport)
    return params, arrays


def casts(scene):
    """Whether the scene's objects shade hands in the photo's light: both are in one picture."""
    return scene.hand_toolkit.shadows and composited(scene)


def composited(scene):
    """Whether a scene holds the hands of another, with which it is joined."""
    other = scene.hand_toolkit.light_scene
    return other is not None and other.name != scene.name


def others(depsgraph, hands, light):
    """The objects that hide or shade the hands (``occluders.Gathered``), or None for none.

    Args:
        depsgraph: of the frame.
        hands: what ``shown_hands`` found.
        light: arrays of ``scene_light``.
    """
    scene = depsgraph.scene
    hiding, shading = composited(scene), scene.hand_toolkit.shadows and "lamps" in light
    if not hands or not (hiding or shading):
        return None
    return occluders.gather(depsgraph, centre_of(hands), hiding, shading)


def scale_of(hands):
    """Metres per Blender unit in which a frame is drawn: those of its hands' natural size."""
    return float(np.exp(np.mean([np.log(h.scale) for h in hands]))) if hands else 1.0


def request_of(hands, view, background, light, lens=None):
    """``params`` and ``arrays`` of the worker's ``render``, in metres.

    Args:
        hands: what ``shown_hands`` found.
        view: the camera.
        background: sRGB, or None for a transparent film.
        light: what ``scene_light`` answered.
        lens: what ``camera.lens_of`` answered.
    """
    params, arrays = dict(light[0]), dict(light[1])
    params["hands"] = [
        {"key": h.root.hand_toolkit.key, "side": h.side, "tint": h.tint, "mirrored": h.mirrored}
        for h in hands
    ]
    params["camera"], params["background"], params["lens"] = view.camera, background, lens
    arrays |= {f"vertices{i}": h.vertices for i, h in enumerate(hands)}
    scale = scale_of(hands)
    if scale != 1.0:
        _to_metres(params, arrays, scale)
    return params, arrays


def _to_metres(params, arrays, scale):
    """Turn a request's Blender units into metres, ``scale`` of them each."""
    view = dict(params["camera"])
    pose = np.array(view["world_to_camera"])
    pose[:3, 3] *= scale
    view["world_to_camera"] = pose.tolist()
    view["near"], view["far"] = view["near"] * scale, view["far"] * scale
    params["camera"] = view
    if params["lens"]:
        points = (scale * np.array(params["lens"]["points"])).tolist()
        params["lens"] = {"focus": params["lens"]["focus"] * scale, "points": points}
    for name in arrays:
        if name.startswith("vertices") or name == "occluder_vertices":
            arrays[name] = (arrays[name] * np.float32(scale)).astype(np.float32)
    if "lamps" in arrays:
        lamps = arrays["lamps"].copy()
        near = lamps[:, 0] > 0
        lamps[near, 1:4] *= scale
        lamps[near, 4:7] *= scale**2
        lamps[near, 7] *= scale
        arrays["lamps"] = lamps


def draw_frame(hands, view, background, light, lens=None, while_waiting=None):
    """Pixels (H, W, 4) and depth (H, W), float32, bottom row first, as the worker draws them.

    Args:
        hands, view, background, light: as of ``request_of``.
        lens: of ``camera.lens_of``.
        while_waiting: called now and then.
    """
    for root in {h.root for h in hands}:
        link.open_avatar(root)
    params, arrays = request_of(hands, view, background, light, lens)
    width, height = view.camera["width"], view.camera["height"]
    with _block_lock:
        params["block"] = _block.reserve(width, height)
        link.worker().call("render", params, arrays, 600.0, while_waiting)
        pixels, depth = (a.copy() for a in _block.frame(width, height))
    scale = scale_of(hands)
    if scale != 1.0 or view.depth_offset:
        shown = depth < FAR_DEPTH
        depth[shown] = depth[shown] / scale - view.depth_offset
    return pixels, depth


def film_background(scene):
    """sRGB of the film where no hand is: None for a transparent film, else the world's colour."""
    if scene.render.film_transparent:
        return None
    world = scene.world
    linear = lights.world_light(world)[0] * 0.28209479177387814 if world else np.zeros(3)
    linear = np.clip(linear, 0.0, 1.0)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return [float(c) for c in srgb]


def give_block_back():
    """Free the memory that frames come in."""
    _block.close()
