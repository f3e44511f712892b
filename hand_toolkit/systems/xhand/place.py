"""Where the hands are: poses, places and the one shape refined over all views by drawing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...core.types import Progress
from ...geometry.rotations import matrix_from_axis_angle
from ...geometry.sh import C0
from ...hand_model.limits import (
    FREE_AXIS,
    FREE_JOINT,
    HIGHEST,
    LOWEST,
    joint_angles,
    theta_from_joint_angles,
)
from .config import XHandConfig
from .drawing import draw, lit
from .evidence import Shown
from .losses import laplacian, smoothness
from .person import Person

ANGLE_SIGMA = np.where(FREE_AXIS == 0, 0.20, 0.10)
"""(26,) radians by which the pictures' own fits are off: bends more than spreads."""

TURN_SIGMA = 0.12
ACROSS_SIGMA_M = 0.004
SHAPE_SIGMA = 1.0
"""Of the wrist's turn, of its place across the picture, and of the shape in its own sigmas."""

LIGHT_SIGMA = 0.35
PRIOR = 0.0015
"""Of the light's bands beside its mean; and what one squared sigma costs."""

SMOOTH_S = 0.15
"""Corrections of a video's frames follow each other within about so many seconds."""


def place_sigma(config: XHandConfig) -> np.ndarray:
    """(3,) metres by which hands' places are off; of one camera's pictures depth is known least."""
    return np.array([ACROSS_SIGMA_M, ACROSS_SIGMA_M, config.depth_sigma_m])


