"""Drawing an avatar to files: pictures, numbered frames, video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..animate import (
    Motion,
    avatar_pose,
    find_motion,
    load_motion,
    pose_names,
    resample,
    with_forearms,
)
from ..avatar import Avatar, Drawable, display_theta
from ..core.cameras import load_cameras, orbit_camera, turntable
from ..core.conventions import SIDES
from ..core.errors import FileFormatError, InputError
from ..core.npz import read_npz
from ..core.types import Camera, HandPose, Progress
from ..hand_model.arm import ARM_SUFFIX
from ..media import save_image
from ..media.video import SUFFIXES as VIDEO_SUFFIXES
from ..media.video import write_video
from .drawing import placed_like, points_of, shown_upright, shows_back, source_view

if TYPE_CHECKING:
    from ..render import AvatarRenderer

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
TURNTABLE_FRAMES = 72
Posed = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Shot:
    """Frames to draw: poses (θ and translation by side) and a camera for each."""

    poses: list[Posed]
    cameras: list[Camera]
    fps: float

    def __len__(self) -> int:
        return max(len(self.poses), len(self.cameras))

    def frame(self, index: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Camera]:
        """θ, translation and camera of a frame; the shorter list holds its last."""
        theta, translation = self.poses[min(index, len(self.poses) - 1)]
        return theta, translation, self.cameras[min(index, len(self.cameras) - 1)]


def render_to_file(
    avatar: Avatar,
    output: Path,
    *,
    pose: Path | None = None,
    frame: int | None = None,
    motion: str | None = None,
    camera: str = "auto",
    size: tuple[int, int] | None = None,
    background: tuple[float, float, float] | None = (0.16, 0.165, 0.173),
    light: str = "photo",
    fps: float | None = None,
    side: str = "photo",
    drawable: Drawable | None = None,
    progress: Progress = lambda fraction, message: None,
) -> str:
    """Draw to a picture, a video or a folder, as ``hand-toolkit render`` documents.

    Args:
        drawable: what is drawn; None is the avatar itself.

    Returns:
        One line that says what was drawn.

    Raises:
        InputError: options that contradict each other, or files that cannot be used.
    """
    from ..render import AvatarRenderer

    suffix = output.suffix.lower()
    is_video, is_picture = suffix in VIDEO_SUFFIXES, suffix in PICTURE_SUFFIXES
    if not (is_video or is_picture or suffix == ""):
        raise InputError(
            f"cannot draw to {output.name}; accepted are {', '.join(PICTURE_SUFFIXES)}, "
            f"{', '.join(VIDEO_SUFFIXES)} or a folder"
        )
    if pose is not None and motion is not None:
        raise InputError("both --pose and --motion were given; give one of them")
    if background is None and (is_video or suffix in (".jpg", ".jpeg")):
        raise InputError(f"{suffix} cannot be transparent; use .png, .webp or a folder")
    still = pose is None or str(pose) in pose_names()
    if camera == "auto" and is_video and motion is None and still:
        camera = "turntable"
    shot = plan(avatar, pose, frame, motion, camera, size, fps, _sides(avatar, side))
    view = shot.cameras[0]
    renderer = AvatarRenderer(drawable or avatar, view, background, light=light)
    if is_picture:
        save_image(output, renderer.render(*shot.frame(0)))
        return f"{view.width}x{view.height} pixels"
    pictures = draw_shot(renderer, shot, progress)
    if is_video:
        write_video(output, pictures, shot.fps)
    else:
        output.mkdir(parents=True, exist_ok=True)
        for k, picture in enumerate(pictures):
            save_image(output / f"{k:05d}.png", picture)
    return f"{len(shot)} frames of {view.width}x{view.height} pixels, {shot.fps:g} a second"


def draw_shot(renderer: AvatarRenderer, shot: Shot, progress: Progress) -> Iterator[np.ndarray]:
    """The shot's pictures, each valid until the second one after it."""
    for k, picture in enumerate(renderer.stream(shot.frame(k) for k in range(len(shot)))):
        progress(k / len(shot), f"frame {k + 1} of {len(shot)}")
        yield picture


def plan(
    avatar: Avatar,
    pose: Path | None,
    frame: int | None,
    motion: str | None,
    camera: str,
    size: tuple[int, int] | None,
    fps: float | None,
    sides: tuple[str, ...],
) -> Shot:
    """Poses and cameras of what ``hand-toolkit render`` was asked for."""
    held = None if pose is None else _held_pose(avatar, pose, sides)
    if pose is not None and held is None:
        return _posed_shot(avatar, pose, frame, camera, size, fps)
    width, height = size or (768, 768)
    if motion is not None:
        sequence = find_motion(motion)
        sequence = sequence.restricted(tuple(s for s in sides if s in avatar.sides))
        if fps is not None and fps != sequence.fps:
            sequence = resample(sequence, fps)
        return _motion_shot(avatar, sequence, camera, width, height, frame)
    if camera == "photo":
        if held is not None:
            raise InputError(
                "--camera photo shows the photo's own pose; with a built-in --pose give front, "
                "back or orbit:DEGREES"
            )
        theta, where, view = source_view(avatar)
        return Shot([(theta, where)], [view.resized(*size) if size else view], fps or 24)
    upright = held or shown_upright(avatar, sides=sides)
    points = _points(avatar, [upright])
    if camera == "turntable":
        return Shot([upright], turntable(points, width, height, TURNTABLE_FRAMES), fps or 24)
    if camera == "auto" and shows_back(avatar, sides):
        camera = "back"
    return Shot([upright], _views(camera, points, width, height, size), fps or 24)


