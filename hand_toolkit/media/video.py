"""Reading and writing video through PyAV."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import PARSER_FAULTS, FileFormatError, InputError, first_line
from ..core.files import atomic_path

log = logging.getLogger(__name__)

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
ANIMATIONS = (".gif", ".webp", ".png", ".apng")
"""Endings of pictures that may be videos."""

MAX_FPS = 240.0
"""Most frames a second that uneven videos are read at."""


def write_video(path: str | Path, frames: Iterable[np.ndarray], fps: float) -> Path:
    """Write (H, W, 3) uint8 frames as H.264 that browsers play; odd sizes lose one pixel.

    Raises:
        InputError: no frames, or the file cannot be written.
    """
    import av

    path = Path(path)
    with atomic_path(path) as temporary:
        container = av.open(str(temporary), "w")
        stream = None
        try:
            for frame in frames:
                frame = np.ascontiguousarray(frame[: frame.shape[0] & ~1, : frame.shape[1] & ~1])
                if stream is None:
                    rate = Fraction(fps).limit_denominator(1001)
                    stream = container.add_stream("libx264", rate=rate)
                    stream.height, stream.width = frame.shape[:2]
                    stream.pix_fmt = "yuv420p"
                    stream.options = {"crf": "16", "preset": "medium"}
                for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                    container.mux(packet)
            if stream is None:
                raise InputError("no frames to write")
            for packet in stream.encode():
                container.mux(packet)
        finally:
            container.close()
    return path


def read_video(path: str | Path) -> tuple[float, Iterator[np.ndarray]]:
    """Frame rate and an iterator of upright (H, W, 3) uint8 frames of square pixels.

    Frame k shows the moment k / rate: where a video's frames come at uneven times, the frame of
    the moment is given again or left out, as a player does. What is damaged is passed over,
    with a warning.

    Raises:
        InputError: the file does not exist.
        FileFormatError: no video can be decoded.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"the video {path} does not exist; check the path")
    if path.suffix.lower() in ANIMATIONS:
        return _read_animation(path)
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            times = sorted(
                float(packet.pts * (stream.time_base or 0))
                for packet in container.demux(stream)
                if packet.pts is not None
            )
            fps, steady = frame_rate(times, float(stream.average_rate or 0))
    except (av.FFmpegError, IndexError, ValueError, OSError) as error:
        raise FileFormatError(
            f"{path.name} has no video that can be read ({str(error)[:80]})"
        ) from error
    shown = _decoded(path)
    return fps, (pixels for _, pixels in shown) if steady else _at_rate(shown, fps)


def frame_rate(times: list[float], stated: float) -> tuple[float, bool]:
    """Frames a second, and whether frames come evenly.

    Args:
        times: seconds at which frames are shown, in order.
        stated: what the container says, 0 where it says nothing.
    """
    gaps = np.diff(times)
    gaps = gaps[gaps > 1e-6]
    if len(gaps) < 1:
        return stated or 30.0, True
    mean = float(gaps.mean())
    # containers that count milliseconds show 33, 33, 34
    if np.abs(gaps - mean).max() <= max(0.25 * mean, 0.0011):
        return (stated if stated and abs(stated * mean - 1) < 2e-3 else round(1 / mean, 6)), True
    # uneven: the rate at which the shortest usual gap is one frame
    shortest = float(np.quantile(gaps, 0.1))
    usual = float(gaps[gaps < 1.25 * shortest].mean())
    return min(1 / usual, MAX_FPS), False


def _decoded(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds and pixels of every frame; what is damaged is passed over, with a warning."""
    import av

    count = lost = 0
    reason = ""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stretch = float(stream.sample_aspect_ratio or 1)
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                lost += 1
                reason = (str(error).splitlines() or ["?"])[0][:80]
                continue
            for frame in frames:
                if frame.is_corrupt:
                    lost += 1
                    continue
                pixels = _square(frame.to_ndarray(format="rgb24"), stretch)
                turns = round((frame.rotation or 0) / 90) % 4
                # frames that come last know no unit of time of their own
                time = float((frame.pts or 0) * (stream.time_base or 0))
                yield time, np.ascontiguousarray(np.rot90(pixels, turns))
                count += 1
    if not count:
        raise FileFormatError(f"{path.name} breaks off: {reason or 'it has no whole frame'}")
    if lost:
        log.warning(
            "%s is damaged: %d frames are used, %d pieces are lost (%s)",
            path.name, count, lost, reason or "parts are missing",
        )  # fmt: skip


def _square(pixels: np.ndarray, stretch: float) -> np.ndarray:
    """Pixels as wide as high: the shorter direction is stretched, so that nothing is lost."""
    if not 0.1 < stretch < 10 or abs(stretch - 1) < 1e-3:
        return pixels
    import cv2

    height, width = pixels.shape[:2]
    size = (round(width * stretch), height) if stretch > 1 else (width, round(height / stretch))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)


def _at_rate(shown: Iterator[tuple[float, np.ndarray]], fps: float) -> Iterator[np.ndarray]:
    """The frame that is on at every 1 / fps from the first one on."""
    start, due, current = None, 0, None
    for time, pixels in shown:
        start = time if start is None else start
        slot = round((time - start) * fps)
        while current is not None and due < slot:
            yield current
            due += 1
        current = pixels
    if current is not None:
        yield current


def is_animation(path: Path) -> bool:
    """Whether a GIF, WebP or APNG file has several frames."""
    if path.suffix.lower() not in ANIMATIONS or not path.is_file():
        return False
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return bool(getattr(picture, "n_frames", 1) > 1)
    except (*PARSER_FAULTS, Image.DecompressionBombError):
        return False


def _read_animation(path: Path) -> tuple[float, Iterator[np.ndarray]]:
    from PIL import Image, ImageSequence

    try:
        with Image.open(path) as picture:
            seconds = [_seconds(frame) for frame in ImageSequence.Iterator(picture)]
    except (*PARSER_FAULTS, Image.DecompressionBombError) as error:
        raise FileFormatError(f"{path.name} is damaged ({first_line(error)})") from error
    times = np.concatenate([[0.0], np.cumsum(seconds)])[:-1]
    fps, steady = frame_rate(list(times), 0.0)

    def shown() -> Iterator[tuple[float, np.ndarray]]:
        with Image.open(path) as picture:
            for time, frame in zip(times, ImageSequence.Iterator(picture)):
                yield float(time), np.array(frame.convert("RGB"))

    return fps, (pixels for _, pixels in shown()) if steady else _at_rate(shown(), fps)


def _seconds(frame: Any) -> float:
    """How long a frame of an animation is shown; WebP tells it once the frame is decoded."""
    frame.load()
    # browsers show frames of no duration for a tenth of a second
    return float(frame.info.get("duration") or 100) / 1000
