"""Hands followed live: a rendered video as the camera, outputs read by stock clients."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.animate import builtin_motion, load_motion
from hand_toolkit.core.conventions import SIDES
from hand_toolkit.core.errors import HandToolkitError, InputError
from hand_toolkit.core.metrics import pa_mpjpe_mm
from hand_toolkit.core.types import Camera
from hand_toolkit.geometry.rotations import matrix_from_axis_angle
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.live import Feed, LiveFrame, LiveHand, Recorder, Tracker, open_feed
from hand_toolkit.live.outputs import Bones, VmcOutput, WebSocketOutput, message, unity_bones

CAMERA = Camera(fx=600, fy=600, cx=320, cy=240, width=640, height=480)


def a_hand(side: str = "right", theta: np.ndarray | None = None) -> LiveHand:
    if theta is None:
        theta = builtin_motion("open-close").theta[20, SIDES.index(side)]
    return LiveHand(side, theta, np.array([0.05, 0.1, 0.5]), np.zeros(3), np.zeros((21, 2)), 0.9)


def a_frame(seconds: float = 0.0, *sides: str) -> LiveFrame:
    return LiveFrame(seconds, tuple(a_hand(side) for side in sides or ("right",)), CAMERA)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A photo of a hand that drifts through the picture: sixteen frames."""
    from hand_toolkit.media import load_photo
    from hand_toolkit.media.video import write_video

    pixels = load_photo(photos / "onehand10k_1402.jpg").pixels
    height, width = (n & ~1 for n in pixels.shape[:2])
    canvas = np.full((height + 40, width + 80, 3), 128, np.uint8)
    frames = []
    for k in range(16):
        frame = canvas.copy()
        frame[20 : 20 + height, 4 * k : 4 * k + width] = pixels[:height, :width]
        frames.append(frame)
    return write_video(tmp_path_factory.mktemp("live") / "drift.mp4", iter(frames), 20)


def test_a_hand_is_followed_and_recorded(video: Path, tmp_path: Path) -> None:
    """Pose, side and place of a drifting hand; the file is a motion like any other."""
    feed, fps = open_feed(video, paced=False)
    tracker, recorder = Tracker(1), Recorder()
    frames = [tracker.step(pixels, seconds) for seconds, pixels, _ in feed]
    assert feed.dropped == 0 and len(frames) == 16 and fps == 20
    for frame in frames:
        recorder.give(frame)
        assert [hand.side for hand in frame.hands] == ["right"]
    moved = [frame.hands[0].keypoints_2d.mean(0) for frame in frames]
    assert np.allclose(np.diff(moved, axis=0)[4:].mean(0), [4, 0], atol=1.5)
    model = load_hand_model("default", "right")
    shape = np.zeros(len(model.shape_names))
    first, last = (
        pose_hand_numpy(model, frame.hands[0].theta, shape, np.zeros(3))[2]
        for frame in (frames[4], frames[-1])
    )
    assert pa_mpjpe_mm(first[None], last[None])[0] < 3
    motion = load_motion(recorder.save(tmp_path / "out.npz", fps))
    assert len(motion) == 16 and motion.present[:, 0].all() and not motion.present[:, 1].any()


def test_the_command_records_what_it_saw(video: Path, tmp_path: Path) -> None:
    """As a user runs it; a video without a hand writes nothing and says so."""
    command = [sys.executable, "-m", "hand_toolkit.cli", "live"]
    out = tmp_path / "o.npz"
    ran = subprocess.run([*command, str(video), "-o", str(out), "--hands", "1", "--every-frame"],
                         capture_output=True, text=True, timeout=300)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "16 frames" in ran.stdout and "a hand in 100%" in ran.stdout
    assert load_motion(out).present[:, 0].all()
    for arguments, words in (
        (["missing.mp4"], "does not exist"),
        ([str(video), "--vmc", "nowhere"], "HOST:PORT"),
        ([str(video), "-o", str(tmp_path / "a.txt")], "must end in .npz"),
    ):
        ran = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300)
        assert ran.returncode == 2 and words in ran.stderr and "Traceback" not in ran.stderr


def test_only_the_newest_frame_waits() -> None:
    """A slow reader sees fresh frames: those between are passed over."""

    def source():  # type: ignore[no-untyped-def]
        for k in range(20):
            yield k * 0.02, np.full((4, 4, 3), k, np.uint8)

    feed = Feed(source())
    seen = []
    for _, pixels, came in feed:
        seen.append(int(pixels[0, 0, 0]))
        assert time.monotonic() - came < 0.2
        time.sleep(0.1)
    assert seen == sorted(seen) and 2 <= len(seen) <= 10
    assert feed.dropped + feed.given == 20


