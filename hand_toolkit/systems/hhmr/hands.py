"""Batches of posed hands with their conditions, made on the device that trains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from ...hand_model import HandModel, load_hand_model, pose_hand
from ...hand_model.limits import compose
from .conditions import Conditions
from .config import UNIT_M, HhmrConfig, HhmrSettings
from .frames import centred, palm_centre, spin, upright_turn

if TYPE_CHECKING:
    from .crops import ImageBank

OWN_AXES_SHARE = 0.4
"""Of the hands without a picture: in their own axes, to generate and to complete."""

NEAR_M, FAR_M = 0.25, 1.3
TURN_SIGMA = 0.15
"""Radians that upright hands are not quite upright."""

SHAPE_LIMIT = 2.0
JOINT_GAP = 0.05
"""Chance that a single joint is not seen."""

WORST_2D, WORST_3D = 0.15, 0.3
"""Largest noise of skeletons, in units of the condition."""

KNOWN_CAMERA = 0.7


@dataclass(frozen=True)
class Hands:
    """B hands.

    Attributes:
        mesh: (B, V, 3) about the palm's centre, ``UNIT_M``.
        keypoints: (B, 21, 3) likewise.
        conditions: of them.
    """

    mesh: torch.Tensor
    keypoints: torch.Tensor
    conditions: Conditions


def posed(
    model: HandModel, theta: torch.Tensor, shape: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Vertices (B, V, 3) and keypoints (B, 21, 3) about the palm's centre, ``UNIT_M``."""
    with torch.no_grad():
        hand = pose_hand(model, theta, shape, theta.new_zeros(len(theta), 3))
    centre = palm_centre(hand.keypoints)
    return (hand.vertices - centre) / UNIT_M, (hand.keypoints - centre) / UNIT_M


def random_shapes(model: HandModel, count: int, device: torch.device) -> torch.Tensor:
    """(count, S) shapes of the model's spread."""
    sigmas = torch.as_tensor(model.shape_sigmas, dtype=torch.float32, device=device)
    return torch.randn(count, len(sigmas), device=device).clamp(-SHAPE_LIMIT, SHAPE_LIMIT) * sigmas


def random_rotations(count: int, device: torch.device) -> torch.Tensor:
    """(count, 3, 3): half of them any, half with palm or back rather towards the camera."""
    from ...geometry.rotations import matrix_from_quat

    anyhow = matrix_from_quat(_unit(torch.randn(count, 4, device=device)))
    # the model's palm looks along -y, its fingers along -x: turned so that fingers point up
    # the picture (-y) and the palm towards (-z) or away from the camera
    facing = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]], device=device)
    away = torch.tensor([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]], device=device)
    base = torch.where(torch.rand(count, 1, 1, device=device) < 0.5, facing, away)
    tilt = 0.45 * torch.randn(count, 3, device=device)
    small = matrix_from_quat(_unit(torch.cat([torch.ones_like(tilt[:, :1]), tilt / 2], 1)))
    return torch.where(torch.rand(count, 1, 1, device=device) < 0.5, anyhow, small @ base)


def _unit(x: torch.Tensor) -> torch.Tensor:
    return x / x.norm(dim=-1, keepdim=True)


