"""Speed of the CPU renderer: splats to pictures, pictures to gradients, poses to pixels.

    python benchmarks/render.py [--opensplat DIR] [--reference] [--json FILE]

All contestants of a workload run in turn in one process, so that a machine that is busy
slows them alike; the table shows medians and the ratio of medians. Workloads:

W1  25,000 splats,  512 x 334      avatar      25,000 splats,  512 x 334, pose to 8-bit
W2  100,000 splats, 512 x 334      avatar1080  100,000 splats, 1920 x 1080, pose to 8-bit
W3  100,000 splats, 1920 x 1080

users, users540, users1080: an avatar as ``fit`` lays it out, about 150,000 splats on two hands,
512 x 512, 960 x 540 (a Blender viewport) and 1920 x 1080, in a motion and in the photo's light, as
users get it: the frames of ``hand-toolkit render``, with and without writing the video, and those
of the worker that Blender asks; beside them ``AvatarRenderer`` alone with the same poses, with the
layout before (four splats on every triangle, 102,272), and with sixteen everywhere (410,288).

Floors: the bare row loop on the row vectors that the frame's lists hold, and on as few as
perfect packing of the pairs with alpha >= 1/255 would need (see ``render_floor``).

``--opensplat DIR``: a folder with a Python extension module ``opensplat_cpu`` that you built
from OpenSplat's ``rasterizer/gsplat-cpu`` (AGPL, so it is not part of this project), with
``project_forward(means, scales, quats, view, proj, fx, fy, cx, cy, height, width)``,
``rasterize_forward(width, height, xys, conics, colors, opacities, background, cov2d,
depths)`` returning (image, transmittance, lists), and ``rasterize_backward(height, width,
..., transmittance, lists, grad_image, grad_alpha)``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from render_floor import Floor, work_of
from render_scenes import (
    AVATAR_WORKLOADS,
    WORKLOADS,
    fitted_camera,
    hands_avatar,
    hands_pose,
    workload,
)

from hand_toolkit.avatar import Avatar
from hand_toolkit.core.types import Splats
from hand_toolkit.render import AvatarRenderer, CpuRasterizer, get_threads, render

Row = dict[str, Any]


def interleaved(contestants: dict[str, Callable[[], float]], repeats: int) -> dict[str, list]:
    """Seconds of every contestant, each run ``repeats`` times in turn after one warm-up."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()
    for _ in range(repeats):
        for name, run in contestants.items():
            times[name].append(run())
    return times


def timed(function: Callable[[], Any]) -> Callable[[], float]:
    def run() -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return run


def own(splats: Splats, camera: Any, threads: int, backward: bool) -> Callable[[], float]:
    """The rasterizer with kept buffers: colour, depth and alpha; or their gradients too."""
    rasterizer = CpuRasterizer(threads)
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((5, camera.height, camera.width)).astype(np.float32)
    filled: list[bool] = []

    def fill(planes: np.ndarray) -> None:
        # The planes keep what was written: a real loss writes them itself.
        if not filled:
            planes[:] = weights
            filled.append(True)

    def frame() -> None:
        rasterizer.forward(splats, camera, gradients=backward)
        if backward:
            rasterizer.backward(fill)

    return timed(frame)


def through_torch(splats: Splats, camera: Any) -> Callable[[], float]:
    """The public function with autograd, a loss, and gradients of everything."""
    import torch

    names = ("means", "quats", "scales", "opacities", "colors")
    leaves = [torch.tensor(getattr(splats, n), requires_grad=True) for n in names]
    target = torch.zeros(camera.height, camera.width, 3)

    def step() -> None:
        out = render(Splats(*leaves), camera)
        (out.color - target).abs().mean().backward()
        for leaf in leaves:
            leaf.grad = None

    return timed(step)


