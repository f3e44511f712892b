"""Poses that end at contact: a hand's fingers moved until they touch and nothing is inside.

The hand is thinned to probes on its skin and balls inscribed in its flesh (``collision``). The 26
anatomical angles are moved by Levenberg and Marquardt's method with numeric derivatives, all
perturbed hands posed in one batch: what touches should meet, what overlaps should part, and the
rest stays near the pose that was asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.conventions import FINGERS
from ..geometry.surfaces import vertex_normals
from .arm import ARM_SUFFIX
from .base import HandModel
from .collision import adjacent_parts, inscribed_balls, self_pairs, self_penetration
from .limits import FREE_ANGLES, FREE_HIGHEST, FREE_LOWEST, compose
from .posing import pose_hand, rest_hand
from .regions import regions, smooth_model

PROBES = 620
BALLS = 240
STEPS = 24
NUDGE = 2e-3
"""Radians by which an angle is moved for its derivative."""

EASE = np.radians([5.0 if name.endswith("3_flexion") else 12.0 for name in FREE_ANGLES])
"""(26,) radians by which an angle leaves its target as readily as skin stays a millimetre off."""

CURL_STEP = 0.04
TOUCH_MM = 0.6
"""Distance of vertices that counts as touching: skin between them is round."""

MEETS_MM = 2.0
"""Between vertices of skin that meets: they are a few millimetres apart."""

APART_MM = 4.0
"""Skin and flesh nearer than this at rest, such as the web's, do not count as running into each
other; where they do all the same, the exact measure says so."""

OPENING = (1.0, 0.98, 0.96, 0.94, 0.92, 0.9, 0.87, 0.84)
FLEXIONS = np.array([name.endswith("flexion") for name in FREE_ANGLES])

DEEP_MM = 0.8
"""Depth that is left in place; below the millimetre that the eye sees."""


@dataclass(frozen=True)
class Goal:
    """Skin that should touch other skin.

    Attributes:
        first, second: names of :func:`regions`; several of ``second`` joined by "+".
        weight: importance of a millimetre.
        count: nearest pairs that are drawn together.
    """

    first: str
    second: str
    weight: float = 1.0
    count: int = 3


class ContactHand:
    """One hand of one shape, right, whose parts must not run into each other.

    Args:
        model: name of a hand model.
        shape: (S,) its shape parameters.
    """

    def __init__(self, model: str, shape: np.ndarray) -> None:
        model = model.removesuffix(ARM_SUFFIX)  # no finger reaches its own forearm
        self.name, self.model = model, smooth_model("right", model)
        self.shape = np.asarray(shape, np.float64)
        self.rest, _, self.keypoints = rest_hand(self.model, self.shape)
        weights = np.asarray(self.model.weights, np.float64)
        mean = rest_hand(self.model)[0]
        seeds = inscribed_balls(mean, self.model.faces, weights, count=BALLS).seeds
        self.balls = inscribed_balls(self.rest, self.model.faces, weights, seeds)
        self.probes = _spread(mean, PROBES, _wanted(model))
        gap = np.linalg.norm(self.rest[self.probes][:, None] - self.balls.centers, axis=-1)
        self.allowed = self_pairs(self.rest[self.probes], weights[self.probes], self.balls)
        self.allowed &= gap - self.balls.radii > APART_MM / 1000
        self._thin = self._thinned(weights)

    def _thinned(self, weights: np.ndarray) -> HandModel:
        """The skin and the balls' centres as a hand model without shape parameters."""
        model, count = self.model, len(self.balls.centers)
        points = np.concatenate([self.rest, self.balls.centers])
        dirs = None
        if model.pose_dirs is not None:
            still = np.zeros((len(model.pose_dirs), count, 3), model.pose_dirs.dtype)
            dirs = np.concatenate([model.pose_dirs, still], 1)
        return dataclasses.replace(
            model,
            template=points,
            faces=np.array([[0, 1, 2]], np.int32),
            uv_faces=model.uv_faces[:1],
            weights=np.concatenate([weights, self.balls.weights]),
            shape_names=(),
            shape_dirs=np.zeros((0, len(points), 3)),
            shape_sigmas=np.zeros(0),
            keypoint_template=self.keypoints,
            keypoint_dirs=np.zeros((0, 21, 3)),
            pose_dirs=dirs,
            quads=None,
            uv_quads=None,
        )

    def posed(self, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Skin (B, V, 3) and ball centres (B, C, 3), mm, of (B, 26) anatomical angles."""
        import torch

        with torch.no_grad():
            theta = torch.tensor(compose(angles), dtype=torch.float32)
            batch = len(theta)
            hand = pose_hand(self._thin, theta, torch.zeros(batch, 0), torch.zeros(batch, 3))
        points = 1000 * hand.vertices.numpy().astype(np.float64)
        return points[:, : len(self.rest)], points[:, len(self.rest) :]

    def depth_mm(self, angles: np.ndarray) -> float:
        """Deepest vertex of the whole skin inside another part of the hand, measured exactly."""
        from .posing import pose_hand_numpy

        vertices = pose_hand_numpy(self.model, compose(angles), self.shape, np.zeros(3))[0]
        _, depth, _ = self_penetration(
            vertices, self.model.faces, np.asarray(self.model.weights), self.rest
        )
        return 1000 * float(depth.max(initial=0))

    def gap_mm(self, angles: np.ndarray, first: str, second: str) -> float:
        """Smallest distance between the skins of two regions."""
        from .collision import closest_points
        from .posing import pose_hand_numpy

        vertices = pose_hand_numpy(self.model, compose(angles), self.shape, np.zeros(3))[0]
        sets = regions(self.name)
        own = np.isin(self.model.faces, sets[second]).all(1)
        distance, _ = closest_points(vertices[sets[first]], vertices[self.model.faces[own]])
        return 1000 * float(distance.min())

    def curl_limits(self, fingers: Sequence[float], thumb: Sequence[float]) -> np.ndarray:
        """(5,) the curl in [0, 1] at which each finger of the open hand meets other skin.

        Args:
            fingers: degrees of flexion of a finger's three joints at curl 1.
            thumb: those of the thumb.
        """
        limits = np.ones(5)
        for number, finger in enumerate(FINGERS):
            full = np.zeros(26)
            for k, degrees in enumerate(thumb if finger == "thumb" else fingers):
                full[FREE_ANGLES.index(f"{finger}{k + 1}_flexion")] = np.radians(degrees)
            low, high = 0.0, 1.0
            curl = 1.0
            while high - low > CURL_STEP:
                if self.depth_mm(np.minimum(curl * full, FREE_HIGHEST)) <= DEEP_MM:
                    low = curl
                else:
                    high = curl
                curl = (low + high) / 2
            limits[number] = low if low < 1.0 else 1.0
        return limits

    def settle(
        self,
        target: np.ndarray,
        goals: Sequence[Goal] = (),
        start: np.ndarray | None = None,
        ease: np.ndarray | float = EASE,
    ) -> np.ndarray:
        """The pose nearest to ``target`` in which goals touch and nothing is inside.

        Args:
            target: (26,) anatomical angles, radians.
            goals: what should touch.
            start: (26,) where to begin, e.g. with the thumb outside of a fist; the target if None.
            ease: (26,) or one, radians by which an angle leaves the target as readily as skin
                stays a millimetre off.

        Returns:
            (26,) angles within the joint limits.
        """
        target = np.clip(target, FREE_LOWEST, FREE_HIGHEST)
        angles = target if start is None else np.clip(start, FREE_LOWEST, FREE_HIGHEST)
        best, least = angles, np.inf
        rounds = ((0.3, False), (0.3, True), (0.3, True), (0.8, True), (1.4, True), (2.0, True))
        for turn, (margin, exact) in enumerate(rounds):
            depth = max(self.depth_mm(angles), DEEP_MM)
            if depth <= least:
                best, least = angles, depth
            # a pose that was settled before, on a hand much like this one, needs nothing
            if least <= DEEP_MM and (turn > 2 or self._meets(best, goals)):
                return best
            angles = self._descend(angles, target, goals, margin, ease, exact)
        best = angles if self.depth_mm(angles) <= least else best
        # skin that nothing freed comes free as the whole hand opens a little
        for share in OPENING:
            opened = np.where(FLEXIONS, share, 1.0) * best
            if self.depth_mm(opened) <= DEEP_MM:
                return opened
        return best

    def fits(self, angles: np.ndarray, goals: Sequence[Goal]) -> bool:
        """Whether in a pose nothing is inside and all that must touch does."""
        return self.depth_mm(angles) <= DEEP_MM and self._meets(angles, goals)

    def _meets(self, angles: np.ndarray, goals: Sequence[Goal]) -> bool:
        """Whether all that must touch does; what only draws near need not."""
        points = self.posed(angles[None])[0][0]
        firm = [goal for goal in goals if goal.weight >= 1]
        touching = self._pairs(angles, firm, 0.0, False)[2]
        gaps = [np.linalg.norm(points[a] - points[b], axis=1).min() for a, b, _ in touching]
        return max(gaps, default=0.0) < MEETS_MM

    def _descend(
        self,
        angles: np.ndarray,
        target: np.ndarray,
        goals: Sequence[Goal],
        margin: float,
        ease: np.ndarray | float,
        exact: bool,
    ) -> np.ndarray:
        damping = 1e-2
        pairs = self._pairs(angles, goals, margin, exact)
        now = self._residuals(angles[None], target, pairs, margin, ease)[0]
        for turn in range(STEPS if not exact else STEPS // 2):
            moved = angles + np.vstack([np.zeros(26), NUDGE * np.eye(26)])
            rows = self._residuals(moved, target, pairs, margin, ease)
            now, slope = rows[0], (rows[1:] - rows[0]).T / NUDGE
            normal = slope.T @ slope
            for _ in range(6):
                matrix = normal + damping * np.diag(np.diag(normal) + 1e-6)
                step = -np.linalg.solve(matrix, slope.T @ now)
                step *= min(1.0, 0.25 / max(np.abs(step).max(), 1e-9))
                tried = np.clip(angles + step, FREE_LOWEST, FREE_HIGHEST)
                cost = self._residuals(tried[None], target, pairs, margin, ease)[0]
                if cost @ cost < now @ now:
                    break
                damping *= 5
            else:
                break
            change = np.abs(tried - angles).max()
            angles, damping = tried, max(damping / 5, 1e-4)
            if change < 2e-3:
                break
            fresh = self._pairs(angles, goals, margin, exact and turn % 3 == 2)
            # what is inside takes long to find and changes little from step to step
            pairs = fresh if fresh[3] is not None else (*fresh[:3], pairs[3])
        return angles

    def _pairs(self, angles: np.ndarray, goals: Sequence[Goal], margin: float, exact: bool) -> Any:
        """Probes with the ball that each is deepest in, and the nearest probes of each goal."""
        points, centers = (a[0] for a in self.posed(angles[None]))
        gap = np.linalg.norm(points[self.probes, None] - centers, axis=-1) - 1000 * self.balls.radii
        gap = np.where(self.allowed, gap, np.inf)
        ball = gap.argmin(1)
        near = np.flatnonzero(gap[np.arange(len(ball)), ball] < margin + 2.0)
        meets, sets = [], regions(self.name)
        for goal in goals:
            first = sets[goal.first]
            second = np.concatenate([sets[n] for n in goal.second.split("+")])
            distance = np.linalg.norm(points[first][:, None] - points[second], axis=-1)
            closest = distance.argmin(1)
            best = np.argsort(distance.min(1))[: goal.count]
            meets.append((first[best], second[closest[best]], goal.weight))
        hits = self._hits(points) if exact else None
        return self.probes[near], ball[near], meets, hits

    def _hits(self, points: np.ndarray) -> Any:
        """Vertices inside, skin vertices where they should come out, and the normals there."""
        from scipy.spatial import cKDTree

        weights, faces = np.asarray(self.model.weights), self.model.faces
        inside, _, surface = self_penetration(points / 1000, faces, weights, self.rest)
        if not len(inside):
            return None
        parts = weights.argmax(1)
        _, near = cKDTree(points).query(1000 * surface, k=12)
        foreign = ~adjacent_parts()[parts[inside][:, None], parts[near]]
        there = near[np.arange(len(near)), foreign.argmax(1)]
        return inside, there, vertex_normals(points, faces)[there]

    def _residuals(
        self,
        angles: np.ndarray,
        target: np.ndarray,
        pairs: Any,
        margin: float,
        ease: np.ndarray | float,
    ) -> np.ndarray:
        """(B, R): overlap and gaps in mm, and the way from the target in units of ``ease``."""
        points, centers = self.posed(angles)
        probe, ball, meets, hits = pairs
        gap = np.linalg.norm(points[:, probe] - centers[:, ball], axis=-1)
        parts = [np.maximum(1000 * self.balls.radii[ball] + margin - 0.5 - gap, 0)]
        if hits is not None:
            inside, there, normal = hits
            depth = ((points[:, there] - points[:, inside]) * normal).sum(-1)
            parts.append(2 * np.maximum(depth + 0.2, 0))
        for first, second, weight in meets:
            distance = np.linalg.norm(points[:, first] - points[:, second], axis=-1)
            parts.append(0.5 * weight * np.maximum(distance - TOUCH_MM, 0))
        parts.append((angles - target) / ease)
        return np.concatenate(parts, 1)


def _wanted(name: str) -> np.ndarray:
    """Vertices that goals name."""
    sets = regions(name)
    return np.unique(np.concatenate([v for k, v in sets.items() if k.endswith(("_pad", "_tip"))]))


def _spread(vertices: np.ndarray, count: int, first: np.ndarray) -> np.ndarray:
    """``first`` and further vertices, each the farthest from those before, ``count`` in all."""
    picked = list(first[:: max(1, len(first) // 220)])
    gap = np.full(len(vertices), np.inf)
    for vertex in picked:
        gap = np.minimum(gap, np.linalg.norm(vertices - vertices[vertex], axis=1))
    while len(picked) < count:
        picked.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(vertices - vertices[picked[-1]], axis=1))
    return np.unique(picked)
