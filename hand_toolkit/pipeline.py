"""The way of the data, written once: photo -> pose -> mask -> fit -> avatar."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .core.conventions import SIDES
from .core.errors import InputError
from .core.types import Camera, HandPose, Photo, PoseEstimate, Rendering, Splats

if TYPE_CHECKING:
    from .avatar import Avatar

Progress = Callable[[float, str], None]
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
    pose_source: str = "mediapipe",
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
    from .pose import estimate_pose
    from .see import label_hands, segment_photo
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


def hand_meshes(estimate: PoseEstimate, level: int = 1) -> list[tuple[np.ndarray, np.ndarray]]:
    """Vertices (V, 3) in the camera frame and faces (F, 3) of every hand of an estimate."""
    from .skin.observe import pose_surfaces

    return [(s.vertices, s.faces) for s in pose_surfaces(estimate.hands, level)]


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


def source_view(avatar: Avatar) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Camera]:
    """θ, translation and camera of the photo that the avatar was fitted to, observed hands."""
    hands = [h for h in avatar.hands if h.observed] or list(avatar.hands)
    return (
        {h.side: h.source_theta for h in hands},
        {h.side: h.source_translation for h in hands},
        avatar.camera,
    )


def shown_upright(
    avatar: Avatar, theta: np.ndarray | None = None, sides: tuple[str, ...] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """θ and translation of the avatar's hands standing side by side, palms to the camera.

    Args:
        avatar: the avatar.
        theta: (16, 3) finger pose of a right hand; the left gets its mirror image. None: relaxed.
        sides: which hands; None takes those the photo showed.
    """
    from .animate import finger_pose
    from .animate.motion import _rest_translation
    from .avatar import display_theta
    from .core.conventions import mirror_theta

    base = finger_pose("relaxed", 4.0) if theta is None else theta
    if sides is None:
        sides = tuple(h.side for h in avatar.hands if h.observed) or avatar.sides
    poses = {s: display_theta(s, base if s == "right" else mirror_theta(base)) for s in sides}
    rest = _rest_translation()
    where = {s: rest[SIDES.index(s)] * (len(sides) > 1) for s in sides}
    return poses, where


def picture_of(
    avatar: Avatar,
    theta: dict[str, np.ndarray],
    translation: dict[str, np.ndarray],
    camera: Camera,
    background: tuple[float, float, float] | None = (0.0, 0.0, 0.0),
    light: np.ndarray | str | None = "photo",
) -> np.ndarray:
    """One picture of a posed avatar.

    Args:
        avatar: the avatar.
        theta, translation: by side.
        camera: the view.
        background: sRGB, or None for a transparent picture.
        light: see :meth:`Avatar.splats`; "photo" stays with the camera, so that a view from
            behind is lit as the photo was.

    Returns:
        (H, W, 3) or, transparent, (H, W, 4) uint8 with straight alpha.
    """
    if isinstance(light, str) and light == "photo":
        from .avatar.lighting import rotate

        light = rotate(avatar.light, camera.world_to_camera[:3, :3].T)
    splats = avatar.splats(theta, translation, light)
    drawn = draw(splats, camera, background or (0.0, 0.0, 0.0))
    color = np.clip(drawn.color, 0, 1)
    if background is None:
        alpha = np.clip(drawn.alpha, 0, 1)[..., None]
        color = np.concatenate([np.clip(color / np.maximum(alpha, 1e-4), 0, 1), alpha], axis=2)
    return (color * 255 + 0.5).astype(np.uint8)


def draw(splats: Splats, camera: Camera, background: tuple[float, float, float]) -> Rendering:
    """``render`` for one camera, numpy in and out."""
    from .render import render

    return render(splats, camera, background)


def preview_png(avatar: Avatar, size: int = 256) -> bytes:
    """A PNG of the avatar standing upright."""
    from PIL import Image

    from .core.cameras import orbit_camera

    theta, where = shown_upright(avatar)
    points = np.concatenate([avatar.mesh(s, theta[s], where[s]) for s in theta])
    camera = orbit_camera(points, size, size)
    buffer = io.BytesIO()
    Image.fromarray(picture_of(avatar, theta, where, camera, (0.16, 0.16, 0.17))).save(
        buffer, "PNG", optimize=True
    )
    return buffer.getvalue()


def placed_like(avatar: Avatar, hand: HandPose, camera: Camera) -> np.ndarray:
    """Wrist translation (3,) that puts the avatar's hand where another photo shows one.

    The avatar keeps its own shape; under the photo's θ it is moved (not turned) so that its
    projected surface agrees best with that of the hand as fitted to the photo.

    Args:
        avatar: the avatar.
        hand: the hand as estimated in the other photo.
        camera: that photo's camera.
    """
    from .hand_model import load_hand_model, pose_hand_numpy

    model = load_hand_model(avatar.hand_model, hand.side, 0)
    shape = avatar.hand(hand.side).shape
    own = pose_hand_numpy(model, hand.theta, shape, np.zeros(3))
    if hand.hand_model == avatar.hand_model and len(hand.shape) == len(shape):
        points = own[0]
        shown = pose_hand_numpy(model, hand.theta, hand.shape, hand.translation)[0]
        target = shown[:, :2] / shown[:, 2:]
    else:
        points = own[2]
        target = (hand.keypoints_2d - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    # the projection (p + t).xy / (p + t).z = target is linear in t
    count = len(points)
    matrix = np.zeros((2 * count, 3))
    matrix[:count, 0] = matrix[count:, 1] = 1
    matrix[:count, 2], matrix[count:, 2] = -target[:, 0], -target[:, 1]
    right = np.concatenate([target[:, k] * points[:, 2] - points[:, k] for k in (0, 1)])
    return np.linalg.lstsq(matrix, right, rcond=None)[0]