class HandMaker:
    """Draws batches.

    Args:
        config, settings: of the run.
        bank: (N, 26) poses on the device.
        images: rendered crops with their features; None makes hands without pictures.
    """

    def __init__(
        self,
        config: HhmrConfig,
        settings: HhmrSettings,
        bank: torch.Tensor,
        images: ImageBank | None = None,
    ) -> None:
        self.config, self.settings, self.bank, self.images = config, settings, bank, images
        self.device = bank.device
        self.model = load_hand_model(config.hand_model, "right", 0)

    def draw(self) -> Hands:
        """A batch by torch's generator, masked as the settings say."""
        shown = 0
        if self.images is not None and len(self.images):
            shown = round(self.settings.batch * self.settings.image_share)
        hands = self._plain(self.settings.batch - shown)
        if shown:
            pictured = self._pictured(shown)
            hands = Hands(
                torch.cat([hands.mesh, pictured.mesh]),
                torch.cat([hands.keypoints, pictured.keypoints]),
                Conditions.joined([hands.conditions.with_room(self.config), pictured.conditions]),
            )
        return hands

    def _plain(self, count: int) -> Hands:
        rows = torch.randint(len(self.bank), (count,), device=self.device)
        shape = random_shapes(self.model, count, self.device)
        mesh, points = posed(self.model, compose(self.bank[rows]), shape)
        own = torch.rand(count, device=self.device) < OWN_AXES_SHARE
        turn = random_rotations(count, self.device)
        low, high = torch.tensor(NEAR_M).log().item(), torch.tensor(FAR_M).log().item()
        distance = (low + (high - low) * self._random(count)).exp() / UNIT_M
        turned = points @ turn.mT
        flat = turned[..., :2] / (turned[..., 2:] + distance[:, None, None])
        upright = spin(TURN_SIGMA * torch.randn(count, device=self.device)) @ upright_turn(flat)
        turn = torch.where(own[:, None, None], torch.eye(3, device=self.device), upright @ turn)
        mesh, points = mesh @ turn.mT, points @ turn.mT
        flat = points[..., :2] / (points[..., 2:] + distance[:, None, None])
        return Hands(mesh, points, self.conditions(points, flat, ~own))

    def _pictured(self, count: int) -> Hands:
        assert self.images is not None
        rows = torch.randint(len(self.images), (count,), device=self.device)
        theta, shape, flat, patches = self.images.take(rows)
        mesh, points = posed(self.model, theta, shape)
        upright = torch.ones(count, dtype=torch.bool, device=self.device)
        conditions = self.conditions(points, flat, upright)
        seen = self._patch_mask(count)
        # the rendered crop does not tell its focal length
        return Hands(
            mesh,
            points,
            replace(
                conditions,
                patches=patches.to(mesh.dtype),
                seen_patches=seen,
                angle=torch.zeros_like(conditions.angle),
            ),
        )

    def conditions(
        self, points: torch.Tensor, flat: torch.Tensor, upright: torch.Tensor
    ) -> Conditions:
        """Noisy, masked skeletons of hands.

        Args:
            points: (B, 21, 3) about the palm's centre, ``UNIT_M``.
            flat: (B, 21, 2) in the picture; hands in their own axes show none.
            upright: (B,) bool.
        """
        count, s = len(points), self.settings
        none = Conditions.none(count, self.config, self.device)
        seen_2d = self._joint_mask(count, s.drop_2d) & upright[:, None]
        seen_3d = self._joint_mask(count, s.drop_3d)
        if s.masks:
            keep = (self._random(count) >= s.drop_all)[:, None]
            seen_2d, seen_3d = seen_2d & keep, seen_3d & keep
        sigma_2d, sigma_3d = self._noise(count, WORST_2D), self._noise(count, WORST_3D)
        points_2d, unit = centred(flat, seen_2d)
        points_2d = points_2d + sigma_2d[:, None, None] * torch.randn_like(points_2d)
        noisy = points + sigma_3d[:, None, None] * torch.randn_like(points)
        known = self._random(count) < KNOWN_CAMERA
        return replace(
            none,
            points_2d=points_2d * seen_2d[..., None],
            seen_2d=seen_2d,
            sigma_2d=sigma_2d,
            angle=torch.where(known & seen_2d.any(1), unit, 0.0),
            points_3d=noisy * seen_3d[..., None],
            seen_3d=seen_3d,
            sigma_3d=sigma_3d,
            upright=upright,
        )

    def _random(self, count: int) -> torch.Tensor:
        return torch.rand(count, device=self.device)

    def _noise(self, count: int, worst: float) -> torch.Tensor:
        """(count,) noise: a fourth has none, the others any magnitude."""
        size = worst * (0.01 ** self._random(count))
        return torch.where(self._random(count) < 0.25, 0.0, size)

    def _joint_mask(self, count: int, drop: float) -> torch.Tensor:
        """(count, 21) which joints are seen: by modality, by finger, by joint."""
        seen = torch.ones(count, 21, dtype=torch.bool, device=self.device)
        if not self.settings.masks:
            return seen
        some = (self._random(count) < 0.5)[:, None]
        finger = torch.rand(count, 5, device=self.device) < self.settings.drop_finger
        gap = torch.rand(count, 21, device=self.device) < JOINT_GAP
        gap[:, 1:] |= finger.repeat_interleave(4, 1)
        return seen & ~(gap & some) & (self._random(count) >= drop)[:, None]

    def _patch_mask(self, count: int) -> torch.Tensor:
        seen = torch.ones(count, self.config.patches**2, dtype=torch.bool, device=self.device)
        if not self.settings.masks:
            return seen
        some = (self._random(count) < 0.5)[:, None]
        gap = torch.rand(seen.shape, device=self.device) < self.settings.drop_patch
        return seen & ~(gap & some) & (self._random(count) >= self.settings.drop_image)[:, None]
