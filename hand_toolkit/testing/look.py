"""What a picture of splats lacks beside one of the mesh: its outline, and its texture's detail."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from ..avatar import Avatar, AvatarHand, surface
from ..avatar.layout import lay_splats
from ..avatar.lighting import constant_light
from ..core.types import Camera
from ..geometry.colour import linear_to_srgb
from ..geometry.raster import rasterize_mesh
from ..geometry.surfaces import at_surface
from ..hand_model import rest_hand
from ..render import AvatarRenderer

Albedo = Callable[[np.ndarray], np.ndarray]
"""Linear reflectance (N, 3) of UV coordinates (N, 2)."""

Pose = Mapping[str, np.ndarray]

FINE_M = 0.003
"""Standard deviation of the blur whose residual is detail."""

SAMPLES = 4
"""Samples of a pixel across and down, of the mesh."""


def laid_avatar(per_face: int, albedo: Albedo | None = None, side: str = "right") -> Avatar:
    """A default hand with splats as the fit lays them, in the colours of a texture.

    Args:
        per_face: splats a triangle, 1, 4 or 16.
        albedo: the texture; None is an even grey.
        side: which hand.
    """
    model = surface("default", side, 1)
    vertices = rest_hand(model, np.zeros(len(model.shape_names)))[0]
    binding = lay_splats(vertices, model.faces, per_face)
    count = len(binding)
    color = np.full((count, 3), 0.6)
    if albedo is not None:
        uv = at_surface(model.uvs, model.uv_faces, binding.triangle, binding.barycentric)
        color = linear_to_srgb(np.clip(albedo(uv), 0, 1))
    hand = AvatarHand(
        side=side,
        shape=np.zeros(len(model.shape_names)),
        binding=binding,
        opacity=np.full(count, 0.993),
        color=color,
        albedo=color,
        evidence=np.zeros(count),
    )
    return Avatar("default", 1, (hand,), constant_light(), Camera(600, 600, 256, 256, 512, 512))


def outline_offset_px(avatar: Avatar, theta: Pose, camera: Camera) -> float:
    """Mean distance in pixels by which the splats' outline lies outside the mesh's.

    The outline is where opacity is one half; the difference of the areas over the outline's length.
    """
    from scipy.ndimage import binary_erosion

    covered = _mesh_picture(avatar, theta, camera, None)[1]
    shown = AvatarRenderer(avatar, camera).render_planes(theta).alpha > 0.5
    mesh = covered > 0.5
    # a 4-neighbour rim counts a slanted outline's pixels nearly as often as it is pixels long
    length = (mesh & ~binary_erosion(mesh)).sum() * 1.1
    return float((int(shown.sum()) - int(mesh.sum())) / length)


def detail_correlation(
    avatar: Avatar, albedo: Albedo, theta: Pose, camera: Camera
) -> tuple[float, float]:
    """How like the detail in a picture of splats is that of the mesh with the texture itself.

    Detail is what a blur of 3 mm leaves, away from outlines.

    Returns:
        The correlation, and the splats' standard deviation over the texture's.
    """
    from scipy.ndimage import binary_erosion, gaussian_filter

    picture, covered = _mesh_picture(avatar, theta, camera, albedo)
    drawn = np.array(AvatarRenderer(avatar, camera).render_planes(theta).color)
    vertices = np.concatenate([avatar.mesh(s, t) for s, t in theta.items()])
    pose = camera.world_to_camera
    depth = np.median(vertices @ pose[2, :3] + pose[2, 3])
    sigma = FINE_M * camera.fx / depth
    solid = covered > 0.999
    inside = binary_erosion(solid, iterations=int(sigma) + 2)

    def fine(image: np.ndarray) -> np.ndarray:
        grey = image.mean(axis=-1) * solid
        weight = gaussian_filter(solid.astype(float), sigma)
        return (grey - gaussian_filter(grey, sigma) / np.maximum(weight, 1e-6))[inside]

    mesh, splats = fine(picture), fine(drawn)
    return float(np.corrcoef(mesh, splats)[0, 1]), float(splats.std() / mesh.std())


def _mesh_picture(
    avatar: Avatar, theta: Pose, camera: Camera, albedo: Albedo | None
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) sRGB on black and (H, W) cover of the mesh of one hand, averaged over pixels."""
    ((side, pose),) = theta.items()
    model, vertices = surface(avatar.hand_model, side, avatar.level), avatar.mesh(side, pose)
    view = dataclasses.replace(
        camera,
        **{n: getattr(camera, n) * SAMPLES for n in ("fx", "fy", "cx", "cy", "width", "height")},
    )
    raster = rasterize_mesh(vertices, model.faces, view)
    there = raster.silhouette
    picture = np.zeros((*there.shape, 3))
    if albedo is not None:
        rows, columns = np.nonzero(there)
        depth = raster.depth[there].astype(np.float64)
        x, y = (columns + 0.5 - view.cx) / view.fx, (rows + 0.5 - view.cy) / view.fy
        points = np.stack([x * depth, y * depth, depth], axis=1)
        pose = view.world_to_camera
        corners = (vertices @ pose[:3, :3].T + pose[:3, 3])[model.faces[raster.triangle[there]]]
        a, b, c = corners.transpose(1, 0, 2)
        normal = np.cross(b - a, c - a)
        square = np.maximum((normal**2).sum(axis=1), 1e-30)
        second = (np.cross(points - a, c - a) * normal).sum(axis=1) / square
        third = (np.cross(b - a, points - a) * normal).sum(axis=1) / square
        weights = np.clip(np.stack([1 - second - third, second, third], axis=1), 0, 1)
        uv = at_surface(model.uvs, model.uv_faces, raster.triangle[there], weights)
        picture[there] = linear_to_srgb(np.clip(albedo(uv), 0, 1))
    shape = (camera.height, SAMPLES, camera.width, SAMPLES)
    cover = there.astype(np.float64).reshape(shape).mean(axis=(1, 3))
    return picture.reshape(*shape, 3).mean(axis=(1, 3)), cover
