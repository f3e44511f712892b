"""Synthetic photos of random subjects, and what the product's own observation makes of them.

A photo is one z-buffer and texture look-ups: light in spherical harmonics with coloured
surroundings, up to two lamps with cast shadows and gloss, flesh that the mesh lacks, a forearm
or a sleeve, another hand, things in front, a camera's curve, blur, noise, JPEG. It is then
observed with a *wrong* pose and a mask that spills, by the function that observes real photos:
misregistered rims and neighbours' skin come by themselves.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...avatar import display_theta, surface
from ...avatar.lighting import LAMBERT_BANDS, sh_basis, shade
from ...hand_model import pose_hand_numpy, vertex_normals
from ...geometry.colour import linear_to_srgb
from ...geometry.silhouette import rasterize_mesh
from ...synth.poses import POSE_NAMES, rest_theta, sample_angles
from ...synth.surface import load_surface, pose_surface
from ...core.types import Camera
from ..grid import GRID, shrink
from ..light import visibility
from ..observe import depth_behind, openness_of, smoothstep
from ..uv_layout import LEVEL, bilinear, nearest, uv_layout
from ..uv_observation import CHANNELS, UVObservation, observe_uv, scene_of, weighted_median
from .backdrop import noise_picture, paint_backdrop
from .subjects import Mixer, load_subjects

OBSERVED_SIZE = 384
"""Texels of the layout on which synthetic photos are observed, 0.75 mm each."""

SAME_SKIN_M = 0.008
"""A pixel this close to a texel's own place on the skin shows that skin, moved."""

