"""Refining a fitted hand so that its silhouette follows a mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.types import Camera
from ..geometry.silhouette import rasterize_mesh, wrist_half_plane
from .kinematics import HandChain, State
from .solver import FitWeights, Outline, Problem, Targets, solve

WORK_EXTENT = 190.0
"""Outlines are compared in a view in which the hand's box is so many pixels long."""

ROUNDS = 4
ITERATIONS = 4
PAIRS = 200
SEARCH_PX = 22.0
"""Farthest that an outline is looked for, working pixels."""

NORMAL_PX = 12.0
"""How many pixels a right angle between two outline normals counts for, roughly."""

TOLERANCE_PX = 2.0
"""Pairs farther apart weigh less, so that a wrong stretch of the mask pulls little."""

BLUR = 2.0


@dataclass(frozen=True)
class MaskView:
    """A mask cut out around one hand and scaled to the working size, mirrored for a left hand.

    Attributes:
        mask: (h, w) bool.
        camera: whose picture it is.
        region: (h, w) bool, where the mask is to be believed: above the wrist, inside the
            photo, and not where another hand lies.
    """

    mask: np.ndarray
    camera: Camera
    region: np.ndarray


def mask_view(
    mask: np.ndarray,
    camera: Camera,
    keypoints_2d: np.ndarray,
    mirrored: bool,
    ignore: np.ndarray | None = None,
) -> MaskView:
    """Cut the surroundings of a hand out of a mask.

    Args:
        mask: (H, W) in [0, 1].
        camera: of the photo.
        keypoints_2d: (21, 2) fitted keypoints, photo pixels.
        mirrored: flip left to right, for a left hand.
        ignore: (H, W) bool, where the mask says nothing about this hand.
    """
    import cv2

    low, high = keypoints_2d.min(axis=0), keypoints_2d.max(axis=0)
    extent = float(max(high - low))
    scale = WORK_EXTENT / extent
    pad = 0.35 * extent
    x0, y0 = np.floor(low - pad).astype(int)
    size = int(np.ceil((extent + 2 * pad) * scale))
    matrix = np.array([[scale, 0, -x0 * scale], [0, scale, -y0 * scale]])
    center = [(camera.cx - x0) * scale, (camera.cy - y0) * scale]
    if mirrored:
        matrix[0] = [-scale, 0, size + x0 * scale]
        center[0] = size - center[0]
    view = Camera(camera.fx * scale, camera.fy * scale, center[0], center[1], size, size)

    def cut(picture: np.ndarray) -> np.ndarray:
        shifted = matrix.copy()
        shifted[:, 2] += shifted[:, :2] @ [0.5, 0.5] - 0.5
        values: Any = picture.astype(np.float32)
        if scale < 0.7:
            values = cv2.blur(values, (2 * round(0.5 / scale) + 1,) * 2)
        return cv2.warpAffine(values, shifted, (size, size), flags=cv2.INTER_LINEAR) > 0.5

    moved = keypoints_2d @ matrix[:, :2].T + matrix[:, 2]
    # The mask ends at a cut through the wrist that is nobody's outline.
    region = wrist_half_plane(moved, (size, size), margin=-0.02)
    inside = cut(np.ones(mask.shape, dtype=np.float32))
    region &= cv2.erode(inside.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    if ignore is not None:
        grown = cv2.dilate(cut(ignore).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        region &= ~grown
    return MaskView(cut(mask), view, region)


def refine_outline(
    chain: HandChain,
    state: State,
    targets: Targets,
    view: MaskView,
    weights: FitWeights,
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
) -> State:
    """Alternate between pairing the outlines and fitting (iterative closest points).

    Args:
        chain: the right-hand model.
        state: one hand, fitted.
        targets: what it was fitted to, without an outline.
        view: the mask.
        weights: ``outline_m`` says how hard the outline pulls.
        seed: of the choice among too many pairs.
        rounds: how often the pairs are made anew.

    Returns:
        The refined hand; the given one where mask and mesh hardly meet.
    """
    random = np.random.default_rng(seed)
    contour = mask_outline(view)
    if len(contour[0]) < 20:
        return state
    for _ in range(rounds):
        outline = pair_outlines(chain, state, view, contour, random)
        if outline is None:
            return state
        problem = Problem(chain, replace(targets, outline=outline), weights)
        state = solve(problem, state, ITERATIONS)
    return state


def mask_outline(view: MaskView) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 2) and outward normals (N, 2) of the mask's border, view pixels."""
    import cv2

    normals = _outward(view.mask)
    found, _ = cv2.findContours(view.mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    long = [c[::2, 0] for c in found if len(c) >= 25]
    if not long:
        return np.zeros((0, 2)), np.zeros((0, 2))
    points = np.concatenate(long)
    points = points[view.region[points[:, 1], points[:, 0]]]
    # The border runs half a pixel outside the outermost pixels' centres.
    outward = normals[points[:, 1], points[:, 0]]
    return points + 0.5 + 0.5 * outward, outward


def _outward(mask: np.ndarray) -> np.ndarray:
    """(H, W, 2) unit vectors down the slope of the blurred mask."""
    import cv2

    blurred = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), BLUR)
    slope = -np.stack(
        [cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1)], axis=-1
    )
    return slope / (np.linalg.norm(slope, axis=-1, keepdims=True) + 1e-9)


