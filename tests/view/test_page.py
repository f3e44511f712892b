"""The self-contained page: what is in it, its arithmetic in node, its pixels in Chromium."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hand_toolkit import Camera
from hand_toolkit.animate import builtin_motion, finger_pose
from hand_toolkit.avatar import display_theta
from hand_toolkit.core.conventions import mirror_theta
from hand_toolkit.core.errors import InputError
from hand_toolkit.export.scene import build_scene
from hand_toolkit.render import render
from hand_toolkit.testing.avatars import procedural_avatar
from hand_toolkit.testing.browser import drive_page, why_missing
from hand_toolkit.view import viewer_html
from hand_toolkit.view.page import FOLDER

SIZE = (900, 600)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a two-handed avatar."""
    avatar = procedural_avatar(0, splats_per_face=2)
    return viewer_html(avatar, tmp_path_factory.mktemp("page") / "view.html")


def test_page_needs_nothing_from_outside(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:)[^"']+["']""", text)
    assert "default-src 'none'" in text and "/*" + "PAYLOAD" + "*/" not in text
    assert not re.search(r"https?://(?!www\.w3\.org)", re.sub(r"<script id=.*?</script>", "", text))
    assert len(text) < 4_000_000


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    import dataclasses

    avatar = procedural_avatar(0, limit=20, level=0)
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    avatar = dataclasses.replace(avatar, provenance={"photo": evil, evil: "x"})
    text = viewer_html(avatar, tmp_path / "a.html").read_text(encoding="utf-8")
    assert "alert(1)</script>" not in text and "<img src=x" not in text
    assert text.count("<script") == 3


def test_same_bytes_twice_and_a_checked_name(tmp_path: Path) -> None:
    avatar = procedural_avatar(0, limit=20, level=0)
    one = viewer_html(avatar, tmp_path / "a.html").read_bytes()
    assert one == viewer_html(avatar, tmp_path / "b.html").read_bytes()
    with pytest.raises(InputError, match=r"\.html"):
        viewer_html(avatar, tmp_path / "a.txt")


def test_dense_avatars_are_merged(tmp_path: Path) -> None:
    avatar = procedural_avatar(0, sides=("right",), level=0, splats_per_face=4)
    text = viewer_html(avatar, tmp_path / "a.html", max_splats=5000).read_text(encoding="utf-8")
    manifest = json.loads(re.findall(r'id="manifest"[^>]*>(.*?)</script>', text, re.S)[0])
    assert 3000 < manifest["arrays"]["right.opacity"]["length"] < 5000


@pytest.mark.skipif(why_missing(browser=False) is not None, reason=str(why_missing(browser=False)))
def test_the_scripts_pose_as_the_toolkit_does(tmp_path: Path) -> None:
    """Runs pose.js in node on the page's payload and compares with the toolkit's splats."""
    avatar = procedural_avatar(1, level=0)
    path = viewer_html(avatar, tmp_path / "a.html")
    program = f"""
    const fs = require('fs'), zlib = require('zlib');
    const text = fs.readFileSync({json.dumps(str(path))}, 'utf8');
    const part = (id) => text.match(new RegExp(`id="${{id}}"[^>]*>([\\\\s\\\\S]*?)</script>`))[1];
    const manifest = JSON.parse(part('manifest'));
    const raw = zlib.inflateSync(Buffer.from(part('payload'), 'base64'));
    const buffer = raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length);
    const kinds = {{
      u1: Uint8Array, i2: Int16Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array,
    }};
    {(FOLDER / "pose.js").read_text()}
    const arrays = {{}};
    for (const [name, e] of Object.entries(manifest.arrays)) {{
      const a = new kinds[e.kind](buffer, e.start, e.length);
      arrays[name] = e.scale === undefined ? a : Float32Array.from(a, (v) => v * e.scale);
    }}
    const result = {{}};
    for (const side of manifest.sides) {{
      const own = {{}};
      for (const n of Object.keys(arrays)) {{
        if (n.startsWith(side + '.')) own[n.slice(side.length + 1)] = arrays[n];
      }}
      const hand = new Hand(own, side);
      const fingers = jointQuats(manifest.poses.fist, arrays.frames, side === 'left');
      hand.pose([manifest.display[side], ...fingers], manifest.places[side]);
      result[side] = {{
        centers: [...hand.centers], covariances: [...hand.covariances],
        vertices: [...hand.posed],
      }};
    }}
    console.log(JSON.stringify(result));
    """
    script = tmp_path / "pose.cjs"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(["node", str(script)], capture_output=True, text=True, check=True)
    got = json.loads(done.stdout)
    from hand_toolkit.animate import avatar_pose

    # a page does not wait for poses to be settled
    fist = {side: avatar_pose(avatar, side, "fist", solve=False) for side in avatar.sides}
    scene = build_scene(avatar, pose=fist)
    from scipy.spatial.transform import Rotation

    for hand in scene.hands:
        ours = scene.splats(0, (hand.side,))
        order = np.argsort(avatar.hand(hand.side).binding.triangle, kind="stable")
        mine = {k: np.array(v) for k, v in got[hand.side].items()}
        vertices = avatar.mesh(hand.side, hand.theta[0], hand.translation[0])
        assert np.abs(mine["vertices"].reshape(-1, 3) - vertices).max() < 5e-5
        assert np.abs(mine["centers"].reshape(-1, 3) - ours.means[order]).max() < 5e-5
        rotation = Rotation.from_quat(np.roll(ours.quats, -1, 1)).as_matrix() * ours.scales[:, None]
        full = (rotation @ rotation.transpose(0, 2, 1)).reshape(-1, 9)[:, [0, 1, 2, 4, 5, 8]]
        error = np.abs(mine["covariances"].reshape(-1, 6) - full[order])
        assert error.max() < 0.01 * np.abs(full).max()


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), np.float64) / 255