def _held_pose(avatar: Avatar, pose: Path, sides: tuple[str, ...]) -> Posed | None:
    """Hands upright in a built-in pose; None where ``pose`` is a file.

    Raises:
        InputError: neither such a file nor such a pose.
    """
    name = str(pose)
    if pose.is_file():
        return None
    if name not in pose_names():
        raise InputError(f"there is no file {name} and no such built-in pose; {_meant(name)}")
    _, where = shown_upright(avatar, sides=sides)
    return {s: display_theta(s, avatar_pose(avatar, s, name)) for s in where}, where


def _meant(name: str) -> str:
    """What somebody may have meant, or all poses there are."""
    import difflib

    likely = difflib.get_close_matches(name, pose_names(), 2)
    if likely:
        return f"did you mean {' or '.join(likely)}?"
    return f"accepted are motion files and: {', '.join(pose_names())}"


def _views(
    camera: str, points: np.ndarray, width: int, height: int, size: tuple[int, int] | None
) -> list[Camera]:
    """Fixed cameras around ``points`` or of a file."""
    azimuths = {"auto": 0.0, "front": 0.0, "back": np.pi}
    if camera in azimuths:
        return [orbit_camera(points, width, height, azimuths[camera])]
    if camera.startswith("orbit:"):
        return [orbit_camera(points, width, height, *_degrees(camera))]
    if camera == "from-pose":
        raise InputError("--camera from-pose needs --pose FILE, as 'hand-toolkit pose' writes it")
    cameras = load_cameras(camera)
    return [c.resized(*size) for c in cameras] if size else cameras


def _degrees(camera: str) -> tuple[float, float]:
    """Radians around and up of ``orbit:AROUND`` or ``orbit:AROUND,UP`` in degrees."""
    try:
        angles = [float(v) for v in camera.partition(":")[2].split(",")]
    except ValueError:
        angles = []
    if len(angles) not in (1, 2) or not np.isfinite(angles).all() or abs(angles[-1]) > 360:
        raise InputError(f"--camera {camera}; give orbit:DEGREES or orbit:DEGREES,UP, as orbit:50")
    around, up = [*angles, 0.0][:2]
    return np.radians(around), np.radians(np.clip(up, -89, 89))


def _motion_shot(
    avatar: Avatar, motion: Motion, camera: str, width: int, height: int, frame: int | None
) -> Shot:
    if avatar.hand_model.endswith(ARM_SUFFIX):
        motion = with_forearms(motion)
    count = len(motion)
    poses = [motion.frame(k) for k in (range(count) if frame is None else [frame])]
    poses = [p for p in poses if p[0]]
    if not poses:
        raise InputError("none of the avatar's hands is in the motion; try --side both")
    points = _points(avatar, poses[:: max(1, len(poses) // 24)])
    if camera == "turntable":
        return Shot(poses, turntable(points, width, height, len(poses)), motion.fps)
    if camera == "photo":
        return Shot(poses, [avatar.camera.resized(width, height)], motion.fps)
    return Shot(poses, _views(camera, points, width, height, None), motion.fps)


def _posed_shot(
    avatar: Avatar,
    path: Path,
    frame: int | None,
    camera: str,
    size: tuple[int, int] | None,
    fps: float | None,
) -> Shot:
    """Frames of a pose file: through its own cameras, or looked at from outside."""
    sequence = load_motion(path)
    arrays = read_npz(path)
    known = "camera" in arrays and "keypoints_2d" in arrays and "size" in arrays
    chosen = range(len(sequence)) if frame is None else [frame]
    if camera == "from-pose" and not known:
        raise FileFormatError(
            f"{path.name} has no camera; make it with 'hand-toolkit pose', or use --camera front"
        )
    if camera == "from-pose" or (camera == "auto" and known):
        poses, cameras = [], []
        for k in chosen:
            theta, _ = sequence.frame(k)
            view = _pose_camera(arrays, k)
            theta = {s: t for s, t in theta.items() if s in avatar.sides}
            where = {s: placed_like(avatar, _hand_of(arrays, sequence, s, k), view) for s in theta}
            if theta:
                poses.append((theta, where))
                cameras.append(view.resized(*size) if size else view)
        if not poses:
            raise InputError(f"{path.name} shows none of the avatar's hands in that frame")
        return Shot(poses, cameras, fps or sequence.fps)
    width, height = size or (768, 768)
    return _motion_shot(avatar, sequence, camera, width, height, frame)


def _pose_camera(arrays: dict[str, np.ndarray], frame: int) -> Camera:
    fx, fy, cx, cy = (float(v) for v in arrays["camera"][frame])
    width, height = (int(v) for v in arrays["size"][frame])
    return Camera(fx, fy, cx, cy, width, height)


def _hand_of(arrays: dict[str, np.ndarray], motion: Motion, side: str, frame: int) -> HandPose:
    k = SIDES.index(side)
    known = "shape" in arrays and "hand_model" in arrays
    return HandPose(
        side=side,
        theta=motion.theta[frame, k],
        shape=arrays["shape"][frame, k] if known else np.zeros(0),
        translation=motion.translation[frame, k],
        hand_model=str(arrays["hand_model"]) if known else "",
        confidence=1.0,
        keypoints_2d=arrays["keypoints_2d"][frame, k],
        joints_cam_m=arrays["joints_cam_m"][frame, k],
    )


def _points(avatar: Avatar, poses: list[Posed]) -> np.ndarray:
    return np.concatenate([points_of(avatar, *posed) for posed in poses])


def _sides(avatar: Avatar, side: str) -> tuple[str, ...]:
    if side == "both":
        return avatar.sides
    if side == "photo":
        return tuple(h.side for h in avatar.hands if h.observed) or avatar.sides
    avatar.hand(side)
    return (side,)
