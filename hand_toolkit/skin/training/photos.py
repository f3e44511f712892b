"""Synthetic photos of random subjects, and what the product's own observation makes of them.

A photo is one z-buffer and texture look-ups: light in spherical harmonics with coloured
surroundings, up to two lamps with cast shadows and gloss, flesh that the mesh lacks, a forearm
or a sleeve, another hand, things in front, a camera's curve, blur, noise, JPEG. It is then
observed with a *wrong* pose and a mask that spills, by the function that observes real photos:
misregistered rims and neighbours' skin come by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...avatar import display_theta, surface
from ...core.types import Camera
from ...geometry.silhouette import rasterize_mesh
from ...hand_model import pose_hand_numpy, vertex_normals
from ...synth.poses import POSE_NAMES, rest_theta, sample_angles
from ...synth.surface import load_surface, pose_surface
from ..observe import openness_of
from ..uv_layout import LEVEL, nearest, uv_layout
from ..uv_observation import UVObservation, observe_uv, scene_of, weighted_median
from .shots import SkinPixels, blurred, compose_picture, develop, found_outline, lit_skin, sleeved

OBSERVED_SIZE = 384
"""Texels of the layout on which synthetic photos are observed, 0.75 mm each."""

SAME_SKIN_M = 0.008
"""A pixel this close to a texel's own place on the skin shows that skin, moved."""


@dataclass(frozen=True)
class Pose:
    """One hand as it truly is: a right hand, or a left one by mirroring in x.

    Attributes:
        theta: (16, 3); shape: (S,); translation: (3,) metres.
        vertices, normals: (V, 3) camera frame.
    """

    theta: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    vertices: np.ndarray
    normals: np.ndarray


@dataclass(frozen=True)
class Sample:
    """One synthetic photo and all that is known of it.

    Attributes:
        observation: of the wrong pose.
        target: (N, 3) log albedo relative to the tone of what was rightly seen.
        right: (N,) bool: seen, and of the texel's own skin.
        pixels: (H, W, 3) sRGB; mask: (H, W); camera: of the photo.
        posed: the pose that was observed with.
        shown: (N, 2) place on the layout of the skin that each texel's pixel shows, of this or
            another hand or the forearm; 9 where it shows none.
        worn: (N, 3) log albedo of that skin, 0 where there is none.
    """

    observation: UVObservation
    target: np.ndarray
    right: np.ndarray
    pixels: np.ndarray
    mask: np.ndarray
    camera: Camera
    posed: Pose
    shown: np.ndarray
    worn: np.ndarray


def make_sample(rng: np.random.Generator, canonical: np.ndarray, own: np.ndarray) -> Sample:
    """Photograph a subject and observe the photo.

    Args:
        rng: decides everything.
        canonical, own: log albedo (N, 3) of the subject on the subjects' layout.
    """
    from .subjects import layout as subject_layout

    skin = subject_layout().image(own)
    pose = _random_pose(rng)
    box = int(np.exp(rng.uniform(np.log(90), np.log(340))))
    size = int(box * rng.uniform(1.12, 1.4)) + 8
    span = np.ptp(pose.vertices[:, :2] / pose.vertices[:, 2:], axis=0).max()
    camera = Camera(box / span, box / span, size / 2, size / 2, size, size)
    other = _beside(rng, pose) if rng.random() < 0.2 else None
    free = _openness(pose)
    pixels = _cover(rng, pose, other, camera, free)
    linear = lit_skin(rng, pixels, pose.vertices, skin)
    pixels, linear = sleeved(rng, pixels, linear, size)
    picture, occluded = compose_picture(rng, pixels, linear, size)
    photo = develop(rng, picture)
    mask = found_outline(rng, pixels.own.copy(), occluded, size)
    wrong = _misjudged(rng, pose)
    observation = _observe(wrong, other and _misjudged(rng, other), photo, mask, camera, free)
    labels = _labels(pixels, occluded, observation, wrong, camera, canonical, skin)
    target, right, shown, worn = labels
    return Sample(observation, target, right, photo, mask, camera, wrong, shown, worn)


def _random_pose(rng: np.random.Generator) -> Pose:
    """A right hand near the middle of the view: palm or back, or any side, to the camera."""
    from scipy.spatial.transform import Rotation

    model = surface("default", "right", LEVEL)
    name = (
        str(rng.choice(POSE_NAMES))
        if rng.random() < 0.6
        else str(rng.choice(["flat", "spread", "rest"]))
    )
    theta = rest_theta(sample_angles(rng, name))
    yaw = rng.choice([0.0, np.pi, rng.uniform(0, 2 * np.pi)], p=[0.35, 0.35, 0.3])
    angles = [rng.normal() * 0.8, rng.normal() * 0.4, yaw + rng.normal() * 0.25]
    upright = Rotation.from_rotvec(display_theta("right")[0])
    theta[0] = (Rotation.from_euler("zxy", angles) * upright).as_rotvec()
    shape = rng.normal(size=len(model.shape_names)) * model.shape_sigmas * 0.8
    vertices = pose_hand_numpy(model, theta, shape, np.zeros(3))[0]
    place = np.array([0.0, 0.0, rng.uniform(0.35, 0.9)])
    place[:2] = -0.5 * (vertices[:, :2].max(0) + vertices[:, :2].min(0))
    return _posed(theta, shape, place)


