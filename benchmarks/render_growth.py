"""How the CPU renderer's time and memory grow with splats, pixels and threads; draws a plot.

    python benchmarks/render_growth.py [--plot FILE.png] [--json FILE] [--repeats N]

Two hands that fill the picture. With more splats each is smaller, so that all together cover
the same area (an avatar with more detail). Memory is what the rasterizer keeps between
frames, the picture included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from render_scenes import hands_scene

from hand_toolkit.render import CpuRasterizer, get_threads

SPLATS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
SIZES = ((256, 256), (512, 512), (1024, 1024), (2048, 2048), (3840, 2160))


def measure(count: int, width: int, height: int, threads: int, repeats: int) -> dict[str, Any]:
    """Medians of forward and forward+backward, and the rasterizer's memory."""
    sigma = 0.8e-3 * (25_000 / count) ** 0.5
    splats, camera = hands_scene(count, sigma, width, height)
    rasterizer = CpuRasterizer(threads)
    forward, both = [], []

    def fill(planes: np.ndarray) -> None:
        planes[:] = 1

    for _ in range(repeats + 1):
        start = time.perf_counter()
        rasterizer.forward(splats, camera)
        middle = time.perf_counter()
        rasterizer.backward(fill)
        forward.append(middle - start)
        both.append(time.perf_counter() - start)
    return {
        "splats": count,
        "width": width,
        "height": height,
        "threads": threads,
        "forward_s": statistics.median(forward[1:]),
        "both_s": statistics.median(both[1:]),
        "memory_bytes": rasterizer.memory_bytes,
    }


def slope(rows: list[dict[str, Any]], x: str, y: str) -> float:
    """Exponent of the growth over the upper half of the range, from the ends of that half."""
    half = rows[len(rows) // 2 :]
    return float(np.log(half[-1][y] / half[0][y]) / np.log(half[-1][x] / half[0][x]))


def draw(by_splats: list, by_pixels: list, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4))
    for threads in sorted({r["threads"] for r in by_splats}):
        tag = f"{threads} thread{'s' if threads > 1 else ''}"
        for axis, rows, x in ((axes[0], by_splats, "splats"), (axes[1], by_pixels, "pixels")):
            mine = [r for r in rows if r["threads"] == threads]
            for key, style, kind in (("forward_s", "-o", ""), ("both_s", "--s", " and gradients")):
                axis.loglog(
                    [r[x] for r in mine],
                    [1e3 * r[key] for r in mine],
                    style,
                    label=f"picture{kind}, {tag}",
                    color=f"C{threads - 1}",
                    markersize=4,
                )
    for axis, title in (
        (axes[0], "splats, at 1024 x 1024"),
        (axes[1], "pixels, with 100,000 splats"),
    ):
        low = min(v for line in axis.lines for v in line.get_ydata())
        xs = np.array(axis.lines[0].get_xdata(), float)
        axis.loglog(xs, low * xs / xs[0], ":", color="gray", label="linear")
        axis.set_xlabel(title)
        axis.set_ylabel("milliseconds")
        axis.legend(fontsize=7)
    for rows, x, label in ((by_splats, "splats", "by splats"), (by_pixels, "pixels", "by pixels")):
        mine = [r for r in rows if r["threads"] == 1]
        axes[2].loglog(
            [r[x] for r in mine], [r["memory_bytes"] / 2**20 for r in mine], "-o", label=label
        )
    axes[2].set_xlabel("splats, or pixels")
    axes[2].set_ylabel("memory kept, MB")
    axes[2].legend(fontsize=7)
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plot", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, get_threads()}))
    options = parser.parse_args()
    by_splats, by_pixels = [], []
    for threads in options.threads:
        by_splats += [measure(n, 1024, 1024, threads, options.repeats) for n in SPLATS]
        by_pixels += [measure(100_000, w, h, threads, options.repeats) for w, h in SIZES]
    for row in by_splats + by_pixels:
        row["pixels"] = row["width"] * row["height"]
        print(
            f"{row['splats']:>8} splats {row['width']:>5} x {row['height']:<5} "
            f"{row['threads']} threads: forward {1e3 * row['forward_s']:8.2f} ms, "
            f"with gradients {1e3 * row['both_s']:8.2f} ms, {row['memory_bytes'] / 2**20:7.1f} MB"
        )
    for threads in options.threads:
        for rows, x in ((by_splats, "splats"), (by_pixels, "pixels")):
            mine = [r for r in rows if r["threads"] == threads]
            print(
                f"{threads} threads, growth exponent with {x}: "
                f"forward {slope(mine, x, 'forward_s'):.2f}, "
                f"with gradients {slope(mine, x, 'both_s'):.2f}, "
                f"memory {slope(mine, x, 'memory_bytes'):.2f}"
            )
    if options.plot:
        draw(by_splats, by_pixels, options.plot)
    if options.json:
        options.json.write_text(json.dumps(by_splats + by_pixels, indent=1))


if __name__ == "__main__":
    main()
