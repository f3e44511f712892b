"""Draws one crop: colour with coverage, classes, keypoints and depth of one hand's view."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.conventions import SIDES
from ...core.types import Camera
from ...geometry.surfaces import vertex_normals
from ...see.crops import crop_of_points
from .contacts import Contact, read_contacts
from .drawing import SUPERSAMPLING, Solid, draw_solid, project, sample_cloth
from .light import CropLight, read_environments, sample_crop_light
from .mesh import FLIP, PosedMesh, load_crop_mesh, pose_crop_mesh
from .motion import motion_angles
from .scenes import CropScene, pushed_apart, sample_scene, with_moved

SIZE = 256
"""Pixels of a crop."""

MARGIN = 1.4
"""A crop is this much larger than the aligned box, so that training can turn and shift it."""

CLASSES = ("background", "own", "other", "forearm")
"""Of a pixel: things and cloth are background; the other hand is any hand but the crop's."""

SHADOW_REACH_M = 0.5
"""Width of what casts shadows on a hand."""

PALM = (0, 5, 9, 13, 17)
NEAR_M = 0.05


@dataclass(frozen=True)
class CropAssets:
    """What scenes draw from.

    Attributes:
        contacts: solved touching poses.
        motion: (N, 26) recorded finger angles.
        environments: (E, H, W, 3) linear radiance.
        skins: (K, H, W, 3) float32 linear albedo.
    """

    contacts: list[Contact]
    motion: np.ndarray
    environments: np.ndarray
    skins: np.ndarray


@dataclass(frozen=True)
class Crop:
    """A rendered crop; a left target is mirrored, so that the own hand is a right hand.

    Attributes:
        rgba: (SIZE, SIZE, 4) uint8 sRGB, straight alpha.
        labels: (SIZE, SIZE) uint8 of ``CLASSES``.
        keypoints: (2, 21, 2) pixels of own and other hand, NaN where there is none.
        depth: (2, 21) metres behind the palm's middle, for a palm of the mean size.
        theta: (16, 3) of the own hand, axes of the crop's camera; wrong sides have theirs too.
        own: the target is shown as the right hand that it is (or was, before mirroring).
    """

    rgba: np.ndarray
    labels: np.ndarray
    keypoints: np.ndarray
    depth: np.ndarray
    theta: np.ndarray
    own: bool


def load_assets(
    skins: np.ndarray,
    contacts: Path | None = None,
    poses: Path | None = None,
    environments: Path | None = None,
    kept: Path | None = None,
) -> CropAssets:
    """Read folders; what is None is done without.

    Args:
        skins: from :func:`bake_bank`.
        contacts: written by :func:`write_contacts`.
        poses: of recorded motion, see :func:`motion_angles`; ``kept`` is passed on.
        environments: of EXR pictures.
        kept: NPY file that keeps the motion's angles.
    """
    return CropAssets(
        contacts=[] if contacts is None else read_contacts(contacts),
        motion=np.zeros((0, 26)) if poses is None else motion_angles(poses, kept),
        environments=read_environments(environments),
        skins=np.asarray(skins, np.float32),
    )


def render_crop(rng: np.random.Generator, assets: CropAssets) -> Crop:
    """Draw a scene, light and look, and render them."""
    sigmas = load_crop_mesh().model.shape_sigmas.astype(float)
    scene = sample_scene(rng, assets.contacts, assets.motion, sigmas)
    light = sample_crop_light(rng, assets.environments)
    return render_scene(rng, scene, light, assets.skins)


def render_scene(
    rng: np.random.Generator, scene: CropScene, light: CropLight, skins: np.ndarray
) -> Crop:
    """Render a scene as its target's crop.

    Args:
        rng: of camera, exposure, cloth and skin.
        scene, light: what is there.
        skins: (K, H, W, 3) to choose from.
    """
    scene, posed = posed_scene(scene)
    solid = assemble(rng, scene, posed, len(skins))
    camera = _camera(rng, posed[scene.target])
    rgba, labels = draw_solid(rng, solid, light, camera, skins)
    return _finish(scene, posed, camera, rgba, labels)


