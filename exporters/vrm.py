"""VRM 1.0 (.vrm): a pair of hands as the hands of a humanoid, textured, in its T-pose.

VRM asks for a whole humanoid, so the bones between hips and forearms are there without a mesh, at
the places of a person of 1.7 m. Spec: ``VRMC_vrm-1.0`` of vrm-c/vrm-specification.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit.core.errors import InputError
from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.skeletons import JOINTS, find_skeleton
from hand_toolkit.export.base import ExportRequest, Option
from hand_toolkit.export.gltf_buffer import GltfDocument
from hand_toolkit.export.scene_hand import SceneHand

from .glb import GlbExporter, GlbWriter

EXTENSION = "VRMC_vrm"
LICENCE_URL = "https://vrm.dev/licenses/1.0/"
WRIST_M = np.array([0.66, 1.38, 0.0])
"""A left wrist in the T-pose, y up, the person facing +z."""

BODY: dict[str, tuple[str, tuple[float, float, float]]] = {
    "hips": ("", (0.0, 0.94, 0.0)),
    "spine": ("hips", (0.0, 1.05, 0.0)),
    "chest": ("spine", (0.0, 1.2, 0.0)),
    "neck": ("chest", (0.0, 1.42, 0.0)),
    "head": ("neck", (0.0, 1.5, 0.0)),
    **{
        f"{side}{part}": (parent if parent == "hips" else f"{side}{parent}", (sign * x, y, 0.0))
        for side, sign in (("right", -1), ("left", 1))
        for part, parent, x, y in (
            ("UpperLeg", "hips", 0.09, 0.88),
            ("LowerLeg", "UpperLeg", 0.09, 0.48),
            ("Foot", "LowerLeg", 0.09, 0.08),
        )
    },
    **{
        f"{side}{part}": (parent if parent == "chest" else f"{side}{parent}", (sign * x, 1.38, 0.0))
        for side, sign in (("right", -1), ("left", 1))
        for part, parent, x in (("UpperArm", "chest", 0.17), ("LowerArm", "UpperArm", 0.42))
    },
}
"""Parent and place, metres, of every required bone but the hands."""


class VrmExporter:
    """Writes .vrm."""

    name = "vrm"
    description = "VRM 1.0: textured hands of a humanoid in T-pose (one file, no motion)"
    suffixes = (".vrm",)
    contents = ("mesh", "skeleton")
    animated = False
    skeleton = "vrm"
    options = (
        Option("texture_size", int, 1024, "side of the baked textures, texels", (), 64, 8192),
        Option("title", str, "Hands", "the avatar's name in the file"),
        Option("author", str, "unknown", "who made it, as VRM's licence terms ask"),
    )

    def write(self, request: ExportRequest) -> list[Path]:
        """Write the file.

        Raises:
            InputError: a pose was given; a VRM file is at rest.
        """
        if request.scene.posed:
            raise InputError("a VRM file holds its T-pose alone; leave the pose out")
        options = {option.name: option.default for option in GlbExporter.options}
        options.update(texture_size=request.options["texture_size"], skeleton="vrm")
        hands = tuple(_placed(hand) for hand in request.scene.hands)
        scene = dataclasses.replace(request.scene, hands=hands)
        inner = ExportRequest(scene, request.path, "mesh", options, request.progress)
        writer = GlbWriter(inner)
        document = writer.build()
        nodes = {node.name: k for k, node in enumerate(document.gltf.nodes)}
        roots = [nodes[_root(hand, nodes)] for hand in hands]
        bones = _body(document, hands, nodes)
        document.gltf.scenes[0].nodes = [
            *(n for n in writer.roots if n not in roots),
            bones["hips"],
        ]
        for hand in hands:
            names = find_skeleton("vrm").bones(hand.side)
            bones.update({names[joint]: nodes[names[joint]] for joint in JOINTS if joint in names})
        document.use(EXTENSION)
        document.gltf.extensions = {
            **(document.gltf.extensions or {}),
            EXTENSION: {
                "specVersion": "1.0",
                "meta": _meta(request),
                "humanoid": {"humanBones": {name: {"node": k} for name, k in bones.items()}},
            },
        }
        atomic_write(request.path, document.glb())
        return [request.path]


def _root(hand: SceneHand, nodes: dict[str, int]) -> str:
    """The name of the hand's own root: its forearm where it has one."""
    return f"{hand.side}{'LowerArm' if f'{hand.side}LowerArm' in nodes else 'Hand'}"


def _placed(hand: SceneHand) -> SceneHand:
    """The hand at the end of the body's arm."""
    wrist = WRIST_M * [-1.0 if hand.side == "right" else 1.0, 1.0, 1.0]
    place = wrist * [1.0, -1.0, -1.0]  # y down, as scenes are
    return dataclasses.replace(hand, bind_translation=place, translation=place[None])


def _body(
    document: GltfDocument, hands: tuple[SceneHand, ...], nodes: dict[str, int]
) -> dict[str, int]:
    """Add the body's nodes, the hands' below its forearms; nodes by humanoid bone."""
    places = {name: np.array(place) for name, (_, place) in BODY.items()}
    parents = {name: parent for name, (parent, _) in BODY.items()}
    made = {}
    own = [nodes[name] for hand in hands if (name := _root(hand, nodes)) in BODY]
    for node in own:  # a forearm of the file's own, with the hand on it
        places[document.gltf.nodes[node].name] = np.array(document.gltf.nodes[node].translation)
    for name in BODY:
        above = places[parents[name]] if parents[name] else np.zeros(3)
        if nodes.get(name) in own:
            made[name] = nodes[name]
            place = places[name] - above
            document.gltf.nodes[made[name]].translation = [float(v) for v in place]
            continue
        made[name] = document.node(
            name=name, translation=[float(v) for v in places[name] - above], children=[]
        )
    for side in ("right", "left"):
        end = f"{side}Hand"
        if end in nodes and nodes.get(f"{side}LowerArm") in own:
            made[end] = nodes[end]  # it hangs there already
            continue
        if end in nodes:
            hand = next(h for h in hands if h.side == side)
            inside = hand.wrist_positions[0] - places[f"{side}LowerArm"]
            document.gltf.nodes[nodes[end]].translation = [float(v) for v in inside]
            made[end] = nodes[end]
        else:  # VRM requires both
            place = WRIST_M * [-1.0 if side == "right" else 1.0, 1.0, 1.0]
            inside = place - places[f"{side}LowerArm"]
            made[end] = document.node(name=end, translation=[float(v) for v in inside])
        parents[end] = f"{side}LowerArm"
    for name, parent in parents.items():
        if parent:
            document.gltf.nodes[made[parent]].children.append(made[name])
    return made


def _meta(request: ExportRequest) -> dict[str, Any]:
    from hand_toolkit import __version__

    return {
        "name": request.options["title"],
        "version": __version__,
        "authors": [request.options["author"]],
        "copyrightInformation": request.scene.licence(),
        "licenseUrl": LICENCE_URL,
        "avatarPermission": "onlyAuthor",
    }
