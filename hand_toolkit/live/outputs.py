"""Where followed hands go: a motion file, a WebSocket, VMC over OSC, the viewer."""

from __future__ import annotations

import dataclasses
import json
import secrets
import threading
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import numpy as np

from ..animate.motion import MAX_FRAMES, Motion, save_motion
from ..avatar import display_theta
from ..core.conventions import SIDES, UPRIGHT_WRISTS_M
from ..core.errors import InputError, missing_dependency
from ..export.rig import HandRig, hand_rig
from ..export.scene import T_POSE
from ..export.scene_hand import SceneHand
from ..geometry.rotations import matrix_from_quat, quat_from_matrix
from ..hand_model import load_hand_model, rest_hand
from .tracker import LiveFrame, LiveHand

HOST = "127.0.0.1"


class Output(Protocol):
    """Is given every frame's hands."""

    def give(self, frame: LiveFrame) -> None:
        """Take one frame; must not wait for anybody."""

    def close(self) -> None:
        """No more frames come."""


class Recorder:
    """Keeps the hands and makes a motion of them.

    Frames come when the tracker was done with the one before; the motion has them at a steady
    rate, each moment from the nearest frame.
    """

    def __init__(self) -> None:
        self._frames: list[LiveFrame] = []

    def give(self, frame: LiveFrame) -> None:
        """See :class:`Output`."""
        if len(self._frames) < MAX_FRAMES:
            self._frames.append(dataclasses.replace(frame))

    def close(self) -> None:
        """See :class:`Output`."""

    def motion(self, fps: float | None = None) -> Motion:
        """What was recorded.

        Args:
            fps: frames a second; None takes the rate at which they came, at most 60.

        Raises:
            InputError: no hand was seen.
        """
        if not any(frame.hands for frame in self._frames):
            raise InputError("no hand was seen, so there is no motion to write")
        times = np.array([frame.seconds for frame in self._frames])
        times -= times[0]
        if fps is None:
            gaps = np.diff(times)
            fps = float(np.clip(round(1 / max(np.median(gaps), 1e-3)), 1, 60)) if len(gaps) else 30
        count = int(times[-1] * fps + 0.5) + 1
        near = np.abs(np.arange(count)[:, None] / fps - times).argmin(1) if count < 20000 else (
            np.searchsorted((times[1:] + times[:-1]) / 2, np.arange(count) / fps)
        )  # fmt: skip
        theta, place = np.zeros((count, 2, 16, 3)), np.zeros((count, 2, 3))
        present = np.zeros((count, 2), bool)
        for row, number in enumerate(near):
            for hand in self._frames[int(number)].hands:
                k = SIDES.index(hand.side)
                theta[row, k], place[row, k], present[row, k] = (
                    hand.theta, hand.translation, True,
                )  # fmt: skip
        return Motion(theta, place, present, fps, "live")

    def save(self, path: Path, fps: float | None = None) -> Path:
        """Write the motion file."""
        return save_motion(self.motion(fps), path)


class Bones:
    """A followed hand's bones in one of the skeletons of :mod:`hand_toolkit.core.skeletons`."""

    def __init__(self, skeleton: str, t_pose: bool = False) -> None:
        self.skeleton = skeleton
        self._rest = {}
        for side in SIDES:
            model = load_hand_model("default", side)
            vertices, joints, keypoints = rest_hand(model)
            self._rest[side] = SceneHand(
                side=side, model=model, vertices=vertices, joints=joints,
                keypoints=keypoints,
                bind_theta=T_POSE if t_pose else display_theta(side),
                bind_translation=np.zeros(3), theta=np.zeros((1, 16, 3)),
                translation=np.zeros((1, 3)), present=np.ones(1, bool),
            )  # fmt: skip

    def rig(self, hand: LiveHand) -> HandRig:
        """The bones, one moment long: y up, metres, the camera at the origin looking along -z."""
        posed = dataclasses.replace(
            self._rest[hand.side], theta=hand.theta[None], translation=hand.translation[None]
        )
        return hand_rig(posed, self.skeleton)