def posed_scene(scene: CropScene) -> tuple[CropScene, list[PosedMesh]]:
    """The scene with hands that should not touch pushed apart, and their surfaces."""
    mesh = load_crop_mesh()
    posed = [pose_crop_mesh(mesh, hand, scene.shape, scene.sleeve) for hand in scene.hands]
    if len(posed) == 2 and not scene.touching:
        shift = pushed_apart(posed[0].keypoints, posed[1].keypoints)
        scene = with_moved(scene, 1, shift)
        moved = posed[1]
        posed[1] = PosedMesh(moved.vertices + shift, moved.keypoints + shift, moved.mirrored)
    return scene, posed


def assemble(
    rng: np.random.Generator, scene: CropScene, posed: list[PosedMesh], skins: int
) -> Solid:
    """All surfaces as one mesh; part 1 + 3h is hand h, then its arm and sleeve, last the thing."""
    mesh = load_crop_mesh()
    count = len(mesh.model.template)
    vertices, faces, normals, uvs, part = [], [], [], [], []
    shadow_vertices, coarse = [], []
    classes, cloth = [0], [np.zeros(7)]
    chosen = rng.integers(skins, size=2)
    sleeve_cloth, glove_cloth = sample_cloth(rng), sample_cloth(rng)
    for h, hand in enumerate(posed):
        turned = mesh.model.faces[:, [0, 2, 1]] if hand.mirrored else mesh.model.faces
        vertices.append(hand.vertices)
        faces.append(turned + h * count)
        shadow_vertices.append(hand.vertices[: mesh.coarse_vertices])
        coarse.append(mesh.coarse_faces + h * mesh.coarse_vertices)
        normals.append(vertex_normals(hand.vertices, turned))
        uvs.append(mesh.corner_uvs[:, [0, 2, 1]] if hand.mirrored else mesh.corner_uvs)
        kind = np.where(mesh.is_arm, 2, 1)
        if scene.sleeve is not None:
            kind[mesh.is_arm & scene.sleeve.covers(mesh.reach)] = 3
        part.append(kind + 3 * h)
        own = h == scene.target and not scene.wrong_side
        classes += [1 if own else 2, 3, 0]
        skin = np.array([0, 0, 0, 0, 0, 0, -1.0 - chosen[h if scene.two_people else 0]])
        cloth += [glove_cloth if scene.gloves else skin, skin, sleeve_cloth]
    if scene.held is not None:
        from scipy.spatial.transform import Rotation

        target = scene.hands[scene.target]
        turn = Rotation.from_rotvec(target.theta[0]).as_matrix()
        left = target.side == SIDES[1]
        local = scene.held.vertices * (FLIP if left else 1.0)
        held_faces = scene.held.faces[:, [0, 2, 1]] if left else scene.held.faces
        held_uvs = scene.held.corner_uvs[:, [0, 2, 1]] if left else scene.held.corner_uvs
        placed = local @ turn.T + target.translation
        base = len(posed) * count
        vertices.append(placed)
        faces.append(held_faces + base)
        shadow_vertices.append(placed)
        coarse.append(held_faces + len(posed) * mesh.coarse_vertices)
        corners = placed[held_faces]
        flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        summed = np.zeros_like(placed)
        np.add.at(summed, held_faces.ravel(), np.repeat(flat, 3, axis=0))
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        normals.append(summed / np.maximum(length, 1e-12))
        uvs.append(held_uvs)
        part.append(np.full(len(held_faces), 1 + 3 * len(posed)))
        classes.append(0)
        cloth.append(sample_cloth(rng))
    return Solid(
        vertices=np.concatenate(vertices),
        faces=np.ascontiguousarray(np.concatenate(faces), dtype=np.int64),
        shadow_vertices=np.concatenate(shadow_vertices),
        shadow_faces=np.ascontiguousarray(np.concatenate(coarse), dtype=np.int64),
        normals=np.concatenate(normals),
        corner_uvs=np.concatenate(uvs),
        part=np.concatenate(part).astype(np.int64),
        classes=np.array(classes),
        cloth=np.array(cloth),
        middle=posed[scene.target].keypoints.mean(0),
        reach_m=SHADOW_REACH_M,
    )