def opensplat(folder: Path, splats: Splats, camera: Any) -> dict[str, Callable[[], float]]:
    """OpenSplat's own order of calls; its backward of the projection is torch autograd."""
    import torch

    sys.path.insert(0, str(folder))
    import opensplat_cpu as module

    view = torch.tensor(camera.world_to_camera, dtype=torch.float32)
    near, far, w, h = 0.01, 100.0, camera.width, camera.height
    proj = torch.zeros(4, 4)
    proj[0, 0], proj[1, 1] = 2 * camera.fx / w, 2 * camera.fy / h
    proj[0, 2], proj[1, 2] = 2 * camera.cx / w - 1, 2 * camera.cy / h - 1
    proj[2, 2], proj[2, 3], proj[3, 2] = far / (far - near), -far * near / (far - near), 1
    proj = proj @ view
    means, quats, scales = (torch.tensor(getattr(splats, n)) for n in ("means", "quats", "scales"))
    colors = torch.tensor(splats.colors)
    opacities = torch.tensor(splats.opacities)[:, None]
    background = torch.zeros(3)
    weights = torch.randn(h, w, 3)
    no_alpha = torch.zeros(h, w)
    intrinsics = (camera.fx, camera.fy, camera.cx, camera.cy, h, w)

    def frame(backward: bool, projection: bool, kept: list[Any] = []) -> None:  # noqa: B006
        with torch.set_grad_enabled(backward and projection):
            leaves = [t.clone().requires_grad_(backward) for t in (means, scales, quats)]
            if projection or not kept:
                kept[:] = module.project_forward(*leaves, view, proj, *intrinsics)
        xys, _, conics, cov2d, depths = kept
        flat = [t.detach().contiguous() for t in (xys, conics)]
        args = (*flat, colors, opacities, background, cov2d.detach(), depths.detach().contiguous())
        _, clear, lists = module.rasterize_forward(w, h, *args)
        if backward:
            grads = module.rasterize_backward(h, w, *args, clear, lists, weights, no_alpha)
            if projection:
                torch.autograd.backward([xys, conics], [grads[0], grads[1]])

    return {
        "OpenSplat, rasterizer only, forward": timed(lambda: frame(False, False)),
        "OpenSplat, forward": timed(lambda: frame(False, True)),
        "OpenSplat, rasterizer only, forward+backward": timed(lambda: frame(True, False)),
        "OpenSplat, forward+backward": timed(lambda: frame(True, True)),
    }


