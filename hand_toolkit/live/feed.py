"""Where frames come from: a camera, or a video at its own pace; only the newest one waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError

CAMERA_SIZE = (640, 480)
CAMERA_WAIT_S = 10.0


class Feed:
    """Frames of a source, read in a thread of their own.

    The thread puts each frame into one place, where the next one replaces it: whoever is slow
    sees the newest frame, and none waits behind another.

    Args:
        frames: (seconds since the start, (H, W, 3) uint8) in order.
        paced: give each frame at its time, as a camera does; else each frame waits to be taken.
        mirror: turn pictures left to right, for cameras that show a mirror image.

    Attributes:
        given, dropped: frames that were taken, and that were replaced before.
    """

    def __init__(
        self,
        frames: Iterator[tuple[float, np.ndarray]],
        *,
        paced: bool = True,
        mirror: bool = False,
    ) -> None:
        self._frames, self._paced, self._mirror = frames, paced, mirror
        self._ready = threading.Condition()
        self._newest: tuple[float, np.ndarray, float] | None = None
        self._ended, self._fault = False, None
        self.given = self.dropped = 0
        self._thread = threading.Thread(target=self._read, name="live-feed", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        begin = None
        fault: Any = None
        try:
            for seconds, pixels in self._frames:
                if begin is None:
                    begin = time.monotonic() - seconds
                elif self._paced:
                    time.sleep(max(0.0, begin + seconds - time.monotonic()))
                with self._ready:
                    while not self._paced and self._newest is not None and not self._ended:
                        self._ready.wait(0.1)
                    if self._ended:
                        break
                    self.dropped += self._newest is not None
                    self._newest = seconds, pixels, time.monotonic()
                    self._ready.notify_all()
        except Exception as error:  # told to whoever waits for frames
            fault = error
        with self._ready:
            self._ended, self._fault = True, fault
            self._ready.notify_all()

    def __iter__(self) -> Iterator[tuple[float, np.ndarray, float]]:
        """Seconds, pixels, and the monotonic time at which the frame came, until the source ends.

        Raises:
            InputError: the source failed.
        """
        while True:
            with self._ready:
                while self._newest is None and not self._ended:
                    self._ready.wait(0.5)
                if self._newest is None:
                    if self._fault is not None:
                        raise self._fault
                    return
                seconds, pixels, came = self._newest
                self._newest = None
                self.given += 1
                self._ready.notify_all()
            yield seconds, np.ascontiguousarray(pixels[:, ::-1] if self._mirror else pixels), came

    def close(self) -> None:
        """Stop reading."""
        with self._ready:
            self._ended = True
            self._ready.notify_all()


def open_feed(
    source: str | Path, *, paced: bool = True, mirror: bool = False
) -> tuple[Feed, float | None]:
    """A camera by its number ("0"), or a video file played as one.

    Returns:
        The feed, and the video's frames a second; None for cameras.

    Raises:
        InputError: no such camera or file.
        FileFormatError: the file is no video.
    """
    if str(source).isdigit():
        return Feed(_camera(int(str(source))), paced=True, mirror=mirror), None
    from ..media.video import read_video

    fps, frames = read_video(source)
    timed = ((number / fps, pixels) for number, pixels in enumerate(frames))
    return Feed(timed, paced=paced, mirror=mirror), fps


def _camera(number: int) -> Iterator[tuple[float, np.ndarray]]:
    """Frames of a camera as they come."""
    import cv2

    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise InputError(
                f"camera {number} cannot be opened; another program may use it, or this one may "
                "not: give another number, or a video file"
            )
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, CAMERA_SIZE[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, CAMERA_SIZE[1])
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        begin = last = time.monotonic()
        while True:
            there, frame = capture.read()
            now = time.monotonic()
            if there:
                last = now
                yield now - begin, np.asarray(frame)[..., ::-1]
            elif now - last > CAMERA_WAIT_S:
                raise InputError(f"camera {number} has given no picture for {CAMERA_WAIT_S:.0f} s")
    finally:
        capture.release()
