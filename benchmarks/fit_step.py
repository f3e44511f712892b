"""Seconds of one optimiser step through the renderer: forward, loss, backward, Adam.

    python benchmarks/fit_step.py [--workloads W1 W2] [--repeats N] [--json FILE]

All attributes of the splats and the camera pose are fitted to a picture of other colours,
so every gradient is needed. Medians; the parts are timed in the same steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from render_scenes import WORKLOADS, workload

from hand_toolkit.core.types import Splats
from hand_toolkit.render import get_threads, render

FIELDS = ("means", "quats", "scales", "opacities", "colors")
RATES = {"means": 1e-5, "quats": 1e-3, "scales": 1e-6, "opacities": 1e-3, "colors": 1e-3}


def measure(name: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of each part of ``repeats`` steps on one workload."""
    splats, camera = workload(name)
    torch.manual_seed(0)
    leaves = {n: torch.tensor(getattr(splats, n), requires_grad=True) for n in FIELDS}
    pose = torch.tensor(camera.world_to_camera, dtype=torch.float32, requires_grad=True)
    groups = [{"params": [leaves[n]], "lr": rate} for n, rate in RATES.items()]
    optimiser = torch.optim.Adam([*groups, {"params": [pose], "lr": 1e-5}])
    with torch.no_grad():
        target = render(Splats(**leaves), camera).color.flip(2).contiguous()
    parts: dict[str, list[float]] = {k: [] for k in ("forward", "loss", "backward", "Adam", "step")}
    losses = []
    for _ in range(repeats + 2):
        marks = [time.perf_counter()]
        out = render(Splats(**leaves), camera, world_to_camera=pose)
        marks.append(time.perf_counter())
        loss = (out.color - target).square().mean()
        marks.append(time.perf_counter())
        optimiser.zero_grad()
        loss.backward()
        marks.append(time.perf_counter())
        optimiser.step()
        marks.append(time.perf_counter())
        losses.append(loss.item())
        for part, a, b in zip(parts, marks, marks[1:]):
            parts[part].append(b - a)
        parts["step"].append(marks[-1] - marks[0])
    if not losses[-1] < losses[0]:
        raise SystemExit(f"the fit does not improve: {losses[0]:.6f} to {losses[-1]:.6f}")
    return {k: v[2:] for k, v in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=WORKLOADS)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    print(f"{get_threads()} threads; median milliseconds of {options.repeats} steps")
    results = {}
    for name in options.workloads:
        parts = measure(name, options.repeats)
        medians = {k: 1e3 * statistics.median(v) for k, v in parts.items()}
        print(f"{name}: " + ", ".join(f"{k} {v:.2f}" for k, v in medians.items()))
        results[name] = parts
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
