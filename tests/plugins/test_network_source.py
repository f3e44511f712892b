"""The pose source of the toolkit's own networks keeps the contract and agrees with MediaPipe."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hand_toolkit_plugins.network_source import NetworkSource

import hand_toolkit
from hand_toolkit.core.metrics import keypoint_error_px
from hand_toolkit.core.types import Photo
from hand_toolkit.media import load_photo
from hand_toolkit.testing.pose_source import check_pose_source


@pytest.fixture(scope="module")
def demo() -> Photo:
    return load_photo(Path(hand_toolkit.__file__).parent / "media" / "demo.jpg")


def test_keeps_the_contract(demo: Photo) -> None:
    plain = Photo(np.full((120, 160, 3), 90, np.uint8), name="plain")
    check_pose_source(NetworkSource(), demo, plain)


def test_agrees_with_mediapipe(demo: Photo) -> None:
    if importlib.util.find_spec("mediapipe") is None:
        pytest.skip("mediapipe is not installed")
    from hand_toolkit_plugins.mediapipe_source import MediapipeSource

    (own,), (given,) = NetworkSource().detect(demo, 2), MediapipeSource().detect(demo, 2)
    assert own.side == given.side
    size = np.linalg.norm(np.ptp(given.keypoints_2d, axis=0))
    assert keypoint_error_px(own.keypoints_2d, given.keypoints_2d) < 0.03 * size
    assert own.keypoints_3d is not None and given.keypoints_3d is not None
    assert np.linalg.norm(own.keypoints_3d - given.keypoints_3d, axis=1).mean() < 0.012
    assert own.keypoints_z is not None and given.keypoints_z is not None
    assert np.abs(own.keypoints_z - given.keypoints_z).mean() < 0.05 * size