@dataclass(frozen=True, eq=False)
class Places:
    """Where the hands are in every view, as parameters.

    Attributes:
        key: (view, hand of it) of each of N hands.
        sides: "right" or "left" of each.
        angles, turns, shifts: (N, 26), (N, 3), (N, 3) corrections.
        light: (T, 9, 3) of each view, camera axes.
        start_angles, start_wrist, start_place: (N, 15, 3), (N, 3), (N, 3) what is corrected.
    """

    key: list[tuple[int, int]]
    sides: list[str]
    angles: torch.nn.Parameter
    turns: torch.nn.Parameter
    shifts: torch.nn.Parameter
    light: torch.nn.Parameter
    start_angles: torch.Tensor
    start_wrist: torch.Tensor
    start_place: torch.Tensor

    @staticmethod
    def of(shown: Sequence[Shown], light: np.ndarray) -> Places:
        """As the views say; every view begins with the same light (9, 3)."""
        hands = [(t, k, h) for t, s in enumerate(shown) for k, h in enumerate(s.view.hands)]
        count = len(hands)

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.tensor(array, dtype=torch.float32)

        return Places(
            [(t, k) for t, k, _ in hands],
            [h.side for _, _, h in hands],
            torch.nn.Parameter(torch.zeros(count, 26)),
            torch.nn.Parameter(torch.zeros(count, 3)),
            torch.nn.Parameter(torch.zeros(count, 3)),
            torch.nn.Parameter(tensor(light).expand(len(shown), 9, 3).clone()),
            tensor(np.stack([joint_angles(h.theta, h.side) for _, _, h in hands])),
            tensor(np.stack([h.theta[0] for _, _, h in hands])),
            tensor(np.stack([h.translation for _, _, h in hands])),
        )

    def of_view(self, view: int) -> list[int]:
        """Numbers of the hands that a view shows."""
        return [n for n, (t, _) in enumerate(self.key) if t == view]

    def pose(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """θ (16, 3) and place (3,) of hand n."""
        place = torch.zeros(26, 45)
        place[torch.arange(26), torch.as_tensor(3 * FREE_JOINT + FREE_AXIS)] = 1
        angles = self.start_angles[n] + (self.angles[n] @ place).view(15, 3)
        theta = theta_from_joint_angles(angles, self._wrist(n), self.sides[n])
        return theta, self.start_place[n] + self.shifts[n]

    def _wrist(self, n: int) -> torch.Tensor:
        """The corrected turn as axis-angle; small turns are composed on the left."""
        if not bool(self.turns[n].detach().abs().max() > 0) and not self.turns.requires_grad:
            return self.start_wrist[n]
        left = matrix_from_axis_angle(self.turns[n][None])[0]
        return _axis_angle(left @ matrix_from_axis_angle(self.start_wrist[n][None])[0])

    def prior(self, config: XHandConfig) -> torch.Tensor:
        """Squared sigmas of all corrections, and of angles out of their ranges."""
        sigma = torch.tensor(ANGLE_SIGMA, dtype=torch.float32)
        place = torch.tensor(place_sigma(config), dtype=torch.float32)
        cost = ((self.angles / sigma) ** 2).sum() + ((self.turns / TURN_SIGMA) ** 2).sum()
        cost = (cost + ((self.shifts / place) ** 2).sum()) / max(config.pose_sigma, 1e-3) ** 2
        flat = torch.as_tensor(3 * FREE_JOINT + FREE_AXIS)
        angles = self.start_angles.reshape(len(self.key), 45)[:, flat] + self.angles
        low = torch.tensor(LOWEST.ravel()[flat], dtype=torch.float32)
        high = torch.tensor(HIGHEST.ravel()[flat], dtype=torch.float32)
        over = (angles - high).clamp_min(0) + (low - angles).clamp_min(0)
        return cost + ((over / 0.05) ** 2).sum()

    def light_prior(self) -> torch.Tensor:
        """Squared sigmas of the lights' bands against their mean, colour and shape."""
        relative = self.light[:, 1:] / self.light[:, :1].detach().clamp_min(1e-2)
        return ((relative / LIGHT_SIGMA) ** 2).sum()

    def follow(self, times: np.ndarray) -> torch.Tensor:
        """How much neighbouring frames' corrections differ, squared sigmas."""
        cost = torch.zeros(())
        last: dict[str, int] = {}
        sigma = torch.tensor(ANGLE_SIGMA, dtype=torch.float32)
        for n, (t, _) in enumerate(self.key):
            before = last.get(self.sides[n])
            last[self.sides[n]] = n
            if before is None:
                continue
            near = float(np.exp(-(times[t] - times[self.key[before][0]]) / SMOOTH_S))
            cost = cost + 4 * near * (((self.angles[n] - self.angles[before]) / sigma) ** 2).sum()
        return cost


def _axis_angle(matrix: torch.Tensor) -> torch.Tensor:
    """Axis-angle of a rotation matrix (3, 3), differentiable below a half turn."""
    m = matrix
    axis = torch.stack([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    sine = 0.5 * axis.norm().clamp_min(1e-7)
    cosine = 0.5 * (m.diagonal().sum() - 1)
    return axis / (2 * sine) * torch.atan2(sine, cosine)


def refine_places(
    shown: Sequence[Shown],
    people: dict[str, Person],
    places: Places,
    config: XHandConfig,
    fps: float | None,
    tell: Progress,
) -> list[dict[str, float]]:
    """Move hands, shape and lights so that the hands, drawn, look like the pictures.

    Masks and colours speak together: a mask is pulled by its part of the loss alone, so one that is
    wrong is outvoted by the other views through the common shape and albedo.

    Args:
        shown: the views, at ``place_size``.
        people: side -> plain person, whose shape and albedo are moved.
        places: moved in place.
        config: steps.
        fps: of a video, None for photos.
        tell: progress.

    Returns:
        Per view the overlap with its mask, and the colour difference inside.
    """
    views = [_tensors(s) for s in shown]
    smooth = {s: laplacian(p.model.faces, len(p.model.template)) for s, p in people.items()}
    shapes = {s: p.shape.detach().clone() for s, p in people.items()}
    moved = config.pose_sigma > 0
    groups = [
        {"params": [places.angles, places.turns] if moved else [], "lr": 0.006},
        {"params": [places.shifts] if moved else [], "lr": 0.0006},
        {"params": [places.light], "lr": 0.02},
        {"params": [p.shape for p in people.values()], "lr": 0.015},
        {"params": [p.albedo.average for p in people.values()], "lr": 0.03},
    ]
    groups = [g for g in groups if g["params"]]
    starts = [float(g["lr"]) for g in groups]  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(groups)
    times = np.array([s.view.time_s for s in shown])
    rows: list[dict[str, float]] = []
    for step in range(config.place_steps + 1):
        last = step == config.place_steps
        decay = 0.1 ** (max(0.0, step / max(config.place_steps, 1) - 0.5) * 2)
        for group, start in zip(optimizer.param_groups, starts):
            group["lr"] = start * decay
        optimizer.zero_grad()
        rows = []
        for t, (pixels, mask, region) in enumerate(views):
            with torch.set_grad_enabled(not last):
                row, loss = _view_loss(shown[t], people, places, t, pixels, mask, region)
                rows.append(row)
            if not last:
                (loss * shown[t].weight / len(views)).backward()
        if last:
            break
        prior = places.prior(config) / len(views) + 0.2 * places.light_prior() / len(views)
        if fps is not None:
            prior = prior + places.follow(times) / len(views)
        cost = PRIOR * prior
        for side, person in people.items():
            sigma = torch.tensor(person.model.shape_sigmas, dtype=torch.float32)
            off = (person.shape - shapes[side]) / (SHAPE_SIGMA * sigma)
            cost = cost + PRIOR * (off**2).sum() / len(views)
            albedo = person.albedo.average
            cost = cost + 0.1 * smoothness(albedo, smooth[side], (0.25, 0.1, 1.0), False)
            cost = cost + 0.002 * (albedo - albedo.mean(0)).abs().mean()
        cost.backward()
        optimizer.step()
        tell((step + 1) / config.place_steps, f"placing the hand in {len(views)} pictures")
    return rows


def _tensors(shown: Shown) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    crop = shown.crop
    pixels, mask, region = (
        torch.tensor(a, dtype=torch.float32) for a in (crop.pixels, crop.mask, shown.region)
    )
    return pixels, mask, region


def _view_loss(
    shown: Shown,
    people: dict[str, Person],
    places: Places,
    t: int,
    pixels: torch.Tensor,
    mask: torch.Tensor,
    region: torch.Tensor,
) -> tuple[dict[str, float], torch.Tensor]:
    posed, faces, colours = [], [], []
    for n in places.of_view(t):
        person = people[places.sides[n]]
        posed.append(person(*places.pose(n)))
        faces.append(person.model.faces)
        colours.append(lit(posed[-1], places.light[t], 1.0))
    drawn = draw(posed, faces, colours, shown.crop.camera)
    area = (mask * region).sum().clamp_min(1.0)
    off = ((drawn.alpha - mask).abs() * region).sum() / area
    both = (mask * drawn.alpha.detach() > 0.9).float()
    picture = ((drawn.color - pixels).abs().mean(-1) * both).sum() / both.sum().clamp_min(1.0)
    with torch.no_grad():
        inside, hand = (drawn.alpha > 0.5) & (region > 0), (mask > 0.5) & (region > 0)
        union = float((inside | hand).sum())
        overlap = float((inside & hand).sum()) / max(union, 1.0)
        row = {"overlap": overlap, "colour": float(picture)}
    return row, off + 2.0 * picture


def neutral_light() -> np.ndarray:
    """(9, 3) a light from everywhere and a little from the camera, to begin with."""
    light = np.zeros((9, 3))
    light[0] = 0.9 / C0
    light[2] = -0.2
    return light