log = logging.getLogger(__name__)


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
    """

    observation: UVObservation
    target: np.ndarray
    right: np.ndarray
    pixels: np.ndarray
    mask: np.ndarray
    camera: Camera
    posed: Pose


@dataclass(frozen=True)
class _Pixels:
    """The M pixels that show skin, of either hand or the forearm."""

    hit: np.ndarray
    own: np.ndarray
    point: np.ndarray
    normal: np.ndarray
    uv: np.ndarray
    rest: np.ndarray
    openness: np.ndarray


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
    linear = _lit(rng, pixels, pose.vertices, skin)
    picture, occluded = _compose(rng, pixels, linear, size)
    photo = _develop(rng, picture)
    mask = _outline(rng, pixels.own.copy(), occluded, size)
    wrong = _misjudged(rng, pose)
    observation = _observe(wrong, other and _misjudged(rng, other), photo, mask, camera, free)
    target, right = _labels(pixels, occluded, observation, wrong, camera, canonical, skin)
    return Sample(observation, target, right, photo, mask, camera, wrong)


def write_photos(folder: Path, seed: int, first: int, count: int) -> None:
    """Write samples ``photos/NNNNN.npz`` of a folder's training subjects, one at a time.

    Each holds float16 ``inputs`` and ``target``, ``right`` and the tone on the covered texels
    of the network's grid, and depends on the seed and its number only.
    """
    import cv2

    cv2.setNumThreads(1)  # generators share a machine
    mixer, out = Mixer(load_subjects(folder / "train.npz")), folder / "photos"
    out.mkdir(parents=True, exist_ok=True)
    layout = uv_layout("default", OBSERVED_SIZE)
    covered = shrink(np.ones((len(layout.index), 1)), layout, GRID)[..., 0] > 0
    for number in range(first, first + count):
        rng = np.random.default_rng([seed, number])
        try:
            sample = make_sample(rng, *mixer.draw(rng))
        except (ValueError, IndexError, np.linalg.LinAlgError) as error:
            log.warning("sample %d shows no hand: %s", number, error)
            continue
        if sample.observation.seen.mean() < 0.04 or sample.right.mean() < 0.03:
            continue
        values = [sample.observation.inputs, sample.target, sample.right[:, None]]
        grid = shrink(np.concatenate(values, axis=1), layout, GRID)[covered].astype(np.float16)
        split = len(CHANNELS)
        path = out / f"{number:05d}.npz"
        np.savez(
            path.with_suffix(".tmp.npz"),
            inputs=grid[:, :split],
            target=grid[:, split : split + 3],
            right=grid[:, -1],
            tone=sample.observation.tone.astype(np.float32),
        )
        path.with_suffix(".tmp.npz").replace(path)


def _random_pose(rng: np.random.Generator) -> Pose:
    """A right hand near the middle of the view: palm or back, or any side, to the camera."""
    from scipy.spatial.transform import Rotation

    model = surface("default", "right", LEVEL)
    name = str(rng.choice(POSE_NAMES)) if rng.random() < 0.6 else str(
        rng.choice(["flat", "spread", "rest"])
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
) -> _Pixels:
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
    return _Pixels(
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


def _tint(rng: np.random.Generator, amount: float) -> np.ndarray:
    return np.exp(rng.normal(size=3) * [amount, 0.3 * amount, amount])


def _soft_light(rng: np.random.Generator) -> np.ndarray:
    """(9, 3) ambient light, three soft lobes, often a strongly coloured surrounding."""
    bands = np.pi * LAMBERT_BANDS[[0, 1, 1, 1, 2, 2, 2, 2, 2]]
    lobe = lambda: (sh_basis(_unit(rng.normal(size=3)), 9) * bands)[:, None]  # noqa: E731
    light = np.zeros((9, 3))
    light[0] = rng.uniform(0.25, 0.9) / 0.28209479177387814 * _tint(rng, 0.12)
    for _ in range(3):
        light += lobe() * rng.uniform(0, 0.45) * _tint(rng, 0.15)
    if rng.random() < 0.6:
        light += lobe() * rng.uniform(0, 0.4) * np.exp(rng.normal(size=3) * 0.6)
    return light


def _lit(
    rng: np.random.Generator,
    pixels: _Pixels,
    vertices: np.ndarray,
    skin: np.ndarray,
) -> np.ndarray:
    """(M, 3) linear colour of the covered pixels."""
    faces = surface("default", "right", LEVEL).faces
    at_uv = lambda image: bilinear(  # noqa: E731
        image, np.stack([pixels.uv[:, 0], 1 - pixels.uv[:, 1]], axis=1) * len(image)
    )
    # tendons and flesh that the mesh lacks: form of 6 mm and more, to be taken off as shade
    bumps = _blurred(noise_picture(rng, (384, 384), (12, 24)), 5.0) * rng.uniform(0, 0.8)
    normal = _unit(_unit(pixels.normal) + at_uv(bumps))
    view = -_unit(pixels.point)
    light = np.maximum(shade(_soft_light(rng), normal), 0.03)
    light = light * visibility(pixels.openness)[:, None]
    rough = at_uv(noise_picture(rng, (384, 384), (2, 5))[..., :1])[:, 0]
    gloss = np.zeros(len(normal))
    for _ in range(int(rng.integers(0, 3))):
        direction = _unit(rng.normal(size=3) * [1, 1, 0.8] + [0, -0.5, -0.6])
        reached = _cast(rng, pixels.point, normal, vertices, faces, direction)
        direct = np.maximum(normal @ direction, 0) * reached
        light = light + direct[:, None] * rng.uniform(0.1, 1.1) * _tint(rng, 0.15)
        half = np.maximum((normal * _unit(direction + view)).sum(1), 0)
        shine = half ** rng.uniform(8, 60) * rng.uniform(0, 0.25)
        gloss += shine * reached * np.exp(0.5 * rough)
    linear = np.exp(at_uv(skin)) * light + (gloss * rng.uniform(0.3, 1))[:, None]
    middle = max(float(np.median(linear.mean(1))), 1e-6)
    return linear * (rng.uniform(0.12, 0.5) / middle) * _tint(rng, 0.06)


def _cast(
    rng: np.random.Generator,
    point: np.ndarray,
    normal: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    direction: np.ndarray,
) -> np.ndarray:
    """(M,) 0 to 1, how much of a lamp reaches each point past the hand and things elsewhere."""
    softness, reached = rng.uniform(0.0, 0.12), np.zeros(len(point))
    for _ in range(2):
        toward = _unit(direction + rng.normal(size=3) * softness)
        slack = 0.003 + 0.004 * (1 - np.abs(normal @ toward))
        reached += 0.5 * (depth_behind(point, vertices, faces, toward, 256) < slack)
    if rng.random() < 0.3:
        wave = np.sin(point @ (rng.normal(size=3) * 40) + rng.uniform(0, 6))
        reached = reached * smoothstep(wave, -0.1, rng.uniform(-0.05, 0.4))
    return reached


def _compose(
    rng: np.random.Generator, pixels: _Pixels, linear: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The linear picture (H, W, 3), and (H, W) bool where a thing is in front of the hand."""
    import cv2

    tone = np.median(linear, axis=0)
    picture = paint_backdrop(rng, size, tone)
    picture[pixels.hit] = linear
    occluded = np.zeros((size, size), np.uint8)
    if rng.random() < 0.3:
        centre = (rng.uniform(0, 1, 2) * size).astype(int).tolist()
        axes = ((rng.uniform(0.03, 0.16, 2) * size).astype(int) + 1).tolist()
        cv2.ellipse(occluded, centre, axes, rng.uniform(0, 180), 0, 360, 1, -1)
        thing = paint_backdrop(rng, size, tone)
        picture[occluded > 0] = thing[occluded > 0]
    return picture, occluded > 0


