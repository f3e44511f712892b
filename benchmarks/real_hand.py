"""Pose error on real photos of one hand, and driving avatars of some of them by the others.

Usage: python benchmarks/real_hand.py [all|pose|drive] [--photos ../shared/photos]
           [--frames all|odd|even] [--method texture ...] [--fit-frames A,B,C] [--views 3]
           [--exposure] [--avatars FOLDER ...] [--pictures FOLDER] [--json FILE]

``one_subject`` holds frames of one person's hand with 21 joints in camera space and, for
most, a mask that ends just below the wrist; the pose's overlap is compared above the wrist, the
driven avatars' everywhere. What reads outlines was chosen on odd frames, so avatars are driven
to even ones unless ``--frames`` says otherwise.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import driving
import numpy as np

from hand_toolkit.core.errors import HandToolkitError, InputError
from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.metrics import keypoint_error_px, pa_mpjpe_mm, silhouette_iou
from hand_toolkit.core.types import Photo, PoseEstimate
from hand_toolkit.geometry import rasterize_mesh, wrist_half_plane
from hand_toolkit.media import load_mask, load_photo
from hand_toolkit.pose import estimate_pose, posed_mesh

DEFAULT_PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "photos"


@dataclass(frozen=True)
class Frame:
    """One photo with what is known about it.

    Attributes:
        name: file name without folder and ending.
        photo: the picture.
        side: of the hand.
        keypoints_2d: (21, 2) pixels.
        joints_m: (21, 3) camera axes.
        mask: (H, W) in [0, 1] or None.
        focal_px: of the camera that took it.
    """

    name: str
    photo: Photo
    side: str
    keypoints_2d: np.ndarray
    joints_m: np.ndarray
    mask: np.ndarray | None
    focal_px: float


def one_subject(photos: Path) -> Iterator[Frame]:
    """The frames of ``photos/one_subject`` in order."""
    notes = json.loads((photos / "annotations.json").read_text())
    for key in sorted(k for k in notes if k.startswith("one_subject/")):
        note = notes[key]
        hand = note["hands"][0]
        photo = load_photo(photos / key)
        mask = load_mask(photos / note["mask"], photo.size) if note.get("mask") else None
        yield Frame(
            name=Path(key).stem,
            photo=photo,
            side=hand["side"],
            keypoints_2d=np.array(hand["keypoints_2d"])[:, :2],
            joints_m=np.array(hand["joints_3d_camera_mm"]) / 1000,
            mask=mask,
            focal_px=float(note["camera"]["fx"]),
        )


def raw_mediapipe(photo: Photo) -> tuple[np.ndarray, np.ndarray]:
    """World landmarks (21, 3) and keypoints (21, 2) of one plain MediaPipe call."""
    from hand_toolkit_plugins.mediapipe_models import make_detector

    global _detector
    if _detector is None:
        _detector = make_detector()
    found = _detector.find(np.ascontiguousarray(photo.pixels), 1)
    if not found:
        raise LookupError
    return found[0].world, found[0].keypoints


_detector: Any = None


def silhouette_of(estimate: PoseEstimate) -> np.ndarray:
    """(H, W) bool, of all hands."""
    rasters = [rasterize_mesh(*posed_mesh(h), estimate.camera) for h in estimate.hands]
    return np.any([r.silhouette for r in rasters], axis=0)


def pose_section(
    photos: Path, source: str = "network", frames: str = "all", wanted: Sequence[str] = ()
) -> dict[str, Any]:
    """Every frame with and without its mask and camera; means over the frames.

    Args:
        photos: folder with ``annotations.json``.
        source: the pose source that the fits start from.
        frames: "all", "odd" (for choices) or "even" (for reporting), counted from 0.
        wanted: variants to run, every one by default.
    """
    variants: dict[str, dict[str, Any]] = {
        "keypoints only": {"refine": False},
        "default": {},
        "default, given focal length": {"focal": True},
        "given mask": {"mask": True},
    }
    variants = {name: options for name, options in variants.items() if name in wanted or not wanted}
    rows: dict[str, list[dict[str, float]]] = {"raw mediapipe": [], **{v: [] for v in variants}}
    for number, frame in enumerate(one_subject(photos)):
        if frames != "all" and number % 2 != (frames == "odd"):
            continue
        try:
            world, keypoints = raw_mediapipe(frame.photo)
            rows["raw mediapipe"].append(
                {
                    "pa_mpjpe_mm": float(pa_mpjpe_mm(world, frame.joints_m)),
                    "keypoint_error_px": float(keypoint_error_px(keypoints, frame.keypoints_2d)),
                }
            )
        except LookupError:
            print(f"  {frame.name}: plain mediapipe finds no hand")
        for variant, options in variants.items():
            if options.get("mask") and frame.mask is None:
                continue
            rows[variant].append(_pose_row(frame, {**options, "source": source}))
    return {
        "variants": {name: _summary(values) for name, values in rows.items() if values},
        "frames": {
            name: {r["frame"]: r for r in values}
            for name, values in rows.items()
            if name == "default"
        },
    }


def _pose_row(frame: Frame, options: dict[str, Any]) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        estimate = estimate_pose(
            frame.photo,
            source=options["source"],
            refine=options.get("refine", True),
            focal_px=frame.focal_px if options.get("focal") else None,
            mask=frame.mask if options.get("mask") else None,
        )
    except HandToolkitError as error:
        print(f"  {frame.name}: {error}")
        return {"frame": frame.name, "failed": 1.0}
    hand = estimate.hand(frame.side)
    if hand is None:
        print(f"  {frame.name}: the {frame.side} hand was taken for the other one")
        return {"frame": frame.name, "failed": 1.0}
    row: dict[str, Any] = {
        "frame": frame.name,
        "failed": 0.0,
        "pa_mpjpe_mm": float(pa_mpjpe_mm(hand.joints_cam_m, frame.joints_m)),
        "keypoint_error_px": float(keypoint_error_px(hand.keypoints_2d, frame.keypoints_2d)),
        "seconds": time.perf_counter() - start,
    }
    if frame.mask is not None:
        above = wrist_half_plane(frame.keypoints_2d, frame.photo.size, margin=0.0)
        row["silhouette_iou"] = silhouette_iou(silhouette_of(estimate), frame.mask, above)
    return row


_COLUMNS = ("pa_mpjpe_mm", "keypoint_error_px", "silhouette_iou")


def _summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    result: dict[str, float] = {
        "frames": len(rows),
        "failed": int(sum(r.get("failed", 0) for r in rows)),
    }
    for column in _COLUMNS:
        values = [r[column] for r in rows if column in r]
        if values:
            result[column] = float(np.mean(values))
            result[f"{column}_median"] = float(np.median(values))
            worst = np.min if column == "silhouette_iou" else np.max
            result[f"{column}_worst"] = float(worst(values))
    return result


def print_pose(section: dict[str, Any]) -> None:
    """The pose table."""
    print(
        f"{'':30}{'PA-MPJPE mm: mean, median, worst':>36}"
        f"{'2D px: mean, worst':>22}{'IoU: mean, worst':>20}  failed"
    )
    for name, s in section["variants"].items():
        pa = " ".join(f"{s['pa_mpjpe_mm' + k]:7.2f}" for k in ("", "_median", "_worst"))
        px = " ".join(f"{s['keypoint_error_px' + k]:7.2f}" for k in ("", "_worst"))
        iou = ""
        if "silhouette_iou" in s:
            iou = " ".join(f"{s['silhouette_iou' + k]:6.3f}" for k in ("", "_worst"))
        print(f"{name:30}{pa:>36}{px:>22}{iou:>20}  {s['failed']} of {s['frames']}")


def drive_section(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Avatars of the fit frames, and those given as files, in the poses of the target frames.

    Raises:
        InputError: a fit frame that is not there, or more views than fit frames.
    """
    from hand_toolkit.avatar import Avatar

    folder = arguments.photos / "one_subject"
    names = [name.strip() for name in arguments.fit_frames.split(",")]
    there = [path.stem for path in driving.frame_paths(folder)]
    if unknown := [name for name in names if name not in there]:
        raise InputError(f"{folder} has no frame {unknown[0]}; it has {', '.join(there)}")
    if not 1 <= arguments.views <= len(names):
        raise InputError(
            f"--views {arguments.views} of {len(names)} fit frames; give 1 to {len(names)}"
        )
    wanted = driving.target_names(folder, names, arguments.frames or "even", arguments.targets)
    frames = {f.name: f for f in driving.load_frames(folder, [*names, *wanted])}
    sources = [frames[name] for name in names if name in frames]
    targets = [frames[name] for name in wanted if name in frames]
    entries = driving.fit_entries(sources, arguments.method or driving.METHODS, arguments.views)
    for made in arguments.avatars:
        found = [f for f in sources if (made / f"{f.name}.hand").is_file()]
        if not found:
            raise InputError(f"{made} has no avatar of a fit frame, such as {names[0]}.hand")
        entries += [
            driving.Entry(made.name, Avatar.load(made / f"{f.name}.hand"), (f,)) for f in found
        ]
    return driving.run(
        targets, entries, arguments.exposure, arguments.pictures, arguments.own_shape
    )


