"""What a batch does to each input; each is work for :mod:`hand_toolkit.jobs`.

A task's function writes its result whole or not at all, and returns what the index says of it.
What is slow to load (networks, compiled kernels) is kept by the process between its inputs.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.options import Option, parse_settings
from ..jobs import Work

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".gif")
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")


@dataclass(frozen=True)
class BatchTask:
    """One of the things that a batch can do.

    Attributes:
        name: of the task.
        help: one line.
        inputs: suffixes of a folder's inputs.
        options: what may be set.
        function: called with (input, output path without a suffix, options by name); writes and
            returns a row.
    """

    name: str
    help: str
    inputs: tuple[str, ...]
    options: tuple[Option, ...]
    function: Callable[[Path, Path, dict[str, Any]], dict[str, Any]]

    def work(self, settings: dict[str, Any]) -> Work:
        """The work with options that hold for every input.

        Raises:
            InputError: an unknown option, or a value that it does not take.
        """
        parse_settings(f"task {self.name}", self.options, settings)
        return partial(_working, self.name, settings)


@contextmanager
def _working(name: str, settings: dict[str, Any]) -> Iterator[Callable[[Any], dict[str, Any]]]:
    task = TASKS[name]

    def do(item: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
        start = time.perf_counter()
        source, stem = Path(item[0]), Path(item[1])
        options = parse_settings(f"task {name}", task.options, {**settings, **item[2]})
        digest = _sha256(source) if source.is_file() else None
        stem.parent.mkdir(parents=True, exist_ok=True)
        row = task.function(source, stem, {k: v for k, v in options.items() if v != ""})
        return {"sha256": digest, **row, "seconds": round(time.perf_counter() - start, 3)}

    yield do


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _beside(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)


def _hands(views: Any) -> dict[str, Any]:
    """Sides that were found, and the least confidence."""
    found = [hand for view in views for hand in view.hands]
    return {
        "sides": sorted({hand.side for hand in found}, reverse=True),
        "confidence": round(min(float(hand.confidence) for hand in found), 4) if found else None,
    }


def _pose(source: Path, stem: Path, options: dict[str, Any]) -> dict[str, Any]:
    from ..pose.views import SeeConfig, view_poses, write_poses

    smooth = options.pop("smooth")
    views = view_poses(source, SeeConfig(**options))
    write_poses(_beside(stem, ".npz"), views, smooth)
    return {"output": f"{stem.name}.npz", "frames": len(views), **_hands(views)}


def _fit(source: Path, stem: Path, options: dict[str, Any]) -> dict[str, Any]:
    from ..media.pictures import is_video
    from ..pipeline import fit_photo, fit_photos

    report = _beside(stem, ".report") if options.pop("report") else None
    result = (fit_photos if is_video(source) else fit_photo)(source, report=report, **options)
    result.avatar.save(_beside(stem, ".hand"))
    return {
        "output": f"{stem.name}.hand",
        "splats": len(result.avatar),
        **_hands(result.views),
    }


def _render(source: Path, stem: Path, options: dict[str, Any]) -> dict[str, Any]:
    from ..avatar import Avatar
    from ..pictures.demo_sheet import render_to_file

    size = (options.pop("width"), options.pop("height"))
    moves = "motion" in options or options["camera"] == "turntable"
    output = _beside(stem, options.pop("suffix", ".mp4" if moves else ".png"))
    if "pose" in options:
        options["pose"] = Path(options["pose"])
    told = render_to_file(Avatar.load(source), output, size=size, **options)
    return {"output": output.name, "drawn": told}


def _export(source: Path, stem: Path, options: dict[str, Any]) -> dict[str, Any]:
    from ..animate import MOTIONS, builtin_motion, load_motion
    from ..avatar import Avatar
    from ..export import export_avatar, formats

    name = options["format"]
    known = {info.name: info for info in formats()}
    if name not in known:
        raise InputError(f"unknown format {name!r}; accepted are: {', '.join(known)}")
    motion = options.get("motion")
    if motion is not None:
        motion = builtin_motion(motion) if motion in MOTIONS else load_motion(motion)
    paths = export_avatar(
        Avatar.load(source),
        _beside(stem, known[name].suffixes[0]),
        name,
        motion=motion,
        pose=options.get("pose"),
        what=options["what"],
    )
    return {"output": paths[0].name, "files": len(paths)}


def _evaluate(source: Path, stem: Path, options: dict[str, Any]) -> dict[str, Any]:
    from ..core.files import atomic_write
    from ..systems.igsn.config import FitConfig
    from ..systems.igsn.evaluate import evaluate

    config = FitConfig(mode=options["mode"], refine=False)
    scores = evaluate(source, config=config, split=options["split"], targets=options["targets"])
    atomic_write(_beside(stem, ".json"), json.dumps(scores, indent=1) + "\n")
    return {"output": f"{stem.name}.json", "scores": scores}


_SEEING = (
    Option("hands", str, "auto", "hands to look for", ("auto", "left", "right", "both")),
    Option("pose_source", str, "network", "who finds the hands"),
    Option("segmenter", str, "network", "who outlines them"),
    Option("hand_model", str, "default", "default or mano"),
)

TASKS = {
    task.name: task
    for task in (
        BatchTask(
            "pose",
            "photos and videos to pose files (.npz)",
            PICTURES + VIDEOS,
            (*_SEEING, Option("smooth", bool, True, "smooth a video's poses")),
            _pose,
        ),
        BatchTask(
            "fit",
            "photos and videos to avatars (.hand)",
            PICTURES + VIDEOS,
            (
                *_SEEING,
                Option("method", str, "auto", "see 'hand-toolkit methods'"),
                Option("quality", str, "standard", "of the fit", ("draft", "standard", "high")),
                Option("seed", int, 0, "random seed"),
                Option("device", str, "auto", "of the fit", ("auto", "cpu", "cuda")),
                Option("report", bool, False, "a folder of pictures and figures of each fit"),
            ),
            _fit,
        ),
        BatchTask(
            "render",
            "avatars to pictures or videos",
            (".hand",),
            (
                Option("motion", str, "", "a built-in motion or a motion file"),
                Option("pose", str, "", "a pose file"),
                Option("camera", str, "auto", "as of 'hand-toolkit render'"),
                Option("light", str, "photo", "as of 'hand-toolkit render'"),
                Option("width", int, 768, "pixels", minimum=1, maximum=16384),
                Option("height", int, 768, "pixels", minimum=1, maximum=16384),
                Option("suffix", str, "", "of the result; .mp4 for motions, else .png"),
            ),
            _render,
        ),
        BatchTask(
            "export",
            "avatars to scene formats",
            (".hand",),
            (
                Option("format", str, "glb", "see 'hand-toolkit formats'"),
                Option("motion", str, "", "a built-in motion or a motion file"),
                Option("pose", str, "", "a built-in pose"),
                Option("what", str, "both", "what is written", ("both", "mesh", "splats")),
            ),
            _export,
        ),
        BatchTask(
            "evaluate",
            "data folders to scores of one-shot avatars (.json)",
            ("/",),
            (
                Option("split", str, "test", "part of the data"),
                Option("targets", int, 6, "targets of each reference", minimum=1),
                Option("mode", str, "full", "how each reference is fitted"),
            ),
            _evaluate,
        ),
    )
}
"""By name."""
