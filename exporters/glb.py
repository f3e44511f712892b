"""glTF 2.0 (.glb, .gltf): skinned textured mesh, animation, and KHR_gaussian_splatting points.

Every hand has a skeleton of MANO's sixteen joints under its wrist node, in an upright bind pose
with y up. Mesh and splats share the skin. A splat primitive follows the ratified
KHR_gaussian_splatting (colour space ``srgb_rec709_display``, spherical harmonics in glTF axes);
``COLOR_0`` (linear) lets other viewers show points. The splat primitive's extras name accessors
that keep the surface binding, so that ``hand-toolkit import`` makes an avatar of the file again.
A skin on the splats and application-specific attributes (glTF 2.0, 3.7.2.1) are options, since
Blender's importers stop at them: 5.3 at a skinned point cloud, 5.0 at attributes of several widths.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit.core.errors import InputError
from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.skeletons import SKELETON_OPTION, find_skeleton
from hand_toolkit.export import axes
from hand_toolkit.export.bake import encoded
from hand_toolkit.export.base import ExportRequest, Option
from hand_toolkit.export.gltf_buffer import GltfDocument
from hand_toolkit.export.rig import HandRig, hand_rig
from hand_toolkit.export.scene import MISSING_SCALE, ExportScene
from hand_toolkit.export.scene_hand import Corrective, SceneHand
from hand_toolkit.export.surface_mesh import split_mesh, strongest, tangents
from hand_toolkit.geometry.colour import srgb_to_linear
from hand_toolkit.geometry.rotations import normalized_quats
from hand_toolkit.hand_model.arm import skin_weights

SPLATTING = "KHR_gaussian_splatting"
BINDING_VERSION = 3
ROUGHNESS = 0.55
SPECULAR = 0.7
"""Skin's index of refraction is 1.4, not glTF's 1.5: 2.8 % of reflection in place of 4 %."""


class GlbExporter:
    """Writes .glb, or .gltf with a .bin beside it."""

    name = "glb"
    description = "glTF 2.0: skinned textured mesh, animation and KHR_gaussian_splatting splats"
    suffixes = (".glb", ".gltf")
    contents = ("mesh", "splats", "skeleton")
    animated = True
    options = (
        Option("texture_size", int, 1024, "side of the baked textures, texels", (), 64, 8192),
        Option("texture", str, "albedo", "colours to bake: albedo (lit by the viewer) or photo "
               "(as photographed, unlit)", ("albedo", "photo")),
        Option("image", str, "png", "picture format of the textures", ("png", "jpg")),
        Option("influences", int, 8, "skin weights a vertex: 8 is exact, 4 suits engines that "
               "read no more", (), 4, 8),
        Option("splat_skin", str, "never", "splats follow the skeleton in viewers that skin "
               "points: never, always, auto (unless a still pose is exported); Blender 5.3 cannot "
               "open such files", ("never", "auto", "always")),
        Option("correctives", bool, True, "morph targets that bend the mesh as flesh, set in a "
               "pose, keyed in a motion"),
        Option("binding", bool, True, "keep what 'hand-toolkit import' needs to make an avatar"),
        Option("attributes", bool, False, "keep the binding as attributes of the points "
               "(_TRIANGLE, ...), which Blender 5.0 cannot open"),
        SKELETON_OPTION,
    )  # fmt: skip

    def write(self, request: ExportRequest) -> list[Path]:
        """Write the file(s)."""
        document = GlbWriter(request).build()
        if request.path.suffix.lower() == ".glb":
            request.progress(0.9, "writing")
            atomic_write(request.path, document.glb())
            return [request.path]
        binary = request.path.with_suffix(".bin")
        text = document.json(binary.name)
        atomic_write(binary, document.binary())
        atomic_write(request.path, text)
        return [request.path, binary]


class GlbWriter:
    """One export in progress."""

    def __init__(self, request: ExportRequest) -> None:
        self.request = request
        self.scene: ExportScene = request.scene
        self.options = request.options
        self.doc = GltfDocument()
        self.lib = self.doc.lib
        self.roots: list[int] = []
        self.channels: list[Any] = []
        self.samplers: list[Any] = []

    def build(self) -> GltfDocument:
        skeleton = find_skeleton(self.options["skeleton"])
        if skeleton.flat and len(self.scene.hands) > 1:
            raise InputError(
                f"the skeleton {skeleton.name} names bones alike for both hands; "
                "choose one: --side right or --side left"
            )
        for k, hand in enumerate(self.scene.hands):
            self.request.progress(0.8 * k / len(self.scene.hands), f"{hand.side} hand")
            self._hand(hand)
        gltf = self.doc.gltf
        gltf.scenes = [self.lib.Scene(nodes=self.roots, name="hands")]
        gltf.scene = 0
        if self.channels:
            gltf.animations = [
                self.lib.Animation(
                    name=self.scene.name, channels=self.channels, samplers=self.samplers
                )
            ]
        self._metadata()
        return self.doc

    def _hand(self, hand: SceneHand) -> None:
        rig = hand_rig(hand, self.options["skeleton"])
        first = len(self.roots)
        joints = self._skeleton(rig)
        skin = self._skin(hand, rig, joints)
        if self.request.mesh:
            node = self.doc.node(name=f"{hand.side}_hand", mesh=self._mesh(hand, rig), skin=skin)
            self.roots.append(node)
            self._animate_correctives(hand, node)
        if self.request.splats:
            rule = self.options["splat_skin"]
            skinned = rule == "always" or (rule == "auto" and not self.scene.posed)
            mesh = self._splats(hand, rig, skinned)
            node = self.doc.node(
                name=f"{hand.side}_splats", mesh=mesh, skin=skin if skinned else None
            )
            self.roots.append(node)
            if skinned:
                self._animate_correctives(hand, node)
        if len(rig.roots) > 1:  # readers of flat skeletons look for one object that holds all
            inside, self.roots = self.roots[first:], self.roots[:first]
            self.roots.append(self.doc.node(name=f"{hand.side}_armature", children=inside))
        if self.scene.animated:
            self._animate(hand, rig, joints)

    def _skeleton(self, rig: HandRig) -> list[int]:
        still = not self.scene.animated
        quats = rig.quats[0] if still else rig.bind_quats
        places = rig.places[0] if still else rig.bind_places
        first = len(self.doc.gltf.nodes)
        for j, name in enumerate(rig.names):
            children = [first + int(c) for c in np.flatnonzero(j == rig.parents)]
            self.doc.node(
                name=name,
                translation=[float(v) for v in places[j]],
                rotation=_xyzw(quats[j]),
                children=children,
            )
        self.roots += [first + j for j in rig.roots]
        return [first + j for j in range(len(rig.names))]

    def _skin(self, hand: SceneHand, rig: HandRig, joints: list[int]) -> int:
        inverse = np.linalg.inv(rig.bind).astype(np.float32)
        inverse[:, 3] = [0, 0, 0, 1]
        self.doc.gltf.skins.append(
            self.lib.Skin(
                name=f"{hand.side}_skeleton",
                joints=joints,
                skeleton=joints[0] if len(rig.roots) == 1 else None,
                inverseBindMatrices=self.doc.accessor(inverse, vertex=False),
            )
        )
        return len(self.doc.gltf.skins) - 1

    def _weights(self, weights: np.ndarray, fine: bool) -> dict[str, int]:
        """JOINTS_n and WEIGHTS_n; the second set only where somebody needs it."""
        joints, values = strongest(weights, int(self.options["influences"]))
        if not fine:
            values = _to_uint16(values)
            joints = np.where(values > 0, joints, 0).astype(np.uint8)
        attributes = {}
        for k in range((values.shape[1] + 3) // 4):
            part, which = (_four_wide(a[:, 4 * k : 4 * k + 4]) for a in (values, joints))
            if k and not part.any():
                continue
            attributes[f"JOINTS_{k}"] = self.doc.accessor(which)
            attributes[f"WEIGHTS_{k}"] = self.doc.accessor(part, normalized=not fine)
        return attributes

    def _mesh(self, hand: SceneHand, rig: HandRig) -> int:
        mesh = split_mesh(hand)
        positions = hand.bind_vertices[mesh.vertex]
        normals = hand.bind_normals[mesh.vertex]
        normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        uv = np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], 1)  # glTF counts v from the top
        attributes = {
            "POSITION": self.doc.accessor(positions.astype(np.float32), bounds=True),
            "NORMAL": self.doc.accessor(normals.astype(np.float32)),
            # green of the normal map leans along growing v (upwards), which is glTF's bitangent
            "TANGENT": self.doc.accessor(tangents(mesh, positions, normals)),
            "TEXCOORD_0": self.doc.accessor(uv.astype(np.float32)),
            **self._weights(rig.weights(skin_weights(hand.model)[mesh.vertex]), fine=True),
        }
        indices = mesh.faces.astype(np.uint16 if len(positions) < 65535 else np.uint32)
        primitive = self.lib.Primitive(
            attributes=self.lib.Attributes(**attributes),
            indices=self.doc.accessor(indices.ravel(), indices=True),
            material=self._material(hand),
            mode=4,
        )
        shapes = self._correctives(hand)
        primitive.targets = [{"POSITION": self._morph(mesh.vertex, shape)} for shape in shapes]
        return self._add_mesh(f"{hand.side}_hand", primitive, shapes)

    def _correctives(self, hand: SceneHand) -> tuple[Corrective, ...]:
        return hand.correctives if self.options["correctives"] else ()

    def _morph(self, vertex: np.ndarray, shape: Corrective) -> int:
        """Accessor of a morph target on vertices that seams have split."""
        place = np.full(int(max(vertex.max(), shape.vertices.max())) + 1, -1)
        place[shape.vertices] = np.arange(len(shape.vertices))
        rows = np.flatnonzero(place[vertex] >= 0)
        return self.doc.sparse(len(vertex), rows, shape.offsets[place[vertex[rows]]])

    def _animate_correctives(self, hand: SceneHand, node: int) -> None:
        if not self.scene.animated or not self._correctives(hand):
            return
        times = self.doc.accessor(self.scene.times.astype(np.float32), vertex=False, bounds=True)
        weights = np.stack([shape.weights for shape in self._correctives(hand)], 1)
        self._channel(node, "weights", times, weights.astype(np.float32).ravel())

    def _material(self, hand: SceneHand) -> int:
        size = max(int(self.options["texture_size"]) >> self.scene.lod, 64)
        source, kind = self.options["texture"], self.options["image"]
        textures = self.scene.textures(hand.side, size, source)
        mime = "image/png" if kind == "png" else "image/jpeg"
        color = self.doc.image_texture(
            encoded(textures.color, kind), mime, f"{hand.side}_base_color"
        )
        pbr = self.lib.PbrMetallicRoughness(
            baseColorTexture=self.lib.TextureInfo(index=color),
            baseColorFactor=[1.0, 1.0, 1.0, 1.0],
            metallicFactor=0.0,
            roughnessFactor=ROUGHNESS if source == "photo" else 1.0,
        )
        material = self.lib.Material(
            name=f"{hand.side}_skin", pbrMetallicRoughness=pbr, doubleSided=True
        )
        material.alphaCutoff = None
        if source == "photo":
            self.doc.use("KHR_materials_unlit")
            material.extensions = {"KHR_materials_unlit": {}}
        else:
            normal = self.doc.image_texture(
                encoded(textures.normal), "image/png", f"{hand.side}_normal"
            )
            material.normalTexture = self.lib.NormalMaterialTexture(index=normal)
            # glTF reads roughness from green and metalness, which skin has none of, from blue
            rough = np.zeros((*textures.roughness.shape, 3), np.uint8)
            rough[..., 0], rough[..., 1] = 255, textures.roughness
            pbr.metallicRoughnessTexture = self.lib.TextureInfo(
                index=self.doc.image_texture(encoded(rough), "image/png", f"{hand.side}_roughness")
            )
            material.extensions = {
                "KHR_materials_specular": {"specularFactor": SPECULAR},
            }
            self.doc.use("KHR_materials_specular")
        self.doc.gltf.materials.append(material)
        return len(self.doc.gltf.materials) - 1

    def _splats(self, hand: SceneHand, rig: HandRig, skinned: bool) -> int:
        scene, side = self.scene, hand.side
        splats = (
            scene.bind_splats(side) if skinned or scene.animated else scene.splats_y_up(0, side)
        )
        data = scene.avatar.hand(side)
        add = self.doc.accessor
        sh = axes.sh_coefficients(splats.colors)
        attributes = {
            "POSITION": add(splats.means, bounds=True),
            f"{SPLATTING}:ROTATION": add(np.roll(normalized_quats(splats.quats), -1, axis=1)),
            f"{SPLATTING}:SCALE": add(splats.scales),
            f"{SPLATTING}:OPACITY": add(splats.opacities),
        }
        k = 0
        for degree in range(int(np.sqrt(sh.shape[1]))):
            for m in range(2 * degree + 1):
                name = f"{SPLATTING}:SH_DEGREE_{degree}_COEF_{m}"
                attributes[name] = add(np.ascontiguousarray(sh[:, k]))
                k += 1
        linear = srgb_to_linear(axes.base_colors(splats.colors))
        rgba = np.concatenate([linear, splats.opacities[:, None]], axis=1)
        attributes["COLOR_0"] = add(
            (np.clip(rgba, 0, 1) * 65535 + 0.5).astype(np.uint16), normalized=True
        )
        attributes["_EVIDENCE"] = add(data.evidence)
        if skinned:
            attributes.update(self._weights(rig.weights(scene.splat_weights(side)), fine=False))
        extras: dict[str, Any] = {"side": side}
        if self.options["binding"]:
            binding = data.binding
            kept = attributes if self.options["attributes"] else extras.setdefault("accessors", {})
            kept["_TRIANGLE"] = add(binding.triangle.astype(np.float32))
            kept["_BARYCENTRIC"] = add(binding.barycentric)
            kept["_OFFSET"] = add(binding.offset)
            kept["_LOCAL_ROTATION"] = add(np.roll(binding.quat, -1, axis=1))
            kept["_LOCAL_SCALE"] = add(binding.scale)
            kept["_ALBEDO"] = add(data.albedo)
            extras.update(
                binding_version=BINDING_VERSION,
                plain_color=bool(data.color.ndim == 2),
                observed=bool(data.observed),
                shape=[float(v) for v in data.shape],
                source_theta=[float(v) for v in data.source_theta.ravel()],
                source_translation=[float(v) for v in data.source_translation],
            )
        self.doc.use(SPLATTING)
        primitive = self.lib.Primitive(
            attributes=self.lib.Attributes(**attributes),
            mode=0,
            extensions={
                SPLATTING: {
                    "kernel": "ellipse",
                    "colorSpace": "srgb_rec709_display",
                    "projection": "perspective",
                    "sortingMethod": "cameraDistance",
                }
            },
            extras={"hand_toolkit": extras},
        )
        shapes: tuple[Corrective, ...] = ()
        if skinned and self.options["correctives"]:
            shapes = scene.splat_correctives(side)
            every = np.arange(len(splats.means))
            primitive.targets = [{"POSITION": self._morph(every, shape)} for shape in shapes]
        return self._add_mesh(f"{side}_splats", primitive, shapes)

    def _add_mesh(self, name: str, primitive: Any, shapes: tuple[Corrective, ...] = ()) -> int:
        mesh = self.lib.Mesh(name=name, primitives=[primitive])
        if shapes:
            still = not self.scene.animated
            mesh.weights = [float(shape.weights[0]) if still else 0.0 for shape in shapes]
            mesh.extras = {"targetNames": [shape.name for shape in shapes]}
        self.doc.gltf.meshes.append(mesh)
        return len(self.doc.gltf.meshes) - 1

    def _animate(self, hand: SceneHand, rig: HandRig, joints: list[int]) -> None:
        times = self.doc.accessor(self.scene.times.astype(np.float32), vertex=False, bounds=True)
        quats = normalized_quats(rig.quats)[..., [1, 2, 3, 0]]
        for j, node in enumerate(joints):
            if np.abs(quats[:, j] - _xyzw(rig.bind_quats[j])).max() > 1e-7:
                self._channel(node, "rotation", times, quats[:, j])
        for j in rig.roots:
            self._channel(joints[j], "translation", times, rig.places[:, j].astype(np.float32))
            if not hand.present.all():
                scale = np.where(hand.present, 1.0, MISSING_SCALE)[:, None] * np.ones(3)
                self._channel(joints[j], "scale", times, scale.astype(np.float32), "STEP")

    def _channel(
        self, node: int, path: str, times: int, values: np.ndarray, how: str = "LINEAR"
    ) -> None:
        output = self.doc.accessor(np.ascontiguousarray(values), vertex=False)
        self.samplers.append(
            self.lib.AnimationSampler(input=times, output=output, interpolation=how)
        )
        target = self.lib.AnimationChannelTarget(node=node, path=path)
        self.channels.append(
            self.lib.AnimationChannel(sampler=len(self.samplers) - 1, target=target)
        )

    def _metadata(self) -> None:
        from hand_toolkit import __version__

        avatar = self.scene.avatar
        licence = self.scene.licence()
        asset = self.lib.Asset(
            version="2.0", generator=f"hand-toolkit {__version__}", copyright=licence or None
        )
        info: dict[str, Any] = {
            "version": 1,
            "provenance": dict(avatar.provenance),
            "licence": licence,
            "hand_model": avatar.hand_model,
        }
        if self.request.splats and self.options["binding"]:
            camera = avatar.camera
            info.update(
                level=int(avatar.level),
                light=[float(v) for v in avatar.light.ravel()],
                camera={
                    **{k: getattr(camera, k) for k in ("fx", "fy", "cx", "cy", "width", "height")},
                    "world_to_camera": [float(v) for v in camera.world_to_camera.ravel()],
                },
            )
        asset.extras = {"hand_toolkit": json.loads(json.dumps(info))}
        self.doc.use("KHR_xmp_json_ld")
        packet: dict[str, Any] = {
            "@context": {
                "dc": "http://purl.org/dc/elements/1.1/",
                "xmp": "http://ns.adobe.com/xap/1.0/",
            },
            "@id": "",
            "dc:title": "Gaussian-splat hand avatar",
            "dc:format": "model/gltf-binary",
            "xmp:CreatorTool": f"hand-toolkit {__version__}",
        }
        if licence:
            packet["dc:rights"] = {
                "@type": "rdf:Alt",
                "rdf:_1": {"@language": "en", "@value": licence},
            }
            packet["@context"]["rdf"] = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
        if "source" in avatar.provenance:
            packet["dc:source"] = avatar.provenance["source"]
        self.doc.gltf.extensions = {"KHR_xmp_json_ld": {"packets": [packet]}}
        asset.extensions = {"KHR_xmp_json_ld": {"packet": 0}}
        self.doc.gltf.asset = asset


def _xyzw(quat: np.ndarray) -> list[float]:
    unit = normalized_quats(quat)
    return [float(v) for v in np.roll(unit, -1)]


def _four_wide(values: np.ndarray) -> np.ndarray:
    """(V, 4) of (V, 1..4), padded with zeros."""
    missing = 4 - values.shape[1]
    return np.ascontiguousarray(np.pad(values, ((0, 0), (0, missing)))) if missing else values


def _to_uint16(weights: np.ndarray) -> np.ndarray:
    """Weights (V, C) as integers whose rows sum to exactly 65535."""
    whole = np.floor(weights * 65535).astype(np.int64)
    whole[:, 0] += 65535 - whole.sum(1)
    return whole.astype(np.uint16)
