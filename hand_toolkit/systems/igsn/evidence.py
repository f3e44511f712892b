"""One photo among those of stage two: what it shows, its light, and how its hands stand."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...core.types import Camera, PoseEstimate
from .network import Encoded
from .points import PosedPoints


@dataclass(frozen=True)
class PhotoView:
    """A photo at the size that is fitted.

    Attributes:
        estimate: hands, in the frame of ``camera``.
        pixels: (h, w, 3) sRGB in [0, 1].
        mask: (h, w) in [0, 1].
        camera: of ``pixels``.
        doubt: (h, w) in [0, 1], 1 where the skin is not to be believed; None: nowhere.
    """

    estimate: PoseEstimate
    pixels: np.ndarray
    mask: np.ndarray
    camera: Camera
    doubt: np.ndarray | None = None


class PhotoEvidence:
    """The tensors of one photo, and the unknowns that are its own.

    Args:
        photo: the photo.
        sides: the person's hands, of which the photo shows some.
        device: torch device.

    Attributes:
        sides: of the photo's hands.
        rows: their places among the person's.
        theta, shape, translation: (H, 16, 3), (H, S), (H, 3) as estimated.
        turned, moved: (H, 16, 3) and (H, 3) corrections of θ and translation.
        light, first_light: (9, 3) now, and as solved at the start.
        first_gain: (3,) calibration that suits this photo alone.
        target, mask: (h, w, 3) on black and (h, w), what is compared.
        region, trusted: (h, w) where the mask and where colours are compared.
        encoded: the network's geometric encoding of the hands as last computed.
    """

    def __init__(self, photo: PhotoView, sides: tuple[str, ...], device: torch.device) -> None:
        self.photo, self.camera, self.device = photo, photo.camera, device
        hands = photo.estimate.hands
        self.sides = tuple(hand.side for hand in hands)
        self.rows = [sides.index(side) for side in self.sides]
        self.theta = self.tensor([hand.theta for hand in hands])
        self.shape = self.tensor([hand.shape for hand in hands])
        self.translation = self.tensor([hand.translation for hand in hands])
        self.turned = torch.zeros_like(self.theta)
        self.moved = torch.zeros_like(self.translation)
        self.light = torch.zeros(9, 3, device=device)
        self.first_light = self.light
        self.first_gain = torch.ones(3, device=device)
        self.mask = self.tensor(photo.mask)
        self.target = self.tensor(photo.pixels) * self.mask[..., None]
        self.region = self.trusted = torch.ones_like(self.mask)
        self.encoded: Encoded | None = None

    def tensor(self, array: Any) -> torch.Tensor:
        """An array as 32-bit floats on the device."""
        return torch.as_tensor(np.asarray(array, np.float32), device=self.device)


def views_around(points: PosedPoints, camera: Camera) -> list[Camera]:
    """Two views of the hands from the sides, 60 degrees off the photo's, small."""
    from scipy.spatial.transform import Rotation

    centre = points.world.mean((0, 1)).cpu().numpy().astype(np.float64)
    small = camera.resized(max(camera.width // 2, 8), max(camera.height // 2, 8))
    result = []
    for angle in (-60, 60):
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler("y", angle, degrees=True).as_matrix()
        turn[:3, 3] = centre - turn[:3, :3] @ centre
        result.append(dataclasses.replace(small, world_to_camera=small.world_to_camera @ turn))
    return result