def _develop(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    """The photo (H, W, 3) sRGB that a camera makes of linear light."""
    import cv2

    if rng.random() < 0.5:
        shoulder = max(float(linear.max()), 1.3)
        linear = linear / (1 + (linear / shoulder) ** 4) ** 0.25
    linear = _blurred(linear.astype(np.float32), rng.uniform(0.4, 0.8) + (rng.random() < 0.25))
    grain = rng.normal(size=linear.shape) * np.sqrt(np.maximum(linear, 0.01))
    encoded = linear_to_srgb(linear + rng.uniform(0, 0.015) * grain)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 98))]
    packed = cv2.imencode(".jpg", (encoded * 255 + 0.5).astype(np.uint8), quality)[1]
    return cv2.imdecode(packed, cv2.IMREAD_COLOR).astype(np.float32) / 255


def _outline(
    rng: np.random.Generator, own: np.ndarray, occluded: np.ndarray, size: int
) -> np.ndarray:
    """(H, W) the mask as it is found: it bridges gaps and spills over here, erodes there."""
    import cv2

    disc = lambda r: cv2.getStructuringElement(  # noqa: E731
        cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1)
    )
    mask = (own & ~occluded if rng.random() < 0.6 else own).astype(np.uint8)
    # a good network's outline errs by a pixel or two, a colour model's by much
    reach = max(1, int(size * rng.uniform(0, 0.05 if rng.random() < 0.5 else 0.012)))
    wide = cv2.dilate(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc(reach)), disc(max(1, reach // 3)))
    thin = cv2.erode(mask, disc(max(1, reach // 4)))
    field = noise_picture(rng, (size, size), (max(size // 4, 2), max(size // 8, 2)))[..., 0]
    level = rng.normal() * 0.4
    mask = np.where(field > level, wide, np.where(field < level - 0.6, thin, mask))
    return _blurred(mask.astype(np.float32), 0.7)


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
    pixels: _Pixels,
    occluded: np.ndarray,
    observation: UVObservation,
    wrong: Pose,
    camera: Camera,
    canonical: np.ndarray,
    skin: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Target (N, 3) and where the photo shows a texel's own skin (N,).

    What was rightly seen is moved as the photo moved it: else the network would learn to blur
    what it sees. Elsewhere the target is the canonical subject.
    """
    from .subjects import layout as subject_layout

    layout = uv_layout("default", OBSERVED_SIZE)
    size = (*pixels.hit.shape, 3)
    uv, rest = np.full(size[:2] + (2,), 9.0), np.full(size, 9.0)
    uv[pixels.hit], rest[pixels.hit] = pixels.uv, pixels.rest
    rest[occluded] = 9.0
    at = camera.project(layout.at(wrong.vertices))
    gap = np.linalg.norm(nearest(rest, at) - layout.rest, axis=1)
    right = (gap < SAME_SKIN_M) & (observation.seen > 0)
    move = nearest(uv, at) - layout.uv
    move[(np.linalg.norm(move, axis=1) > 0.03) | ~right] = 0
    move = _blurred(layout.image(move).astype(np.float32), 2.0).reshape(-1, 2)[layout.index]
    plain = subject_layout().image(canonical)
    target = np.where(
        right[:, None], layout.look_up(skin, layout.uv + move), layout.look_up(plain, layout.uv)
    )
    weight = observation.sure * right + 1e-6 * (observation.seen > 0) + 1e-9
    return target - weighted_median(target, weight), right


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(image, (0, 0), sigma)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
