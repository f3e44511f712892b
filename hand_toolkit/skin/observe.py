"""What the photo shows of each splat: visibility, colour, occlusion, evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..avatar import SurfaceBinding, surface
from ..core.types import Camera, HandPose, PoseEstimate
from ..geometry.raster import rasterize_mesh
from ..geometry.surfaces import at_surface, vertex_normals
from ..hand_model import pose_hand_numpy

DEPTH_TOLERANCE_M = 0.003

GRAZING = (0.15, 0.65)
"""Cosine of the angle to the line of sight from which the photo shows skin at all, and well. Nearer
the outline a pixel covers millimetres of skin, and a pose that is a pixel off shows the wall."""


SLIVER = (0.0, 0.15)
"""The same where another finger or hand is behind it, of what the photo's own view shows."""


@dataclass(frozen=True)
class PosedSurface:
    """One hand's mesh in the photo's pose.

    Attributes:
        side: "right" or "left".
        vertices: (V, 3) camera frame, metres.
        normals: (V, 3) outward unit normals.
        faces: (F, 3).
    """

    side: str
    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray

    def at(self, binding: SurfaceBinding) -> tuple[np.ndarray, np.ndarray]:
        """Surface points and unit normals (N, 3) at the splats."""
        where = (self.faces, binding.triangle, binding.barycentric.astype(np.float64))
        points, normals = at_surface(self.vertices, *where), at_surface(self.normals, *where)
        return points, normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)


@dataclass(frozen=True)
class Observation:
    """The photo at one hand's N splats.

    Attributes:
        points: (N, 3) camera frame, metres.
        normals: (N, 3) unit.
        pixel: (N, 2) projection.
        color: (N, 3) sRGB of the photo there, arbitrary where evidence is 0.
        evidence: (N,) 0 hidden ... 1 seen well.
        openness: (N,) part of the cosine-weighted hemisphere that is unobstructed.
        beside: (N,) 1 where the photo shows another finger or hand next to it, 0 away from that.
        shown: (N,) the evidence before anybody doubted it: how well the photo shows the place.
        pictured: (N,) how far the photo's own view should show the photo there, whether or not
            that is this place's skin.
        calm: (N, 3) sRGB of the photo there without its noise, of which albedo is made; None where
            the photo has little.
    """

    points: np.ndarray
    normals: np.ndarray
    pixel: np.ndarray
    color: np.ndarray
    evidence: np.ndarray
    openness: np.ndarray
    beside: np.ndarray
    shown: np.ndarray
    pictured: np.ndarray
    calm: np.ndarray | None = None

    @property
    def of_skin(self) -> np.ndarray:
        """(N, 3) sRGB colours to make albedo of."""
        return self.color if self.calm is None else self.calm


def pose_surfaces(hands: tuple[HandPose, ...], level: int) -> list[PosedSurface]:
    """The meshes of all hands in the photo's pose."""
    result = []
    for hand in hands:
        model = surface(hand.hand_model, hand.side, level)
        vertices = pose_hand_numpy(model, hand.theta, hand.shape, hand.translation)[0]
        normals = vertex_normals(vertices, model.faces)
        result.append(PosedSurface(hand.side, vertices, normals, model.faces))
    return result


def hand_meshes(estimate: PoseEstimate, level: int = 1) -> list[tuple[np.ndarray, np.ndarray]]:
    """Vertices (V, 3) in the camera frame and faces (F, 3) of every hand of an estimate."""
    return [(s.vertices, s.faces) for s in pose_surfaces(estimate.hands, level)]


def observe(
    surfaces: list[PosedSurface],
    bindings: list[SurfaceBinding],
    pixels: np.ndarray,
    masks: list[np.ndarray],
    camera: Camera,
) -> tuple[list[Observation], np.ndarray]:
    """Sample the photo at every splat.

    Args:
        surfaces: the posed meshes.
        bindings: splats of each mesh.
        pixels: (H, W, 3) sRGB in [0, 1].
        masks: per hand (H, W) in [0, 1], the pixels that show it.
        camera: the photo's.

    Returns:
        One observation per hand, and the (H, W) rim of :func:`outline_rim`.
    """
    vertices = np.concatenate([s.vertices for s in surfaces])
    starts = np.cumsum([0] + [len(s.vertices) for s in surfaces])
    faces = np.concatenate([s.faces + k for s, k in zip(surfaces, starts)])
    depth = rasterize_mesh(vertices, faces, camera).depth
    rim, inner = outline_rim(depth), inner_rim(depth)
    openness = openness_of(vertices, np.concatenate([s.normals for s in surfaces]), faces)
    result = []
    for index, (posed, binding, mask) in enumerate(zip(surfaces, bindings, masks)):
        points, normals = posed.at(binding)
        corners = posed.faces[binding.triangle] + starts[index]
        pixel = camera.project(points)
        color = sample(pixels, pixel)
        facing = -(normals * points).sum(1) / np.linalg.norm(points, axis=1)
        behind = points[:, 2] - sample(near_depth(depth)[..., None], pixel, nearest=True)[:, 0]
        inside = (
            (pixel[:, 0] >= 0)
            & (pixel[:, 1] >= 0)
            & (pixel[:, 0] < camera.width)
            & (pixel[:, 1] < camera.height)
            & (points[:, 2] > camera.near)
        )
        visible = inside & (behind < DEPTH_TOLERANCE_M) & (facing > 0)
        shown = sample(_shrunk(mask)[..., None], pixel)[:, 0]
        well = smoothstep(facing, *GRAZING)
        beside = sample(inner[..., None], pixel)[:, 0]
        there = visible * smoothstep(shown, 0.55, 0.95)
        evidence = there * well
        # a finger's side next to another finger: slivers of made-up skin would line the gap
        pictured = there * np.maximum(well, beside * smoothstep(facing, *SLIVER))
        result.append(
            Observation(
                points,
                normals,
                pixel,
                color,
                evidence,
                np.einsum("nk,nk->n", binding.barycentric, openness[corners]),
                beside,
                evidence,
                pictured,
            )
        )
    return result, rim


