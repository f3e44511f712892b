"""The way of the data, written once: photo -> pose -> mask -> fit -> avatar."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .core.errors import InputError
from .core.types import Photo, PoseEstimate, Progress
from .see.source import DEFAULT_SOURCE

if TYPE_CHECKING:
    from .avatar import Avatar

METHODS = ("auto", "prior", "texture")
"""How appearance is fitted. The first is the default: the learned prior where it knows the hand
model, else the photo's texture over a population template."""
QUALITIES = {
    "draft": (1, 384, 40, 15),
    "standard": (4, 640, 80, 50),
    "high": (4, 1024, 160, 80),
}
"""Quality -> splats per triangle, working size in pixels, refinement steps, the prior's steps."""


@dataclass(frozen=True)
class FitResult:
    """What :func:`fit_photo` made, with everything a report shows.

    Attributes:
        avatar: the avatar.
        photo: the decoded picture.
        estimate: hands and camera.
        mask: (H, W) in [0, 1].
        labels: (H, W) int32 index of the hand shown, -1 for none.
        seconds: time by stage.
    """

    avatar: Avatar
    photo: Photo
    estimate: PoseEstimate
    mask: np.ndarray
    labels: np.ndarray
    seconds: dict[str, float]


def fit(photo: str | Path | Photo, **options: Any) -> Avatar:
    """One photo to an avatar; see :func:`fit_photo` for the options."""
    return fit_photo(photo, **options).avatar


def fit_photo(
    photo: str | Path | Photo,
    *,
    pose: PoseEstimate | None = None,
    pose_source: str = DEFAULT_SOURCE,
    hand_model: str = "default",
    hands: str = "auto",
    method: str = METHODS[0],
    prior_mode: str = "full",
    mask: str | Path | np.ndarray | None = None,
    segmenter: str = "grabcut",
    focal_px: float | None = None,
    quality: str = "standard",
    seed: int = 0,
    device: str = "auto",
    report: str | Path | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Fit an avatar to one photo of one or two hands.

    Args:
        photo: a path or a decoded picture.
        pose: hands and camera, where already known; else the pose source finds them.
        pose_source: name of an installed pose source.
        hand_model: name of an installed hand model.
        hands: "auto", "left", "right" or "both".
        method: one of ``METHODS``.
        prior_mode: one of :data:`hand_toolkit.systems.igsn.config.FIT_MODES`; the others than
            "full" are ablations.
        mask: a mask file or (H, W) array that wins over the segmenter.
        segmenter: name of an installed segmenter.
        focal_px: focal length in pixels; None takes the photo's EXIF or a default.
        quality: "draft", "standard" or "high".
        seed: random seed.
        device: "auto", "cpu" or "cuda".
        report: folder for the report; see :mod:`hand_toolkit.pictures.report`.
        progress: called with the part done, 0 to 1, and a message; may raise to stop.

    Raises:
        InputError: a picture, mask or option that cannot be used.
        NoHandError: no hand was found.
    """
    from .geometry import hand_silhouettes
    from .media import load_mask, load_photo
    from .pictures.drawing import preview_png
    from .pose import estimate_pose
    from .see import label_hands, segment_photo
    from .skin.observe import hand_meshes
    from .systems.texture.one_photo import TextureConfig, fit_texture
    from .systems.texture.optimize import OptimizeConfig

    tell = progress or (lambda fraction, message: None)
    if method not in METHODS:
        raise InputError(f"unknown method {method!r}; accepted are: {', '.join(METHODS)}")
    if quality not in QUALITIES:
        raise InputError(f"unknown quality {quality!r}; accepted are: {', '.join(QUALITIES)}")
    device = pick_device(device)
    seconds = {}
    start = time.perf_counter()
    tell(0.0, "reading the photo")
    picture = photo if isinstance(photo, Photo) else load_photo(photo)
    if isinstance(mask, (str, Path)):
        mask = load_mask(mask, picture.size)
    seconds["read"] = time.perf_counter() - start

    start = time.perf_counter()
    estimate = pose or estimate_pose(
        picture,
        source=pose_source,
        hand_model=hand_model,
        hands=hands,
        focal_px=focal_px,
        mask=mask,
        seed=seed,
        progress=lambda fraction, message: tell(0.02 + 0.38 * fraction, message),
    )
    seconds["pose"] = time.perf_counter() - start

    start = time.perf_counter()
    tell(0.4, "finding the hand's outline")
    silhouettes, nearest = hand_silhouettes(hand_meshes(estimate), estimate.camera)
    found = segment_photo(picture, estimate, list(silhouettes), segmenter=segmenter, mask=mask)
    labels = label_hands(found, nearest)
    seconds["mask"] = time.perf_counter() - start

    start = time.perf_counter()

    def fitting(fraction: float, message: str) -> None:
        tell(0.45 + 0.5 * fraction, message)

    per_face, size, steps, prior_steps = QUALITIES[quality]
    config = TextureConfig(per_face, size, OptimizeConfig(steps=steps))
    if _pick_method(method, estimate) == "texture":
        avatar = fit_texture(picture, found, labels, estimate, config, device, fitting)
    else:
        from .systems.igsn.config import FitConfig
        from .systems.igsn.fit import fit_one_shot

        how = FitConfig(mode=prior_mode, steps=prior_steps, refine=pose is None, seed=seed)
        avatar = fit_one_shot(
            picture, found, labels, estimate, how, device, fitting, texture=config
        )
    seconds["fit"] = time.perf_counter() - start
    from . import __version__

    tell(0.96, "drawing the preview")
    provenance = {
        **avatar.provenance,
        "toolkit": f"hand-toolkit {__version__}",
        "pose_source": pose_source if pose is None else "given",
        "quality": quality,
        "seed": str(seed),
        "scale": "metric scale from the hand model's size prior"
        if focal_px is None and picture.focal_px is None
        else "metric scale from the hand model's size prior, focal length known",
    }
    avatar = dataclasses.replace(avatar, provenance=provenance)
    avatar = dataclasses.replace(avatar, preview=preview_png(avatar))
    result = FitResult(avatar, picture, estimate, found, labels, seconds)
    if report is not None:
        from .pictures.report import write_report

        tell(0.97, "writing the report")
        write_report(result, Path(report))
    tell(1.0, "done")
    return result


def _pick_method(method: str, estimate: PoseEstimate) -> str:
    """ "prior" or "texture" for one of ``METHODS``."""
    if method != "auto":
        return method
    from .systems.igsn.weights import SHIPPED, load_prior

    known = SHIPPED.is_file() and load_prior().config.hand_model == estimate.hands[0].hand_model
    return "prior" if known else "texture"


def pick_device(device: str) -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda".

    Raises:
        InputError: another word, or CUDA asked for and not there.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"unknown device {device!r}; accepted are auto, cpu and cuda")
    if device == "cpu":
        return "cpu"
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise InputError("no CUDA device was found; use --device cpu or auto")
    return "cuda" if there else "cpu"
