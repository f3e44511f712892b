"""Hands followed live, from a camera or a video played as one.

A frame goes through :class:`Tracker` (networks on the crops of the last frame, a warm fit, a
One-Euro filter) to the outputs that were asked for; frames that come meanwhile are passed over, so
that what is shown is never older than one frame's work.
"""

from .feed import Feed, open_feed
from .follow import LiveReport, follow
from .outputs import Output, Recorder
from .tracker import LiveFrame, LiveHand, Tracker

__all__ = [
    "Feed",
    "LiveFrame",
    "LiveHand",
    "LiveReport",
    "Output",
    "Recorder",
    "Tracker",
    "follow",
    "open_feed",
]
