"""Two close hands of a photo, fitted again so that they touch and do not cross.

Keypoints are refined by the network, the hand model's θ and β of both hands follow them and the
refined surfaces, and what still crosses is parted (:mod:`hand_toolkit.pose.parting`). Hands that
are apart stay exactly as they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.conventions import SIDES, mirror_theta
from ...core.types import Camera, HandPose, Photo, PoseEstimate
from ...geometry.rotations import matrix_from_axis_angle
from ...hand_model.limits import FREE_AXIS, FREE_JOINT, joint_angles
from ...pose.kinematics import HandChain, State
from ...pose.parting import MIRRORS, SIZE, HandPair, PartingWeights, part_hands
from .config import TAU_M
from .surfaces import pair_keypoints

if TYPE_CHECKING:
    from .network import Im2HandsNetwork

CLOSE_M = 0.018
"""A finger's width: hands that are farther apart do not concern each other."""

ACROSS_M, TOWARD_M = 0.003, 0.012
"""How far parting may move a wrist across and along the view: pixels hold it across."""

ROUNDS = 5
SAMPLED = 240
"""Vertices of each hand that follow the surface."""


@dataclass(frozen=True)
class ContactWeights:
    """Standard deviations of what pulls at both hands.

    Attributes:
        keypoint_m: of refined keypoints.
        image_m: of the keypoints' places in the picture, at the hands' distance.
        surface_m: of the skin from the refined surface.
        reach_m: skin farther off follows its keypoints alone.
        shape: of the shape's change, in standard deviations of its prior.
    """

    keypoint_m: float = 0.006
    image_m: float = 0.004
    surface_m: float = 0.006
    reach_m: float = 0.006
    shape: float = 0.3


def close_hands(estimate: PoseEstimate, near_m: float = CLOSE_M) -> bool:
    """Whether the estimate has a right and a left hand whose skins come so near."""
    from scipy.spatial import cKDTree

    from ...pose.estimate import posed_mesh

    if {hand.side for hand in estimate.hands} != set(SIDES):
        return False
    first, second = (posed_mesh(hand)[0] for hand in estimate.hands[:2])
    gap, _ = cKDTree(first).query(second, distance_upper_bound=near_m)
    return bool(np.isfinite(gap).any())


def refine_contact(
    photo: Photo,
    estimate: PoseEstimate,
    *,
    refine_keypoints: bool = True,
    surfaces: bool = True,
    part: bool = True,
    weights: ContactWeights | None = None,
    network: Im2HandsNetwork | None = None,
) -> PoseEstimate:
    """The estimate with both hands fitted together.

    It is the same object where they are apart, and where nothing crosses and the keypoints are as
    good as the network tells.

    Args:
        photo: the picture.
        estimate: of its hands.
        refine_keypoints: let the network correct the keypoints.
        surfaces: let the skin follow the network's surfaces.
        part: part what crosses in the end.
        weights: what pulls how much.
        network: the shipped one if None.

    Raises:
        InputError: hands of two people, or no weights are installed.
    """
    if not close_hands(estimate):
        return estimate
    import torch

    from ...hand_model.crossing import find_crossing
    from ...pose.estimate import posed_mesh
    from ...pose.repair import ENOUGH_M
    from .image import ImageFeatures, crop_about, features_of
    from .weights import load_network

    network = load_network() if network is None else network
    points = pair_keypoints(estimate)
    crop, lens = crop_about(
        np.asarray(photo.pixels), estimate.camera, estimate.camera.project(points.reshape(-1, 3))
    )
    coarse, fine = features_of(torch.from_numpy(crop)[None])
    images = ImageFeatures(coarse, fine, torch.from_numpy(lens)[None])
    given = torch.as_tensor(points).float()[None]
    with torch.no_grad():
        wanted = network.keypoints(given, images) if refine_keypoints else given
    hands = [hand for side in SIDES for hand in estimate.hands if hand.side == side]
    skins = np.stack([posed_mesh(hand)[0] for hand in hands])
    good = refine_keypoints and torch.equal(wanted, given)
    if good and find_crossing(skins, hands[0].hand_model).depth_m < ENOUGH_M:
        return estimate
    with torch.no_grad():
        frames = network.frame(wanted, images)
        context = network.context(frames) if surfaces else None
    pair = HandPair(
        np.stack([hand.theta for hand in hands])[None],
        np.stack([hand.translation for hand in hands])[None],
        np.stack([hand.shape for hand in hands]),
        hands[0].hand_model,
    )
    field = (network, frames, context) if surfaces else None
    pair = _followed(
        pair, wanted[0].numpy().astype(float), points, estimate.camera, field,
        weights or ContactWeights(),
    )  # fmt: skip
    if part:
        pair = part_hands(pair, weights=PartingWeights(place_m=ACROSS_M, toward_m=TOWARD_M)).pair
    return PoseEstimate(
        tuple(_hand(pair, k, hand, estimate.camera) for k, hand in enumerate(hands)),
        estimate.camera,
    )


