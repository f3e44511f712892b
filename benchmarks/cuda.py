"""The CUDA path beside the CPU's, on a machine with a CUDA device.

    python benchmarks/cuda.py [--photo FILE] [--repeats N] [--json FILE]

Three tables: the workloads of ``benchmarks/render.py`` (splats to picture, and picture to
gradients of every splat parameter) with the PSNR between both pictures; the networks of a photo's
seeing (class maps, landmarks); and ``hand-toolkit fit`` as a process with ``--device cpu`` and
``--device cuda``. Contestants run in turn; medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from render_scenes import WORKLOADS, workload

from hand_toolkit.core.types import Camera, Splats
from hand_toolkit.media.demo import PICTURE
from hand_toolkit.render import get_threads, render
from hand_toolkit.render.cuda import why_unavailable

FIELDS = ("means", "quats", "scales", "opacities", "colors")


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """Median wall seconds of a call, the device's work included, after three warm-ups."""
    times = []
    for i in range(repeats + 3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        if i >= 3:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def on_device(splats: Splats, device: str, learn: bool) -> Splats:
    """Splats as 32-bit tensors; leaves where they are learnt."""
    tensors = (torch.as_tensor(getattr(splats, name), device=device) for name in FIELDS)
    return Splats(*(t.clone().requires_grad_(learn) for t in tensors))


def draw(splats: Splats, camera: Camera, device: str) -> Any:
    """One picture."""
    return render(splats, camera, backend=device)


def draw_and_learn(splats: Splats, camera: Camera, device: str) -> None:
    """One picture and its gradients."""
    for field in FIELDS:
        getattr(splats, field).grad = None
    out = draw(splats, camera, device)
    (out.color.square().mean() + out.alpha.mean()).backward()


def rendering(repeats: int) -> list[dict[str, Any]]:
    """Forward, and forward with backward, on both devices."""
    rows = []
    for name in WORKLOADS:
        splats, camera = workload(name)
        row: dict[str, Any] = {"workload": name}
        pictures = {}
        for device in ("cpu", "cuda"):
            plain = on_device(splats, device, False)
            learnt = on_device(splats, device, True)
            forward = partial(draw, plain, camera, device)
            row[f"{device} ms"] = round(1e3 * seconds(forward, repeats), 2)
            both = partial(draw_and_learn, learnt, camera, device)
            row[f"{device} gradients ms"] = round(1e3 * seconds(both, repeats), 2)
            pictures[device] = forward().color.cpu().numpy()
        gap = pictures["cpu"] - pictures["cuda"]
        row["PSNR between"] = round(float(-10 * np.log10(np.square(gap).mean())), 1)
        rows.append(row)
    return rows


def networks(repeats: int) -> list[dict[str, Any]]:
    """A class map and a landmark pass of one crop, and of 64."""
    from hand_toolkit.see.classes import class_network
    from hand_toolkit.see.networks import WEIGHTS

    rows = []
    classes = class_network(WEIGHTS / "classes.safetensors")
    for label, network in (("classes", classes), ("landmarks", classes.landmarks)):
        for count in (1, 64):
            row: dict[str, Any] = {"network": label, "crops": count}
            for device in ("cpu", "cuda"):
                crops = torch.rand(count, 3, 224, 224, device=device)
                moved = network.eval().to(device)
                with torch.inference_mode():
                    row[f"{device} ms"] = round(1e3 * seconds(partial(moved, crops), repeats), 2)
            rows.append(row)
    return rows


def fits(photo: Path) -> list[dict[str, Any]]:
    """``hand-toolkit fit`` from process start to file."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for device in ("cpu", "cuda"):
            out = Path(folder) / f"{device}.hand"
            command = [sys.executable, "-m", "hand_toolkit.cli", "fit", str(photo), "-o", str(out)]
            start = time.perf_counter()
            subprocess.run([*command, "--device", device], check=True, stdout=subprocess.DEVNULL)
            rows.append({"device": device, "fit s": round(time.perf_counter() - start, 1)})
    return rows


def table(rows: list[dict[str, Any]]) -> None:
    """A Markdown table of rows with equal keys."""
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(v) for v in row.values()) + " |", flush=True)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", type=Path, default=PICTURE)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    reason = why_unavailable()
    if reason:
        raise SystemExit(reason)
    print(
        f"{torch.cuda.get_device_name(0)}; {os.cpu_count()} cores, {get_threads()} threads; "
        f"torch {torch.__version__}\n"
    )
    found = {"rendering": rendering(options.repeats), "networks": networks(options.repeats)}
    for rows in found.values():
        table(rows)
    found["fit"] = fits(options.photo)
    table(found["fit"])
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
