"""The served viewer: loopback only, and the sliders' angles reach the splats."""

from __future__ import annotations

import socket
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.animate import avatar_pose, builtin_motion
from hand_toolkit.avatar import display_theta
from hand_toolkit.core.errors import InputError
from hand_toolkit.export.axes import splats_y_up
from hand_toolkit.testing.avatars import procedural_avatar
from hand_toolkit.testing.browser import drive_page, why_missing
from hand_toolkit.view import AvatarViewer
from hand_toolkit.view.drawing import MIN_SCALE


@pytest.fixture
def viewer():  # type: ignore[no-untyped-def]
    """A running viewer of a small avatar."""
    viewer = AvatarViewer(procedural_avatar(0, limit=500))
    yield viewer
    viewer.stop()


def wait_for(condition, seconds: float = 5.0) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the viewer did not follow"
        time.sleep(0.02)


def test_only_this_computer_can_connect(viewer: AvatarViewer) -> None:
    assert viewer.url.startswith("http://127.0.0.1:")
    assert viewer.server.get_host() == "127.0.0.1"
    with urllib.request.urlopen(viewer.url, timeout=5) as page:
        assert b"<html" in page.read(2000).lower()
    with socket.socket() as outside:
        outside.bind(("127.0.0.1", 0))
        outside.settimeout(1)
        name = socket.gethostbyname(socket.gethostname())
        if not name.startswith("127."):
            with pytest.raises(OSError):
                socket.create_connection((name, viewer.server.get_port()), timeout=1)


def ask(viewer: AvatarViewer, path: str = "/", **headers: str) -> tuple[int, dict[str, str]]:
    """Status and headers of one raw request."""
    port = viewer.server.get_port()
    sent = {"Host": f"127.0.0.1:{port}", **{k.replace("_", "-"): v for k, v in headers.items()}}
    lines = [f"GET {path} HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items() if v), "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = connection.makefile("rb").read(4000).decode("latin-1")
    head = answer.partition("\r\n\r\n")[0].split("\r\n")
    fields = dict(line.split(": ", 1) for line in head[1:])
    return int(head[0].split()[1]), fields


def test_only_the_announced_address_is_answered(viewer: AvatarViewer) -> None:
    port = viewer.server.get_port()
    path = viewer.url.partition(str(port))[2]
    status, fields = ask(viewer, path, Connection="close")
    assert status == 200 and "HttpOnly; SameSite=Strict" in fields["Set-Cookie"]
    cookie = fields["Set-Cookie"].partition(";")[0]
    assert ask(viewer, "/", Cookie=cookie, Connection="close")[0] == 200
    assert ask(viewer, "/../../setup.py", Cookie=cookie, Connection="close")[0] == 404
    socket_headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    refused = (
        {},
        {"path": "/?token=guess"},
        {"path": "/?token=" + "\u00e9"},
        {"Cookie": f"hand_toolkit_{port}=guess"},
        {"path": path, "Host": f"evil.example:{port}"},
        {"path": path, "Host": "127.0.0.1:1"},
        {"path": path, "Host": ""},
        {"path": path, "Origin": "http://evil.example"},
        {"path": path, "Origin": "null"},
        {**socket_headers},
        {**socket_headers, "Cookie": cookie, "Origin": "https://evil.example"},
    )
    for request in refused:
        got = ask(viewer, request.get("path", "/"), **{"Connection": "close", **{
            k: v for k, v in request.items() if k != "path"}})  # fmt: skip
        assert got[0] in (400, 403) and "Set-Cookie" not in got[1], request


def test_a_viewer_that_nobody_looks_at_ends(viewer: AvatarViewer) -> None:
    assert viewer.wait(idle_s=0.05) is True


def test_ports_are_free_unless_given_and_checked(viewer: AvatarViewer) -> None:
    other = AvatarViewer(procedural_avatar(0, limit=5))
    try:
        assert other.url != viewer.url
    finally:
        other.stop()
    with pytest.raises(InputError, match="leave --port out"):
        AvatarViewer(procedural_avatar(0, limit=5), port=viewer.server.get_port())


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    AvatarViewer(procedural_avatar(0, limit=5)).stop()
    assert capsys.readouterr().out == ""


def test_poses_reach_the_splats(viewer: AvatarViewer) -> None:
    viewer.set_pose("fist")
    theta, places = viewer.pose()
    # built-in poses end where this avatar's skin meets skin
    right = display_theta("right", avatar_pose(viewer.avatar, "right", "fist"))
    left = display_theta("left", avatar_pose(viewer.avatar, "left", "fist"))
    from scipy.spatial.transform import Rotation

    for side, want in (("right", right), ("left", left)):
        turn = Rotation.from_rotvec(theta[side]) * Rotation.from_rotvec(want).inv()
        assert turn.magnitude().max() < 1e-3
    want_means = splats_y_up(viewer.avatar.splats(theta, places)).means * 100
    wait_for(
        lambda: (
            viewer.drawing.splats is not None
            and np.allclose(viewer.drawing.splats.centers, want_means, atol=1e-3)
        )
    )
    assert viewer.drawing.splats is not None
    covariance = viewer.drawing.splats.covariances
    splats = splats_y_up(viewer.avatar.splats(theta, places))
    volume = np.trace(np.asarray(covariance, np.float64), axis1=1, axis2=2)
    np.testing.assert_allclose(
        volume, ((np.maximum(splats.scales, MIN_SCALE) * 100.0) ** 2).sum(1), rtol=5e-3
    )


def test_another_drawable_and_light_are_shown() -> None:
    avatar = procedural_avatar(0, limit=500)
    shown = procedural_avatar(1, limit=300)
    viewer = AvatarViewer(avatar, drawable=shown, light="studio")
    try:
        wait_for(lambda: viewer.drawing.splats is not None)
        want = splats_y_up(shown.splats(*viewer.pose(), light="studio")).colors
        assert viewer.drawing.splats is not None
        rgbs = np.asarray(viewer.drawing.splats.rgbs, float) / 255
        np.testing.assert_allclose(rgbs, want, atol=0.01)
    finally:
        viewer.stop()
    with pytest.raises(InputError, match="unknown light 'moon'"):
        AvatarViewer(avatar, light="moon")


def test_motions_play(viewer: AvatarViewer) -> None:
    motion = builtin_motion("open-close")
    viewer.set_motion(motion)
    wait_for(lambda: viewer.frame > 3)
    theta, _ = viewer.pose()
    assert set(theta) == {"right", "left"}
    viewer.set_motion(None)
    assert viewer.motion is None


@pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))
def test_a_slider_in_chromium_bends_the_finger(tmp_path: Path) -> None:
    viewer = AvatarViewer(procedural_avatar(0, sides=("right",), limit=200))
    try:
        steps = [
            {"name": "start", "waitFor": "document.querySelectorAll('[role=slider]').length > 5",
             "wait": 500, "picture": False},
            {"name": "bent", "keys": {"label": "index", "key": "End", "times": 1},
             "wait": 1500, "picture": False},
        ]  # fmt: skip
        values = drive_page(viewer.url, (420, 320), steps, tmp_path)
        assert not [e for e in values["errors"] if "NaN" not in e]
        bend = np.degrees(viewer.states["right"].angles)
        first = 0  # index comes first in MANO's order
        assert bend[first, 0] > 60 and bend[first + 1, 0] > 60
        assert np.abs(bend[3:]).max() == 0
    finally:
        viewer.stop()
