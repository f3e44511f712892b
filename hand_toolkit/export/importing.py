"""Importing scene files: splats, or a whole avatar where the file carries its binding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..avatar import Avatar, AvatarHand, SurfaceBinding, surface
from ..avatar.io import hand_model_of
from ..core.conventions import SH_C0
from ..core.errors import PARSER_FAULTS, FileFormatError, InputError, first_line
from ..core.types import Camera, Splats
from ..geometry.colour import linear_to_srgb
from ..geometry.rotations import matrix_from_quat, quat_from_matrix
from .axes import splats_from_y_up
from .gltf_read import GltfFile
from .ply import finite_splats, read_ply
from .splat_files import read_ksplat, read_splat, read_spz

SPLATTING = "KHR_gaussian_splatting"
LINEAR = "lin_rec709_display"
"""The extension's second colour space; its colours are taken to sRGB, without harmonics."""
SUFFIXES = (".ply", ".glb", ".gltf", ".splat", ".spz", ".ksplat")
_BINDING_VERSIONS = (1, 2, 3)
"""They differ as versions 1 and 2 of the ``.hand`` file do."""


def import_file(path: str | Path) -> Avatar | Splats:
    """Read a file that an exporter of this or another program wrote.

    Args:
        path: a ``.ply`` (3DGS's or compressed), a ``.glb``/``.gltf`` with KHR_gaussian_splatting, a
            ``.splat``, ``.spz`` or ``.ksplat``.

    Returns:
        An avatar where every splat primitive carries its surface binding (files of
        ``export --format glb``), else splats in the toolkit's axes.

    Raises:
        InputError: the file does not exist or its suffix is not known.
        FileFormatError: it is damaged, hostile, or holds no splats.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"cannot import '{path.name}'; accepted are files ending in {', '.join(SUFFIXES)}"
        )
    try:
        if suffix in (".glb", ".gltf"):
            return _read_gltf(path)
        if not path.is_file():
            raise InputError(f"the file {path} does not exist; check the path")
        readers = {".ply": read_ply, ".splat": read_splat, ".spz": read_spz, ".ksplat": read_ksplat}
        return readers[suffix](path)
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror or error}") from error
    except MemoryError as error:
        raise FileFormatError(f"{path.name} needs more memory than there is") from error
    except InputError:
        raise
    except PARSER_FAULTS as error:
        raise FileFormatError(f"{path.name} is damaged ({first_line(error)})") from error


def _read_gltf(path: Path) -> Avatar | Splats:
    gltf = GltfFile(path)
    found = []
    meshes = gltf.entry(gltf.json, "meshes", list, [])
    for m in range(len(meshes)):
        for primitive in gltf.entry(gltf.item("meshes", m), "primitives", list, []):
            if not isinstance(primitive, dict):
                raise FileFormatError(f"{path.name} has a mesh primitive that is no object")
            extensions = gltf.entry(primitive, "extensions", dict, {})
            if SPLATTING in extensions:
                _check_extension(gltf, extensions[SPLATTING])
                found.append((m, primitive))
    if not found:
        raise FileFormatError(
            f"{path.name} holds no Gaussian splats ({SPLATTING}); export it with splats"
        )
    info = _own_extras(gltf, gltf.entry(gltf.json, "asset", dict, {}))
    if "level" in info and all("_TRIANGLE" in _kept_arrays(gltf, p) for _, p in found):
        return _avatar(gltf, info, [p for _, p in found])
    return _placed_splats(gltf, found)


def _check_extension(gltf: GltfFile, extension: Any) -> None:
    space = gltf.entry(extension, "colorSpace", str, "")
    kernel = gltf.entry(extension, "kernel", str, "ellipse")
    if kernel != "ellipse" or gltf.entry(extension, "extensions", dict, None):
        raise FileFormatError(
            f"{gltf.name} has splats of the kernel '{kernel[:40]}' or a compression that is not "
            "read; convert it to plain KHR_gaussian_splatting"
        )
    if space not in ("srgb_rec709_display", LINEAR, ""):
        raise FileFormatError(
            f"{gltf.name} has splats in the colour space '{space[:40]}'; accepted are "
            f"srgb_rec709_display and {LINEAR}"
        )


def _own_extras(gltf: GltfFile, holder: dict[str, Any]) -> dict[str, Any]:
    extras = holder.get("extras")
    own = extras.get("hand_toolkit") if isinstance(extras, dict) else None
    return own if isinstance(own, dict) else {}


def _kept_arrays(gltf: GltfFile, primitive: dict[str, Any]) -> dict[str, Any]:
    """Accessor numbers by name: the primitive's attributes, and those that its extras name."""
    own = _own_extras(gltf, primitive)
    return {
        **gltf.entry(own, "accessors", dict, {}),
        **gltf.entry(primitive, "attributes", dict, {}),
    }


