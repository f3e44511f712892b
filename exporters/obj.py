"""Wavefront OBJ with a material and baked textures: one pose."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hand_toolkit.core.files import atomic_write
from hand_toolkit.export.bake import encoded
from hand_toolkit.export.base import ExportRequest, Option
from hand_toolkit.export.scene_hand import SceneHand
from hand_toolkit.hand_model import vertex_normals


class ObjExporter:
    """Writes .obj, .mtl and a colour, a normal and a roughness texture a hand."""

    name = "obj"
    description = "Wavefront OBJ mesh of one pose, with .mtl and baked textures"
    suffixes = (".obj",)
    contents = ("mesh",)
    animated = False
    options = (
        Option("texture_size", int, 1024, "side of the baked textures, texels", (), 64, 8192),
        Option("texture", str, "albedo", "colours to bake: albedo or photo", ("albedo", "photo")),
    )

    def write(self, request: ExportRequest) -> list[Path]:
        """Write all files."""
        scene, path = request.scene, request.path
        # readers end a name at its first space
        stem = "_".join(path.stem.split())
        material_path = path.with_name(f"{stem}.mtl")
        size = max(int(request.options["texture_size"]) >> scene.lod, 64)
        lines = [f"# hand-toolkit, metres, y up; {scene.licence()}", f"mtllib {material_path.name}"]
        materials = [f"# {scene.licence()}"]
        written: list[Path] = []
        first = np.array([1, 1, 1])
        for hand in scene.hands:
            request.progress(0.5, f"{hand.side} hand")
            textures = scene.textures(hand.side, size, request.options["texture"])
            names = {}
            for kind in ("color", "normal", "roughness"):
                target = path.with_name(f"{stem}_{hand.side}_{kind}.png")
                atomic_write(target, encoded(getattr(textures, kind)))
                written.append(target)
                names[kind] = target.name
            materials += [
                f"newmtl {hand.side}_skin",
                "Ka 1 1 1", "Kd 1 1 1", "Ks 0.04 0.04 0.04", "Ns 30", "illum 2",
                f"map_Kd {names['color']}",
                f"norm {names['normal']}",
                f"map_Pr {names['roughness']}",
            ]  # fmt: skip
            lines += _object(hand, first)
            model = hand.model
            first = first + np.array([len(hand.vertices), len(model.uvs), len(hand.vertices)])
        atomic_write(material_path, "\n".join([*materials, ""]))
        atomic_write(path, "\n".join([*lines, ""]))
        return [path, material_path, *written]


def _object(hand: SceneHand, first: np.ndarray) -> list[str]:
    vertices = hand.posed_vertices(0)
    normals = vertex_normals(vertices, hand.model.faces)
    lines = [f"o {hand.side}_hand"]
    lines += [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in vertices]
    lines += [f"vt {u:.7f} {v:.7f}" for u, v in hand.model.uvs]
    lines += [f"vn {x:.5f} {y:.5f} {z:.5f}" for x, y, z in normals]
    lines += [f"usemtl {hand.side}_skin", "s 1"]
    v, t, n = first
    for face, uv in zip(hand.model.faces, hand.model.uv_faces):
        lines.append("f " + " ".join(f"{a + v}/{b + t}/{a + n}" for a, b in zip(face, uv)))
    return lines
