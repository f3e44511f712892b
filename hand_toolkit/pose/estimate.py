"""One photo to fitted hands and a camera."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError, NoHandError, PluginError
from ..core.types import Camera, HandObservation, HandPose, Photo, PoseEstimate
from ..geometry.silhouette import hand_silhouettes
from ..hand_model import load_hand_model, pose_hand_numpy
from ..see.segment import DEFAULT_SEGMENTER, SegmentedHands, segment_hands
from ..see.source import DEFAULT_SOURCE, PoseSource, Progress
from .camera import photo_camera
from .fit import HandFit, fit_either_side, hand_chain, mirror_of, share_shape, to_hand_pose
from .outline import mask_view, refine_outline
from .pair import hands_meet, owner_view, refine_pair
from .solver import FitWeights

log = logging.getLogger(__name__)

HANDS = ("auto", "left", "right", "both")
MAX_HANDS = 4
"""Hands that are looked for, so that the best of each side can be chosen."""

OUTLINED = FitWeights(outline_m=0.0028, shape_prior=1.5)
"""How an outline pulls that was found or given (``benchmarks/real_hand.py`` measures both)."""


RIVAL = 0.4
"""Part of the largest hand's prominence from which a further hand counts; less is background."""


@dataclass(frozen=True)
class SeenHands:
    """The hands of a photo, and the outline that they were fitted to.

    Attributes:
        estimate: the hands, right first, and the camera.
        area: the photo's hands, each pixel given to one; None where no outline was looked for.
    """

    estimate: PoseEstimate
    area: SegmentedHands | None