def main() -> None:
    """Run the sections that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", nargs="?", default="all", choices=("all", "pose", "drive"))
    parser.add_argument("--photos", type=Path, default=DEFAULT_PHOTOS)
    parser.add_argument("--pose-source", default="network", help="for the section pose")
    parser.add_argument(
        "--frames",
        choices=("all", "odd", "even"),
        help="default: all for the section pose, even targets for drive",
    )
    parser.add_argument("--variant", action="append", help="of the section pose; default: all")
    parser.add_argument(
        "--method", action="append", choices=driving.METHODS, help="default: every one"
    )
    parser.add_argument(
        "--fit-frames",
        default=",".join(driving.FIT_FRAMES),
        help="frames to fit avatars to, comma between; none is a target (default: %(default)s)",
    )
    parser.add_argument(
        "--views", type=int, default=1, help="fit one more avatar to the first so many of them"
    )
    parser.add_argument("--targets", type=int, help="most frames to drive to; default: all")
    parser.add_argument(
        "--exposure", action="store_true", help="score with one gain per frame, too"
    )
    parser.add_argument(
        "--avatars",
        type=Path,
        action="append",
        default=[],
        help="folder of FRAME.hand, avatars of fit frames made elsewhere, to score beside them",
    )
    parser.add_argument(
        "--own-shape",
        action="store_true",
        help="drive each avatar also by poses estimated in its own shape (pose --avatar)",
    )
    parser.add_argument("--pictures", type=Path, help="folder for a sheet of driven avatars")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    arguments = parser.parse_args()
    if not (arguments.photos / "annotations.json").is_file():
        parser.error(f"{arguments.photos} has no annotations.json; give --photos FOLDER")
    results: dict[str, Any] = {}
    if arguments.section in ("all", "pose"):
        results["pose"] = pose_section(
            arguments.photos,
            arguments.pose_source,
            arguments.frames or "all",
            arguments.variant or (),
        )
        print_pose(results["pose"])
    if arguments.section in ("all", "drive"):
        results["drive"] = drive_section(arguments)
        print(driving.table(results["drive"]))
    if arguments.json:
        atomic_write(arguments.json, json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