def _primitive_splats(gltf: GltfFile, primitive: dict[str, Any], whole: bool = False) -> Splats:
    """Splats of one primitive in its own y-up space; colours as SH (N, K, 3).

    ``whole``: all of them, or an error.
    """
    attributes = gltf.entry(primitive, "attributes", dict, {})

    def read(name: str, width: int, count: int | None = None) -> np.ndarray:
        if name not in attributes:
            raise FileFormatError(f"{gltf.name} has splats without the attribute {name}")
        return gltf.accessor(attributes[name], width, count)

    means = read("POSITION", 3)
    n = len(means)
    bands = []
    for degree in range(4):
        names = [f"{SPLATTING}:SH_DEGREE_{degree}_COEF_{m}" for m in range(2 * degree + 1)]
        if degree and names[0] not in attributes:
            break
        bands += [read(name, 3, n) for name in names]
    colors = np.stack(bands, axis=1)
    extension = gltf.entry(gltf.entry(primitive, "extensions", dict, {}), SPLATTING, dict, {})
    if extension.get("colorSpace") == LINEAR:
        encoded = linear_to_srgb(0.5 + SH_C0 * colors[:, :1].astype(np.float64))
        colors = (encoded - 0.5) / SH_C0
    scales = read(f"{SPLATTING}:SCALE", 3, n)
    opacities = read(f"{SPLATTING}:OPACITY", 1, n)[:, 0]
    if scales.min() < 0 or opacities.min() < 0 or opacities.max() > 1:
        raise FileFormatError(f"{gltf.name} has negative splat scales or opacities outside 0 to 1")
    return finite_splats(
        gltf.name,
        {
            "means": means,
            "quats": np.roll(read(f"{SPLATTING}:ROTATION", 4, n), 1, axis=1),
            "scales": scales,
            "opacities": opacities,
            "colors": colors,
        },
        whole=whole,
    )


def _placed_splats(gltf: GltfFile, found: list[tuple[int, dict[str, Any]]]) -> Splats:
    """Splats of all nodes in the toolkit's axes."""
    world = gltf.world_matrices()
    parts = []
    for m, primitive in found:
        splats = _primitive_splats(gltf, primitive)
        places = [k for k in world if gltf.item("nodes", k).get("mesh") == m]
        for k in places:
            skinned = "skin" in gltf.item("nodes", k)  # a skinned mesh ignores its node (3.8)
            parts.append(_transformed(gltf.name, splats, np.eye(4) if skinned else world[k]))
    if not parts:
        raise FileFormatError(f"{gltf.name} has splats, but no node shows them")
    bands = min(p.colors.shape[1] for p in parts)
    arrays = [
        (p.means, p.quats, p.scales, p.opacities, np.asarray(p.colors)[:, :bands]) for p in parts
    ]
    return splats_from_y_up(Splats(*(np.concatenate(a) for a in zip(*arrays))))


def _transformed(name: str, splats: Splats, matrix: np.ndarray) -> Splats:
    """Splats under an affine map M: their covariances become M S Mᵀ, also mirrored or uneven."""
    if np.allclose(matrix, np.eye(4)):
        return splats
    linear = matrix[:3, :3]
    scale = np.cbrt(abs(np.linalg.det(linear)))
    if not scale > 1e-9:
        raise FileFormatError(f"{name} places splats with a transform that flattens them")
    # half = M R diag(s), and half halfᵀ the covariance: its left singular vectors are the axes
    turn = matrix_from_quat(np.asarray(splats.quats, np.float64))
    half = linear @ turn * np.asarray(splats.scales, np.float64)[:, None, :]
    axes, scales, _ = np.linalg.svd(half)
    axes[:, :, 2] *= np.sign(np.linalg.det(axes))[:, None]
    colors = np.asarray(splats.colors)
    if colors.shape[1] > 1 and not np.allclose(linear / scale, np.eye(3), atol=1e-6):
        colors = colors[:, :1]  # view-dependent colour would have to turn with the node
    return finite_splats(
        name,
        {
            "means": splats.means @ linear.T + matrix[:3, 3],
            "quats": quat_from_matrix(axes),
            "scales": scales,
            "opacities": splats.opacities,
            "colors": colors,
        },
    )