def outline_rim(depth: np.ndarray) -> np.ndarray:
    """(H, W) 1 at and outside the meshes' outlines, falling to 0 a few pixels inside.

    There a small error of the pose puts a splat on the background or on another finger.
    """
    from scipy.ndimage import distance_transform_edt, maximum_filter, minimum_filter

    filled = np.where(np.isfinite(depth), depth, 10.0)
    jump = maximum_filter(filled, 3) - minimum_filter(filled, 3) > 0.008
    size = max(depth.shape)
    distance = distance_transform_edt(~jump & np.isfinite(depth))
    return 1 - smoothstep(distance, max(3.0, 0.022 * size), max(7.0, 0.05 * size))


def inner_rim(depth: np.ndarray) -> np.ndarray:
    """(H, W) 1 where one finger or hand passes in front of another, falling to 0 beside it.

    There the photo shows contact shadows and, where the pose is off, the wrong finger.
    """
    from scipy.ndimage import distance_transform_edt, maximum_filter, minimum_filter

    known = np.isfinite(depth)
    high = maximum_filter(np.where(known, depth, -np.inf), 3)
    low = minimum_filter(np.where(known, depth, np.inf), 3)
    jump = known & (high - low > 0.006)
    if not jump.any():
        return np.zeros(depth.shape)
    size = max(depth.shape)
    distance = distance_transform_edt(~jump)
    return 1 - smoothstep(distance, max(2.0, 0.012 * size), max(5.0, 0.035 * size))


def unlike(pixels: np.ndarray, expected: np.ndarray, tolerance: float = 1.0) -> np.ndarray:
    """(...) 0 where sRGB colours (..., 3) agree ... 1 where they are of something else.

    At tolerance 1 lightness may differ by half, chromaticity by a few hundredths: creases,
    shadows and highlights of skin pass, cloth and walls do not.
    """
    light = np.abs(np.log((pixels.sum(-1) + 0.05) / (expected.sum(-1) + 0.05)))
    chroma = np.abs(_chromaticity(pixels) - _chromaticity(expected)).sum(-1)
    return smoothstep(np.maximum(light / 0.5, chroma / 0.07) / tolerance, 0.7, 1.2)


FAR = 99.0
"""Distance of pixels that :func:`background_distance` does not compare."""

MOST_UNLIKE = 6.0
"""Distance beyond which nothing tells more; the search ends there."""


COMPARED = 6000
"""Pixels around the mask that each of its own is compared with; more change distances by .01."""


