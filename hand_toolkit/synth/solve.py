"""Moves hands until what should touch touches and nothing runs into anything."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..geometry.rotations import matrix_from_axis_angle
from ..hand_model import rest_hand
from ..hand_model.collision import (
    Balls,
    ball_penalty,
    closest_points,
    inscribed_balls,
    penetration,
    self_pairs,
    self_penetration,
)
from ..hand_model.limits import HIGHEST, LOWEST, theta_from_joint_angles
from ..hand_model.regions import regions, smooth_model
from .interaction import Arrangement, Contact, rotation_to

if TYPE_CHECKING:
    import torch


BALLS = 260
PROBES = 700
SOFTNESS_M = 0.0003
"""Skin may overlap this much: real skin flattens where it touches, this mesh does not."""

FLIP = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class SolvedPose:
    """Hands in world axes.

    Attributes:
        sides: "right", "left" or both, in that order.
        theta: (H, 16, 3) axis-angle, toolkit convention of each side.
        translation: (H, 3) metres.
        wrist_bend: (H, 3) axis-angle of the forearms, rest axes of each side.
        penetration_mm: deepest vertex of one hand in the other.
        self_penetration_mm: deepest vertex of a hand in another part of itself.
        gap_mm: smallest distance between the two hands; 0 where they touch, None for one hand.
    """

    sides: tuple[str, ...]
    theta: np.ndarray
    translation: np.ndarray
    wrist_bend: np.ndarray
    penetration_mm: float
    self_penetration_mm: float
    gap_mm: float | None


@lru_cache(maxsize=1)
def _template_choice() -> tuple[np.ndarray, np.ndarray]:
    """Ball seeds and probe vertices, chosen once on the mean hand."""
    model = smooth_model("right")
    rest, _, _ = rest_hand(model)
    balls = inscribed_balls(rest, model.faces, np.asarray(model.weights, float), count=BALLS)
    picked, gap = [0], np.full(len(rest), np.inf)
    while len(picked) < PROBES:
        gap = np.minimum(gap, np.linalg.norm(rest - rest[picked[-1]], axis=1))
        picked.append(int(gap.argmax()))
    return balls.seeds, np.sort(np.array(picked))


class HandSolver:
    """Solves poses of one subject's hands; both hands share the shape, the left mirrored.

    Args:
        shape: (S,) shape parameters of the default hand.
    """

    def __init__(self, shape: np.ndarray) -> None:
        import torch

        self._torch = torch
        self.shape = np.asarray(shape, dtype=np.float64)
        self.model = smooth_model("right")
        self.faces = self.model.faces
        self.weights = np.asarray(self.model.weights, dtype=np.float64)
        self.rest, _, self.keypoints = rest_hand(self.model, self.shape)
        seeds, self.probes = _template_choice()
        self.balls: Balls = inscribed_balls(self.rest, self.faces, self.weights, seeds)
        self._allowed = torch.tensor(
            self_pairs(self.rest[self.probes], self.weights[self.probes], self.balls)
        )
        self._centers = torch.tensor(self.balls.centers, dtype=torch.float32)
        self._radii = torch.tensor(self.balls.radii, dtype=torch.float32)
        self._ball_weights = torch.tensor(self.balls.weights, dtype=torch.float32)
        self._low = torch.tensor(LOWEST, dtype=torch.float32)
        self._high = torch.tensor(HIGHEST, dtype=torch.float32)
        self._free = torch.tensor(np.radians(10) < (HIGHEST - LOWEST), dtype=torch.float32)

    def solve_one(
        self, angles: np.ndarray, side: str, bend: np.ndarray, touch: tuple[Contact, ...] = ()
    ) -> SolvedPose:
        """Free one hand of self-intersection.

        Args:
            angles: (15, 3) joint angles to stay near, radians.
            side: which hand the result is for.
            bend: (2,) wrist flexion and deviation of the forearm, radians.
            touch: contacts of the hand with itself, both entries hand 0.
        """
        identity = np.eye(3)[None]
        state = self._descend(
            angles[None], identity, np.zeros((1, 3)), touch, 60 if touch else 36, ("right",)
        )
        return self._finish(state, (side,), np.asarray(bend)[None])

    def solve_two(self, start: Arrangement, iterations: int = 100) -> SolvedPose:
        """Bring two hands from an arrangement into contact without interpenetration."""
        rotations = np.stack(
            [
                rotation_to(np.array(p.fingers), np.array(p.palm), side)
                for side, p in zip(start.sides, start.placements)
            ]
        )
        canonical = self._canonical(start.angles if start.opening is None else start.opening)
        translations = np.zeros((2, 3))
        for k, placement in enumerate(start.placements):
            center = canonical[k][regions()[placement.region]].mean(0)
            center = center * (FLIP if start.sides[k] == "left" else 1.0)
            translations[k] = np.array(placement.center) - rotations[k] @ center
        state = self._descend(
            start.angles,
            rotations,
            translations,
            start.contacts,
            iterations,
            start.sides,
            start.opening,
        )
        return self._finish(state, start.sides, start.bends)

    def _canonical(self, angles: np.ndarray) -> np.ndarray:
        """(H, V, 3) right-hand vertices with the wrist at the origin."""
        from ..hand_model import pose_hand_numpy

        zero = np.zeros(3)
        return np.stack(
            [
                pose_hand_numpy(self.model, theta_from_joint_angles(a), self.shape, zero)[0]
                for a in angles
            ]
        )

    def _forward(
        self, angles: Any, turn: Any, shift: Any, rotations: Any, translations: Any, flips: Any
    ) -> tuple[Any, Any]:
        """Vertices (H, V, 3) and ball centres (H, B, 3) in world axes."""
        from ..hand_model import pose_hand

        torch = self._torch
        hands = angles.shape[0]
        theta = theta_from_joint_angles(angles)
        shape = torch.tensor(self.shape, dtype=torch.float32).expand(hands, -1)
        posed = pose_hand(self.model, theta, shape, torch.zeros(hands, 3))
        moved = torch.einsum("bj,hjkl->hbkl", self._ball_weights, posed.transforms[:, :, :3])
        centers = (moved[..., :3] @ self._centers[..., None])[..., 0] + moved[..., 3]
        frame = matrix_from_axis_angle(turn) @ rotations
        place = (translations + shift)[:, None]
        out = []
        for points in (posed.vertices, centers):
            out.append((points * flips) @ frame.transpose(1, 2) + place)
        return out[0], out[1]

    def _descend(self, *args: Any) -> dict[str, np.ndarray]:
        """:meth:`_optimize` on one thread: the tensors are small, and sums stay in one order."""
        torch = self._torch
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return self._optimize(*args)
        finally:
            torch.set_num_threads(threads)

    def _optimize(
        self,
        angles: np.ndarray,
        rotations: np.ndarray,
        translations: np.ndarray,
        contacts: tuple[Contact, ...],
        iterations: int,
        sides: tuple[str, ...],
        opening: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        torch = self._torch
        hands = len(angles)
        start = torch.tensor(angles, dtype=torch.float32)
        begin = start if opening is None else torch.tensor(opening, dtype=torch.float32)
        turned = torch.tensor(rotations, dtype=torch.float32)
        placed = torch.tensor(translations, dtype=torch.float32)
        flips = torch.ones(hands, 1, 3)
        for k, side in enumerate(sides):
            flips[k, 0, 0] = -1 if side == "left" else 1
        change = torch.zeros_like(start, requires_grad=True)
        turn = torch.zeros(hands, 3, requires_grad=True)
        shift = torch.zeros(hands, 3, requires_grad=True)
        optimizer = torch.optim.Adam(
            [
                {"params": [change], "lr": 0.03},
                {"params": [turn], "lr": 0.012 if hands == 2 else 0.0},
                {"params": [shift], "lr": 0.0018 if hands == 2 else 0.0},
            ],
            betas=(0.85, 0.95),
        )
        rates = [group["lr"] for group in optimizer.param_groups]
        probes = torch.tensor(self.probes)
        best: tuple[float, dict[str, np.ndarray]] | None = None
        for step in range(iterations + 1):
            ramp = min(max((step / iterations - 0.2) / 0.4, 0.0), 1.0)
            current = begin + ramp * (start - begin) + change * self._free
            vertices, centers = self._forward(current, turn, shift, turned, placed, flips)
            some = vertices[:, probes]
            collision = ball_penalty(some, centers, self._radii, -SOFTNESS_M, self._allowed).sum()
            if hands == 2:
                collision = (
                    collision + ball_penalty(some, centers.flip(0), self._radii, -SOFTNESS_M).sum()
                )
            exact = vertices.new_zeros(())
            if (step >= 0.7 * iterations and step % 2 == 0) or step == iterations:
                exact, depth = self._exact_penalty(vertices, sides)
                if best is None or depth <= max(best[0], 2 * SOFTNESS_M):
                    best = (depth, _snapshot(current, turn, shift, rotations, translations))
                if depth < SOFTNESS_M and not contacts:
                    break
            excess = (current - self._high).clamp_min(0) + (self._low - current).clamp_min(0)
            loss = (
                (0.04 + 0.2 * step / iterations) * collision
                + 4.0 * exact
                + 0.5 * (change * self._free).square().sum()
                + 300 * excess.square().sum()
                + 2.0 * turn.square().sum()
                + 300 * shift.square().sum()
            )
            # Contacts come in after the worst overlaps are gone.
            strength = min(1.0, 0.3 + step / (0.4 * iterations))
            for contact in contacts:
                loss = loss + strength * self._contact(vertices, contact)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            for group, rate in zip(optimizer.param_groups, rates):
                group["lr"] = rate * (
                    1.0
                    if step < 0.4 * iterations
                    else 0.06 ** ((step - 0.4 * iterations) / (0.6 * iterations))
                )
        assert best is not None
        return best[1]

    def _contact(self, vertices: Any, contact: Contact) -> Any:
        """Mean squared centimetres between the nearest vertices of two regions."""
        torch = self._torch
        names = regions()
        first = vertices[contact.first[0], torch.tensor(names[contact.first[1]])]
        second = vertices[contact.second[0], torch.tensor(names[contact.second[1]])]
        if len(second) > 300:
            second = second[:: len(second) // 300]
        with torch.no_grad():
            nearest, partner = torch.cdist(first, second).min(1)
            chosen = nearest.argsort()[: max(3, int(contact.share * len(nearest)))]
        kept = (first[chosen] - second[partner[chosen]]).norm(dim=1)
        # Vertices are a few millimetres apart, so touching skin still has a gap of about one.
        return contact.weight * 3.0 * ((kept - 0.0008).clamp_min(0) * 100).square().mean()

    def _exact_penalty(self, vertices: Any, sides: tuple[str, ...]) -> tuple[Any, float]:
        """Squared millimetres from inside vertices to the surface, and the depth in metres."""
        torch = self._torch
        points = vertices.detach().numpy().astype(np.float64)
        total, deepest = vertices.new_zeros(()), 0.0
        for hand in range(len(points)):
            hits = [(self._self_hits(points[hand], sides[hand]), 0.5)]
            if len(points) == 2:
                other = 1 - hand
                faces = self.faces if sides[other] == "right" else self.faces[:, ::-1]
                hits.append((penetration(points[hand], points[other], faces), 1.0))
            for (index, depth, surface), weight in hits:
                if len(index) == 0:
                    continue
                deepest = max(deepest, float(depth.max()) * (1.0 if weight == 1.0 else 0.7))
                target = torch.tensor(surface, dtype=torch.float32)
                gap = (vertices[hand, torch.tensor(index)] - target) * 1e3
                total = total + weight * gap.square().sum()
        return total, deepest

    def _self_hits(
        self, points: np.ndarray, side: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        faces = self.faces if side == "right" else self.faces[:, ::-1]
        rest = self.rest if side == "right" else self.rest * FLIP
        return self_penetration(points, faces, self.weights, rest)

    def _finish(
        self, state: dict[str, np.ndarray], sides: tuple[str, ...], bends: np.ndarray
    ) -> SolvedPose:
        """θ in the toolkit's convention and the measured depths."""
        from scipy.spatial import cKDTree
        from scipy.spatial.transform import Rotation

        from ..hand_model import pose_hand_numpy

        thetas, forearms, vertices = [], [], []
        for k, side in enumerate(sides):
            angles = np.clip(state["angles"][k], LOWEST, HIGHEST)
            theta = np.asarray(theta_from_joint_angles(angles, side=side))
            theta[0] = Rotation.from_matrix(state["rotations"][k]).as_rotvec()
            thetas.append(theta)
            sign = 1.0 if side == "right" else -1.0
            # Flexing the hand by +z turns the forearm the other way about the hand.
            forearms.append(np.array([0.0, sign * bends[k, 1], -sign * bends[k, 0]]))
            model = smooth_model(side)
            place = state["translations"][k]
            vertices.append(pose_hand_numpy(model, theta, self.shape, place)[0])
        inter, own, gap = 0.0, 0.0, None
        for k, side in enumerate(sides):
            model = smooth_model(side)
            rest = self.rest if side == "right" else self.rest * FLIP
            _, depth, _ = self_penetration(vertices[k], model.faces, self.weights, rest)
            own = max(own, float(depth.max(initial=0)))
        if len(sides) == 2:
            for k in range(2):
                faces = smooth_model(sides[1 - k]).faces
                _, depth, _ = penetration(vertices[k], vertices[1 - k], faces)
                inter = max(inter, float(depth.max(initial=0)))
            if inter > 0:
                gap = 0.0
            else:
                apart, _ = cKDTree(vertices[0]).query(vertices[1])
                close = vertices[1][np.argsort(apart)[:60]]
                faces = smooth_model(sides[0]).faces
                gap = float(closest_points(close, vertices[0][faces])[0].min()) * 1e3
        return SolvedPose(
            sides=sides,
            theta=np.stack(thetas),
            translation=np.array(state["translations"]),
            wrist_bend=np.stack(forearms),
            penetration_mm=inter * 1e3,
            self_penetration_mm=own * 1e3,
            gap_mm=gap,
        )


def _snapshot(
    angles: torch.Tensor,
    turn: torch.Tensor,
    shift: torch.Tensor,
    rotations: np.ndarray,
    translations: np.ndarray,
) -> dict[str, np.ndarray]:

    turned = matrix_from_axis_angle(turn.detach().numpy().astype(float))
    return {
        "angles": angles.detach().numpy().astype(np.float64),
        "rotations": turned @ rotations,
        "translations": translations + shift.detach().numpy(),
    }
