"""Feed the CPU renderer hostile frames for a while: it must neither crash, hang nor spread NaN.

    python scripts/fuzz_renderer.py [--seconds 600] [--seed 0] [--most-splats N] [--most-pixels N]

Each frame draws splats whose attributes may be NaN, infinite, denormal, zero, negative or
huge, cameras of any pose, focal length and size up to 8K, any thread count, extras and
gradients. After each frame the tile lists are checked against their bounds, and pictures and
gradients of finite input must be finite. Bounds of every array access are checked by
``NUMBA_BOUNDSCHECK=1 HAND_TOOLKIT_RENDER_PLAIN=1`` in front of the command, which runs the
kernels without the vector type, whose accesses are the same; use small sizes there.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import time

import numpy as np

from hand_toolkit.core.types import Camera, Splats
from hand_toolkit.render import CpuRasterizer, set_threads
from hand_toolkit.render.options import RenderOptions

HOSTILE = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1.0, 1e10, -1e10, 3e38, -3e38, 1e-20)
FIELDS = ("means", "quats", "scales", "opacities", "colors")


def frame_splats(rng: np.random.Generator, most: int) -> Splats:
    """Random splats with a random share of hostile numbers in each attribute."""
    count = int(most ** rng.random()) if rng.random() < 0.95 else 0
    spread = 10.0 ** rng.uniform(-3, 2)
    size = 10.0 ** rng.uniform(-5, 1) * spread
    if count > 20_000:
        # Millions of splats that each fill the picture would take minutes, not prove more.
        size = min(size, 0.01 * spread)
    degree = int(rng.choice([0, 0, 1, 4, 9, 16]))
    shape = (count, degree, 3) if degree else (count, 3)
    arrays = {
        "means": rng.normal(0, spread, (count, 3)),
        "quats": rng.standard_normal((count, 4)),
        "scales": size * np.exp(rng.standard_normal((count, 3))),
        "opacities": rng.random(count),
        "colors": rng.standard_normal(shape),
    }
    if rng.random() < 0.3 and count:
        arrays["means"][:, 2] = rng.choice(arrays["means"][:4, 2], count)
    with np.errstate(over="ignore"):
        out = {n: a.astype(np.float32) for n, a in arrays.items()}
    share = float(rng.choice([0, 0, 0.01, 0.3]))
    for array in out.values():
        hit = rng.random(array.shape) < share
        array[hit] = rng.choice(np.array(HOSTILE, np.float32), int(hit.sum()))
    return Splats(**out)


def frame_camera(rng: np.random.Generator, most_pixels: int) -> Camera:
    """Any size, focal length, centre, pose and clipping range."""
    while True:
        width, height = (int(7680 ** rng.random()) for _ in range(2))
        if width * height <= most_pixels:
            break
    pose = np.eye(4)
    q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    pose[:3, :3] = q * np.sign(np.linalg.det(q))
    pose[:3, 3] = rng.normal(0, 10.0 ** rng.uniform(-2, 2), 3)
    if rng.random() < 0.8:
        # Most cameras look at the middle of the splats, from outside or inside.
        pose[:3, 3] = [0, 0, abs(pose[2, 3]) + 10.0 ** rng.uniform(-2, 2)]
    focal = max(width, height) * 10.0 ** rng.uniform(-1.5, 2)
    cx, cy = rng.uniform(-1, 2, 2) * (width, height)
    near = 10.0 ** rng.uniform(-6, 0)
    return Camera(focal, focal * rng.uniform(0.5, 2), cx, cy, width, height, pose, near, near * 1e6)


def check_lists(rasterizer: CpuRasterizer, count: int) -> None:
    """The lists of the last window lie within their arrays and name existing splats and rows."""
    window = rasterizer._drawn[-1].window
    starts = rasterizer._room("tile_start", 0)[: window.tiles + 1]
    slots = int(rasterizer._totals[1])
    if starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > slots:
        raise SystemExit(f"tile starts are out of order or past {slots}: {starts}")
    entries = rasterizer._entries(0)[: starts[-1]]
    if len(entries):
        rows = entries[:, 1]
        if entries[:, 0].min() < 0 or entries[:, 0].max() >= count:
            raise SystemExit(f"an entry names splat {entries[:, 0].max()} of {count}")
        if (rows & 255).max() > 63 or (rows >> 8).max() > 63 or ((rows >> 8) < (rows & 255)).any():
            raise SystemExit("an entry covers rows outside its tile")


def one_frame(
    rng: np.random.Generator, rasterizer: CpuRasterizer, options: argparse.Namespace
) -> str:
    splats = frame_splats(rng, options.most_splats)
    camera = frame_camera(rng, options.most_pixels)
    set_threads(int(rng.choice([1, 2, 3, 64])))
    extras = RenderOptions(*(bool(b) for b in rng.random(3) < 0.4))
    gradients = rng.random() < 0.5
    out = rasterizer.forward(splats, camera, None, rng.random(3), extras, gradients=bool(gradients))
    check_lists(rasterizer, len(splats))
    for name in ("color", "alpha", "depth"):
        if not np.isfinite(getattr(out, name)).all():
            raise SystemExit(f"{name} is not finite")
    if out.alpha.min() < 0 or out.alpha.max() > 1:
        raise SystemExit(f"alpha runs from {out.alpha.min()} to {out.alpha.max()}")
    if out.ids is not None and (out.ids.max() >= len(splats) or out.ids.min() < -1):
        raise SystemExit("an id names no splat")
    if gradients:

        def fill(planes: np.ndarray) -> None:
            planes[:] = rng.standard_normal(planes.shape[1:]).astype(np.float32)

        result = rasterizer.backward(fill)
        ordinary = all(np.abs(getattr(splats, n)).max(initial=0) < 1e4 for n in FIELDS)
        if ordinary and splats.scales.min(initial=1) > 1e-4:
            for name in FIELDS:
                if not np.isfinite(getattr(result, name)).all():
                    raise SystemExit(f"the gradient of {name} is not finite")
    return "with gradients" if gradients else "forward"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most-splats", type=int, default=1_000_000)
    parser.add_argument("--most-pixels", type=int, default=7680 * 4320)
    options = parser.parse_args()
    # A hang shows as a traceback of all threads instead of silence.
    faulthandler.enable()
    rasterizer = CpuRasterizer()
    counts: collections.Counter[str] = collections.Counter()
    longest = 0.0
    end = time.monotonic() + options.seconds
    frame = 0
    while time.monotonic() < end:
        faulthandler.dump_traceback_later(600, exit=True)
        start = time.monotonic()
        try:
            counts[
                one_frame(np.random.default_rng([options.seed, frame]), rasterizer, options)
            ] += 1
        except BaseException:
            print(f"frame {frame} of seed {options.seed} failed")
            raise
        longest = max(longest, time.monotonic() - start)
        frame += 1
    faulthandler.cancel_dump_traceback_later()
    listed = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
    print(f"{frame} frames in {options.seconds:.0f} s ({listed}); the longest took {longest:.1f} s")
    print("no crash, no hang, lists within bounds, nothing but finite pictures")


if __name__ == "__main__":
    main()
