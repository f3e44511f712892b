"""A rendered person of whom everything is known: detail that no hand model has, and true pictures.

Used by xhand.py. The true mesh is the hand model at its third subdivision, with a shape of its own,
bumps and creases that the model lacks, and folds that come with bending. It is drawn at twice the
size and reduced, lit by spherical harmonics with obstruction and a little gloss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hand_toolkit.avatar import display_theta, surface
from hand_toolkit.avatar.lighting import shade
from hand_toolkit.core.types import Camera, HandPose, Photo
from hand_toolkit.geometry.colour import linear_to_srgb
from hand_toolkit.geometry.raster import barycentric_2d, rasterize_mesh
from hand_toolkit.geometry.surfaces import at_surface, vertex_normals
from hand_toolkit.hand_model import pose_hand_numpy, rest_hand
from hand_toolkit.hand_model.limits import FREE_ANGLES, FREE_HIGHEST, FREE_LOWEST, compose
from hand_toolkit.media.viewset import View, ViewSet
from hand_toolkit.pose.estimate import known_hand
from hand_toolkit.skin.light import LUMINANCE, SKIN_LINEAR, visibility
from hand_toolkit.skin.observe import openness_of
from hand_toolkit.skin.template import template_log_albedo
from hand_toolkit.systems.xhand.losses import laplacian
from hand_toolkit.systems.xhand.skin import vertex_uvs

LEVEL = 3
SIDE = "right"
SIZE = 256
DISTANCE = (0.42, 0.55)
FOCAL = 2.5

HUE = SKIN_LINEAR / (SKIN_LINEAR @ LUMINANCE)
"""Colour of skin, of luminance 1."""

ANGLE_NOISE, TURN_NOISE, PLACE_NOISE_M = 0.06, 0.04, np.array([0.002, 0.002, 0.006])
"""Standard deviations of what the fit is told about poses: radians, radians, metres."""


@dataclass(frozen=True)
class Subject:
    """The true hand.

    Attributes:
        shape: (S,); bumps: (V, 3) metres in the rest pose; folds: (26, V) metres along the normal
            for one radian of each angle; log_albedo: (V, 3).
    """

    shape: np.ndarray
    bumps: np.ndarray
    folds: np.ndarray
    log_albedo: np.ndarray

    @staticmethod
    def of(seed: int) -> Subject:
        """A person of that number."""
        rng = np.random.default_rng([17, seed])
        model = surface("default", SIDE, LEVEL)
        count = len(model.template)
        smooth = _smoother(model.faces, count)
        shape = np.clip(rng.normal(size=len(model.shape_names)), -1.5, 1.5) * 0.7
        shape = shape * model.shape_sigmas
        rest = rest_hand(model, shape)[0]
        normals = vertex_normals(rest, model.faces)
        wide, fine = (_noise(rng, smooth, count, n) for n in (600, 12))
        height = 1.0e-3 * wide - 0.35e-3 * np.maximum(np.abs(fine) - 0.8, 0)
        folds = np.zeros((len(FREE_ANGLES), count))
        for k, name in enumerate(FREE_ANGLES):
            if name.endswith("flexion"):
                joint = 1 + k_joint(name)
                near = model.weights[:, joint] * (1 - model.weights[:, joint]) * 4
                folds[k] = 0.8e-3 * near * (0.6 + 0.4 * np.sign(normals[:, 1]) + 0.5 * fine)
        tone = rng.uniform(0.12, 0.32)
        spots = _noise(rng, smooth, count, 6)
        veins = _noise(rng, smooth, count, 150)
        log = template_log_albedo(vertex_uvs(model), tone)
        log = log - np.log((np.exp(log) @ LUMINANCE).mean() / tone) + np.log(HUE)
        log = log + 0.10 * veins[:, None] * [0.6, 1.0, 0.9]
        log = log - 0.25 * np.maximum(spots - 1.8, 0)[:, None]
        log = log - 0.25 * np.maximum(np.abs(fine) - 0.8, 0)[:, None] * [0.6, 1, 1]
        return Subject(shape, normals * height[:, None], folds, log)

    def vertices(self, theta: np.ndarray, where: np.ndarray) -> np.ndarray:
        """(V, 3) true surface in a pose."""
        from hand_toolkit.hand_model.limits import decompose

        model = surface("default", SIDE, LEVEL)
        posed, _, _, bones = pose_hand_numpy(model, theta, self.shape, where)
        rest = rest_hand(model, self.shape)[0]
        height = np.maximum(decompose(theta, SIDE), 0) @ self.folds
        moved = self.bumps + vertex_normals(rest, model.faces) * height[:, None]
        turn = (model.weights @ bones[:, :3, :3].reshape(16, 9)).reshape(-1, 3, 3)
        return posed + np.einsum("vij,vj->vi", turn, moved)


def k_joint(name: str) -> int:
    """Number of an angle's joint among the 15."""
    from hand_toolkit.core.conventions import MANO_JOINTS

    return list(MANO_JOINTS[1:]).index(name.rsplit("_", 1)[0])


def _smoother(faces: np.ndarray, count: int):  # type: ignore[no-untyped-def]
    import scipy.sparse as sparse

    m = laplacian(faces, count)
    matrix = sparse.coo_matrix((m.values().numpy(), m.indices().numpy()), (count, count)).tocsr()
    return sparse.identity(count) - 0.5 * matrix


