"""Pose source ``hhmr``: photo to hands by the diffusion model, with its own keypoints as a check.

The eyes of the toolkit (:mod:`hand_toolkit.see`) find the hand and its keypoints; the model
sees the crop about it and the keypoints, and gives hypotheses of the whole hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...core.errors import InputError
from ...core.metrics import similarity_align
from ...core.types import HandObservation, Photo, Progress
from ...pose.camera import photo_camera
from .made import MadeHands
from .uses import MOST_SAMPLES, STEPS, fit_picture

if TYPE_CHECKING:
    import torch

    from .network import HhmrNetwork

SIGMA_SHARE = 0.012
"""How far off detected keypoints are, in units of the hand's size in the picture."""

DEFAULT_SAMPLES = 4


def crop_patches(photo: Photo, points: np.ndarray, side: str) -> torch.Tensor:
    """(49, 192) features of the crop about a hand, mirrored for a left one.

    Args:
        photo: the picture.
        points: (21, 2) keypoints, pixels.
        side: of the hand.
    """
    import cv2
    import torch

    from ...see.crops import crop_of_points
    from .crops import image_features

    pixels = photo.pixels
    if side == "left":
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        points = points * [-1, 1] + [photo.size[0], 0]
    view = crop_of_points(points)
    matrix = view.matrix()[:2].copy()
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    crop = cv2.warpAffine(
        pixels, matrix, (view.size, view.size), flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_CONSTANT,
    )  # fmt: skip
    return image_features(torch.from_numpy(crop)[None])[0]


def reconstruct(
    photo: Photo,
    observation: HandObservation,
    *,
    samples: int = 16,
    steps: int = STEPS,
    seed: int = 0,
    image: bool = True,
    seen: np.ndarray | None = None,
    network: HhmrNetwork | None = None,
) -> MadeHands:
    """Hypotheses of one hand of a photo, the likeliest first.

    Args:
        photo: the picture.
        observation: where the hand is, e.g. of :func:`hand_toolkit.pose.detect_hands`.
        samples: how many hypotheses.
        steps: of denoising.
        seed: same seed, same hypotheses.
        image: look at the picture too, not at the keypoints alone.
        seen: (21,) bool, keypoints to trust; all of them if None.
        network: the shipped one if None.
    """
    points = observation.keypoints_2d.copy()
    size = float(np.linalg.norm(np.ptp(points, axis=0)))
    patches = crop_patches(photo, points, observation.side) if image else None
    if seen is not None:
        points[~np.asarray(seen, bool)] = np.nan
    return fit_picture(
        points,
        photo_camera(photo),
        sigma_px=SIGMA_SHARE * size,
        patches=patches,
        count=samples,
        side=observation.side,
        seed=seed,
        steps=steps,
        network=network,
    )


def central(hands: MadeHands) -> int:
    """Number of the hypothesis that is nearest to the mean of all, by its keypoints.

    On photos it is nearer to the hand than the likeliest (docs/hhmr.md): among hypotheses that
    all lie on the keypoints, likelihood hardly tells near from far.
    """
    points = hands.keypoints
    points = similarity_align(points, np.broadcast_to(points[:1], points.shape))
    return int(np.linalg.norm(points - points.mean(axis=0), axis=-1).mean(axis=1).argmin())


def as_observation(hands: MadeHands, observation: HandObservation, photo: Photo) -> HandObservation:
    """What the pose fit takes: the central hypothesis with the keypoints that were seen."""
    best = central(hands)
    points = hands.keypoints[best]
    return HandObservation(
        side=hands.side,
        confidence=observation.confidence,
        keypoints_2d=observation.keypoints_2d,
        keypoints_3d=points - points[0],
        theta=hands.theta[best],
        shape=hands.shape[best],
        hand_model="default",
        translation=hands.translation[best],
        focal_px=photo_camera(photo).fx,
    )


class HhmrSource:
    """The diffusion model as a pose source.

    Attributes:
        samples: hypotheses, of which the central one is taken; ``hhmr:16`` draws 16.
    """

    name = "hhmr"
    description = "hand meshes by diffusion, from the picture and the network's keypoints"

    def __init__(self, samples: int = DEFAULT_SAMPLES) -> None:
        self.samples = samples

    def configured(self, option: str) -> HhmrSource:
        """The source for ``hhmr:SAMPLES``.

        Raises:
            InputError: no number of hypotheses.
        """
        if not option.isdigit() or not 1 <= int(option) <= MOST_SAMPLES:
            raise InputError(
                f"the pose source 'hhmr' takes a number of hypotheses, 1 to {MOST_SAMPLES}, as in "
                f"'hhmr:16'; received '{option}'"
            )
        return HhmrSource(int(option))

    def detect(
        self, photo: Photo, max_hands: int, progress: Progress | None = None
    ) -> list[HandObservation]:
        """See :class:`hand_toolkit.see.PoseSource`.

        Raises:
            InputError: the weights are not installed.
        """
        from ...pose.estimate import find_source

        def tell(part: float, what: str) -> None:
            if progress:
                progress(0.6 * part, what)

        found = find_source("network").detect(photo, max_hands, tell)
        out = []
        for number, observation in enumerate(found):
            if progress:
                progress(0.6 + 0.4 * number / len(found), "drawing hypotheses of the hand")
            hands = reconstruct(photo, observation, samples=self.samples)
            out.append(as_observation(hands, observation, photo))
        return out