def background_distance(
    pixels: np.ndarray, mask: np.ndarray, where: np.ndarray | None = None
) -> np.ndarray:
    """How far, in colour and place, a mask pixel is from what lies around the mask.

    Tells a wall that shows past a finger from a painted nail. Below 1 both look alike.

    Args:
        pixels: (H, W, 3) sRGB in [0, 1].
        mask: (H, W) in [0, 1].
        where: (H, W) bool, pixels to compare; the mask's by default, and never others.

    Returns:
        (H, W), at most ``MOST_UNLIKE``; ``FAR`` where nothing was compared.
    """
    from scipy.ndimage import binary_dilation

    from ..geometry.nearest import nearest_distances

    size = max(mask.shape)
    inside = mask > 0.02
    ring = binary_dilation(inside, iterations=max(2, round(0.12 * size)))
    ring &= ~binary_dilation(inside, iterations=max(1, round(0.008 * size)))
    result = np.full(mask.shape, FAR)
    if not ring.any():
        return result
    rows, columns = np.indices(mask.shape)
    features = np.concatenate(
        [
            np.log(pixels.sum(-1, keepdims=True) + 0.05) / 0.5,
            _chromaticity(pixels) / 0.05,
            np.stack([rows, columns], axis=-1) / (0.3 * size),
        ],
        axis=-1,
    )
    step = max(1, int(ring.sum()) // COMPARED)
    wanted = inside if where is None else inside & where
    nearest = nearest_distances(features[ring][::step], features[wanted])
    result[wanted] = np.minimum(nearest, MOST_UNLIKE)
    return result


def like_background(distance: np.ndarray) -> np.ndarray:
    """1 where :func:`background_distance` says that a pixel looks like the surroundings."""
    return 1 - smoothstep(distance, 0.9, 1.6)


def shows_background(distance: np.ndarray, color: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """(...) 1 where sRGB colours (..., 3) are background rather than the skin expected there.

    The less a colour looks like skin, the less it must look like background.
    """
    near = like_background(distance) * unlike(color, skin)
    far = (1 - smoothstep(distance, 2.0, 3.5)) * unlike(color, skin, 2.0)
    return np.maximum(near, far)


def _chromaticity(color: np.ndarray) -> np.ndarray:
    return color[..., :2] / (color.sum(-1, keepdims=True) + 0.05)


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def sample(image: np.ndarray, pixel: np.ndarray, nearest: bool = False) -> np.ndarray:
    """(N, C) values of an (H, W, C) image at (N, 2) pixel positions, clamped to its border."""
    from scipy.ndimage import map_coordinates

    at = [
        np.clip(pixel[:, 1] - 0.5, 0, image.shape[0] - 1),
        np.clip(pixel[:, 0] - 0.5, 0, image.shape[1] - 1),
    ]
    at = [np.nan_to_num(a) for a in at]
    order = 0 if nearest else 1
    return np.stack(
        [map_coordinates(image[..., c], at, order=order) for c in range(image.shape[2])], axis=1
    )


def near_depth(depth: np.ndarray) -> np.ndarray:
    """Depth where uncovered pixels next to the mesh take their neighbour's value."""
    from scipy.ndimage import maximum_filter

    finite = np.where(np.isfinite(depth), depth, 0)
    return np.where(np.isfinite(depth), depth, maximum_filter(finite, 3))


def _shrunk(mask: np.ndarray) -> np.ndarray:
    """The mask without its rim, where photo pixels mix hand and background."""
    from scipy.ndimage import gaussian_filter, minimum_filter

    return gaussian_filter(minimum_filter(mask.astype(np.float64), 3), 0.7)


def openness_of(
    vertices: np.ndarray,
    normals: np.ndarray,
    faces: np.ndarray,
    directions: int = 48,
    size: int = 160,
) -> np.ndarray:
    """(V,) unobstructed, cosine-weighted part of each vertex's hemisphere (ambient occlusion).

    Depth maps from far cameras around the hands answer which directions are free.

    Args:
        vertices, normals: (V, 3).
        faces: (F, 3); may leave vertices out, which then only receive.
        directions: number of depth maps.
        size: their side, pixels.
    """
    free = np.zeros(len(vertices))
    total = np.full(len(vertices), 1e-9)
    for direction in sphere_directions(directions):
        cosine = np.maximum(normals @ direction, 0)
        behind = depth_behind(vertices, vertices, faces, direction, size)
        free += cosine * (behind < DEPTH_TOLERANCE_M)
        total += cosine
    return free / total


def depth_behind(
    points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, direction: np.ndarray, size: int
) -> np.ndarray:
    """(N,) metres that points lie behind what a far light in a direction reaches first.

    Args:
        points: (N, 3) near the mesh.
        vertices: (V, 3); faces: (F, 3).
        direction: (3,) unit, toward the light.
        size: side of the depth map, pixels.
    """
    centre = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    radius = float(np.linalg.norm(vertices - centre, axis=1).max())
    distance = 50.0
    focal = 0.48 * size * distance / max(radius, 1e-6)
    matrix = np.eye(4)
    matrix[:3, :3] = view_rotation(-direction)
    matrix[:3, 3] = -matrix[:3, :3] @ (centre + distance * direction)
    camera = Camera(focal, focal, size / 2, size / 2, size, size, matrix)
    depth = near_depth(rasterize_mesh(vertices, faces, camera).depth)
    z = points @ matrix[2, :3] + matrix[2, 3]
    column, row = np.clip(camera.project(points).astype(int), 0, size - 1).T
    return z - depth[row, column]


def sphere_directions(count: int) -> np.ndarray:
    """Directions (count, 3) spread evenly (Fibonacci lattice)."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    turn = np.pi * (1 + 5**0.5) * k
    r = np.sqrt(1 - z * z)
    return np.stack([r * np.cos(turn), r * np.sin(turn), z], axis=1)


def view_rotation(forward: np.ndarray) -> np.ndarray:
    """Rows of a rotation whose third row is ``forward``."""
    helper = np.eye(3)[np.argmin(np.abs(forward))]
    x = np.cross(helper, forward)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(forward, x), forward])
