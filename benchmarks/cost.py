"""Processor seconds and memory of each task on one photo, and what 100,000 photos cost.

    python benchmarks/cost.py [--photos FOLDER] [--most 6]

Each stage runs in a process of its own that has its networks and kernels loaded, as a worker of
``hand-toolkit batch`` has them after its first input, on one thread. Processor seconds are counted,
so that other work on the machine disturbs little; 100,000 inputs are given in hours of one core.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hand_toolkit.media.demo import PICTURE

INPUTS = 100_000


def stages(photos: list[Path], folder: Path) -> dict[str, tuple[int, Callable[[], Any]]]:
    """Per stage how many items a call works off, and the call."""
    from hand_toolkit import Avatar, estimate_pose, export_avatar, fit_photo
    from hand_toolkit.media import load_photo
    from hand_toolkit.pictures.demo_sheet import render_to_file

    def hand() -> Avatar:
        path = folder / "a.hand"
        if not path.exists():
            fit_photo(PICTURE, quality="draft").avatar.save(path)
        return Avatar.load(path)

    def each(work: Callable[[Path], Any]) -> Callable[[], Any]:
        return lambda: [work(photo) for photo in photos]

    return {
        "pose": (len(photos), each(lambda p: estimate_pose(load_photo(p)))),
        "fit, draft": (len(photos), each(lambda p: fit_photo(p, quality="draft"))),
        "fit, standard": (len(photos), each(fit_photo)),
        "export, glb": (1, lambda: export_avatar(hand(), folder / "a.glb")),
        "render, a frame of 512x512": (
            70,
            lambda: render_to_file(hand(), folder / "a.mp4", motion="open-close", size=(512, 512)),
        ),
    }


def measure(stage: str, photos: list[Path]) -> None:
    """Print processor seconds an item and the process's peak memory, bytes."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        count, work = stages(photos, Path(temporary))[stage]
        work()  # loads and compiles
        begin = time.process_time()
        work()
        spent = (time.process_time() - begin) / count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    print(f"RESULT {spent} {peak}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, help="default: the picture that is shipped")
    parser.add_argument("--most", type=int, default=6)
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    args = parser.parse_args()
    photos = sorted(args.photos.glob("*.jpg"))[: args.most] if args.photos else [PICTURE]
    if args.stage:
        measure(args.stage, photos)
        return
    print(f"{len(photos)} photos\n\n| task | processor s an item | items an hour a core | GiB | "
          f"{INPUTS:,} items, core hours |\n|---|---|---|---|---|")  # fmt: skip
    for stage in stages(photos, Path()):
        command = [sys.executable, __file__, *sys.argv[1:], "--stage", stage]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise SystemExit(ran.stderr[-2000:])
        line = next(row for row in ran.stdout.splitlines() if row.startswith("RESULT"))
        spent, peak = map(float, line.split()[1:])
        print(f"| {stage} | {spent:.2f} | {3600 / spent:,.0f} | {peak / 2**30:.2f} | "
              f"{spent * INPUTS / 3600:,.0f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