def _noise(rng: np.random.Generator, smooth, count: int, rounds: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    values = rng.normal(size=count)
    for _ in range(rounds):
        values = smooth @ values
    values = values - values.mean()
    return values / values.std()


def picture(
    subject: Subject, theta: np.ndarray, where: np.ndarray, light: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) sRGB of the hand alone on black, and its coverage (H, W)."""
    model = surface("default", SIDE, LEVEL)
    vertices = subject.vertices(theta, where)
    normals = vertex_normals(vertices, model.faces)
    coarse = surface("default", SIDE, 1)
    few = pose_hand_numpy(coarse, theta, subject.shape, where)[0]
    free = openness_of(few, vertex_normals(few, coarse.faces), coarse.faces)
    # the first vertices of a finer mesh are the coarser one's; the rest take their neighbours'
    from scipy.spatial import cKDTree

    dim = visibility(free[cKDTree(few).query(vertices)[1]])
    big = camera.resized(2 * camera.width, 2 * camera.height)
    raster = rasterize_mesh(vertices, model.faces, big)
    hit = raster.silhouette
    rows, columns = np.nonzero(hit)
    face = raster.triangle[hit]
    weights = barycentric_2d(
        np.stack([columns + 0.5, rows + 0.5], 1), big.project(vertices)[model.faces[face]]
    )

    def at(values: np.ndarray) -> np.ndarray:
        return at_surface(values, model.faces, face, weights)

    normal = at(normals)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    look = -at(vertices)
    look /= np.linalg.norm(look, axis=1, keepdims=True)
    gloss = 0.05 * np.maximum((normal * look).sum(1), 0) ** 12
    shading = shade(light, normal) * at(dim[:, None])
    linear = np.exp(at(subject.log_albedo)) * shading + gloss[:, None] * shading.mean()
    image = np.zeros((*hit.shape, 3))
    image[hit] = linear
    half = (camera.height, 2, camera.width, 2)
    small = linear_to_srgb(image.reshape(*half, 3).mean((1, 3)))
    return small, hit.reshape(half).mean((1, 3))


def pose_of(rng: np.random.Generator, around: float, up: float) -> tuple[np.ndarray, np.ndarray]:
    """θ and place of a hand seen from a side: radians about the upright, and from above."""
    from scipy.spatial.transform import Rotation

    share = rng.uniform(0, 0.75) * rng.uniform(0.5, 1, 26)
    flexion = np.array([name.endswith("flexion") for name in FREE_ANGLES])
    middle = 0.5 * (FREE_LOWEST + FREE_HIGHEST)
    angles = np.where(flexion, share * FREE_HIGHEST, middle + 0.3 * rng.uniform(-1, 1, 26) * 0.3)
    theta = compose(angles, None, SIDE)
    turn = Rotation.from_euler("yx", [around, up]) * Rotation.from_rotvec(display_theta(SIDE)[0])
    theta[0] = turn.as_rotvec()
    distance = rng.uniform(*DISTANCE)
    where = Rotation.from_euler("yx", [around, up]).apply(np.array([0.0, 0.09, 0.0]))
    where = where + np.array([0, 0, distance])
    return theta, where


def light_of(rng: np.random.Generator) -> np.ndarray:
    """(9, 3) soft light from above and aside, a little coloured."""
    light = np.zeros((9, 3))
    light[0] = 2.6 * rng.uniform(0.9, 1.1)
    light[1:4] = rng.normal([0.45, -0.25, -0.2], 0.1)[:, None]
    light[4:] = rng.normal(0, 0.08, 5)[:, None]
    return light * rng.uniform(0.95, 1.05, 3)


def views_of(
    subject: Subject, count: int, seed: int, *, noise: float = 1.0, size: int = SIZE
) -> tuple[ViewSet, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Pictures with noisy poses and the mean shape, all in one light; and the true θ, place, light.

    Pictures of different seeds share no pose; the light is the subject's room.
    """
    rng = np.random.default_rng([29, seed])
    light = light_of(np.random.default_rng([31, int(1e6 * abs(subject.shape[0]))]))
    camera = Camera(FOCAL * size, FOCAL * size, size / 2, size / 2, size, size)
    model = surface("default", SIDE, 0)
    views, truth = [], []
    start = rng.uniform(0, 2 * np.pi)
    for k in range(count):
        around = start + 2 * np.pi * (k * 0.618034)
        theta, where = pose_of(rng, around, rng.uniform(-0.5, 0.5))
        image, cover = picture(subject, theta, where, light, camera)
        wall = np.array([0.55, 0.52, 0.48]) * (1 - cover[..., None])
        pixels = (np.clip(image + wall, 0, 1) * 255 + 0.5).astype(np.uint8)
        given = noisy(rng, theta, noise)
        place = where + noise * PLACE_NOISE_M * rng.normal(size=3)
        hand: HandPose = known_hand(
            SIDE, given, np.zeros(len(model.shape_names)), place, "default", camera
        )
        photo = Photo(pixels, focal_px=camera.fx, name=f"view_{k:02d}")
        labels = np.where(cover > 0.5, 0, -1).astype(np.int32)
        mask = cover.astype(np.float32)
        views.append(View(photo.name, lambda shot=photo: shot, camera, (hand,), mask, labels))  # type: ignore[misc]
        truth.append((theta, where, light))
    return ViewSet(tuple(views), "rendered"), truth


def noisy(rng: np.random.Generator, theta: np.ndarray, noise: float) -> np.ndarray:
    """θ as a pose estimate would have it."""
    from scipy.spatial.transform import Rotation

    from hand_toolkit.hand_model.limits import decompose

    angles = decompose(theta, SIDE) + noise * ANGLE_NOISE * rng.normal(size=26)
    off = Rotation.from_rotvec(noise * TURN_NOISE * rng.normal(size=3))
    wrist = (off * Rotation.from_rotvec(theta[0])).as_rotvec()
    return compose(angles, wrist, SIDE)
