"""The way of the data, written once: pictures -> views with hands and masks -> avatar."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import __version__
from .core.errors import InputError
from .core.options import parse_settings
from .core.types import Photo, PoseEstimate, Progress
from .see.segment import DEFAULT_SEGMENTER
from .see.source import DEFAULT_SOURCE

if TYPE_CHECKING:
    from .avatar import Avatar
    from .media.viewset import View, ViewSet


@dataclass(frozen=True)
class FitResult:
    """What :func:`fit_photos` made, with everything a report shows.

    Attributes:
        avatar: the avatar.
        views: the pictures that it was fitted to, and which were left out.
        photo: the decoded reference picture, of which the avatar has the light and the camera.
        seconds: time by stage.
    """

    avatar: Avatar
    views: ViewSet
    photo: Photo
    seconds: dict[str, float]

    @property
    def reference(self) -> View:
        """The view that ``photo`` shows."""
        return self.views[self.views.reference]

    @property
    def estimate(self) -> PoseEstimate:
        """Hands and camera of the reference view."""
        return self.reference.estimate

    @property
    def mask(self) -> np.ndarray:
        """(H, W) in [0, 1] of the reference view."""
        return self.reference.outlined()[0]

    @property
    def labels(self) -> np.ndarray:
        """(H, W) int32 index of the hand shown in the reference view, -1 for none."""
        return self.reference.outlined()[1]


def fit(photo: str | Path | Photo, **options: Any) -> Avatar:
    """One photo to an avatar; see :func:`fit_photo` for the options."""
    return fit_photo(photo, **options).avatar


def fit_photo(
    photo: str | Path | Photo,
    *,
    pose: PoseEstimate | None = None,
    mask: str | Path | np.ndarray | None = None,
    paint_out: str | Path | np.ndarray | None = None,
    report: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> FitResult:
    """Fit an avatar to one photo of one or two hands.

    Args:
        photo: a path or a decoded picture.
        pose: hands and camera, where already known; else the pose source finds them.
        mask: a mask file or (H, W) array that wins over the segmenter.
        paint_out: a picture or (H, W) array, 1 where the photo's skin is not to be believed.
        report: folder for the report; see :mod:`hand_toolkit.pictures.report`.
        progress: called with the part done, 0 to 1, and a message; may raise to stop.
        options: fields of :class:`FitOptions`.

    Raises:
        InputError: a picture, mask or option that cannot be used.
        NoHandError: no hand was found.
    """
    from .media import load_mask, load_photo

    how = fit_options(options)
    tell = progress or _silent
    start = time.perf_counter()
    tell(0.0, "reading the photo")
    picture = photo if isinstance(photo, Photo) else load_photo(photo)
    if isinstance(mask, (str, Path)):
        mask = load_mask(mask, picture.size)
    if isinstance(paint_out, (str, Path)):
        paint_out = load_mask(paint_out, picture.size, "what is not believed")
    read = time.perf_counter() - start
    if how.contact_offset and not how.contact:
        raise InputError("contact_offset follows the surfaces of hands in contact; add contact")
    touching = None
    if how.contact and pose is None:
        pose = touching = _in_contact(picture, how, mask)
    result = _fit(picture, how, pose, [mask], report, tell, paint_out)
    if how.contact_offset and touching is not None:
        from .systems.im2hands.offset import offset_avatar

        tell(0.99, "moving the skin onto the surfaces")
        moved = offset_avatar(result.avatar, result.photo)
        result = dataclasses.replace(result, avatar=moved)
    return dataclasses.replace(result, seconds={"read": read, **result.seconds})


def _in_contact(photo: Photo, how: FitOptions, mask: np.ndarray | None) -> PoseEstimate | None:
    """The pose of hands that are close, fitted together; None where there are none."""
    from .pose import estimate_pose
    from .systems.im2hands.contact import close_hands, refine_contact

    if how.mirrored:
        raise InputError("contact is refined in photos as they were taken; mirror the photo first")
    found = estimate_pose(
        photo, source=how.pose_source, hand_model=how.hand_model, hands=how.hands,
        focal_px=how.focal_px, mask=mask, segmenter=how.segmenter, seed=how.seed,
    )  # fmt: skip
    return refine_contact(photo, found) if close_hands(found) else None


def fit_photos(
    source: str | Path | Photo | Sequence[str | Path | Photo],
    *,
    report: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> FitResult:
    """Fit one avatar to several photos, a folder or a video of one person's hands.

    What one picture hides another may show, so less skin is invented. Each picture's light and
    poses are its own; the hands' shape is the same in all. Pictures without a usable hand are
    left out; ``result.views.left_out`` says which and why.

    Args:
        source: a picture, several, a folder (``NAME_mask.png`` beside a picture is its mask), or
            a video.
        report: as for :func:`fit_photo`.
        progress: as for :func:`fit_photo`.
        options: fields of :class:`FitOptions`.

    Raises:
        InputError: nothing to read, or an option that cannot be used.
        NoHandError: no picture shows a usable hand.
    """
    how = fit_options(options)
    if how.contact:
        raise InputError("contact is refined in one photo; give a single picture")
    return _fit(source, how, None, None, report, progress or _silent)


@dataclass(frozen=True)
class FitOptions:
    """How :func:`fit_photo` and :func:`fit_photos` work.

    Attributes:
        pose_source: name of an installed pose source.
        hand_model: name of an installed hand model.
        hands: "auto", "left", "right" or "both".
        method: name of an installed method; "auto" takes the learned prior where it knows the
            hand model, else the photo's texture over a population template.
        settings: options of the method by name, values as text or as they are.
        prior_mode: the option "mode" of the method "igsn"; its old name.
        segmenter: name of an installed segmenter.
        focal_px: focal length in pixels; None takes the photo's EXIF or a default.
        quality: "draft", "standard" or "high".
        seed: random seed.
        device: "auto", "cpu" or "cuda".
        max_views: most pictures that are used; of more, those that differ most. None: the
            method's own number, 6 for those that have none.
        mirrored: the pictures are mirror images, as front cameras store them.
        contact: of one photo, fit hands that are close once more, so that they touch and do not
            cross; see :mod:`hand_toolkit.systems.im2hands.contact`.
        contact_offset: with ``contact``, also move the skin onto the networks' surfaces; see
            :mod:`hand_toolkit.systems.im2hands.offset`.
    """

    pose_source: str = DEFAULT_SOURCE
    hand_model: str = "default"
    hands: str = "auto"
    method: str = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    prior_mode: str | None = None
    segmenter: str = DEFAULT_SEGMENTER
    focal_px: float | None = None
    quality: str = "standard"
    seed: int = 0
    device: str = "auto"
    max_views: int | None = None
    mirrored: bool = False
    contact: bool = False
    contact_offset: bool = False


def fit_options(given: Mapping[str, Any]) -> FitOptions:
    """The options by name.

    Raises:
        InputError: an unknown name.
    """
    known = [f.name for f in dataclasses.fields(FitOptions)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(
            f"fit has no option {', '.join(unknown)}; accepted are: {', '.join(known)}"
        )
    return FitOptions(**given)


def _fit(
    source: Any,
    how: FitOptions,
    pose: PoseEstimate | None,
    masks: list[np.ndarray | None] | None,
    report: str | Path | None,
    tell: Progress,
    doubt: np.ndarray | None = None,
) -> FitResult:
    from .media.viewset import ViewSet
    from .pictures.drawing import preview_png
    from .pose import SeeConfig, view_given, view_hands
    from .pose.views import MAX_VIEWS
    from .systems.method import MethodConfig, find_method, run_method

    device = pick_device(how.device)
    settings = dict(how.settings)
    if how.prior_mode is not None:
        settings.setdefault("mode", how.prior_mode)
    config = MethodConfig(how.quality, settings, how.seed, device, refine_poses=pose is None)
    model = how.hand_model if pose is None else pose.hands[0].hand_model
    method = find_method(how.method, model)
    parsed = parse_settings(f"method {method.name}", method.options, settings)  # fail early
    forearm = str(parsed.get("forearm", "off"))
    if model.endswith("_arm"):
        raise InputError(
            f"the hand model '{model}' is for avatars that have a forearm; fit with --hand-model "
            "default and --set forearm=on"
        )
    if forearm != "off" and model != "default":
        raise InputError(
            f"the hand model '{model}' has no forearm; fit with the model 'default', or without "
            "--set forearm"
        )

    most = how.max_views
    if most is None:
        most = int(getattr(method, "max_views", MAX_VIEWS))
    start = time.perf_counter()
    if pose is not None:
        tell(0.4, "finding the hand's outline")
        mask = masks[0] if masks else None
        view = view_given(source, pose, mask=mask, segmenter=how.segmenter)
        views = ViewSet((view,), source.name)
    else:
        names = [f.name for f in dataclasses.fields(SeeConfig)]
        seeing = SeeConfig(**{name: getattr(how, name) for name in names})
        views = view_hands(
            source,
            seeing,
            masks=masks,
            max_views=most,
            progress=lambda fraction, message: tell(0.02 + 0.42 * fraction, message),
        )
    if doubt is not None:
        doubt = doubt[:, ::-1] if how.mirrored and pose is None else doubt
        views = dataclasses.replace(views, views=(dataclasses.replace(views[0], doubt=doubt),))
    seconds = {"pose": time.perf_counter() - start}

    start = time.perf_counter()
    avatar = run_method(
        method, views, config, lambda fraction, message: tell(0.45 + 0.5 * fraction, message)
    )
    if forearm != "off":
        from .systems.forearm import add_forearms

        tell(0.95, "adding the forearm")
        avatar = add_forearms(avatar, views[views.reference], forearm)
    seconds["fit"] = time.perf_counter() - start
    if dropped := avatar.provenance.get("left_out"):
        views = dataclasses.replace(views, left_out=(*views.left_out, *dropped.split("; ")))

    tell(0.96, "drawing the preview")
    photo = views[views.reference].read()
    known_focal = how.focal_px is not None or photo.focal_px is not None
    provenance = {
        **avatar.provenance,
        "toolkit": f"hand-toolkit {__version__}",
        "pose_source": how.pose_source if pose is None else "given",
        "quality": how.quality,
        "seed": str(how.seed),
        "scale": "metric scale from the hand model's size prior"
        + (", focal length known" if known_focal else ""),
    }
    avatar = dataclasses.replace(avatar, provenance=provenance)
    avatar = dataclasses.replace(avatar, preview=preview_png(avatar))
    if how.quality == "high":
        from .animate import with_presets

        tell(0.97, "fitting the built-in poses to the hand's shape")
        avatar = with_presets(avatar)
    result = FitResult(avatar, views, photo, seconds)
    if report is not None:
        from .pictures.report import write_report

        tell(0.97, "writing the report")
        write_report(result, Path(report))
    tell(1.0, "done")
    return result


def _silent(fraction: float, message: str) -> None:
    pass


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