def estimate_pose(
    photo: Photo,
    *,
    source: str | PoseSource = DEFAULT_SOURCE,
    hand_model: str = "default",
    hands: str = "auto",
    focal_px: float | None = None,
    mask: np.ndarray | None = None,
    segmenter: str = DEFAULT_SEGMENTER,
    refine: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> PoseEstimate:
    """Find the hands of a photo and fit the hand model to them.

    Args:
        photo: the picture.
        source: name of an installed pose source (``"name:option"`` hands it an option, such
            as ``"file:hands.json"``), or a source.
        hand_model: name of the hand model to fit.
        hands: "auto" takes the best hand of each side that is found, "left" and "right" one
            side only, "both" insists on two.
        focal_px: focal length in pixels; wins over EXIF and the default
            (``DEFAULT_FOCAL_OVER_SIDE``).
        mask: (H, W) in [0, 1] where the hands are; wins over an alpha channel.
        segmenter: name of an installed segmenter, which finds the outline where none is given.
        refine: also fit the outline, against the mask, or where there is none against what
            the segmenter finds.
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
    return see_hands(
        photo,
        source=source,
        hand_model=hand_model,
        hands=hands,
        focal_px=focal_px,
        mask=mask,
        segmenter=segmenter,
        refine=refine,
        seed=seed,
        progress=progress,
    ).estimate


def see_hands(
    photo: Photo,
    *,
    source: str | PoseSource = DEFAULT_SOURCE,
    hand_model: str = "default",
    hands: str = "auto",
    focal_px: float | None = None,
    mask: np.ndarray | None = None,
    segmenter: str = DEFAULT_SEGMENTER,
    refine: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> SeenHands:
    """:func:`estimate_pose`, and the mask that it fitted the outline to.

    Arguments and errors are those of :func:`estimate_pose`.
    """
    report = progress or _no_progress
    check_hands(hands)
    photo = with_focal(photo, focal_px)
    camera = photo_camera(photo)
    found = detect_hands(photo, source, lambda part, what: report(0.6 * part, what))
    report(0.6, "fitting the hand model")
    tries = [fit_either_side(o, camera, hand_model=hand_model) for o in found]
    chosen = select_hands([fit.observation for fit in tries], hands, photo)
    fits = [next(fit for fit in tries if fit.observation is o) for o in chosen]
    if len(fits) > 1:
        fits = share_shape(fits, hand_model=hand_model)
    area = None
    if refine:
        report(0.7, "following the outline")
        fits, area = refine_fits(fits, photo, camera, hand_model, mask, seed, segmenter)
    report(1.0, "pose found")
    return SeenHands(to_estimate(fits, camera, hand_model), area)


def detect_hands(
    photo: Photo,
    source: str | PoseSource,
    progress: Progress | None = None,
    max_hands: int = MAX_HANDS,
) -> list[HandObservation]:
    """What a pose source, named as for :func:`estimate_pose`, sees.

    Raises:
        InputError: no such source, or it takes no option.
        PluginError: it returned something else than observations.
    """
    chosen = find_source(source)
    found = chosen.detect(photo, max_hands, progress)
    if not isinstance(found, list) or not all(isinstance(o, HandObservation) for o in found):
        raise PluginError(
            f"pose source '{chosen.name}' returned {type(found).__name__}; "
            "it must return a list of HandObservation"
        )
    return found


def find_source(source: str | PoseSource) -> PoseSource:
    """An installed pose source by name, configured with what follows a colon.

    Raises:
        InputError: no such source, or it takes no option.
    """
    if not isinstance(source, str):
        return source
    from ..core.registry import registry

    name, colon, option = source.partition(":")
    chosen = registry().get("pose_sources", name)
    if not colon:
        return chosen  # type: ignore[no-any-return]
    if not hasattr(chosen, "configured"):
        raise InputError(f"the pose source '{name}' takes no option, received '{option}'")
    return chosen.configured(option)  # type: ignore[no-any-return]


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
    ranked = sorted(found, key=_prominence, reverse=True)
    rivals = [o for o in ranked if _prominence(o) > RIVAL * _prominence(ranked[0])]
    if hands in ("auto", "both") and len(rivals) > 2:
        raise NoHandError(
            f"'{photo.name}' shows {len(rivals)} hands, and an avatar has two; crop the photo to "
            "one person's hands, or take the most prominent of a side with --hands right or left"
        )
    best: dict[str, HandObservation] = {}
    for observation in ranked:
        best.setdefault(observation.side, observation)
    wanted = {"left": ("left",), "right": ("right",)}.get(hands, ("right", "left"))
    chosen = [best[side] for side in wanted if side in best]
    if not chosen or (hands == "both" and len(chosen) < 2):
        only = f"only the {next(iter(best))} side" if len(best) == 1 else "both sides"
        asked = "both hands were" if hands == "both" else f"the {hands} hand was"
        raise NoHandError(
            f"{asked} asked for, but {len(found)} hand(s) of {only} were found in '{photo.name}'; "
            "use --hands auto, crop the photo to the hand that is missing, or take another"
        )
    if len(found) > len(chosen):
        log.info("'%s' shows %d hands; the most prominent are used", photo.name, len(found))
    return chosen


def refine_fits(
    fits: Sequence[HandFit],
    photo: Photo,
    camera: Camera,
    hand_model: str,
    mask: np.ndarray | None,
    seed: int,
    segmenter: str = DEFAULT_SEGMENTER,
) -> tuple[list[HandFit], SegmentedHands | None]:
    """Make the silhouettes follow the mask: the given one, the photo's, or the segmenter's.

    Returns:
        The refined hands, and their pixels; hands as they were and None where the source knew θ
        and nobody gave a mask.
    """
    estimate = to_estimate(fits, camera, hand_model)
    given = mask is not None or photo.mask is not None
    if not given and any(f.observation.theta is not None for f in fits):
        return list(fits), None  # a regressed pose is more exact than an outline that is found
    silhouettes, nearest = hand_silhouettes([posed_mesh(h) for h in estimate.hands], camera)
    area = segment_hands(
        photo, estimate, list(silhouettes), nearest, segmenter=segmenter, mask=mask
    )
    chain = hand_chain(hand_model)
    views, states = [], []
    for k, (fit, hand) in enumerate(zip(fits, estimate.hands)):
        others = np.delete(area.shares, k, axis=0)
        ignore = others.max(axis=0) > 0.5 if len(others) else None
        view = mask_view(area.shares[k], camera, hand.keypoints_2d, hand.side == "left", ignore)
        views.append(view)
        states.append(refine_outline(chain, fit.state, fit.targets, view, OUTLINED, seed=seed))
    if len(fits) == 2:
        mirrors = np.stack([mirror_of(fit.side) for fit in fits])
        if hands_meet(chain, (states[0], states[1]), mirrors):
            points = np.concatenate([hand.keypoints_2d for hand in estimate.hands])
            owner = owner_view(area.shares, camera, points)
            targets = (fits[0].targets, fits[1].targets)
            states = list(
                refine_pair(
                    chain, (states[0], states[1]), targets, mirrors, (views[0], views[1]), owner,
                    OUTLINED, seed=seed,
                )
            )  # fmt: skip
    refined = [dataclasses.replace(fit, state=state) for fit, state in zip(fits, states)]
    return refined, area


def known_hand(
    side: str,
    theta: np.ndarray,
    shape: np.ndarray,
    translation: np.ndarray,
    hand_model: str,
    camera: Camera,
) -> HandPose:
    """A hand whose pose is known rather than estimated.

    Args:
        side: "right" or "left".
        theta: (16, 3) axis-angle.
        shape: (S,).
        translation: (3,) metres.
        hand_model: name of the model that ``shape`` belongs to.
        camera: that sees it, in the axes of ``theta`` and ``translation``.
    """
    model = load_hand_model(hand_model, side, 0)
    joints = pose_hand_numpy(model, theta, shape, translation)[2]
    pixels = camera.project(joints)
    return HandPose(side, theta, shape, translation, hand_model, 1.0, pixels, joints)


def posed_mesh(hand: HandPose, level: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3), camera frame, metres, and faces (F, 3) of a fitted hand."""
    model = load_hand_model(hand.hand_model, hand.side, level)
    vertices = pose_hand_numpy(model, hand.theta, hand.shape, hand.translation)[0]
    return vertices, model.faces


def to_estimate(fits: Sequence[HandFit], camera: Camera, hand_model: str) -> PoseEstimate:
    """The fits as others use them."""
    return PoseEstimate(tuple(to_hand_pose(f, camera, hand_model) for f in fits), camera)


def with_focal(photo: Photo, focal_px: float | None) -> Photo:
    """The photo with another focal length.

    Raises:
        InputError: not a positive number.
    """
    if focal_px is None:
        return photo
    if not (np.isfinite(focal_px) and focal_px > 0):
        raise InputError(f"focal_px is {focal_px}; give a positive number of pixels")
    return dataclasses.replace(photo, focal_px=float(focal_px))


def check_hands(hands: str) -> None:
    """Raise InputError unless ``hands`` is one of ``HANDS``."""
    if hands not in HANDS:
        raise InputError(f"hands is {hands!r}; accepted are {', '.join(HANDS)}")


def _prominence(observation: HandObservation) -> float:
    return observation.confidence * float(np.linalg.norm(np.ptp(observation.keypoints_2d, axis=0)))


def _no_progress(part: float, what: str) -> None:
    pass
