"""The prior's points on posed hands: positions, frames, normals, hand-local coordinates."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...geometry.rotations import matrix_from_axis_angle
from ...geometry.surfaces import triangle_frames, vertex_normals
from ...hand_model import pose_hand
from ...hand_model.posing import model_tensors
from .config import PriorConfig
from .interaction import detect_interaction
from .layers import unit
from .topology import Topology, topology

LOCAL_UNIT_M = 0.1
"""Length that hand-local coordinates are divided by, so that they stay near 1."""

MIRROR = (-1.0, 1.0, 1.0)


@dataclass(frozen=True)
class PosedPoints:
    """H hands, of one or several scenes, N points each.

    Local coordinates are those of a right hand with its wrist at the origin and unturned; a
    left hand is mirrored, so that the network knows right hands only.

    Attributes:
        topology: the points.
        sides: side of each hand.
        scene: scene of each hand; hands of one scene see one another.
        theta: (H, 15, 3) finger rotations, mirrored for left hands.
        world: (H, N, 3) metres.
        frames: (H, N, 3, 3) triangle frames, columns e1, e2, n (see ``geometry.surfaces``).
        growth: (H, N) square root of the area over that of the flat hand.
        rest_size: (H, N) square root of the flat hand's triangle area, metres.
        normals: (H, N, 3) smooth unit normals, world.
        local: (H, N, 3) positions in hand-local coordinates, LOCAL_UNIT_M.
        local_normals: (H, N, 3).
        wrist: (H, 3, 3) rotation of the wrist, world.
        other: (H, 10) the scene's other hand in local coordinates: 1, translation, two columns
            of its rotation; zeros where there is none.
        contact: (H, D) which detection points interact.
    """

    topology: Topology
    sides: tuple[str, ...]
    scene: tuple[int, ...]
    theta: torch.Tensor
    world: torch.Tensor
    frames: torch.Tensor
    growth: torch.Tensor
    rest_size: torch.Tensor
    normals: torch.Tensor
    local: torch.Tensor
    local_normals: torch.Tensor
    wrist: torch.Tensor
    other: torch.Tensor
    contact: torch.Tensor

    def detached(self) -> PosedPoints:
        """The same points without gradients."""
        values = {
            f.name: getattr(self, f.name).detach()
            for f in dataclasses.fields(self)
            if isinstance(getattr(self, f.name), torch.Tensor)
        }
        return dataclasses.replace(self, **values)

    def to_local(self, hand: int, directions: torch.Tensor) -> torch.Tensor:
        """World directions (..., 3) in the local axes of ``hand``."""
        turned = directions @ self.wrist[hand]
        if self.sides[hand] == "left":
            turned = turned * turned.new_tensor(MIRROR)
        return turned


def pose_points(
    config: PriorConfig,
    sides: Sequence[str],
    theta: torch.Tensor,
    shape: torch.Tensor,
    translation: torch.Tensor,
    *,
    fine: bool = True,
    scene: Sequence[int] | None = None,
) -> PosedPoints:
    """Points of posed hands; differentiable in θ, shape and translation.

    Args:
        config: which hand model, how many points, how contact is detected.
        sides: "right" or "left", H of them.
        theta: (H, 16, 3) radians.
        shape: (H, S).
        translation: (H, 3) wrist positions, metres.
        fine: ``points`` per hand, else ``coarse_points``.
        scene: scene of each hand; all in one scene by default.
    """
    number = config.points if fine else config.coarse_points
    topo = topology(config.hand_model, number, config.interaction_points)
    scene = tuple(scene) if scene is not None else (0,) * len(sides)
    wrist = matrix_from_axis_angle(theta[:, 0])
    parts: list[list[torch.Tensor]] = []
    flat_points: list[np.ndarray] = []
    for hand, side in enumerate(sides):
        model = topo.mesh(side)
        one = slice(hand, hand + 1)
        vertices = pose_hand(model, theta[one], shape[one], translation[one]).vertices[0]
        faces = torch.from_numpy(model.faces.astype(np.int64)).to(theta.device)
        data = model_tensors(model, theta.dtype, theta.device)
        rest = data["template"] + (shape[hand] @ data["dirs"][: shape.shape[-1]]).reshape(-1, 3)
        turned_frames, area = triangle_frames(vertices, faces)
        size, flat_size = area.sqrt(), triangle_frames(rest, faces)[1].sqrt()
        if config.use_interaction:
            corners = faces[torch.from_numpy(topo.detection).to(theta.device)]
            flat_points.append(rest.detach()[corners].mean(1).cpu().numpy().astype(np.float64))
        smooth = unit(vertex_normals(vertices, model.faces)[faces].sum(1))
        centre = vertices[faces].mean(1)
        place = (centre - translation[hand]) @ wrist[hand] / LOCAL_UNIT_M
        turned = smooth @ wrist[hand]
        if side == "left":
            place, turned = place * place.new_tensor(MIRROR), turned * turned.new_tensor(MIRROR)
        grown = size / flat_size.clamp_min(1e-7)
        parts.append([centre, turned_frames, grown, flat_size, smooth, place, turned])
    world, frames, growth, rest_size, normals, local, local_normals = (
        torch.stack(p) for p in zip(*parts)
    )
    fingers = theta[:, 1:]
    signs = torch.ones(len(sides), 1, 3, dtype=theta.dtype, device=theta.device)
    for hand, side in enumerate(sides):
        if side == "left":
            signs[hand, 0, 1:] = -1
    return PosedPoints(
        topo,
        tuple(sides),
        scene,
        fingers * signs,
        world,
        frames,
        growth,
        rest_size,
        normals,
        local,
        local_normals,
        wrist=wrist,
        other=_other_hands(sides, scene, wrist, translation),
        contact=_contact(config, topo, scene, world, flat_points),
    )


def _other_hands(
    sides: Sequence[str], scene: Sequence[int], wrist: torch.Tensor, translation: torch.Tensor
) -> torch.Tensor:
    rows = []
    for hand, side in enumerate(sides):
        mates = [k for k in range(len(sides)) if k != hand and scene[k] == scene[hand]]
        if not mates:
            rows.append(translation.new_zeros(10))
            continue
        mate = mates[0]
        mirror = translation.new_tensor(MIRROR if side == "left" else (1.0, 1.0, 1.0))
        shift = (translation[mate] - translation[hand]) @ wrist[hand] * mirror / LOCAL_UNIT_M
        turn = mirror[:, None] * (wrist[hand].T @ wrist[mate]) * mirror
        rows.append(torch.cat([shift.new_ones(1), shift, turn[:, 0], turn[:, 1]]))
    return torch.stack(rows)


def _contact(
    config: PriorConfig,
    topo: Topology,
    scene: tuple[int, ...],
    world: torch.Tensor,
    flat: list[np.ndarray],
) -> torch.Tensor:
    """(H, D) flags; ``flat`` are the detection points of each hand's own flat shape."""
    count = len(topo.detection)
    contact = torch.zeros(len(scene), count, dtype=torch.bool)
    if config.use_interaction:
        points = world.detach()[:, topo.detection].cpu().numpy().astype(np.float64)
        for number in sorted(set(scene)):
            hands = [h for h, s in enumerate(scene) if s == number]
            found = detect_interaction(
                [points[h] for h in hands],
                [flat[h] for h in hands],
                config.neighbours,
                config.overlap,
            )
            for hand, flags in zip(hands, found):
                contact[hand] = torch.from_numpy(flags)
    return contact.to(world.device)