def _posed(theta: np.ndarray, shape: np.ndarray, translation: np.ndarray) -> Pose:
    model = surface("default", "right", LEVEL)
    vertices = pose_hand_numpy(model, theta, shape, translation)[0]
    return Pose(theta, shape, translation, vertices, vertex_normals(vertices, model.faces))


def _beside(rng: np.random.Generator, pose: Pose) -> Pose:
    """A second right hand that touches or crosses the first; drawn mirrored, as a left one."""
    second = _random_pose(rng)
    move = rng.normal(size=3) * [0.06, 0.06, 0.04]
    place = second.translation + move
    place[2] = pose.translation[2] + move[2]
    return _posed(second.theta, pose.shape, place)


def _mirrored(pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    flip = np.array([-1.0, 1.0, 1.0])
    return pose.vertices * flip, pose.normals * flip


def _openness(pose: Pose) -> np.ndarray:
    """(V,) of the unsubdivided mesh, whose vertices come first, and of its edges' middles."""
    coarse = surface("default", "right", 0)
    count = len(coarse.template)
    vertices, normals = pose.vertices[:count], pose.normals[:count]
    free = openness_of(vertices, normals, coarse.faces, directions=24, size=96)
    return free[_ends()].mean(1)


@lru_cache(maxsize=1)
def _ends() -> np.ndarray:
    """(V, 2) the unsubdivided mesh's vertices that each vertex lies on or halfway between."""
    from scipy.spatial import cKDTree

    coarse = surface("default", "right", 0)
    edges = np.sort(coarse.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    pairs = np.concatenate([np.repeat(np.arange(len(coarse.template))[:, None], 2, 1), edges])
    middles = coarse.template[pairs].mean(1)
    return pairs[cKDTree(middles).query(surface("default", "right", LEVEL).template)[1]]


def _cover(
    rng: np.random.Generator, pose: Pose, other: Pose | None, camera: Camera, free: np.ndarray
) -> SkinPixels:
    """What every pixel shows: this hand, the other one or the forearm (without a texture)."""
    from scipy.spatial.transform import Rotation

    model = surface("default", "right", LEVEL)
    uvs = model.uvs[model.uv_faces].astype(np.float64)
    rest = model.template[model.faces]
    parts = [(pose.vertices, pose.normals, model.faces, free, uvs, rest)]
    if other is not None:
        vertices, normals = _mirrored(other)
        parts.append((vertices, normals, model.faces, free * 0 + 0.8, uvs, rest + 9.0))
    if rng.random() < 0.75:
        whole = load_surface("right")
        bend = Rotation.from_rotvec(rng.normal(size=3) * 0.25).as_rotvec()
        arm = pose_surface(whole, pose.theta, pose.shape, pose.translation, bend)
        faces = whole.triangles[2 * whole.hand_quads :]
        # the back of the hand near the wrist, on which the forearm's skin goes on
        near = np.full((len(faces), 3, 2), uvs[_wrist_face()].mean(0))
        parts.append(
            (arm, vertex_normals(arm, whole.triangles), faces, np.full(len(arm), 0.9), near,
             np.full((len(faces), 3, 3), 9.0))
        )  # fmt: skip
    starts = np.cumsum([0] + [len(p[0]) for p in parts])
    vertices, normals = (np.concatenate([p[k] for p in parts]) for k in (0, 1))
    faces = np.concatenate([p[2] + s for p, s in zip(parts, starts)])
    openness = np.concatenate([p[3] for p in parts])
    corner_uv, corner_rest = (np.concatenate([p[k] for p in parts]) for k in (4, 5))
    triangle = rasterize_mesh(vertices, faces, camera).triangle
    hit = triangle >= 0
    rows, columns = np.nonzero(hit)
    tri = triangle[hit]
    weights = _ray_weights(rows, columns, vertices[faces[tri]], camera)
    lerp = lambda values: np.einsum("nk,nkc->nc", weights, values)  # noqa: E731
    own_pixels = np.zeros_like(hit)
    own_pixels[hit] = tri < len(model.faces)
    return SkinPixels(
        hit=hit,
        own=own_pixels,
        point=lerp(vertices[faces[tri]]),
        normal=lerp(normals[faces[tri]]),
        uv=lerp(corner_uv[tri]),
        rest=lerp(corner_rest[tri]),
        openness=np.einsum("nk,nk->n", weights, openness[faces[tri]]),
    )


def _wrist_face() -> int:
    """A face on the back of the hand, 12 mm from the wrist's cut."""
    model = surface("default", "right", LEVEL)
    centre = model.template[model.faces].mean(1)
    edge = centre[:, 0].max() - 0.012
    return int(np.argmin(np.abs(centre[:, 0] - edge) - 0.5 * centre[:, 1]))


def _ray_weights(
    rows: np.ndarray, columns: np.ndarray, corners: np.ndarray, camera: Camera
) -> np.ndarray:
    """(M, 3) weights of triangles' corners (M, 3, 3) where the pixels' rays meet them."""
    ray = np.stack(
        [
            (columns + 0.5 - camera.cx) / camera.fx,
            (rows + 0.5 - camera.cy) / camera.fy,
            np.ones(len(rows)),
        ],
        axis=1,
    )
    # the volume that the ray spans with the two other corners is each corner's share
    share = np.stack(
        [
            np.einsum("nc,nc->n", ray, np.cross(corners[:, (k + 1) % 3], corners[:, (k + 2) % 3]))
            for k in range(3)
        ],
        axis=1,
    )
    total = share.sum(1, keepdims=True)
    share = np.clip(share / np.where(np.abs(total) > 1e-30, total, 1e-30), 0, 1)
    return share / np.maximum(share.sum(1, keepdims=True), 1e-9)


def _misjudged(rng: np.random.Generator, pose: Pose) -> Pose:
    """The pose as a fit might find it: joints, shape and place are off, the palm least."""
    from scipy.spatial.transform import Rotation

    model, much = surface("default", "right", LEVEL), np.exp(rng.normal() * 0.5)
    theta = pose.theta + rng.normal(size=pose.theta.shape) * 0.03 * much
    turn = Rotation.from_rotvec(rng.normal(size=3) * 0.02 * much)
    theta[0] = (turn * Rotation.from_rotvec(pose.theta[0])).as_rotvec()
    shape = pose.shape + rng.normal(size=pose.shape.shape) * model.shape_sigmas * 0.25
    vertices = pose_hand_numpy(model, theta, shape, np.zeros(3))[0]
    palm = model.weights[:, 0] > 0.5
    place = (pose.vertices[palm] - vertices[palm]).mean(0)
    place[:2] += rng.normal(size=2) * 0.0013 * much
    return _posed(theta, shape, place)


def _observe(
    pose: Pose,
    other: Pose | None,
    photo: np.ndarray,
    mask: np.ndarray,
    camera: Camera,
    free: np.ndarray,
) -> UVObservation:
    faces, vertices = surface("default", "right", LEVEL).faces, pose.vertices
    if other is not None:
        faces = np.concatenate([faces, faces + len(vertices)])
        vertices = np.concatenate([vertices, _mirrored(other)[0]])
    return observe_uv(
        scene_of(photo, vertices, faces, camera),
        mask,
        uv_layout("default", OBSERVED_SIZE),
        "right",
        pose.vertices,
        pose.normals,
        free,
    )


def _labels(
    pixels: SkinPixels,
    occluded: np.ndarray,
    observation: UVObservation,
    wrong: Pose,
    camera: Camera,
    canonical: np.ndarray,
    skin: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Target (N, 3), where the photo shows a texel's own skin (N,), ``shown`` and ``worn``.

    What was rightly seen is moved as the photo moved it: else the network would learn to blur
    what it sees. Elsewhere the target is the canonical subject.
    """
    from .subjects import layout as subject_layout

    layout = uv_layout("default", OBSERVED_SIZE)
    size = (*pixels.hit.shape, 3)
    uv, rest = np.full((*size[:2], 2), 9.0), np.full(size, 9.0)
    uv[pixels.hit], rest[pixels.hit] = pixels.uv, pixels.rest
    uv[occluded], rest[occluded] = 9.0, 9.0
    at = camera.project(layout.at(wrong.vertices))
    gap = np.linalg.norm(nearest(rest, at) - layout.rest, axis=1)
    right = (gap < SAME_SKIN_M) & (observation.seen > 0)
    shown = nearest(uv, at)
    shown[observation.seen <= 0] = 9.0
    move = shown - layout.uv
    move[(np.linalg.norm(move, axis=1) > 0.03) | ~right] = 0
    move = blurred(layout.image(move).astype(np.float32), 2.0).reshape(-1, 2)[layout.index]
    shown[right] = (layout.uv + move)[right]
    worn = layout.look_up(skin, shown) * (shown[:, :1] < 2)
    plain = subject_layout().image(canonical)
    target = np.where(right[:, None], worn, layout.look_up(plain, layout.uv))
    weight = observation.sure * right + 1e-6 * (observation.seen > 0) + 1e-9
    return target - weighted_median(target, weight), right, shown, worn
