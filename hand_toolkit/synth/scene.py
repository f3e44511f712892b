"""The Blender scene: two hands, skin material, lights, camera, Cycles. Only this file uses bpy."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.conventions import SIDES
from ..core.errors import missing_dependency
from ..core.types import Camera
from .appearance import Appearance
from .lighting import ENVIRONMENT_SHAPE, Lighting
from .skin import BakedSkin
from .surface import Surface
from .texels import TexelMap

KEPT_SUBJECTS = 24
KEPT_ENVIRONMENTS = 256
"""Images that Blender holds at a time; an environment takes 130 kB."""

PARTS = ("right hand", "left hand", "right forearm", "left forearm")
"""Value 1 to 4 of the label picture; 0 is the background."""


@dataclass(frozen=True)
class Passes:
    """What Cycles hands back, linear, straight alpha.

    Attributes:
        color: (H, W, 3) radiance.
        alpha: (H, W).
        albedo: (H, W, 3).
        labels: (H, W) uint8, see PARTS.
    """

    color: np.ndarray
    alpha: np.ndarray
    albedo: np.ndarray
    labels: np.ndarray


class HandScene:
    """One Blender scene for the whole process; bpy's state is global.

    Args:
        surfaces: by side.
        texels: by side, for the baked texture coordinates.
        scratch: folder for the raw render.
        samples: Cycles samples a pixel.
        threads: for Cycles.

    Raises:
        MissingDependencyError: bpy or OpenEXR is not installed.
    """

    def __init__(
        self,
        surfaces: dict[str, Surface],
        texels: dict[str, TexelMap],
        scratch: Path,
        samples: int = 8,
        threads: int = 2,
    ) -> None:
        try:
            import bpy
        except ImportError:
            raise missing_dependency("rendering hands", "bpy", "synth") from None
        try:
            import OpenEXR  # noqa: F401
        except ImportError:
            raise missing_dependency("rendering hands", "OpenEXR", "synth") from None
        self._bpy = bpy
        self._raw = scratch / f"raw-{os.getpid()}.exr"
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        _configure(self.scene, samples, threads)
        self._materials = {side: SkinMaterial(bpy, side) for side in SIDES}
        self._objects = {
            side: self._make_hand(surfaces[side], texels[side], self._materials[side])
            for side in SIDES
        }
        self._camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        self._camera.data.clip_start = 0.01
        self._link(self._camera)
        self.scene.camera = self._camera
        self._lamps: list[Any] = []
        self._environments: dict[str, Any] = {}
        self._make_world()

    def set_subject(self, number: int, look: Appearance, skins: dict[str, BakedSkin]) -> None:
        """Load textures and surface optics of subject ``number``."""
        known = self._materials["right"]
        if not known.knows(number) and known.count >= KEPT_SUBJECTS:
            self._forget_subjects()
        for side in SIDES:
            self._materials[side].set_subject(number, look, skins[side])

    def _forget_subjects(self) -> None:
        """Drop all textures, Cycles' copies first."""
        self._let_go()
        for material in self._materials.values():
            material.forget()

    def _let_go(self) -> None:
        """Make Cycles drop its copies of images that are to be removed.

        It would take a new image at a freed one's address for the old one. It lets go of
        everything after a render without persistent data, so make a tiny one.
        """
        render, cycles = self.scene.render, self.scene.cycles
        before = (render.resolution_x, render.resolution_y, cycles.samples)
        render.use_persistent_data = False
        render.resolution_x, render.resolution_y, cycles.samples = 4, 4, 1
        self._bpy.ops.render.render()
        render.use_persistent_data = True
        render.resolution_x, render.resolution_y, cycles.samples = before

    def set_hands(self, vertices: dict[str, np.ndarray]) -> None:
        """Show the hands of ``vertices`` (by side, (V, 3) metres, forearm included)."""
        for side in SIDES:
            shown = self._objects[side]
            shown.hide_render = side not in vertices
            if side not in vertices:
                continue
            mesh = shown.data
            control = np.asarray(vertices[side], dtype=np.float32)
            mesh.vertices.foreach_set("co", control.ravel())
            mesh.update()

    def set_camera(self, camera: Camera) -> None:
        """Point Blender's camera like an OpenCV camera."""
        from mathutils import Matrix

        to_world = np.linalg.inv(camera.world_to_camera) @ np.diag([1.0, -1.0, -1.0, 1.0])
        self._camera.matrix_world = Matrix(to_world.tolist())
        data = self._camera.data
        data.sensor_fit, data.sensor_width = "HORIZONTAL", 36.0
        data.lens = camera.fx / camera.width * 36.0
        data.shift_x = (0.5 * camera.width - camera.cx) / camera.width
        data.shift_y = (camera.cy - 0.5 * camera.height) / camera.width
        render = self.scene.render
        render.resolution_x, render.resolution_y = camera.width, camera.height
        render.pixel_aspect_x, render.pixel_aspect_y = _aspect(camera.fy / camera.fx)

    def set_lighting(self, lighting: Lighting, center: np.ndarray) -> None:
        """Place the lamps around ``center`` (3,) and fill the environment."""
        from mathutils import Matrix

        bpy = self._bpy
        self._room.image = self._environment(lighting)
        while len(self._lamps) < len(lighting.lamps):
            lamp = bpy.data.objects.new("lamp", bpy.data.lights.new("lamp", "AREA"))
            self._link(lamp)
            self._lamps.append(lamp)
        for k, lamp in enumerate(self._lamps):
            lamp.hide_render = k >= len(lighting.lamps)
            if lamp.hide_render:
                continue
            source = lighting.lamps[k]
            frame = np.eye(4)
            frame[:3, :3] = _facing(source.direction)
            frame[:3, 3] = center + source.direction * source.distance
            lamp.matrix_world = Matrix(frame.tolist())
            lamp.data.size = source.size
            lamp.data.color = source.color.tolist()
            lamp.data.energy = source.energy

    def render(self) -> Passes:
        """Render the scene as it stands."""
        import OpenEXR

        self.scene.render.filepath = str(self._raw)
        self._bpy.ops.render.render(write_still=True)
        try:
            layers: dict[str, np.ndarray] = {}
            with OpenEXR.File(str(self._raw), separate_channels=True) as file:
                for part in file.parts:
                    for name, layer in part.channels.items():
                        layers[name] = np.array(layer.pixels, dtype=np.float32)
        finally:
            self._raw.unlink(missing_ok=True)

        def channel(*endings: str) -> np.ndarray:
            return next(v for k, v in layers.items() if k.endswith(endings))

        alpha = np.clip(channel("Combined.A"), 0, 1)
        solid = np.maximum(alpha, 1e-3)[..., None]
        color = np.stack([channel(f"Combined.{c}") for c in "RGB"], -1) / solid
        albedo = (
            np.stack([channel(f"Diffuse Color.{c}", f"DiffCol.{c}") for c in "RGB"], -1) / solid
        )
        index = channel("Material Index.X", "IndexMA.X")
        # The index pass keeps one sample; where it missed the hand, the nearest label counts.
        labels = _fill_labels(np.rint(index).astype(np.uint8), alpha > 0.02)
        return Passes(color, alpha, np.clip(albedo, 0, 1), labels)

    def _link(self, thing: Any) -> None:
        self._bpy.context.collection.objects.link(thing)

    def _make_hand(self, surface: Surface, texels: TexelMap, skin: SkinMaterial) -> Any:
        bpy = self._bpy
        mesh = bpy.data.meshes.new(surface.side)
        mesh.from_pydata(surface.rest.tolist(), [], surface.quads.tolist())
        count = len(surface.quads)
        mesh.polygons.foreach_set("use_smooth", np.ones(count, dtype=bool))
        for material in skin.slots:
            mesh.materials.append(material)
        slot = (np.arange(count) >= surface.hand_quads).astype(np.int32)
        mesh.polygons.foreach_set("material_index", slot)
        loops = texels.uvs[surface.uv_quads].reshape(-1, 2)
        layer = mesh.uv_layers.new(name="uv")
        layer.uv.foreach_set("vector", loops.astype(np.float32).ravel())
        rest = mesh.attributes.new("rest", "FLOAT_VECTOR", "POINT")
        shift = 0.0 if surface.side == "right" else 3.0
        rest.data.foreach_set("vector", (surface.rest + shift).astype(np.float32).ravel())
        mesh.update()
        hand = bpy.data.objects.new(surface.side, mesh)
        self._link(hand)
        # The same Catmull-Clark subdivision as the hand model's own levels.
        smooth = hand.modifiers.new("smooth", "SUBSURF")
        smooth.levels = smooth.render_levels = 2
        smooth.uv_smooth = "PRESERVE_BOUNDARIES"
        return hand

    def _make_world(self) -> None:
        bpy = self._bpy
        world = bpy.data.worlds.new("room")
        self.scene.world = world
        world.use_nodes = True
        nodes = world.node_tree.nodes
        self._room = nodes.new("ShaderNodeTexEnvironment")
        background = next(n for n in nodes if n.type == "BACKGROUND")
        world.node_tree.links.new(self._room.outputs[0], background.inputs[0])

    def _environment(self, lighting: Lighting) -> Any:
        """The image of an environment, of its own for each, as :class:`SkinMaterial` explains."""
        pixels = np.ones((*ENVIRONMENT_SHAPE, 4), dtype=np.float32)
        pixels[..., :3] = lighting.environment
        key = hashlib.blake2b(pixels.tobytes(), digest_size=8).hexdigest()
        if key not in self._environments:
            images = self._bpy.data.images
            if len(self._environments) >= KEPT_ENVIRONMENTS:
                self._let_go()
                for image in self._environments.values():
                    images.remove(image)
                self._environments.clear()
            rows, columns = ENVIRONMENT_SHAPE
            image = images.new(f"room {key}", columns, rows, float_buffer=True)
            image.colorspace_settings.name = "Non-Color"
            image.pixels.foreach_set(pixels.ravel())
            image.update()
            self._environments[key] = image
        return self._environments[key]