def pair_outlines(
    chain: HandChain,
    state: State,
    view: MaskView,
    contour: tuple[np.ndarray, np.ndarray],
    random: np.random.Generator,
) -> Outline | None:
    """Nearest pairs both ways between the mask's border and the mesh's."""
    import cv2
    from scipy.spatial import cKDTree

    model = chain.model
    every = np.arange(len(model.template))[None]
    posed = chain.pose(state)
    vertices = chain.vertices(state, posed, every, derivatives=False)[0][0] + state.translation[0]
    if vertices[:, 2].min() < 0.02:
        return None
    pixels = view.camera.project(vertices)
    silhouette = rasterize_mesh(vertices, model.faces, view.camera).silhouette
    size = view.camera.width
    inside = ((pixels > 1) & (pixels < size - 2)).all(axis=1)
    column, row = np.clip(pixels.astype(int), 0, size - 1).T
    depth_inside = cv2.distanceTransform(silhouette.astype(np.uint8), cv2.DIST_L2, 3)
    border = np.flatnonzero(inside & (depth_inside[row, column] < 2.2) & view.region[row, column])
    points, normals = contour
    if len(border) < 20:
        return None
    own_normals = _outward(silhouette)[row[border], column[border]]
    mesh_features = np.concatenate([pixels[border], NORMAL_PX * own_normals], axis=1)
    mask_features = np.concatenate([points, NORMAL_PX * normals], axis=1)
    reach = SEARCH_PX + 6

    gap, nearest = cKDTree(mesh_features).query(mask_features)
    good = np.flatnonzero((gap < reach) & ((own_normals[nearest] * normals).sum(axis=1) > 0.3))
    from_mask = random.permutation(good)[: PAIRS * 5 // 8]
    gap, back = cKDTree(mask_features).query(mesh_features)
    good = np.flatnonzero((gap < reach) & ((normals[back] * own_normals).sum(axis=1) > 0.3))
    from_mesh = random.permutation(good)[: PAIRS - len(from_mask)]
    rows = np.concatenate([border[nearest[from_mask]], border[from_mesh]])
    targets = np.concatenate([points[from_mask], points[back[from_mesh]]])
    directions = np.concatenate([normals[from_mask], normals[back[from_mesh]]])
    if len(rows) < 20:
        return None
    error = np.abs(((pixels[rows] - targets) * directions).sum(axis=1))
    weight = np.sqrt(np.minimum(1.0, TOLERANCE_PX / np.maximum(error, 1e-6)))
    focal = np.array([view.camera.fx, view.camera.fy])
    plane = (targets - [view.camera.cx, view.camera.cy]) / focal
    return Outline(rows[None], plane[None], directions[None], weight[None])
