"""Reading and writing video through PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..core.errors import FileFormatError, InputError
from ..core.files import atomic_path

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")


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
    """Frame rate and an iterator of upright (H, W, 3) uint8 frames.

    Raises:
        InputError: the file does not exist.
        FileFormatError: no video can be decoded.
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise InputError(f"the video {path} does not exist; check the path")
    try:
        container = av.open(str(path))
        stream = container.streams.video[0]
        fps = float(stream.average_rate or 30)
    except (av.FFmpegError, IndexError, ValueError, OSError) as error:
        raise FileFormatError(
            f"{path.name} has no video that can be read ({str(error)[:80]})"
        ) from error

    def frames() -> Iterator[np.ndarray]:
        try:
            for frame in container.decode(stream):
                turns = round((frame.rotation or 0) / 90) % 4
                yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
        except av.FFmpegError as error:
            raise FileFormatError(f"{path.name} breaks off: {str(error)[:80]}") from error
        finally:
            container.close()

    return fps, frames()
