"""One photo to fitted hands and a camera; frames to the same over time."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

import numpy as np

from ..errors import InputError, NoHandError, PluginError
from ..hand_model import load_hand_model, pose_hand_numpy
from ..types import Camera, HandObservation, HandPose, Photo, PoseEstimate
from .camera import photo_camera
from .fit import HandFit, fit_hand, share_shape, to_hand_pose
from .source import PoseSource, Progress

log = logging.getLogger(__name__)

HANDS = ("auto", "left", "right", "both")
MAX_HANDS = 4
"""Hands that are looked for, so that the best of each side can be chosen."""


def estimate_pose(
    photo: Photo,
    *,
    source: str | PoseSource = "mediapipe",
    hand_model: str = "default",
    hands: str = "auto",
    focal_px: float | None = None,
    mask: np.ndarray | None = None,
    refine: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> PoseEstimate:
    """Find the hands of a photo and fit the hand model to them.

    Args:
        photo: the picture.
        source: name of an installed pose source, or a source.
        hand_model: name of the hand model to fit.
        hands: "auto" takes the best hand of each side that is found, "left" and "right" one
            side only, "both" insists on two.
        focal_px: focal length in pixels; wins over EXIF and the default
            (``DEFAULT_FOCAL_OVER_SIDE``).
        mask: (H, W) in [0, 1] where the hands are; wins over an alpha channel.
        refine: also fit the outline, against the mask, or where there is none against what
            the default segmenter finds.
        seed: of the choice of outline points.
        progress: told how far it is.

    Returns:
        One or two hands, right first, and the camera. Metric scale comes from the hand
        model's shape prior, as a single picture has none.

    Raises:
        NoHandError: no hand, or not the ones that were asked for.
        InputError: a bad option, or an installed source of that name is missing.
        PluginError: the source returned something else than observations.
    """
    report = progress or _no_progress
    _check_hands(hands)
    photo = _with_focal(photo, focal_px)
    camera = photo_camera(photo)
    found = _detect(photo, source, MAX_HANDS, lambda part, what: report(0.6 * part, what))
    chosen = select_hands(found, hands, photo)
    report(0.6, "fitting the hand model")
    fits = [fit_hand(o, camera, hand_model=hand_model) for o in chosen]
    if len(fits) > 1:
        fits = share_shape(fits, hand_model=hand_model)
    estimate = _estimate(fits, camera, hand_model)
    report(1.0, "pose found")
    return estimate


def select_hands(
    found: Sequence[HandObservation], hands: str, photo: Photo
) -> list[HandObservation]:
    """The best hand of each wanted side, right first.

    Raises:
        NoHandError: a wanted hand is missing; the message says what to try.
    """
    if not found:
        raise NoHandError(
            f"no hand was found in '{photo.name}' ({photo.size[0]}x{photo.size[1]} pixels), at any "
            "scale or turn; use a sharp photo with the whole hand in view, crop it around the "
            "hand, or give keypoints with the pose source 'file'"
        )
    best: dict[str, HandObservation] = {}
    for observation in sorted(found, key=_prominence, reverse=True):
        best.setdefault(observation.side, observation)
    wanted = {"left": ("left",), "right": ("right",)}.get(hands, ("right", "left"))
    chosen = [best[side] for side in wanted if side in best]
    if not chosen or (hands == "both" and len(chosen) < 2):
        sides = " and ".join(sorted(best))
        raise NoHandError(
            f"'{photo.name}' shows {len(found)} hand(s), of the {sides} side only, and "
            f"{'both sides were' if hands == 'both' else f'the {hands} one was'} asked for; "
            "ask for 'auto' or give a photo that shows what you want"
        )
    if len(found) > len(chosen) and hands != "both":
        log.info("'%s' shows %d hands; the most prominent are used", photo.name, len(found))
    return chosen


def posed_mesh(hand: HandPose, level: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3), camera frame, metres, and faces (F, 3) of a fitted hand."""
    model = load_hand_model(hand.hand_model, hand.side, level)
    vertices = pose_hand_numpy(model, hand.theta, hand.shape, hand.translation)[0]
    return vertices, model.faces


def _estimate(fits: Sequence[HandFit], camera: Camera, hand_model: str) -> PoseEstimate:
    return PoseEstimate(tuple(to_hand_pose(f, camera, hand_model) for f in fits), camera)


def _prominence(observation: HandObservation) -> float:
    return observation.confidence * float(np.linalg.norm(np.ptp(observation.keypoints_2d, axis=0)))


def _detect(
    photo: Photo, source: str | PoseSource, max_hands: int, progress: Progress
) -> list[HandObservation]:
    if isinstance(source, str):
        from ..registry import registry

        chosen: PoseSource = registry().get("pose_sources", source)
    else:
        chosen = source
    found = chosen.detect(photo, max_hands, progress)
    if not isinstance(found, list) or not all(isinstance(o, HandObservation) for o in found):
        raise PluginError(
            f"pose source '{chosen.name}' returned {type(found).__name__}; "
            "it must return a list of HandObservation"
        )
    return found


def _with_focal(photo: Photo, focal_px: float | None) -> Photo:
    if focal_px is None:
        return photo
    if not (np.isfinite(focal_px) and focal_px > 0):
        raise InputError(f"focal_px is {focal_px}; give a positive number of pixels")
    return dataclasses.replace(photo, focal_px=float(focal_px))


def _check_hands(hands: str) -> None:
    if hands not in HANDS:
        raise InputError(f"hands is {hands!r}; accepted are {', '.join(HANDS)}")


def _no_progress(part: float, what: str) -> None:
    pass


__all__ = ["estimate_pose", "posed_mesh", "select_hands"]
