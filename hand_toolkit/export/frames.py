"""One file a frame, for formats that hold a single moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .base import ExportRequest


def numbered(request: ExportRequest) -> Iterator[tuple[int, Path]]:
    """Frame and path of every file: the path itself without a motion, else ``name_0000.ext``.

    Frames in which no exported hand is present have no file; the numbers stay the frames'.
    """
    scene, path = request.scene, request.path
    if not scene.animated:
        yield 0, path
        return
    width = max(4, len(str(scene.frames - 1)))
    stem, dot, suffix = path.name.partition(".")
    for frame in range(scene.frames):
        if any(hand.present[frame] for hand in scene.hands):
            request.progress(frame / scene.frames, f"frame {frame}")
            yield frame, path.with_name(f"{stem}_{frame:0{width}d}{dot}{suffix}")
