"""Live in Blender: the worker's stream drives the rig and becomes keys."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.live import Recorder, Tracker, open_feed


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A photo of a hand that drifts through the picture."""
    from hand_toolkit.media import load_photo
    from hand_toolkit.media.video import write_video

    pixels = load_photo(photos / "onehand10k_1402.jpg").pixels
    height, width = (n & ~1 for n in pixels.shape[:2])
    frames = []
    for k in range(16):
        frame = np.full((height + 40, width + 80, 3), 128, np.uint8)
        frame[20 : 20 + height, 4 * k : 4 * k + width] = pixels[:height, :width]
        frames.append(frame)
    return write_video(tmp_path_factory.mktemp("live") / "drift.mp4", iter(frames), 20)


def test_a_camera_drives_the_rig_and_is_recorded(blender, hand_file: Path, video: Path) -> None:
    report = blender.run("live", hand_file, video)
    feed, fps = open_feed(video, paced=False)
    tracker, recorder = Tracker(1), Recorder()
    for seconds, pixels, _ in feed:
        recorder.give(tracker.step(pixels, seconds))
    motion = recorder.motion(fps)
    said, keyed = report["said"]
    assert said.startswith("16 frames") and keyed == "Frames 5 to 20 keyed on the right hand"
    assert report["range"] == 20
    off = np.abs(np.array(report["theta"]) - motion.theta[:, 0]).max()
    assert off < np.radians(1.0), "keys are within half a degree of what was followed"
    where = motion.translation[:, 0] - motion.translation[0, 0]
    assert np.abs(np.array(report["places"]) - where).max() < 2e-3
    assert report["longest_ms"] < 100 and report["driven"] > 0.05
    assert re.match(r"\d+ frames, [\d.]+ a second, delay \d+ ms", report["ended"])
    assert "keyed on the right hand" in report["taken"] and report["curves"] >= 64
    assert "Stopped after" in report["stopped"]
    assert "there is no video /no/such.mp4; give a camera's number" in report["no file"]
    assert "camera 97 cannot be opened" in report["no camera"]
    assert "live.py" in report["no video"] and "Traceback" not in report["no video"]
    assert report["killed"].startswith("the worker stopped unexpectedly")
    assert report["removed"] == "the avatar was removed"