class SkinMaterial:
    """Principled skin fed by a baked albedo and a detail map (relief, nail, gloss)."""

    def __init__(self, bpy: Any, side: str) -> None:
        self._bpy = bpy
        self._side = side
        self._images: dict[int, dict[str, Any]] = {}
        hand, forearm = PARTS.index(f"{side} hand") + 1, PARTS.index(f"{side} forearm") + 1
        self.slots = [self._build(f"{side} hand"), None]
        self.slots[1] = self.slots[0].copy()
        self.slots[0].pass_index, self.slots[1].pass_index = hand, forearm

    def set_subject(self, number: int, look: Appearance, skin: BakedSkin) -> None:
        """Replace textures and optics; ``number`` tells subjects apart.

        With persistent data Cycles knows a texture by its data block and does not look at its
        pixels again, so every subject has data blocks of its own.
        """
        if number not in self._images:
            self._images[number] = {
                "albedo": self._make_image(f"{self._side} albedo {number}", skin.albedo),
                "detail": self._make_image(f"{self._side} detail {number}", skin.detail),
            }
        for material in self.slots:
            nodes = material.node_tree.nodes
            for name, image in self._images[number].items():
                nodes[name].image = image
            nodes["relief"].inputs["Distance"].default_value = look.bump_mm * 1e-3
            nodes["roughness"].inputs[2].default_value = look.roughness
            shader = nodes["skin"]
            shader.inputs["Subsurface Scale"].default_value = look.subsurface_mm * 1e-3
            shader.inputs["Specular IOR Level"].default_value = look.specular

    @property
    def count(self) -> int:
        """Of how many subjects the textures are in Blender."""
        return len(self._images)

    def knows(self, number: int) -> bool:
        """Whether the subject's textures are in Blender."""
        return number in self._images

    def forget(self) -> None:
        """Remove all textures."""
        for images in self._images.values():
            for image in images.values():
                self._bpy.data.images.remove(image)
        self._images.clear()

    def _make_image(self, name: str, pixels: np.ndarray) -> Any:
        height, width = pixels.shape[:2]
        image = self._bpy.data.images.new(name, width, height, float_buffer=True)
        image.colorspace_settings.name = "Non-Color"
        buffer = np.ones((height, width, 4), dtype=np.float32)
        buffer[..., :3] = pixels[::-1]
        image.pixels.foreach_set(buffer.ravel())
        image.update()
        return image

    def _build(self, name: str) -> Any:
        bpy = self._bpy
        material = bpy.data.materials.new(name)
        material.use_nodes = True
        tree = material.node_tree
        tree.nodes.clear()

        def node(kind: str, inputs: dict[Any, Any] | None = None, **settings: Any) -> Any:
            made = tree.nodes.new(kind)
            for key, value in settings.items():
                setattr(made, key, value)
            for key, value in (inputs or {}).items():
                if isinstance(value, bpy.types.NodeSocket):
                    tree.links.new(value, made.inputs[key])
                else:
                    made.inputs[key].default_value = value
            return made

        def math(operation: str, *values: Any, label: str = "") -> Any:
            made = node("ShaderNodeMath", dict(enumerate(values)), operation=operation)
            if label:
                made.name = label
            return made.outputs[0]

        uv = node("ShaderNodeUVMap", uv_map="uv").outputs[0]
        albedo = node("ShaderNodeTexImage", {0: uv}, interpolation="Cubic", name="albedo")
        detail = node("ShaderNodeTexImage", {0: uv}, interpolation="Cubic", name="detail")
        split = node("ShaderNodeSeparateColor", {0: detail.outputs[0]}).outputs
        relief, nail, gloss = split[0], split[1], split[2]
        rest = node("ShaderNodeAttribute", attribute_name="rest").outputs["Vector"]
        pores = node(
            "ShaderNodeTexVoronoi", {"Vector": rest, "Scale": 950.0}, feature="DISTANCE_TO_EDGE"
        ).outputs[0]
        fine = node(
            "ShaderNodeTexNoise", {"Vector": rest, "Scale": 700.0, "Detail": 3.0, "Roughness": 0.6}
        ).outputs[0]
        micro = math(
            "MULTIPLY_ADD", math("MINIMUM", pores, 0.12), 1.1, math("MULTIPLY", fine, 0.30)
        )
        micro = math("MULTIPLY", micro, math("SUBTRACT", 1.0, nail))
        height = math("ADD", relief, micro)
        bump = node(
            "ShaderNodeBump", {"Strength": 1.0, "Distance": 5e-4, "Height": height}, name="relief"
        )
        vary = math("MULTIPLY_ADD", math("SUBTRACT", fine, 0.5), 0.22, 0.5, label="roughness")
        matt = math("SUBTRACT", 1.0, math("MULTIPLY", gloss, 0.55))
        roughness = math("MULTIPLY", vary, matt)
        shader = node(
            "ShaderNodeBsdfPrincipled",
            {
                "Base Color": albedo.outputs[0],
                "Roughness": roughness,
                "Normal": bump.outputs[0],
                "IOR": 1.42,
                "Subsurface Weight": math("SUBTRACT", 1.0, math("MULTIPLY", gloss, 0.5)),
                "Subsurface Radius": (1.0, 0.38, 0.20),
                "Subsurface Scale": 0.0018,
                "Specular IOR Level": 0.4,
                "Coat Weight": math("MULTIPLY", gloss, 0.5),
                "Coat Roughness": 0.2,
            },
            name="skin",
        )
        shader.subsurface_method = "BURLEY"
        node("ShaderNodeOutputMaterial", {0: shader.outputs[0]})
        return material


