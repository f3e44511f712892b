"""Engines that play an animated splat hand in headless Chromium, against our own renderer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hand_toolkit import Camera, export_avatar
from hand_toolkit.animate import builtin_motion
from hand_toolkit.export.scene import build_scene
from hand_toolkit.render import render
from hand_toolkit.testing.avatars import procedural_avatar
from hand_toolkit.testing.browser import run_node, why_missing

ENGINES = {"spark": 30.0, "babylon_motion": 26.0, "playcanvas": 26.0}
"""Pages of tests/interop and the PSNR that each must reach, dB."""

SIZE, FOCAL, DISTANCE = 256, 440.0, 0.62
BACKGROUND = (0.16, 0.18, 0.21)
FRAMES = (0, 20, 35)


@pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))
def test_engines_play_the_hand_as_we_draw_it(tmp_path: Path) -> None:
    avatar, motion = procedural_avatar(0, splats_per_face=1), builtin_motion("open-close")
    scene = build_scene(avatar, motion=motion)
    path = export_avatar(
        avatar, tmp_path / "moving.glb", what="splats", motion=motion,
        options={"splat_skin": "always", "influences": 4, "binding": False},
    )[0]  # fmt: skip
    world = np.eye(4)
    world[2, 3] = DISTANCE
    camera = Camera(FOCAL, FOCAL, SIZE / 2, SIZE / 2, SIZE, SIZE, world)
    view = {
        "width": SIZE, "height": SIZE, "position": [0, 0, DISTANCE], "target": [0, 0, 0],
        "fovY": 2 * float(np.arctan(SIZE / 2 / FOCAL)),
    }  # fmt: skip
    args = {"view": view, "background": BACKGROUND, "times": [f / scene.fps for f in FRAMES]}
    jobs = [{"name": n, "page": n, "file": str(path), "args": args} for n in ENGINES]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    run_node("render.mjs", tmp_path / "jobs.json", tmp_path)
    results = {r["name"]: r for r in json.loads((tmp_path / "results.json").read_text("utf-8"))}
    truth = [np.asarray(render(scene.splats(f), camera, BACKGROUND).color) for f in FRAMES]
    assert np.abs(truth[0] - truth[2]).mean() > 0.02, "the motion moves"
    for name, limit in ENGINES.items():
        assert not results[name]["errors"] and results[name]["splats"] == len(avatar)
        for k, ours in enumerate(truth):
            theirs = np.asarray(Image.open(tmp_path / f"{name}_{k}.png").convert("RGB")) / 255.0
            psnr = -10 * np.log10(np.mean((np.clip(ours, 0, 1) - theirs) ** 2))
            assert psnr > limit, f"{name}, frame {FRAMES[k]}: {psnr:.1f} dB"