class WebSocketOutput:
    """Every frame as JSON to who connects: WebXR's joints of each hand.

    ``{"time": s, "hands": [{"side", "confidence", "joints": {"wrist": {"position": [x, y, z],
    "orientation": [x, y, z, w]}, ...}, "theta": [[..]], "translation": [..]}]}``: metres, y up,
    the camera at the origin looking along -z. A client that reads slowly gets the newest frame.
    The server listens on this computer only, and answers who brings the address's token.

    Raises:
        MissingDependencyError: websockets is not installed.
        InputError: the port is taken.
    """

    def __init__(self, port: int = 0) -> None:
        try:
            from websockets.sync.server import serve
        except ImportError as error:
            raise missing_dependency("sending hands to others", "websockets", "live") from error
        self._bones = Bones("webxr")
        self._token = secrets.token_urlsafe(16)
        self._changed = threading.Condition()
        self._text, self._number, self._closed = "", 0, False
        try:
            self._server = serve(self._client, HOST, port, process_request=self._admit)
        except OSError as error:
            raise InputError(f"port {port} cannot be used ({error.strerror or error})") from error
        port = self._server.socket.getsockname()[1]
        self.url = f"ws://{HOST}:{port}/?token={self._token}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _admit(self, connection: Any, request: Any) -> Any:
        brought = parse_qs(urlsplit(request.path).query).get("token", [""])[0]
        if not secrets.compare_digest(brought, self._token):
            return connection.respond(403, "open the address that hand-toolkit live printed\n")
        return None

    def _client(self, connection: Any) -> None:
        from websockets.exceptions import ConnectionClosed

        sent = 0
        try:
            while True:
                with self._changed:
                    while self._number == sent and not self._closed:
                        self._changed.wait(1.0)
                    if self._closed:
                        return
                    text, sent = self._text, self._number
                connection.send(text)
        except ConnectionClosed:
            return

    def give(self, frame: LiveFrame) -> None:
        """See :class:`Output`."""
        text = json.dumps(message(frame, self._bones))
        with self._changed:
            self._text, self._number = text, self._number + 1
            self._changed.notify_all()

    def close(self) -> None:
        """See :class:`Output`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()


def message(frame: LiveFrame, bones: Bones) -> dict[str, Any]:
    """The JSON object of a frame; see :class:`WebSocketOutput`."""
    hands = []
    for hand in frame.hands:
        rig = bones.rig(hand)
        turns = rig.quats[0][:, [1, 2, 3, 0]]
        joints = {
            name: {"position": place.round(5).tolist(), "orientation": turn.round(5).tolist()}
            for name, place, turn in zip(rig.names, rig.places[0], turns)
        }
        hands.append({
            "side": hand.side, "confidence": round(hand.confidence, 3), "joints": joints,
            "theta": hand.theta.round(5).tolist(),
            "translation": hand.translation.round(5).tolist(),
        })  # fmt: skip
    return {"time": round(frame.seconds, 4), "hands": hands}


class VmcOutput:
    """Hand bones over VMC (Virtual Motion Capture protocol, OSC over UDP), for VTubing programs.

    ``/VMC/Ext/Bone/Pos`` with Unity's bone names: local places and rotations of a humanoid whose
    bones have no rotation in the T-pose, in Unity's left-handed axes. The hand bone's rotation is
    that in the world, since the forearm is not seen.

    Raises:
        MissingDependencyError: python-osc is not installed.
    """

    def __init__(self, host: str = HOST, port: int = 39539) -> None:
        try:
            from pythonosc.udp_client import SimpleUDPClient
        except ImportError as error:
            raise missing_dependency("VMC", "python-osc", "live") from error
        self._bones = Bones("unity", t_pose=True)
        self._client = SimpleUDPClient(host, port)

    def give(self, frame: LiveFrame) -> None:
        """See :class:`Output`."""
        from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
        from pythonosc.osc_message_builder import OscMessageBuilder

        bundle = OscBundleBuilder(IMMEDIATELY)
        for hand in frame.hands:
            rig = self._bones.rig(hand)
            for name, place, turn in zip(rig.names, *unity_bones(rig)):
                said = OscMessageBuilder("/VMC/Ext/Bone/Pos")
                said.add_arg(name)
                for value in (*place, *turn):
                    said.add_arg(float(value))
                bundle.add_content(said.build())
        self._client.send(bundle.build())

    def close(self) -> None:
        """See :class:`Output`."""


def unity_bones(rig: HandRig) -> tuple[np.ndarray, np.ndarray]:
    """(J, 3) places and (J, 4) xyzw rotations in the parents, Unity's axes (x mirrored).

    The bones' own axes in the T-pose are those of the world: a bone's rotation is what turns it
    out of the bind pose, seen from its parent.
    """
    count = len(rig.names)
    world, bind = np.zeros((count, 3, 3)), rig.bind[:, :3, :3]
    local = matrix_from_quat(rig.quats[0])
    places, turns = np.zeros((count, 3)), np.zeros((count, 4))
    for j, parent in enumerate(rig.parents):
        world[j] = local[j] if parent < 0 else world[parent] @ local[j]
        out = world[j] @ bind[j].T
        if parent < 0:
            places[j] = rig.places[0, j]
        else:
            out = (world[parent] @ bind[parent].T).T @ out
            places[j] = rig.bind[j, :3, 3] - rig.bind[parent, :3, 3]
        turns[j] = quat_from_matrix(out)
    x, y, z, w = turns[:, 1], turns[:, 2], turns[:, 3], turns[:, 0]
    return places * [-1, 1, 1], np.stack([x, -y, -z, w], axis=1)


class ViewerOutput:
    """An avatar in the viewer that follows the hands.

    Raises:
        MissingDependencyError: viser is not installed.
    """

    def __init__(self, avatar: Any, **options: Any) -> None:
        from ..view.server import AvatarViewer

        self.viewer = AvatarViewer(avatar, **options)
        self._start: np.ndarray | None = None

    def give(self, frame: LiveFrame) -> None:
        """See :class:`Output`."""
        hands = [hand for hand in frame.hands if hand.side in self.viewer.avatar.sides]
        if not hands:
            return
        theta, place = np.zeros((1, 2, 16, 3)), np.zeros((1, 2, 3))
        present = np.zeros((1, 2), bool)
        for hand in hands:
            k = SIDES.index(hand.side)
            theta[0, k], place[0, k], present[0, k] = hand.theta, hand.translation, True
        if self._start is None:  # the page's camera looks at where upright hands are
            self._start = (place[0] - UPRIGHT_WRISTS_M)[present[0]].mean(0)
        place[0, present[0]] -= self._start
        self.viewer.set_motion(Motion(theta, place, present, 30.0, "live"))

    def close(self) -> None:
        """See :class:`Output`."""
        self.viewer.stop()