def _camera(rng: np.random.Generator, target: PosedMesh) -> Camera:
    """Looks at the target's middle, turned and scaled to its aligned box with a margin."""
    points = target.keypoints
    middle = 0.5 * (points.min(0) + points.max(0))
    distance = float(np.exp(rng.uniform(np.log(0.28), np.log(1.3))))
    place = np.array([0, 0, distance]) - middle
    seen = points + place
    flat = seen[:, :2] / seen[:, 2:]
    turn, centre, side = aligned_frame(flat)
    matrix = np.eye(4)
    matrix[:2, :2] = turn
    matrix[:3, 3] = matrix[:3, :3] @ place
    side = max(side, 0.05 / distance) * MARGIN
    pixels = SIZE * SUPERSAMPLING
    focal = pixels / side
    shift = pixels / 2 - focal * (turn @ centre)
    return Camera(focal, focal, shift[0], shift[1], pixels, pixels, matrix, near=NEAR_M)


def aligned_frame(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The turned square in which networks see a hand, :func:`see.crops.crop_of_points`.

    Args:
        points: (21, 2) keypoints in picture axes, y down, any unit.

    Returns:
        turn (2, 2) from the picture's axes to the square's, its centre (2,) and its side.
    """
    unit = 1e3 / float(np.ptp(points, axis=0).max())
    view = crop_of_points(points * unit)
    c, s = np.cos(view.angle), np.sin(view.angle)
    return np.array([[c, -s], [s, c]]), np.array(view.center) / unit, view.side / unit


def _finish(
    scene: CropScene, posed: list[PosedMesh], camera: Camera, rgba: np.ndarray, labels: np.ndarray
) -> Crop:
    """Targets of the crop, mirrored where the target is a left hand shown as a right."""
    from scipy.spatial.transform import Rotation

    order = [scene.target, 1 - scene.target]
    keypoints = np.full((2, 21, 2), np.nan, np.float32)
    depth = np.full((2, 21), np.nan, np.float32)
    mean = load_crop_mesh().model.keypoint_template[list(PALM)].astype(float)
    size = np.linalg.norm(mean - mean.mean(0), axis=1).mean()
    for row, h in enumerate(order):
        if h >= len(posed):
            continue
        points = posed[h].keypoints
        keypoints[row] = camera.project(points) / SUPERSAMPLING
        palm = points[list(PALM)]
        scale = size / np.linalg.norm(palm - palm.mean(0), axis=1).mean()
        z = project(points, camera)[:, 2]
        depth[row] = (z - z[list(PALM)].mean()) * scale
    hand = scene.hands[scene.target]
    theta = hand.theta.copy()
    turn = camera.world_to_camera[:3, :3] @ Rotation.from_rotvec(theta[0]).as_matrix()
    theta[0] = Rotation.from_matrix(turn).as_rotvec()
    if (hand.side == SIDES[1]) != scene.wrong_side:
        rgba, labels = rgba[:, ::-1], labels[:, ::-1]
        keypoints[..., 0] = SIZE - keypoints[..., 0]
    if hand.side == SIDES[1]:
        theta = theta * [1.0, -1.0, -1.0]
    return Crop(
        rgba=np.ascontiguousarray(rgba),
        labels=np.ascontiguousarray(labels),
        keypoints=keypoints,
        depth=depth,
        theta=theta.astype(np.float32),
        own=not scene.wrong_side,
    )