def camera_of(values: dict[str, Any]) -> Camera:
    view = np.array([values["view"][str(k)] for k in range(16)]).reshape(4, 4).T
    w, h, focal = values["width"], values["height"], values["focal"]
    return Camera(focal, focal, w / 2, h / 2, w, h, view)


CAMERA = (
    "const v = window.handViewer; return { view: v.viewMatrix(), focal: v.focal(), "
    "width: v.canvas.width, height: v.canvas.height };"
)


def slide(name: str, value: float) -> str:
    return (
        f"const s = document.getElementById('{name}'); s.value = {value}; "
        "s.dispatchEvent(new Event('input'));"
    )


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a - b) ** 2)))


@pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))
def test_chromium_draws_and_moves_the_hand(page: Path, tmp_path: Path) -> None:
    canvas = {"selector": "#view"}
    ready = f"await window.handViewer.ready; {CAMERA}"
    steps: list[dict[str, Any]] = [
        {"name": "start", "script": ready, "wait": 500, **canvas},
        {"name": "index", "script": slide("curl-index", 80), **canvas},
        {"name": "back", "script": slide("curl-index", 0), **canvas},
        {"name": "fist", "script": "window.handViewer.setPose('fist');", **canvas},
        {"name": "wave", "script": (
            "const h = window.handViewer; h.setMotion('wave'); h.playing = false;"
            "h.time = 0.75; h.repose();"
        ), **canvas},
        {"name": "mesh", "script": (
            "const h = window.handViewer; h.show.splats = false; h.show.mesh = true;"
            "h.setPose('flat');"
        ), **canvas},
        {"name": "turned", "script": (
            "const h = window.handViewer; h.show.splats = true; h.show.mesh = false;"
            f"h.camera.yaw = 0.7; h.camera.pitch = 0.4; h.setPose('pinch'); {CAMERA}"
        ), **canvas},
    ]  # fmt: skip
    values = drive_page(page.as_uri(), SIZE, steps, tmp_path)
    assert values["errors"] == []
    shots = {step["name"]: pixels(tmp_path / f"{step['name']}.png") for step in steps}
    avatar = procedural_avatar(0, splats_per_face=2)
    background = np.array([0.137, 0.153, 0.18])
    # the page's picture against the toolkit's renderer
    start = camera_of(values["start"])
    flat = build_scene(avatar).splats(0)
    assert psnr(shots["start"], np.asarray(render(flat, start, background).color)) > 30
    pinch = build_scene(avatar, pose="pinch").splats(0)
    ours = np.asarray(render(pinch, camera_of(values["turned"]), background).color)
    assert psnr(shots["turned"], ours) > 30
    motion = builtin_motion("wave")
    at = 0.75 * motion.fps
    assert at == int(at) or np.allclose(motion.theta[int(at)], motion.theta[int(at) + 1], atol=0.1)
    theta, where = motion.frame(round(at))
    waved = np.asarray(render(avatar.splats(theta, where), start, background).color)
    assert psnr(shots["wave"], waved) > 26
    # a slider moves its finger, and nothing else
    assert np.abs(shots["back"] - shots["start"]).max() < 0.02
    curled = finger_pose("flat")
    curled[1:4] = 0.8 * finger_pose("fist")[1:4]
    bent = {
        "right": display_theta("right", curled),
        "left": display_theta("left", mirror_theta(curled)),
    }
    places = {h.side: h.bind_translation for h in build_scene(avatar).hands}
    moved = avatar.splats(bent, places)
    assert psnr(shots["index"], np.asarray(render(moved, start, background).color)) > 30
    travel = np.linalg.norm(moved.means - flat.means, axis=1) > 2e-4
    allowed = np.zeros(shots["start"].shape[:2], bool)
    for splats in (flat, moved):
        x, y = start.project(splats.means[travel]).round().astype(int).T
        for dx in range(-9, 10):
            for dy in range(-9, 10):
                inside = (
                    (y + dy >= 0) & (y + dy < SIZE[1]) & (x + dx >= 0) & (x + dx < allowed.shape[1])
                )
                allowed[(y + dy)[inside], (x + dx)[inside]] = True
    changed = np.abs(shots["index"] - shots["start"]).max(2) > 0.06
    assert changed[allowed].mean() > 0.15
    assert changed[~allowed].mean() < 1e-3
    # the fist and the textured mesh cover what they should
    assert np.abs(shots["fist"] - shots["start"]).max(2).mean() > 0.02
    silhouette = np.abs(shots["start"] - background).max(2) > 0.08
    meshed = np.abs(shots["mesh"] - background).max(2) > 0.08
    assert (silhouette & meshed).sum() / (silhouette | meshed).sum() > 0.92


def test_the_photo_comes_along_small(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (1800, 1200, 3), np.uint8)).save(
        photo
    )
    avatar = procedural_avatar(0, limit=20, level=0)
    text = viewer_html(avatar, tmp_path / "a.html", photo=photo).read_text(encoding="utf-8")
    manifest = json.loads(re.findall(r'id="manifest"[^>]*>(.*?)</script>', text, re.S)[0])
    head, _, data = manifest["photo"].partition(",")
    assert head == "data:image/jpeg;base64"
    import base64
    import io

    assert max(Image.open(io.BytesIO(base64.b64decode(data))).size) == 1400
    with pytest.raises(InputError):
        viewer_html(avatar, tmp_path / "a.html", photo=tmp_path / "none.png")