def splat_workload(name: str, options: argparse.Namespace) -> list[Row]:
    splats, camera = workload(name)
    counter = CpuRasterizer(1)
    counter.forward(splats, camera)
    rows, pairs = work_of(counter)
    contestants: dict[str, Callable[[], float]] = {}
    for threads in options.threads:
        floor = Floor(threads)
        tag = f"{threads} thread{'s' if threads > 1 else ''}"
        for kind, backward in (("forward", False), ("forward+backward", True)):
            contestants[f"hand-toolkit, {tag}, {kind}"] = own(splats, camera, threads, backward)
            for bound, count in (("row-vector", rows), ("packing", pairs // 16)):
                seconds = partial(floor.seconds, count, backward)
                contestants[f"{bound} floor, {tag}, {kind}"] = seconds
    contestants["render(), numpy, fresh picture"] = timed(lambda: render(splats, camera))
    contestants["render(), torch, loss and gradients"] = through_torch(splats, camera)
    if options.opensplat:
        contestants.update(opensplat(options.opensplat, splats, camera))
    times = interleaved(contestants, options.repeats)
    if options.reference and name == "W1":
        start = time.perf_counter()
        render(splats, camera, backend="reference")
        times["reference (torch, float32), forward"] = [time.perf_counter() - start]
    print(f"\n{name}: {len(splats)} splats, {camera.width} x {camera.height}; ", end="")
    print(f"{rows} row vectors, {pairs} pairs with alpha >= 1/255")
    return table(name, times)


def avatar_workload(name: str, options: argparse.Namespace) -> list[Row]:
    count, sigma, width, height = AVATAR_WORKLOADS[name]
    avatar = hands_avatar(count, sigma)
    camera = fitted_camera(avatar.splats(*hands_pose()).means, width, height)
    poses = [hands_pose(seed) for seed in range(16)]
    contestants: dict[str, Callable[[], float]] = {}
    for threads in options.threads:
        renderer = AvatarRenderer(avatar, camera, threads=threads)
        tag = f"{threads} thread{'s' if threads > 1 else ''}"

        def one_by_one(r: AvatarRenderer = renderer) -> float:
            start = time.perf_counter()
            for pose in poses:
                r.render(*pose)
            return (time.perf_counter() - start) / len(poses)

        def streamed(r: AvatarRenderer = renderer) -> float:
            start = time.perf_counter()
            for _ in r.stream(poses):
                pass
            return (time.perf_counter() - start) / len(poses)

        contestants[f"pose to 8-bit picture, {tag}"] = one_by_one
        contestants[f"the same, next pose skinned meanwhile, {tag}"] = streamed
    times = interleaved(contestants, options.repeats)
    print(f"\n{name}: {count} splats on two hands, {width} x {height}, per frame")
    return table(name, times)


USER_WORKLOADS = {"users": (512, 512), "users540": (960, 540), "users1080": (1920, 1080)}
USER_FRAMES = 16


def user_avatars() -> dict[str, Avatar]:
    """Two hands as ``fit`` lays them out; the layout before; and sixteen splats everywhere."""
    from look import template

    from hand_toolkit.avatar import surface
    from hand_toolkit.avatar.levels import thinned
    from hand_toolkit.avatar.stump import closed
    from hand_toolkit.testing.avatars import procedural_avatar
    from hand_toolkit.testing.look import laid_avatar

    laid = laid_avatar(16, template)
    made = {}
    # the fit's own tolerance keeps 52,000 splats a hand of the template; photos ask for 57 to 73
    for name, hand in (
        ("fitted", thinned(laid.hands[0], 0.004)),
        ("everywhere", laid.hands[0]),
    ):
        whole = closed(hand, surface("default", "right", 1))
        made[name] = dataclasses.replace(laid, hands=(whole, whole.mirrored()))
    return {**made, "before": procedural_avatar(0, splats_per_face=4)}


def user_workload(name: str, options: argparse.Namespace) -> list[Row]:
    from hand_toolkit.animate import builtin_motion
    from hand_toolkit.pictures.demo_sheet import Shot, draw_shot, plan

    width, height = size = USER_WORKLOADS[name]
    avatars = user_avatars()
    avatar = avatars.pop("fitted")
    rate = USER_FRAMES / builtin_motion("open-close").duration
    whole = plan(avatar, None, None, "open-close", "auto", size, rate, ("left", "right"))
    shot = Shot(whole.poses[:USER_FRAMES], whole.cameras, whole.fps)
    frames = [shot.frame(k) for k in range(len(shot))]
    alone = AvatarRenderer(avatar, shot.cameras[0], light="photo")
    others = {
        "before": AvatarRenderer(
            avatars["before"], shot.cameras[0], light="photo", antialiased=False
        ),
        "everywhere": AvatarRenderer(avatars["everywhere"], shot.cameras[0], light="photo"),
    }
    asked = AvatarRenderer(avatar, shot.cameras[0], (0.16, 0.165, 0.173), light="photo")

    def count(pictures: Any) -> None:
        for _ in pictures:
            pass

    def video() -> None:
        from hand_toolkit.media.video import write_video

        pictures = draw_shot(asked, shot, lambda fraction, message: None)
        with tempfile.TemporaryDirectory() as folder:
            write_video(Path(folder) / "motion.mp4", pictures, shot.fps)

    pictures: dict[str, Callable[[], None]] = {
        "AvatarRenderer alone": lambda: count(alone.stream(frames)),
        "the layout before": lambda: count(others["before"].stream(frames)),
        "sixteen splats everywhere": lambda: count(others["everywhere"].stream(frames)),
        "hand-toolkit render, frames": lambda: count(
            draw_shot(asked, shot, lambda fraction, message: None)
        ),
        "hand-toolkit render, frames and .mp4": video,
    }
    pictures["the worker's frames"] = worker_frames(avatar, frames)
    contestants: dict[str, Callable[[], float]] = {
        n: partial(_per_frame, timed(run), len(shot)) for n, run in pictures.items()
    }
    times = interleaved(contestants, options.repeats)
    kind = f"{len(avatar)} splats on two hands, {width} x {height}"
    print(f"\n{name}: {kind}, photo's light, per frame")
    rows = table(name, times)
    base = statistics.median(times["AvatarRenderer alone"])
    for other in list(times)[1:]:
        print(f"    {other}: {statistics.median(times[other]) / base:.2f} x AvatarRenderer's time")
    return rows


def _per_frame(run: Callable[[], float], count: int) -> float:
    return run() / count


def worker_frames(avatar: Any, frames: list[Any]) -> Callable[[], None]:
    """A function that has the worker draw all frames into one film, as for a host."""
    from hand_toolkit.worker.frames import FrameRenderer

    renderer = FrameRenderer()
    view = frames[0][2]
    pixels = np.empty((view.height, view.width, 4), np.float32)
    depth = np.empty((view.height, view.width), np.float32)
    names = ("fx", "fy", "cx", "cy", "width", "height", "near", "far", "world_to_camera")
    camera = {n: getattr(view, n) for n in names}
    requests = [
        [
            (avatar, {"key": "a", "side": s}, avatar.mesh(s, theta[s], where[s]).astype(np.float32))
            for s in theta
        ]
        for theta, where, _ in frames
    ]

    def ask() -> None:
        for hands in requests:
            renderer.draw(hands, {"camera": camera, "light": "photo"}, {}, pixels, depth)

    return ask


def table(workload_name: str, times: dict[str, list[float]]) -> list[Row]:
    """Print and return medians, best times and ratios."""
    medians = {name: statistics.median(t) for name, t in times.items()}
    rows = []
    print(f"  {'':52} {'median ms':>10} {'best ms':>9} {'a second':>9}")
    for name, values in times.items():
        median = medians[name]
        print(f"  {name:52} {1e3 * median:10.2f} {1e3 * min(values):9.2f} {1 / median:9.1f}")
        rows.append(
            {"workload": workload_name, "name": name, "median_s": median, "times_s": values}
        )
    for kind in ("forward", "forward+backward"):
        mine = [n for n in medians if n.startswith("hand-toolkit") and n.endswith(f", {kind}")]
        for name in mine:
            tag = name.split(", ")[1]
            others = [f"row-vector floor, {tag}, {kind}", f"packing floor, {tag}, {kind}"]
            others += [f"OpenSplat, rasterizer only, {kind}", f"OpenSplat, {kind}"]
            others += ["reference (torch, float32), forward"] if kind == "forward" else []
            for other in others:
                if other in medians:
                    ratio = medians[name] / medians[other]
                    text = f"{ratio:.2f} x its time" if ratio > 1 else f"{1 / ratio:.1f} x faster"
                    print(f"    {name} against {other}: {text}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*WORKLOADS, *AVATAR_WORKLOADS, *USER_WORKLOADS]
    parser.add_argument("--workloads", nargs="+", default=names, choices=names)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, get_threads()}))
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--opensplat", type=Path, metavar="DIR")
    parser.add_argument("--reference", action="store_true", help="also the reference on W1, once")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{platform.machine()}, {get_threads()} CPUs, load average {load:.1f} at the start")
    rows = []
    for name in options.workloads:
        if name in USER_WORKLOADS:
            rows += user_workload(name, options)
        else:
            rows += (splat_workload if name in WORKLOADS else avatar_workload)(name, options)
    if options.json:
        options.json.write_text(json.dumps({"load": load, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
