"""The viewer: a local web page served by viser, posed here in Python.

The server listens on loopback only, on a free port unless one is given, and cannot be shared
through a relay. Lengths are centimetres on the page: viser sends covariances as half floats, in
which squared metres of a pore would vanish.
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
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..animate import MOTIONS, POSES, Motion, builtin_motion, finger_pose
from ..avatar import Avatar, display_theta, surface
from ..conventions import FINGERS, KEYPOINT_PARENTS, MANO_JOINTS, SIDES
from ..errors import InputError, missing_dependency
from ..export.axes import base_colors, points_y_up, splats_y_up
from ..export.scene import build_scene

HOST = "127.0.0.1"
CM = 100.0
FRAME_SECONDS = 1 / 30
BACKGROUND = (35, 39, 46)
PHOTO_SIZE = 900
_BONE = (255, 224, 160)


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
    """

    def __init__(
        self, avatar: Avatar, *, port: int | None = None, photo: str | Path | None = None
    ) -> None:
        """Start serving.

        Args:
            avatar: the avatar.
            port: TCP port; None takes a free one.
            photo: a picture to show in the panel.

        Raises:
            MissingDependencyError: viser is not installed.
            InputError: the port is taken.
        """
        try:
            import viser
        except ImportError as error:
            raise missing_dependency("the viewer", "viser", "view") from error
        port = _checked_port(port)
        picture = None if photo is None else _photo(photo)
        self.avatar = avatar
        self.scene = build_scene(avatar)
        self.states = {side: HandState(np.zeros((15, 3)), np.zeros(3)) for side in avatar.sides}
        self.motion: Motion | None = None
        self.frame = 0.0
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._sliders: list[tuple[Any, Callable[[], float]]] = []
        self._syncing = False
        with contextlib.redirect_stdout(io.StringIO()):  # viser prints a banner of its own
            self.server = viser.ViserServer(
                host=HOST, port=port, label="hand-toolkit", verbose=False
            )
        self.url = f"http://{HOST}:{self.server.get_port()}"
        self._build_scene()
        self._build_panel(picture)
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

    def wait(self) -> None:
        """Block until :meth:`stop` is called or the user interrupts."""
        while not self._stopped.wait(0.5):
            pass

    # --- poses ---

    def set_angles(self, side: str, angles: np.ndarray) -> None:
        """Pose one hand by its (15, 3) joint angles, radians."""
        with self._lock:
            self.states[side].angles = np.array(angles, dtype=np.float64).reshape(15, 3)
            self.motion = None
        self._changed.set()

    def set_pose(self, name: str) -> None:
        """Pose the chosen hands by a built-in pose's name."""
        from ..hand_model.limits import joint_angles

        angles = np.asarray(joint_angles(finger_pose(name)))
        for side in self._chosen():
            self.states[side].wrist[:] = 0
            self.set_angles(side, angles)
        self._sync_sliders()

    def set_motion(self, motion: Motion | None) -> None:
        """Play a motion, or stop with None."""
        with self._lock:
            self.motion, self.frame = motion, 0.0
        self._changed.set()

    def pose(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """θ (16, 3) and wrist position by side, as shown now."""
        if self.motion is not None:
            theta, where = self.motion.frame(int(self.frame) % len(self.motion))
            keep = [s for s in theta if s in self.avatar.sides]
            return {s: theta[s] for s in keep}, {s: where[s] for s in keep}
        theta = {side: _theta(side, state) for side, state in self.states.items()}
        return theta, {hand.side: hand.bind_translation for hand in self.scene.hands}

    # --- the page ---

    def _build_scene(self) -> None:
        scene = self.server.scene
        scene.set_up_direction("+y")
        scene.set_background_image(_plain(BACKGROUND))
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
        self._splats: Any = None
        self._meshes: dict[str, Any] = {}
        self._bones: Any = None
        self._show = {"splats": True, "mesh": False, "skeleton": False}

    def _build_panel(self, picture: np.ndarray | None) -> None:
        gui = self.server.gui
        gui.configure_theme(dark_mode=True, show_share_button=False, show_logo=False)
        with gui.add_folder("Show"):
            for name in self._show:
                box = gui.add_checkbox(name, self._show[name])
                box.on_update(partial(self._toggle, name))
            color = gui.add_rgb("background", BACKGROUND)
            color.on_update(
                lambda event: self.server.scene.set_background_image(_plain(event.target.value))
            )
            gui.add_button("screenshot").on_click(self._screenshot)
        if picture is not None:
            with gui.add_folder("Photo"):
                gui.add_image(picture, label="photo")
                gui.add_button("pose of the photo").on_click(lambda _: self._pose_of_photo())
        with gui.add_folder("Motion"):
            self._motions = gui.add_dropdown("motion", ("still", *MOTIONS))
            self._motions.on_update(lambda event: self._pick_motion(event.target.value))
            self._playing: Any = gui.add_checkbox("play", True)
            self._time = gui.add_slider("time", min=0.0, max=1.0, step=0.005, initial_value=0.0)
            self._time.on_update(self._scrub)
        with gui.add_folder("Pose"):
            choices = (
                ("both", *self.avatar.sides) if len(self.avatar.sides) > 1 else self.avatar.sides
            )
            self._side = gui.add_dropdown("hand", choices)
            self._side.on_update(lambda _: self._sync_sliders())
            self._poses = gui.add_dropdown("pose", ("", *POSES))
            self._poses.on_update(
                lambda event: self.set_pose(event.target.value) if event.target.value else None
            )
        self._add_sliders()

    def _add_sliders(self) -> None:
        from ..hand_model.limits import HIGHEST, LOWEST, joint_angles

        fist = np.asarray(joint_angles(finger_pose("fist")))
        with self.server.gui.add_folder("Curl"):
            for finger in FINGERS:
                first = MANO_JOINTS.index(f"{finger}1") - 1

                def curl(value: float, first: int = first, finger: str = finger) -> None:
                    for side in self._chosen():
                        angles = self.states[side].angles.copy()
                        columns = slice(None) if finger == "thumb" else [0, 2]
                        angles[first : first + 3, columns] = (
                            value / 100 * fist[first : first + 3, columns]
                        )
                        self.set_angles(side, angles)

                self._slider(
                    finger, -20, 100, curl,
                    partial(self._read_curl, first, float(fist[first, 0])),
                )  # fmt: skip
        with self.server.gui.add_folder("Wrist", expand_by_default=False):
            for axis, (name, reach) in enumerate((("bend", 80), ("tilt", 80), ("turn", 180))):

                def turn(value: float, axis: int = axis) -> None:
                    for side in self._chosen():
                        self.states[side].wrist[axis] = np.radians(value)
                        self.set_angles(side, self.states[side].angles)

                self._slider(
                    name, -reach, reach, turn,
                    partial(self._read_wrist, axis),
                )  # fmt: skip
        for finger in FINGERS:
            with self.server.gui.add_folder(f"{finger} joints", expand_by_default=False):
                first = MANO_JOINTS.index(f"{finger}1") - 1
                for joint in range(first, first + 3):
                    for axis, word in enumerate(("bend", "spread", "twist")):
                        low, high = np.degrees([LOWEST[joint, axis], HIGHEST[joint, axis]])
                        if high - low < 10:  # an axis that the joint does not have
                            continue

                        def bend(value: float, joint: int = joint, axis: int = axis) -> None:
                            for side in self._chosen():
                                angles = self.states[side].angles.copy()
                                angles[joint, axis] = np.radians(value)
                                self.set_angles(side, angles)

                        self._slider(
                            f"{joint - first + 1} {word}", low, high, bend,
                            partial(self._read_joint, joint, axis),
                        )  # fmt: skip

    def _slider(
        self,
        name: str,
        low: float,
        high: float,
        act: Callable[[float], None],
        read: Callable[[], float],
    ) -> None:
        handle = self.server.gui.add_slider(
            name, min=round(float(low)), max=round(float(high)), step=1, initial_value=0
        )

        def update(event: Any) -> None:
            # values that we set ourselves come back as events too
            if not self._syncing and event.client is not None:
                act(float(event.target.value))

        handle.on_update(update)
        self._sliders.append((handle, read))

    def _sync_sliders(self) -> None:
        self._syncing = True
        try:
            for handle, read in self._sliders:
                handle.value = int(np.clip(round(read()), handle.min, handle.max))
        finally:
            self._syncing = False

    def _chosen(self) -> tuple[str, ...]:
        return self.avatar.sides if self._side.value == "both" else (self._side.value,)

    def _first(self) -> HandState:
        return self.states[self._chosen()[0]]

    def _read_curl(self, joint: int, whole: float) -> float:
        return 100 * float(self._first().angles[joint, 0]) / whole

    def _read_wrist(self, axis: int) -> float:
        return float(np.degrees(self._first().wrist[axis]))

    def _read_joint(self, joint: int, axis: int) -> float:
        return float(np.degrees(self._first().angles[joint, axis]))

    def _toggle(self, name: str, event: Any) -> None:
        self._show[name] = bool(event.target.value)
        self._changed.set()

    def _pick_motion(self, name: str) -> None:
        self.set_motion(None if name == "still" else builtin_motion(name))

    def _scrub(self, event: Any) -> None:
        if self.motion is not None and event.client is not None:
            self._playing.value = False
            self.frame = event.target.value * (len(self.motion) - 1)
            self._changed.set()

    def _pose_of_photo(self) -> None:
        from ..hand_model.limits import joint_angles

        for hand in self.avatar.hands:
            angles = np.asarray(joint_angles(hand.source_theta, hand.side))
            self.states[hand.side].wrist[:] = 0
            self.set_angles(hand.side, angles)
        self._sync_sliders()

    def _screenshot(self, event: Any) -> None:
        from PIL import Image

        client = event.client
        if client is None:
            return
        width, height = client.camera.image_width, client.camera.image_height
        picture = client.get_render(height=height, width=width, transport_format="png")
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, format="PNG")
        client.send_file_download("hand.png", buffer.getvalue())

    # --- drawing ---

    def _loop(self) -> None:
        last = time.monotonic()
        while not self._stopped.is_set():
            playing = self.motion is not None and self._playing.value
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
            show = dict(self._show)
        if theta and show["splats"]:
            self._draw_splats(theta, translation)
        if self._splats is not None:
            self._splats.visible = bool(theta) and show["splats"]
        self._draw_meshes(theta, translation, show["mesh"])
        if self._bones is not None:
            self._bones.remove()
            self._bones = None
        if theta and show["skeleton"]:
            self._draw_bones(theta, translation)

    def _draw_splats(
        self, theta: dict[str, np.ndarray], translation: dict[str, np.ndarray]
    ) -> None:
        from scipy.spatial.transform import Rotation

        splats = splats_y_up(self.avatar.splats(theta, translation))
        rotation = Rotation.from_quat(np.roll(splats.quats, -1, axis=1)).as_matrix()
        scaled = rotation * (splats.scales * CM)[:, None, :]
        covariance = (scaled @ scaled.transpose(0, 2, 1)).astype(np.float32)
        values: dict[str, Any] = {
            "centers": np.ascontiguousarray(splats.means * CM),
            "covariances": covariance,
            "rgbs": (base_colors(splats.colors) * 255 + 0.5).astype(np.uint8),
            "opacities": (splats.opacities[:, None] * 255 + 0.5).astype(np.uint8),
        }
        if self._splats is None:
            self._splats = self.server.scene.add_gaussian_splats("/splats", **values)
        else:
            self._splats.set_gaussians(**values)

    def _draw_meshes(
        self, theta: dict[str, np.ndarray], translation: dict[str, np.ndarray], shown: bool
    ) -> None:
        for hand in self.scene.hands:
            side = hand.side
            there = shown and side in theta
            if there:
                vertices = self.avatar.mesh(side, theta[side], translation[side])
                model = surface(self.avatar.hand_model, side, self.avatar.level)
                points = (points_y_up(vertices) * CM).astype(np.float32)
                if side not in self._meshes:
                    self._meshes[side] = self.server.scene.add_mesh_simple(
                        f"/mesh_{side}", points, model.faces, color=self._vertex_colors(side)
                    )
                else:
                    self._meshes[side].vertices = points
            if side in self._meshes:
                self._meshes[side].visible = there

    def _vertex_colors(self, side: str) -> Any:
        """One skin colour a hand, the median of its splats."""
        albedo = np.median(self.avatar.hand(side).albedo, axis=0) if len(self.avatar) else 0.7
        red, green, blue = (int(v) for v in np.clip(np.broadcast_to(albedo, 3) * 255, 0, 255))
        return (red, green, blue)

    def _draw_bones(self, theta: dict[str, np.ndarray], translation: dict[str, np.ndarray]) -> None:
        from ..hand_model import pose_hand_numpy

        lines = []
        for side in theta:
            model = surface(self.avatar.hand_model, side, 0)
            shape = self.avatar.hand(side).shape
            keypoints = pose_hand_numpy(model, theta[side], shape, translation[side])[2]
            keypoints = points_y_up(keypoints) * CM
            lines += [
                np.stack([keypoints[p], keypoints[k]])
                for k, p in enumerate(KEYPOINT_PARENTS)
                if p >= 0
            ]
        self._bones = self.server.scene.add_line_segments(
            "/skeleton", np.stack(lines).astype(np.float32), _BONE, thickness=0.12
        )


def serve_viewer(
    avatar: Avatar,
    *,
    port: int | None = None,
    photo: str | Path | None = None,
    open_browser: bool = True,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve an avatar on loopback until interrupted.

    Args:
        avatar: the avatar.
        port: TCP port; None takes a free one.
        photo: a picture to show beside it.
        open_browser: open the page in the user's browser.
        announce: told the address, e.g. ``click.echo``.

    Raises:
        MissingDependencyError: viser is not installed.
        InputError: the port is taken.
    """
    viewer = AvatarViewer(avatar, port=port, photo=photo)
    try:
        if announce is not None:
            announce(f"{viewer.url} (only on this computer; Ctrl-C stops)")
        if open_browser:
            webbrowser.open(viewer.url)
        with contextlib.suppress(KeyboardInterrupt):
            viewer.wait()
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

    from ..image import load_photo

    picture = Image.fromarray(load_photo(path).pixels)
    picture.thumbnail((PHOTO_SIZE, PHOTO_SIZE))
    return np.asarray(picture)


def _plain(color: Any) -> np.ndarray:
    return np.broadcast_to(np.array(color, np.uint8), (4, 4, 3)).copy()
