"""The viewer: a local web page served by viser, posed here in Python.

The server listens on loopback only, on a free port unless one is given, answers only who brings the
token of its address (see ``guard``), and cannot be shared through a relay. Lengths are centimetres
on the page: viser sends covariances as half floats, in which squared metres of a pore would vanish.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import socket
import threading
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..animate import Motion, avatar_pose
from ..avatar import Avatar, Drawable, display_theta
from ..avatar.lighting import Light, load_light
from ..core.conventions import SIDES
from ..core.errors import InputError, missing_dependency
from ..export.scene import build_scene
from .drawing import CM, Drawing
from .guard import Guard, guarding
from .panel import BACKGROUND, Panel, plain

HOST = "127.0.0.1"
FRAME_SECONDS = 1 / 30
IDLE_S = 1800.0
PHOTO_SIZE = 900


@dataclasses.dataclass
class HandState:
    """What the sliders say about one hand.

    Attributes:
        angles: (15, 3) flexion, abduction, twist of each finger joint, radians.
        wrist: (3,) bend, tilt, turn added to the upright hand, radians.
    """

    angles: np.ndarray
    wrist: np.ndarray


class AvatarViewer:
    """One avatar in one viser server.

    Attributes:
        server: the viser server, for further scene content.
        url: address of the page.
        drawing: what is in the scene.
        panel: the controls.
        states: side -> angles of the sliders.
        motion: what is played, or None.
        frame: where the motion is, frames.
    """

    def __init__(
        self,
        avatar: Avatar,
        *,
        drawable: Drawable | None = None,
        light: Light = "baked",
        port: int | None = None,
        photo: str | Path | None = None,
    ) -> None:
        """Start serving.

        Args:
            avatar: the avatar.
            drawable: what is shown; None is the avatar itself.
            light: see :func:`hand_toolkit.avatar.lighting.shading_of`; fixed in the scene.
            port: TCP port; None takes a free one.
            photo: a picture to show in the panel.

        Raises:
            MissingDependencyError: viser is not installed.
            InputError: the port is taken, or an unknown light.
        """
        try:
            import viser
        except ImportError as error:
            raise missing_dependency("the viewer", "viser", "view") from error
        port = _checked_port(port)
        light = load_light(light) if isinstance(light, str) else light
        picture = None if photo is None else _photo(photo)
        self.avatar = avatar
        self.scene = build_scene(avatar)
        self.states = {side: HandState(np.zeros((15, 3)), np.zeros(3)) for side in avatar.sides}
        self.motion: Motion | None = None
        self.frame = 0.0
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._stopped = threading.Event()
        guard = Guard(HOST)
        # viser prints a banner of its own
        with contextlib.redirect_stdout(io.StringIO()), guarding(guard):
            self.server = viser.ViserServer(
                host=HOST, port=port, label="hand-toolkit", verbose=False
            )
        self.url = f"http://{HOST}:{self.server.get_port()}/?token={guard.token}"
        self._set_camera()
        self.drawing = Drawing(self.server, avatar, drawable, light)
        self.panel = Panel(self, picture)
        self._changed.set()
        self._thread = threading.Thread(target=self._loop, name="avatar-viewer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; the viewer cannot be used afterwards."""
        self._stopped.set()
        self._changed.set()
        self._thread.join(timeout=5)
        with contextlib.redirect_stdout(io.StringIO()):
            self.server.stop()

    def wait(self, idle_s: float = IDLE_S) -> bool:
        """Block until :meth:`stop` is called, the user interrupts, or nobody looks any more.

        Args:
            idle_s: seconds without an open page after which it ends.

        Returns:
            Whether it was idle.
        """
        last = time.monotonic()
        while not self._stopped.wait(min(0.5, idle_s)):
            if self.server.get_clients():
                last = time.monotonic()
            elif time.monotonic() - last > idle_s:
                return True
        return False

    # --- poses ---

    def redraw(self) -> None:
        """Show the current state soon."""
        self._changed.set()

    def set_angles(self, side: str, angles: np.ndarray, wrist: np.ndarray | None = None) -> None:
        """Pose one hand.

        Args:
            side: which hand.
            angles: (15, 3) flexion, abduction and twist of each finger joint, radians.
            wrist: (3,) bend, tilt and turn, radians; None keeps them.
        """
        with self._lock:
            old = self.states[side]
            self.states[side] = HandState(
                np.array(angles, dtype=np.float64).reshape(15, 3),
                old.wrist if wrist is None else np.array(wrist, dtype=np.float64).reshape(3),
            )
            self.motion = None
        self.redraw()

    def set_pose(self, name: str) -> None:
        """Pose the chosen hands by a built-in pose's name."""
        from ..hand_model.limits import joint_angles

        for side in self.panel.chosen():
            angles = np.asarray(joint_angles(avatar_pose(self.avatar, side, name), side))
            self.set_angles(side, angles, np.zeros(3))
        self.panel.sync()

    def set_motion(self, motion: Motion | None) -> None:
        """Play a motion, or stop with None."""
        with self._lock:
            self.motion, self.frame = motion, 0.0
        self.redraw()

    def pose(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """θ (16, 3) and wrist position by side, as shown now."""
        if self.motion is not None:
            theta, where = self.motion.frame(int(self.frame) % len(self.motion))
            keep = [s for s in theta if s in self.avatar.sides]
            return {s: theta[s] for s in keep}, {s: where[s] for s in keep}
        theta = {side: _theta(side, state) for side, state in self.states.items()}
        return theta, {hand.side: hand.bind_translation for hand in self.scene.hands}

    def _set_camera(self) -> None:
        scene = self.server.scene
        scene.set_up_direction("+y")
        scene.set_background_image(plain(BACKGROUND))
        points = np.concatenate([hand.bind_vertices for hand in self.scene.hands]) * CM
        low, high = points.min(0), points.max(0)
        center = (low + high) / 2
        distance = 1.45 * float(np.linalg.norm(high[:2] - low[:2]))
        center[0] += 0.14 * distance  # the panel covers the right
        start = self.server.initial_camera
        start.position = (center[0], center[1], center[2] + distance)
        start.look_at = tuple(center)
        start.fov = float(np.radians(50))
        start.near = 0.5

    def _loop(self) -> None:
        last = time.monotonic()
        while not self._stopped.is_set():
            playing = self.motion is not None and self.panel.playing.value
            self._changed.wait(None if not playing else FRAME_SECONDS)
            if self._stopped.is_set():
                return
            now = time.monotonic()
            motion = self.motion
            if motion is not None and playing:
                self.frame = (self.frame + (now - last) * motion.fps) % len(motion)
            last = now
            self._changed.clear()
            self._draw()
            time.sleep(max(0.0, FRAME_SECONDS - (time.monotonic() - now)))

    def _draw(self) -> None:
        with self._lock:
            theta, translation = self.pose()
            show = dict(self.panel.show)
        self.drawing.draw(theta, translation, show)


def serve_viewer(
    avatar: Avatar,
    *,
    open_browser: bool = True,
    announce: Callable[[str], None] | None = None,
    **options: Any,
) -> None:
    """Serve an avatar on loopback until interrupted.

    Args:
        avatar: the avatar.
        open_browser: open the page in the user's browser.
        announce: told the address, e.g. ``click.echo``.
        options: those of :class:`AvatarViewer`.

    Raises:
        MissingDependencyError: viser is not installed.
        InputError: the port is taken.
    """
    viewer = AvatarViewer(avatar, **options)
    try:
        if announce is not None:
            announce(f"{viewer.url} (only on this computer; Ctrl-C stops)")
        if open_browser:
            webbrowser.open(viewer.url)
        with contextlib.suppress(KeyboardInterrupt):
            if viewer.wait() and announce is not None:
                announce(f"no page was open for {IDLE_S / 60:.0f} minutes; the viewer has ended")
    finally:
        viewer.stop()


def _theta(side: str, state: HandState) -> np.ndarray:
    """θ (16, 3) of an upright hand with the sliders' angles."""
    from scipy.spatial.transform import Rotation

    from ..hand_model.limits import theta_from_joint_angles

    theta = np.array(theta_from_joint_angles(state.angles, side=side), dtype=np.float64)
    bend, tilt, turn = state.wrist
    s = -1.0 if side == SIDES[1] else 1.0
    own = (
        Rotation.from_rotvec([turn, 0, 0])
        * Rotation.from_rotvec([0, s * tilt, 0])
        * Rotation.from_rotvec([0, 0, s * bend])
    )
    upright = Rotation.from_rotvec(display_theta(side)[0])
    theta[0] = (upright * own).as_rotvec()
    return theta


def _checked_port(port: int | None) -> int:
    """``port``, or a free one.

    Raises:
        InputError: the port is in use or not allowed.
    """
    with socket.socket() as probe:
        # a port in TIME_WAIT can be bound by the server, so it must pass here too
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, 0 if port is None else port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"port {port} cannot be used ({error}); leave --port out for a free one"
            ) from error
        return int(probe.getsockname()[1])


def _photo(path: str | Path) -> np.ndarray:
    from PIL import Image

    from ..media import load_photo

    picture = Image.fromarray(load_photo(path).pixels)
    picture.thumbnail((PHOTO_SIZE, PHOTO_SIZE))
    return np.asarray(picture)
