"""USD (.usd, .usda, .usdc, .usdz): UsdSkel mesh, UsdPreviewSurface, Gaussian-splat particles.

Metres, y up, default prim ``/Hands``. Each hand has a ``SkelRoot`` with a skeleton of MANO's
sixteen joints, a skinned mesh with every weight the hand model has, and, with a motion, a
``SkelAnimation``. Splats are a ``ParticleField3DGaussianSplat``; with a motion their places,
rotations and sizes are time samples, so they need no skinning.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit.core.errors import HandToolkitError, missing_dependency
from hand_toolkit.core.files import atomic_path, atomic_write
from hand_toolkit.core.skeletons import SKELETON_OPTION
from hand_toolkit.core.types import Splats
from hand_toolkit.export import axes
from hand_toolkit.export.bake import encoded
from hand_toolkit.export.base import ExportRequest, Option
from hand_toolkit.export.rig import HandRig, hand_rig
from hand_toolkit.export.scene import MISSING_SCALE, ExportScene
from hand_toolkit.export.scene_hand import SceneHand
from hand_toolkit.geometry.rotations import normalized_quats
from hand_toolkit.hand_model.arm import skin_weights

ROOT = "/Hands"


class UsdExporter:
    """Writes .usdz, .usd, .usda or .usdc (textures beside all but the first)."""

    name = "usd"
    description = "OpenUSD: UsdSkel mesh and animation, ParticleField3DGaussianSplat splats"
    suffixes = (".usdz", ".usdc", ".usda", ".usd")
    contents = ("mesh", "splats", "skeleton")
    animated = True
    options = (
        Option("texture_size", int, 1024, "side of the baked textures, texels", (), 64, 8192),
        Option("texture", str, "albedo", "colours to bake: albedo or photo", ("albedo", "photo")),
        Option("half", bool, False, "16-bit splats: half the size, positions to 0.1 mm"),
        SKELETON_OPTION,
    )

    def write(self, request: ExportRequest) -> list[Path]:
        """Write the file(s).

        Raises:
            MissingDependencyError: usd-core is not installed.
        """
        try:
            from pxr import UsdVol
        except ImportError as error:
            raise missing_dependency("the format usd", "usd-core", "usd") from error
        if request.splats and not hasattr(UsdVol, "ParticleField3DGaussianSplat"):
            raise HandToolkitError(
                "the installed usd-core has no ParticleField3DGaussianSplat; "
                "run: pip install 'usd-core>=26.3', or export the mesh alone"
            )
        path = request.path
        if path.suffix.lower() != ".usdz":
            return _Stage(request, path.parent, path.stem).save(path)
        from pxr import Sdf, UsdUtils

        with tempfile.TemporaryDirectory() as folder, atomic_path(path) as temporary:
            layer = Path(folder) / "hands.usdc"
            _Stage(request, Path(folder), "hands").save(layer)
            if not UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(layer)), str(temporary)):
                raise HandToolkitError("usd-core could not package the usdz; export usdc instead")
        return [path]


class _Stage:
    """One stage in the making."""

    def __init__(self, request: ExportRequest, folder: Path, stem: str) -> None:
        self.request = request
        self.scene: ExportScene = request.scene
        self.folder, self.stem = folder, stem
        self.written: list[Path] = []

    def save(self, path: Path) -> list[Path]:
        from pxr import Sdf, Usd, UsdGeom

        layer = Sdf.Layer.CreateAnonymous(".usdc")
        self.stage = Usd.Stage.Open(layer)
        stage, scene = self.stage, self.scene
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        root = UsdGeom.Xform.Define(stage, ROOT)
        stage.SetDefaultPrim(root.GetPrim())
        Usd.ModelAPI(root).SetKind("component")
        if scene.animated:
            stage.SetTimeCodesPerSecond(scene.fps)
            stage.SetFramesPerSecond(scene.fps)
            stage.SetStartTimeCode(0)
            stage.SetEndTimeCode(scene.frames - 1)
        layer.documentation = f"hand-toolkit; {scene.licence()}"
        for key, value in scene.avatar.provenance.items():
            root.GetPrim().SetCustomDataByKey(f"hand_toolkit:provenance:{_token(key)}", str(value))
        for k, hand in enumerate(scene.hands):
            self.request.progress(0.8 * k / len(scene.hands), f"{hand.side} hand")
            if self.request.mesh:
                self._skinned(hand)
            if self.request.splats:
                self._splats(hand)
        with atomic_path(path) as temporary:
            layer.Export(str(temporary))
        return [path, *self.written]

    def _time(self, frame: int) -> Any:
        from pxr import Usd

        return Usd.TimeCode(frame) if self.scene.animated else Usd.TimeCode.Default()

    def _skinned(self, hand: SceneHand) -> None:
        from pxr import Gf, Sdf, UsdGeom, UsdSkel, Vt

        base = f"{ROOT}/{hand.side}_hand"
        skel_root = UsdSkel.Root.Define(self.stage, base)
        skeleton = UsdSkel.Skeleton.Define(self.stage, f"{base}/skeleton")
        rig = hand_rig(hand, self.request.options["skeleton"])
        names = _joint_paths(rig)
        skeleton.CreateJointsAttr(names)
        skeleton.CreateJointNamesAttr(list(rig.names))
        skeleton.CreateBindTransformsAttr(
            Vt.Matrix4dArray([Gf.Matrix4d(m.T.tolist()) for m in rig.bind])
        )
        rest = [_local(*local) for local in zip(rig.bind_quats, rig.bind_places)]
        skeleton.CreateRestTransformsAttr(Vt.Matrix4dArray(rest))
        animation = UsdSkel.Animation.Define(self.stage, f"{base}/skeleton/motion")
        animation.CreateJointsAttr(names)
        translations = animation.CreateTranslationsAttr()
        rotations, scales = animation.CreateRotationsAttr(), animation.CreateScalesAttr()
        sizes = np.ones((len(names), 3), np.float32)
        for frame in range(self.scene.frames):
            time = self._time(frame)
            translations.Set(Vt.Vec3fArray.FromNumpy(rig.places[frame].astype(np.float32)), time)
            rotations.Set(_quats(rig.quats[frame]), time)
            sizes[rig.roots] = 1.0 if hand.present[frame] else MISSING_SCALE
            scales.Set(Vt.Vec3hArray.FromNumpy(sizes.astype(np.float16)), time)

        mesh = UsdGeom.Mesh.Define(self.stage, f"{base}/mesh")
        model = hand.model
        points = hand.bind_vertices.astype(np.float32)
        mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
        mesh.CreateFaceVertexCountsAttr(
            Vt.IntArray.FromNumpy(np.full(len(model.faces), 3, np.int32))
        )
        mesh.CreateFaceVertexIndicesAttr(
            Vt.IntArray.FromNumpy(model.faces.astype(np.int32).ravel())
        )
        mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
        mesh.CreateDoubleSidedAttr(True)
        mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(hand.bind_normals.astype(np.float32)))
        mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
        mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(np.stack([points.min(0), points.max(0)])))
        st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
            "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
        )
        st.Set(Vt.Vec2fArray.FromNumpy(model.uvs.astype(np.float32)))
        st.SetIndices(Vt.IntArray.FromNumpy(model.uv_faces.astype(np.int32).ravel()))

        joints, weights = _influences(rig.weights(skin_weights(model)))
        binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
        width = joints.shape[1]
        binding.CreateJointIndicesPrimvar(False, width).Set(Vt.IntArray.FromNumpy(joints.ravel()))
        binding.CreateJointWeightsPrimvar(False, width).Set(
            Vt.FloatArray.FromNumpy(weights.ravel())
        )
        binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
        binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1.0))
        UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets(
            [animation.GetPath()]
        )
        self._correctives(hand, mesh, binding, animation)
        boxes = [hand.posed_vertices(f) for f in range(self.scene.frames)]
        extent = skel_root.CreateExtentAttr()
        for frame, vertices in enumerate(boxes):
            box = np.stack([vertices.min(0), vertices.max(0)]).astype(np.float32)
            extent.Set(Vt.Vec3fArray.FromNumpy(box), self._time(frame))
        self._material(hand, mesh, base)

    def _correctives(self, hand: SceneHand, mesh: Any, binding: Any, animation: Any) -> None:
        """Pose correctives as blend shapes with inbetween-free, time-sampled weights."""
        from pxr import UsdSkel, Vt

        if not hand.correctives:
            return
        names = [shape.name for shape in hand.correctives]
        paths = []
        for shape in hand.correctives:
            prim = UsdSkel.BlendShape.Define(self.stage, mesh.GetPath().AppendChild(shape.name))
            offsets = np.ascontiguousarray(shape.offsets, np.float32)
            prim.CreateOffsetsAttr(Vt.Vec3fArray.FromNumpy(offsets))
            prim.CreatePointIndicesAttr(Vt.IntArray.FromNumpy(shape.vertices.astype(np.int32)))
            paths.append(prim.GetPath())
        binding.CreateBlendShapesAttr(names)
        binding.CreateBlendShapeTargetsRel().SetTargets(paths)
        animation.CreateBlendShapesAttr(names)
        weights = animation.CreateBlendShapeWeightsAttr()
        for frame in range(self.scene.frames):
            values = np.array([s.weights[frame] for s in hand.correctives], np.float32)
            weights.Set(Vt.FloatArray.FromNumpy(values), self._time(frame))

    def _material(self, hand: SceneHand, mesh: Any, base: str) -> None:
        from pxr import Gf, Sdf, UsdShade

        options = self.request.options
        size = max(int(options["texture_size"]) >> self.scene.lod, 64)
        textures = self.scene.textures(hand.side, size, options["texture"])
        photo = options["texture"] == "photo"
        material = UsdShade.Material.Define(self.stage, f"{base}/skin")
        shader = UsdShade.Shader.Define(self.stage, f"{base}/skin/surface")
        shader.CreateIdAttr("UsdPreviewSurface")
        rough = shader.CreateInput("roughness", Sdf.ValueTypeNames.Float)
        shader.CreateInput("ior", Sdf.ValueTypeNames.Float).Set(1.4)
        shader.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(0.0)
        material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
        reader = UsdShade.Shader.Define(self.stage, f"{base}/skin/st")
        reader.CreateIdAttr("UsdPrimvarReader_float2")
        reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
        result = reader.CreateOutput("result", Sdf.ValueTypeNames.Float2)
        wanted = {"color": textures.color} if photo else {
            "color": textures.color, "normal": textures.normal, "roughness": textures.roughness,
        }  # fmt: skip
        if photo:
            rough.Set(0.55)
        for kind, picture in wanted.items():
            target = self.folder / f"{self.stem}_{hand.side}_{kind}.png"
            atomic_write(target, encoded(picture))
            self.written.append(target)
            texture = UsdShade.Shader.Define(self.stage, f"{base}/skin/{kind}")
            texture.CreateIdAttr("UsdUVTexture")
            texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(f"./{target.name}")
            texture.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(result)
            for wrap in ("wrapS", "wrapT"):
                texture.CreateInput(wrap, Sdf.ValueTypeNames.Token).Set("clamp")
            space = texture.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token)
            space.Set("sRGB" if kind == "color" else "raw")
            if kind == "roughness":
                rough.ConnectToSource(texture.CreateOutput("r", Sdf.ValueTypeNames.Float))
                continue
            output = texture.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
            if kind == "normal":
                texture.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(2, 2, 2, 1))
                texture.CreateInput("bias", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(-1, -1, -1, 0))
                port = shader.CreateInput("normal", Sdf.ValueTypeNames.Normal3f)
            elif photo:  # the photo's own light is in the colour: show it, do not light it again
                shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(0))
                port = shader.CreateInput("emissiveColor", Sdf.ValueTypeNames.Color3f)
            else:
                port = shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f)
            port.ConnectToSource(output)
        UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)

    def _splats(self, hand: SceneHand) -> None:
        from pxr import Sdf, UsdGeom, UsdVol, Vt

        prim = UsdVol.ParticleField3DGaussianSplat.Define(self.stage, f"{ROOT}/{hand.side}_splats")
        half = bool(self.request.options["half"])
        get = prim.GetPrim().GetAttribute
        suffix = "h" if half else ""
        avatar_hand = self.scene.avatar.hand(hand.side)
        vectors = Vt.Vec3hArray if half else Vt.Vec3fArray
        real = np.float16 if half else np.float32
        for frame in range(self.scene.frames):
            time = self._time(frame)
            there = bool(hand.present[frame])
            if self.scene.animated:
                shown = UsdGeom.Tokens.inherited if there else UsdGeom.Tokens.invisible
                prim.CreateVisibilityAttr().Set(shown, time)
            if not there:
                continue
            splats = self.scene.splats_y_up(frame, hand.side)
            get("positions" + suffix).Set(vectors.FromNumpy(splats.means.astype(real)), time)
            get("scales" + suffix).Set(vectors.FromNumpy(splats.scales.astype(real)), time)
            get("orientations" + suffix).Set(_quats(splats.quats, half), time)
            prim.CreateExtentAttr().Set(Vt.Vec3fArray.FromNumpy(_extent(splats)), time)
        first = self.scene.splats_y_up(int(np.argmax(hand.present)), hand.side)
        sh = axes.sh_coefficients(first.colors)
        degree = int(np.sqrt(sh.shape[1])) - 1
        get("radiance:sphericalHarmonicsDegree").Set(degree)
        get("radiance:sphericalHarmonicsCoefficients" + suffix).Set(
            vectors.FromNumpy(np.ascontiguousarray(sh.reshape(-1, 3).astype(real)))
        )
        floats = Vt.HalfArray if half else Vt.FloatArray
        get("opacities" + suffix).Set(floats.FromNumpy(first.opacities.astype(real)))
        get("sortingModeHint").Set("cameraDistance")
        prim.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex).Set(
            Vt.Vec3fArray.FromNumpy(axes.base_colors(first.colors))
        )
        evidence = UsdGeom.PrimvarsAPI(prim).CreatePrimvar(
            "handToolkit:evidence", Sdf.ValueTypeNames.FloatArray, UsdGeom.Tokens.vertex
        )
        evidence.Set(Vt.FloatArray.FromNumpy(avatar_hand.evidence))


def _joint_paths(rig: HandRig) -> list[str]:
    """Joint tokens that spell the hierarchy, e.g. ``right_wrist/right_index1``."""
    paths: list[str] = []
    for name, parent in zip(rig.names, rig.parents):
        token = "".join(c if c.isalnum() else "_" for c in name)
        paths.append(token if parent < 0 else f"{paths[parent]}/{token}")
    return paths


def _influences(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All weights: joints (V, K) int32 and weights (V, K), K the most that a vertex has."""
    from hand_toolkit.export.surface_mesh import strongest

    count = int((np.asarray(weights) > 1e-6).sum(1).max())
    joints, values = strongest(weights, count)
    return joints.astype(np.int32), values


def _local(quat: np.ndarray, translation: np.ndarray) -> Any:
    from pxr import Gf

    w, x, y, z = (float(v) for v in quat)
    matrix = Gf.Matrix4d().SetRotate(Gf.Quatd(w, x, y, z).GetNormalized())
    matrix.SetTranslateOnly(Gf.Vec3d(*(float(v) for v in translation)))
    return matrix


def _quats(quats: np.ndarray, half: bool = False) -> Any:
    """USD's array of wxyz quaternions (numpy memory is imaginary first)."""
    from pxr import Vt

    xyzw = np.ascontiguousarray(np.roll(normalized_quats(quats), -1, axis=-1))
    if half:
        return Vt.QuathArray.FromNumpy(xyzw.astype(np.float16))
    return Vt.QuatfArray.FromNumpy(xyzw)


def _extent(splats: Splats) -> np.ndarray:
    reach = 3 * np.asarray(splats.scales).max(1, keepdims=True)
    return np.stack([(splats.means - reach).min(0), (splats.means + reach).max(0)]).astype(
        np.float32
    )


def _token(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text) or "_"
