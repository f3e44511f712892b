# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a scene the worker draws: its hands, light and background, and one frame of them."""

from __future__ import annotations

import threading

import numpy as np

from . import lights, link, scene_data
from .client import FrameBlock

FAR_DEPTH = 1.0e10
_block = FrameBlock()
_block_lock = threading.Lock()


class Drawn:
    """One hand as the depsgraph shows it."""

    def __init__(self, root, side, tint, vertices):
        self.root, self.side, self.tint, self.vertices = root, side, tint, vertices


def shown_hands(depsgraph):
    """The hands that are visible, with their deformed meshes in world space."""
    found = []
    for inst in depsgraph.object_instances:
        ob = inst.object
        if ob.type != "MESH" or ob.hand_toolkit.kind != "SURFACE" or not inst.show_self:
            continue
        original = ob.original
        root = scene_data.root_of(original)
        if root is None:
            continue
        mesh = ob.data
        points = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", points)
        matrix = np.array(inst.matrix_world, np.float32)
        world = points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
        found.append(Drawn(root, original.hand_toolkit.side, tuple(ob.color[:3]), world))
    return found


def centre_of(hands):
    """(3,) middle of the hands in world space, or None where there is none."""
    return np.mean([h.vertices.mean(axis=0) for h in hands], axis=0) if hands else None


def scene_light(depsgraph, hands):
    """(9, 3) light of the scene where the hands are, "photo", or None for baked colours."""
    scene = depsgraph.scene
    kind = scene.hand_toolkit.light
    if kind != "SCENE" or not hands:
        return "photo" if kind == "PHOTO" else None
    source, graph = lights.light_scene_depsgraph(scene, depsgraph)
    return lights.gather(source, graph, centre_of(hands))


def request_of(hands, view, background, light):
    """``params`` and ``arrays`` of the worker's ``render``."""
    params = {
        "hands": [{"key": h.root.hand_toolkit.key, "side": h.side, "tint": h.tint} for h in hands],
        "camera": view.camera,
        "background": background,
    }
    arrays = {f"vertices{i}": h.vertices for i, h in enumerate(hands)}
    if isinstance(light, str):
        params["light"] = light
    elif light is not None:
        arrays["light"] = light
    return params, arrays


def draw_frame(hands, view, background, light, while_waiting=None):
    """Pixels (H, W, 4) and depth (H, W), float32, bottom row first, as the worker draws them."""
    for root in {h.root for h in hands}:
        link.open_avatar(root)
    params, arrays = request_of(hands, view, background, light)
    width, height = view.camera["width"], view.camera["height"]
    with _block_lock:
        params["block"] = _block.reserve(width, height)
        link.worker().call("render", params, arrays, 600.0, while_waiting)
        pixels, depth = (a.copy() for a in _block.frame(width, height))
    if view.depth_offset:
        depth[depth < FAR_DEPTH] -= view.depth_offset
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