def test_a_failing_source_is_told() -> None:
    """What the reading thread met comes out where frames are asked for."""

    def source():  # type: ignore[no-untyped-def]
        yield 0.0, np.zeros((4, 4, 3), np.uint8)
        raise InputError("the camera is gone")

    with pytest.raises(InputError, match="gone"):
        list(Feed(source(), paced=False))


def test_websocket_clients_need_the_token_and_get_webxr_joints() -> None:
    """A stock client; the joints are where forward kinematics puts them."""
    websockets = pytest.importorskip("websockets.sync.client")
    from websockets.exceptions import InvalidStatus

    output = WebSocketOutput()
    try:
        with pytest.raises(InvalidStatus):
            websockets.connect(output.url.split("?")[0])
        with websockets.connect(output.url) as client:
            stop = threading.Event()

            def send() -> None:
                while not stop.wait(0.05):
                    output.give(a_frame(1.5, "right", "left"))

            sender = threading.Thread(target=send)
            sender.start()
            said = json.loads(client.recv(timeout=20))
            stop.set()
            sender.join()
    finally:
        output.close()
    assert said["time"] == 1.5 and [hand["side"] for hand in said["hands"]] == ["right", "left"]
    for hand in said["hands"]:
        assert len(hand["joints"]) == 25
        side = hand["side"]
        model = load_hand_model("default", side)
        points = pose_hand_numpy(
            model, np.array(hand["theta"]), np.zeros(len(model.shape_names)), np.zeros(3)
        )[2]
        truth = (points - points[0] + hand["translation"]) * [1, -1, -1]
        for joint, number in (("wrist", 0), ("thumb-tip", 4), ("index-finger-phalanx-proximal", 5),
                              ("pinky-finger-tip", 20)):  # fmt: skip
            assert np.allclose(hand["joints"][joint]["position"], truth[number], atol=2e-3), joint


def test_unity_bones_rebuild_the_hand() -> None:
    """The humanoid's local rotations and places give the joints, in mirrored axes."""
    bones = Bones("unity", t_pose=True)
    for side in SIDES:
        hand = a_hand(side)
        rig = bones.rig(hand)
        places, turns = unity_bones(rig)
        world, at = [], []
        for j, parent in enumerate(rig.parents):
            x, y, z, w = turns[j]
            # back from Unity's axes
            local = matrix_of(x, -y, -z, w)
            place = places[j] * [-1, 1, 1]
            world.append(local if parent < 0 else world[parent] @ local)
            at.append(place if parent < 0 else at[parent] + world[parent] @ place)
        truth = rig.places[0][0]
        assert np.allclose(at[0], truth, atol=1e-9)
        model = load_hand_model("default", side)
        points = pose_hand_numpy(model, hand.theta, np.zeros(len(model.shape_names)), np.zeros(3))
        joints = (points[1] - points[1][0] + hand.translation) * [1, -1, -1]
        order = [int(owner) for owner in rig.owners]
        assert np.allclose(at, joints[order], atol=1e-6)


def matrix_of(x: float, y: float, z: float, w: float) -> np.ndarray:
    angle = 2 * np.arctan2(np.linalg.norm([x, y, z]), w)
    axis = np.array([x, y, z]) / max(np.linalg.norm([x, y, z]), 1e-12)
    return matrix_from_axis_angle(angle * axis)


def test_vmc_sends_bundles_that_a_stock_parser_reads() -> None:
    """Fifteen fingers' bones and the hand's, by UDP."""
    pytest.importorskip("pythonosc")
    from pythonosc.osc_bundle import OscBundle

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        VmcOutput(port=receiver.getsockname()[1]).give(a_frame(0.0, "left"))
        bundle = OscBundle(receiver.recv(65535))
    said = [content.params for content in bundle]  # type: ignore[attr-defined]
    assert {row[0] for row in said} >= {"LeftHand", "LeftThumbProximal", "LeftLittleDistal"}
    assert len(said) == 16 and all(len(row) == 8 for row in said)


def test_a_recording_without_hands_is_no_motion() -> None:
    """One sentence."""
    recorder = Recorder()
    recorder.give(LiveFrame(0.0, (), CAMERA))
    with pytest.raises(HandToolkitError, match="no hand was seen"):
        recorder.motion()


def test_uneven_frames_become_a_steady_motion() -> None:
    """Each moment has the nearest frame."""
    recorder = Recorder()
    for seconds in (0.0, 0.1, 0.2, 0.5, 0.6):
        recorder.give(a_frame(seconds))
    motion = recorder.motion(10)
    assert len(motion) == 7 and motion.present[:, 0].all() and motion.fps == 10


def test_the_message_names_every_joint_once() -> None:
    """Also for a hand that is a left one."""
    said = message(a_frame(0.25, "left"), Bones("webxr"))
    assert said["time"] == 0.25
    quats = [joint["orientation"] for joint in said["hands"][0]["joints"].values()]
    assert np.allclose(np.linalg.norm(quats, axis=1), 1, atol=1e-4)
