"""The served viewer's panel: what to show, motions, poses, and a slider for every angle."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..animate import MOTIONS, builtin_motion, finger_pose, pose_names
from ..core.conventions import FINGERS, MANO_JOINTS

if TYPE_CHECKING:
    from .server import AvatarViewer

BACKGROUND = (35, 39, 46)
_FIXED_DEGREES = 10.0
"""Range below which an axis is one that the joint does not have."""


class Panel:
    """The controls of one viewer.

    Attributes:
        show: whether "splats", "mesh" and "skeleton" are shown.
        playing: viser's check box "play".
    """

    def __init__(self, viewer: AvatarViewer, picture: np.ndarray | None) -> None:
        self.viewer = viewer
        self.show = {"splats": True, "mesh": False, "skeleton": False}
        self._sliders: list[tuple[Any, Callable[[], float]]] = []
        self._syncing = False
        gui: Any = viewer.server.gui
        gui.configure_theme(dark_mode=True, show_share_button=False, show_logo=False)
        with gui.add_folder("Show"):
            for name, shown in self.show.items():
                gui.add_checkbox(name, shown).on_update(partial(self._toggle, name))
            gui.add_rgb("background", BACKGROUND).on_update(self._recolor)
            gui.add_button("screenshot").on_click(_screenshot)
        if picture is not None:
            with gui.add_folder("Photo"):
                gui.add_image(picture, label="photo")
                gui.add_button("pose of the photo").on_click(self._pose_of_photo)
        with gui.add_folder("Motion"):
            gui.add_dropdown("motion", ("still", *MOTIONS)).on_update(self._pick_motion)
            self.playing = gui.add_checkbox("play", True)
            time = gui.add_slider("time", min=0.0, max=1.0, step=0.005, initial_value=0.0)
            time.on_update(self._scrub)
        sides = viewer.avatar.sides
        with gui.add_folder("Pose"):
            self._side = gui.add_dropdown("hand", ("both", *sides) if len(sides) > 1 else sides)
            self._side.on_update(lambda _: self.sync())
            gui.add_dropdown("pose", ("", *pose_names())).on_update(self._pick_pose)
        self._add_sliders(gui)

    def chosen(self) -> tuple[str, ...]:
        """The sides that sliders move."""
        both = self._side.value == "both"
        return self.viewer.avatar.sides if both else (str(self._side.value),)

    def sync(self) -> None:
        """Let the sliders follow the poses."""
        self._syncing = True
        try:
            for handle, read in self._sliders:
                handle.value = int(np.clip(round(read()), handle.min, handle.max))
        finally:
            self._syncing = False

    def _add_sliders(self, gui: Any) -> None:
        from ..hand_model.limits import HIGHEST, LOWEST, joint_angles

        fist = np.asarray(joint_angles(finger_pose("fist")))
        first = {finger: MANO_JOINTS.index(f"{finger}1") - 1 for finger in FINGERS}
        with gui.add_folder("Curl"):
            for finger in FINGERS:
                j = first[finger]
                act = partial(self._curl, finger, fist[j : j + 3])
                self._slider(gui, finger, (-20, 100), act, partial(self._read_curl, j, fist[j, 0]))
        with gui.add_folder("Wrist", expand_by_default=False):
            for axis, (name, reach) in enumerate((("bend", 80), ("tilt", 80), ("turn", 180))):
                read = partial(self._read_wrist, axis)
                self._slider(gui, name, (-reach, reach), partial(self._turn, axis), read)
        for finger in FINGERS:
            with gui.add_folder(f"{finger} joints", expand_by_default=False):
                for j in range(first[finger], first[finger] + 3):
                    for axis, word in enumerate(("bend", "spread", "twist")):
                        low, high = np.degrees([LOWEST[j, axis], HIGHEST[j, axis]])
                        if high - low < _FIXED_DEGREES:
                            continue
                        name = f"{j - first[finger] + 1} {word}"
                        read = partial(self._read_joint, j, axis)
                        self._slider(gui, name, (low, high), partial(self._bend, j, axis), read)

    def _slider(
        self,
        gui: Any,
        name: str,
        limits: tuple[float, float],
        act: Callable[[float], None],
        read: Callable[[], float],
    ) -> None:
        low, high = (round(float(v)) for v in limits)
        handle = gui.add_slider(name, min=low, max=high, step=1, initial_value=0)

        def update(event: Any) -> None:
            # values that we set ourselves come back as events too, without a client
            if not self._syncing and event.client is not None:
                act(float(event.target.value))

        handle.on_update(update)
        self._sliders.append((handle, read))

    # --- what sliders do ---

    def _curl(self, finger: str, fist: np.ndarray, percent: float) -> None:
        j = MANO_JOINTS.index(f"{finger}1") - 1
        axes = [0, 1, 2] if finger == "thumb" else [0, 2]  # fingers keep their spread
        for side in self.chosen():
            angles = self.viewer.states[side].angles.copy()
            angles[j : j + 3, axes] = percent / 100 * fist[:, axes]
            self.viewer.set_angles(side, angles)

    def _turn(self, axis: int, degrees: float) -> None:
        for side in self.chosen():
            wrist = self.viewer.states[side].wrist.copy()
            wrist[axis] = np.radians(degrees)
            self.viewer.set_angles(side, self.viewer.states[side].angles, wrist)

    def _bend(self, joint: int, axis: int, degrees: float) -> None:
        for side in self.chosen():
            angles = self.viewer.states[side].angles.copy()
            angles[joint, axis] = np.radians(degrees)
            self.viewer.set_angles(side, angles)

    def _read_curl(self, joint: int, whole: float) -> float:
        return 100 * float(self._first().angles[joint, 0]) / whole

    def _read_wrist(self, axis: int) -> float:
        return float(np.degrees(self._first().wrist[axis]))

    def _read_joint(self, joint: int, axis: int) -> float:
        return float(np.degrees(self._first().angles[joint, axis]))

    def _first(self) -> Any:
        return self.viewer.states[self.chosen()[0]]

    # --- what the other controls do ---

    def _toggle(self, name: str, event: Any) -> None:
        self.show[name] = bool(event.target.value)
        self.viewer.redraw()

    def _recolor(self, event: Any) -> None:
        self.viewer.server.scene.set_background_image(plain(event.target.value))

    def _pick_motion(self, event: Any) -> None:
        name = event.target.value
        self.viewer.set_motion(None if name == "still" else builtin_motion(name))

    def _pick_pose(self, event: Any) -> None:
        if event.target.value:
            self.viewer.set_pose(event.target.value)

    def _scrub(self, event: Any) -> None:
        motion = self.viewer.motion
        if motion is not None and event.client is not None:
            self.playing.value = False
            self.viewer.frame = event.target.value * (len(motion) - 1)
            self.viewer.redraw()

    def _pose_of_photo(self, _: Any) -> None:
        from ..hand_model.limits import joint_angles

        for hand in self.viewer.avatar.hands:
            angles = np.asarray(joint_angles(hand.source_theta, hand.side))
            self.viewer.set_angles(hand.side, angles, np.zeros(3))
        self.sync()


def plain(color: Any) -> np.ndarray:
    """A small picture of one sRGB colour (3,) 0 to 255."""
    return np.broadcast_to(np.array(color, np.uint8), (4, 4, 3)).copy()


def _screenshot(event: Any) -> None:
    from PIL import Image

    client = event.client
    if client is None:
        return
    camera = client.camera
    picture = client.get_render(camera.image_height, camera.image_width, transport_format="png")
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    client.send_file_download("hand.png", buffer.getvalue())