def _configure(scene: Any, samples: int, threads: int) -> None:
    """Cycles settings; each was measured against 96 samples, see docs/synth.md."""
    render, cycles = scene.render, None
    render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.device = "CPU"
    cycles.samples = samples
    cycles.use_adaptive_sampling = False
    cycles.use_denoising = True
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    cycles.denoising_prefilter = "FAST"
    cycles.use_light_tree = True
    cycles.max_bounces = cycles.diffuse_bounces = cycles.glossy_bounces = 1
    cycles.transmission_bounces = 0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4
    cycles.blur_glossy = 1
    cycles.seed = 0
    render.use_persistent_data = True
    render.threads_mode, render.threads = "FIXED", threads
    render.film_transparent = True
    render.use_compositing = render.use_sequencer = False
    render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    image = render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "MULTI_LAYER_IMAGE"
    image.file_format = "OPEN_EXR_MULTILAYER"
    image.color_depth, image.exr_codec = "32", "NONE"
    layer = scene.view_layers[0]
    layer.use_pass_diffuse_color = True
    layer.use_pass_material_index = True


def _aspect(ratio: float) -> tuple[float, float]:
    """Pixel aspect (x, y) that makes the vertical focal length ``ratio`` of the horizontal."""
    return (ratio, 1.0) if ratio >= 1 else (1.0, 1 / ratio)


def _facing(direction: np.ndarray) -> np.ndarray:
    """(3, 3) axes of a lamp that shines along -``direction``."""
    up = np.array([0.1, 0.2, 1.0]) if abs(direction[2]) < 0.95 else np.array([1.0, 0.1, 0.0])
    x = np.cross(up, direction)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(direction, x), direction], axis=1)


def _fill_labels(labels: np.ndarray, covered: np.ndarray) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    if not labels.any():
        return labels
    nearest = distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    return np.where(covered, labels[tuple(nearest)], 0).astype(np.uint8)
