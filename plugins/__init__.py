"""The built-in plugins, registered through the same hooks as anybody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hand_toolkit.core.hookspecs import hookimpl


@hookimpl
def register_pose_sources(register: Callable[[Any], None]) -> None:
    """The networks, pose files and, where it is installed, MediaPipe."""
    from importlib.util import find_spec

    from .file_source import FileSource
    from .network_source import NetworkSource

    register(NetworkSource())
    # MediaPipe is an extra; without it the name is not offered.
    if find_spec("mediapipe") is not None:
        from .mediapipe_source import MediapipeSource

        register(MediapipeSource())
    register(FileSource())


@hookimpl
def register_segmenters(register: Callable[[Any], None]) -> None:
    """The class network and GrabCut."""
    from .grabcut_segmenter import GrabcutSegmenter
    from .network_segmenter import NetworkSegmenter

    register(GrabcutSegmenter())
    register(NetworkSegmenter())


@hookimpl
def register_image_generators(register: Callable[[Any], None]) -> None:
    """A ControlNet pipeline of diffusers from the user's folder."""
    from .diffusers_generator import DiffusersGenerator

    register(DiffusersGenerator())