def _avatar(gltf: GltfFile, info: dict[str, Any], primitives: list[dict[str, Any]]) -> Avatar:
    try:
        level = int(info["level"])
        version = min(_binding_version(gltf, primitive) for primitive in primitives)
        hand_model = hand_model_of(str(info["hand_model"]), version)
        light = np.asarray(info["light"], dtype=np.float64).reshape(-1, 3)
        camera = dict(info["camera"])
        pose = gltf.numbers(camera.pop("world_to_camera"), 16, "world_to_camera").reshape(4, 4)
        hands = tuple(_avatar_hand(gltf, p, hand_model, level) for p in primitives)
        provenance = info.get("provenance", {})
        return Avatar(
            hand_model=hand_model,
            level=level,
            hands=hands,
            light=light,
            camera=Camera(
                **{k: camera[k] for k in ("fx", "fy", "cx", "cy", "width", "height")},
                world_to_camera=pose,
            ),
            provenance={str(k): str(v) for k, v in dict(provenance).items()},
        )
    except FileFormatError:
        raise
    except PARSER_FAULTS as error:
        detail = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        line = (detail.splitlines() or ["?"])[0][:200]
        raise FileFormatError(f"{gltf.name} carries a damaged avatar: {line}") from error


def _binding_version(gltf: GltfFile, primitive: dict[str, Any]) -> int:
    version = _own_extras(gltf, primitive).get("binding_version")
    if version not in _BINDING_VERSIONS:
        raise FileFormatError(
            f"{gltf.name} has a binding of version {str(version)[:20]}; this toolkit reads "
            f"versions {_BINDING_VERSIONS[0]} to {_BINDING_VERSIONS[-1]}; update with: "
            "pip install -U hand-toolkit"
        )
    return int(version)


def _avatar_hand(
    gltf: GltfFile, primitive: dict[str, Any], hand_model: str, level: int
) -> AvatarHand:
    extras = _own_extras(gltf, primitive)
    splats = _primitive_splats(gltf, primitive, whole=True)
    n = len(splats)
    attributes = _kept_arrays(gltf, primitive)

    def read(name: str, width: int) -> np.ndarray:
        return gltf.accessor(attributes[name], width, n)

    side = str(extras["side"])
    triangle = read("_TRIANGLE", 1)[:, 0]
    model = surface(hand_model, side, level)
    if not (
        np.isfinite(triangle).all() and 0 <= triangle.min() <= triangle.max() < len(model.faces)
    ):
        raise InputError(f"splats are bound outside the mesh's {len(model.faces)} triangles")
    turned = splats_from_y_up(splats)
    colors = np.asarray(turned.colors)
    if extras.get("plain_color") is True:
        colors = 0.5 + SH_C0 * colors[:, 0]
    return AvatarHand(
        side=side,
        shape=np.asarray(extras.get("shape", []), dtype=np.float64).reshape(len(model.shape_names)),
        binding=SurfaceBinding(
            triangle.astype(np.int32),
            read("_BARYCENTRIC", 3),
            read("_OFFSET", 3),
            np.roll(read("_LOCAL_ROTATION", 4), 1, axis=1),
            read("_LOCAL_SCALE", 3),
        ),
        opacity=np.asarray(splats.opacities),
        color=colors,
        albedo=read("_ALBEDO", 3),
        evidence=read("_EVIDENCE", 1)[:, 0],
        observed=extras.get("observed") is True,
        source_theta=gltf.numbers(
            extras["source_theta"], 51 if len(extras["source_theta"]) == 51 else 48, "source_theta"
        ).reshape(-1, 3),
        source_translation=gltf.numbers(extras["source_translation"], 3, "source_translation"),
    )