def _hand(pair: HandPair, row: int, before: HandPose, camera: Camera) -> HandPose:
    import dataclasses

    from ...pose.estimate import known_hand

    new = known_hand(
        before.side, pair.theta[0, row], pair.shapes[row], pair.translation[0, row],
        before.hand_model, camera,
    )  # fmt: skip
    return dataclasses.replace(new, confidence=before.confidence)


def _followed(
    pair: HandPair, wanted: np.ndarray, seen: np.ndarray, camera: Camera, field: Any,
    weights: ContactWeights,
) -> HandPair:  # fmt: skip
    """The pair after Gauss-Newton steps towards keypoints (2, 21, 3), their pixels and surfaces."""
    from ...pose.fit import hand_chain

    chain = hand_chain(pair.hand_model)
    sigmas = np.concatenate(
        [np.tile(2 * PartingWeights().sigmas(), 2), weights.shape * chain.model.shape_sigmas]
    )
    total, first = np.zeros(len(sigmas)), pair
    pixels = camera.project(seen.reshape(-1, 3)).reshape(2, 21, 2)
    vertices = np.linspace(0, len(chain.model.template) - 1, SAMPLED).astype(int)
    for _ in range(ROUNDS):
        normal = np.diag(1 / sigmas**2)
        right = -total / sigmas**2
        for k in range(2):
            for residual, slope in _pulls(pair, chain, k, wanted[k], pixels[k], camera, vertices,
                                          field, weights):  # fmt: skip
                own = np.zeros((len(residual), len(sigmas)))
                own[:, k * SIZE : (k + 1) * SIZE] = slope[:, :SIZE]
                own[:, 2 * SIZE :] = slope[:, SIZE:]
                robust = 1 / np.sqrt(1 + (residual / 3) ** 2)
                normal += own.T @ (robust[:, None] * own)
                right -= own.T @ (robust * residual)
        total = total + np.linalg.solve(normal, right)
        moved = first.moved(total[: 2 * SIZE].reshape(1, 2, SIZE))
        pair = HandPair(
            moved.theta, moved.translation, first.shapes + total[2 * SIZE :], first.hand_model
        )
    return pair


def _pulls(
    pair: HandPair, chain: HandChain, k: int, wanted: np.ndarray, pixels: np.ndarray,
    camera: Camera, vertices: np.ndarray, field: Any, weights: ContactWeights,
) -> list[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """Residuals in sigmas and their derivatives (R, 32 + S) of one hand."""
    theta, mirror = pair.theta[0, k], MIRRORS[k]
    own = theta if k == 0 else mirror_theta(theta)
    state = State(
        matrix_from_axis_angle(own[:1]), np.zeros((1, 3)),
        joint_angles(theta, SIDES[k])[None, FREE_JOINT, FREE_AXIS], pair.shapes[k][None],
    )  # fmt: skip
    posed = chain.pose(state)
    where = pair.translation[0, k]
    points = posed.points[0] * mirror + where
    slope = _with_place(posed.jacobian[0] * mirror[None, :, None], mirror)
    rows = [((points - wanted).ravel() / weights.keypoint_m, slope.reshape(63, -1)
             / weights.keypoint_m)]  # fmt: skip
    z = points[:, 2]
    unit = z.mean() / weights.image_m
    flat = (points[:, :2] / z[:, None]) - (pixels - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    by = (slope[:, :2] - (points[:, :2] / z[:, None])[..., None] * slope[:, 2:]) / z[:, None, None]
    rows.append((flat.ravel() * unit, by.reshape(42, -1) * unit))
    if field is not None:
        skin, by_skin = chain.vertices(state, posed, vertices[None])
        placed = skin[0] * mirror + where
        gap, outward = surface_gap(field, k, placed)
        near = np.abs(gap) < weights.reach_m
        moved = _with_place(by_skin[0] * mirror[None, :, None], mirror)[near]
        along = np.einsum("vc,vcp->vp", outward[near], moved)
        # many vertices say what their neighbours say
        sigma = weights.surface_m * np.sqrt(max(near.sum() / 40, 1.0))
        rows.append((gap[near] / sigma, along / sigma))
    return rows


def _with_place(jacobian: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Derivatives (N, 3, 32 + S) by turn, place, angles and shape, of those without the place."""
    place = np.broadcast_to(np.diag(mirror), (len(jacobian), 3, 3))
    return np.concatenate([jacobian[..., :3], place, jacobian[..., 3:]], axis=2)


def surface_gap(field: Any, side: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed distances (N,) of places from a hand's surface, and its outward directions (N, 3)."""
    import torch

    network, frames, context = field
    with torch.enable_grad():
        asked = torch.as_tensor(places).float().requires_grad_()
        value = network.side_logits(frames, context, side, asked)
        slope = torch.autograd.grad(value.sum(), asked)[0]
    size = slope.norm(dim=1, keepdim=True).clamp_min(0.3 / TAU_M)
    gap = -value.detach() / size[:, 0]
    return gap.numpy().astype(float), (-slope / size).numpy().astype(float)
