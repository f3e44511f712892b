"""The loop from frames to outputs, and what it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .feed import Feed
from .outputs import Output
from .tracker import LiveFrame, Tracker


@dataclass(frozen=True)
class LiveReport:
    """How a session went.

    Attributes:
        frames: that were looked at.
        dropped: that came while another was looked at.
        seconds: from the first to the last of them.
        delay_s: (frames,) from a frame's coming to the outputs' having its hands.
        found: (frames,) hands.
    """

    frames: int
    dropped: int
    seconds: float
    delay_s: np.ndarray
    found: np.ndarray

    @property
    def fps(self) -> float:
        """Frames a second, worked off."""
        return (self.frames - 1) / self.seconds if self.frames > 1 and self.seconds > 0 else 0.0

    def sentence(self) -> str:
        """For the command line."""
        if not self.frames:
            return "no frames came"
        middle, late = np.percentile(self.delay_s, (50, 95)) * 1e3
        seen = float((self.found > 0).mean())
        return (
            f"{self.frames} frames, {self.fps:.1f} a second, delay {middle:.0f} ms (19 of 20 "
            f"within {late:.0f}), {self.dropped} passed over, a hand in {seen:.0%}"
        )


def follow(
    feed: Feed,
    tracker: Tracker,
    outputs: Sequence[Output],
    *,
    seconds: float | None = None,
    tell: Callable[[LiveFrame], None] | None = None,
) -> LiveReport:
    """Follow hands until the feed ends, the time is over, or Ctrl-C.

    Args:
        feed: of frames.
        tracker: of hands.
        outputs: are given every frame's hands; closed by the caller.
        seconds: ends then; None never.
        tell: is told each frame.
    """
    delays: list[float] = []
    found: list[int] = []
    first = last = 0.0
    try:
        for taken, pixels, came in feed:
            frame = tracker.step(pixels, taken)
            for output in outputs:
                output.give(frame)
            last = time.monotonic()
            first = first or last
            delays.append(last - came)
            found.append(len(frame.hands))
            if tell is not None:
                tell(frame)
            if seconds is not None and taken >= seconds:
                break
    except KeyboardInterrupt:
        pass  # how a session with a camera ends
    finally:
        feed.close()
    return LiveReport(
        len(delays), feed.dropped, last - first, np.array(delays), np.array(found, int)
    )
