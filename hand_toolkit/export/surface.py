"""The hands as closed surfaces for printing and solid modelling: glb, obj, ply, stl."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import InputError
from ..core.files import atomic_write
from ..geometry.closing import closed_mesh
from .scene import build_scene

if TYPE_CHECKING:
    import trimesh

    from ..animate import Motion
    from ..avatar import Avatar

SUFFIXES = (".glb", ".obj", ".ply", ".stl")

PRINT_SCALE = 1000.0
"""STL has no unit; the programs that print take its numbers to be millimetres."""

Z_UP = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
"""From axes with y up to those with z up, a print bed's."""


def closed_hands(
    avatar: Avatar,
    *,
    motion: Motion | None = None,
    pose: Any = None,
    lod: int | None = None,
    sides: Sequence[str] | None = None,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Side -> vertices (V, 3) and faces (F, 3) of each hand with a dome over the wrist.

    Axes are y-up, metres; faces turn counter-clockwise seen from outside.

    Args:
        avatar: the avatar.
        motion: its first frame is taken.
        pose, lod, sides: see :func:`hand_toolkit.export.build_scene`.

    Raises:
        InputError: an argument that is not accepted.
    """
    scene = build_scene(avatar, motion=motion, pose=pose, lod=lod, sides=sides)
    found = {}
    for hand in scene.hands:
        if hand.present[0]:
            # y-up axes are a turn of the toolkit's, so faces keep their order
            vertices = hand.posed_vertices(0)
            found[hand.side] = closed_mesh(vertices, hand.model.faces)
    if not found:
        raise InputError("no hand is present in the motion's first frame; choose another motion")
    return found


def export_surface(
    avatar: Avatar,
    path: str | Path,
    *,
    motion: Motion | None = None,
    pose: Any = None,
    lod: int | None = None,
    sides: Sequence[str] | None = None,
) -> Path:
    """Write the hands as watertight meshes, each hand a body of its own.

    Args:
        avatar: the avatar.
        path: a file of ``SUFFIXES``; an STL is in millimetres with z up, others in metres, y up.
        motion, pose, lod, sides: see :func:`closed_hands`.

    Raises:
        InputError: another ending, or an argument that is not accepted.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"a surface is written as {', '.join(SUFFIXES)}; received '{path.name}'")
    hands = closed_hands(avatar, motion=motion, pose=pose, lod=lod, sides=sides)
    meshes = {side: _mesh(*hand, suffix) for side, hand in hands.items()}
    atomic_write(path, _encoded(meshes, suffix))
    return path


def _mesh(vertices: np.ndarray, faces: np.ndarray, suffix: str) -> trimesh.Trimesh:
    import trimesh

    if suffix == ".stl":
        vertices = PRINT_SCALE * vertices @ Z_UP.T
    return trimesh.Trimesh(vertices, faces, process=False)


def _encoded(meshes: dict[str, trimesh.Trimesh], suffix: str) -> bytes:
    import trimesh

    if suffix in (".stl", ".ply"):
        # these hold one mesh; hands that do not touch stay bodies of their own in it
        joined = trimesh.util.concatenate(list(meshes.values()))
        data = joined.export(file_obj=None, file_type=suffix[1:])
    else:
        scene = trimesh.Scene()
        for side, mesh in meshes.items():
            scene.add_geometry(mesh, node_name=f"{side}_hand", geom_name=f"{side}_hand")
        data = scene.export(file_obj=None, file_type=suffix[1:])
    return data.encode() if isinstance(data, str) else bytes(data)
