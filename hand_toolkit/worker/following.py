"""Hands followed live for a host: every frame's θ goes to it while the request runs."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError

if TYPE_CHECKING:
    from ..live import LiveFrame
    from .methods import Job


class HostOutput:
    """Tells the host each frame's hands (an :class:`~hand_toolkit.live.Output`)."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def give(self, frame: LiveFrame) -> None:
        """See :class:`~hand_toolkit.live.Output`."""
        self._job.tell(
            {
                "seconds": frame.seconds,
                "hands": {
                    hand.side: {
                        "theta": hand.theta.tolist(),
                        "translation": hand.translation.tolist(),
                        "confidence": float(hand.confidence),
                    }
                    for hand in frame.hands
                },
            }
        )

    def close(self) -> None:
        """See :class:`~hand_toolkit.live.Output`."""


def followed(job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """Follow hands of ``source`` (a camera's number or a video) until it ends or is cancelled.

    Parameters are ``source``, ``hands`` (1 or 2), ``mirrored``, ``smooth`` and, for videos,
    ``every_frame``. Each frame is told as ``{"seconds", "hands": {side: {"theta" (16, 3),
    "translation" (3,), "confidence"}}}`` in the camera's axes. Cancelling is how a camera ends:
    the answer then holds what was followed until then.

    Raises:
        InputError: no such camera or file.
    """
    from ..live import Tracker, follow, open_feed

    source = str(job.params["source"]).strip()
    if not source.isdigit() and not Path(source).is_file():
        raise InputError(
            f"there is no video {source or '(none was chosen)'}; give a camera's number, 0 for "
            "the first, or a video file"
        )
    job.progress(0.0, "loading the networks")
    tracker = Tracker(int(job.params.get("hands", 2)), smooth=bool(job.params.get("smooth", True)))
    with _one_thread():
        tracker.warm()
        feed, fps = open_feed(
            source,
            paced=not job.params.get("every_frame", False),
            mirror=bool(job.params.get("mirrored", False)),
        )
        job.progress(0.0, "waiting for the first picture")
        over = threading.Event()
        threading.Thread(
            target=_close_when_cancelled, args=(job, feed, over), name="live-stop", daemon=True
        ).start()
        begin = time.monotonic()
        try:
            report = follow(feed, tracker, [HostOutput(job)])
        finally:
            over.set()
    return {
        "fps": report.fps,
        "frames": report.frames,
        "seconds": time.monotonic() - begin,
        "video_fps": fps,
        "sentence": report.sentence(),
    }, {}


def _close_when_cancelled(job: Job, feed: Any, over: threading.Event) -> None:
    """A camera that gives no pictures must not keep the host waiting."""
    while not over.is_set():
        if job.cancelled.wait(0.1):
            feed.close()
            return


class _one_thread:
    """The two crops have threads of their own; more in each would only wait for each other."""

    def __enter__(self) -> None:
        import torch

        self._before = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        import torch

        torch.set_num_threads(self._before)
