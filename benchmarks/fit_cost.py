"""Seconds and peak memory of ``hand-toolkit fit``, process start included.

    python benchmarks/fit_cost.py [--photo FILE] [--method NAME ...] [--runs N] [--json FILE]

The photo is fitted as it is, at 256x256, and enlarged to 12 megapixels; each run is a process of
its own. The picture that comes with the project is the default.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from hand_toolkit.media.demo import PICTURE

SIZES = {"256x256": 256 * 256, "12 megapixels": 12_000_000}


def measure(photo: Path, method: str, out: Path) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak resident GiB of one fit."""
    command = [sys.executable, "-m", "hand_toolkit.cli", "fit", str(photo), "-o", str(out)]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--method", method], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"fit of {photo} failed")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", type=Path, default=PICTURE)
    parser.add_argument("--method", action="append")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for label, pixels in SIZES.items():
            image = Image.open(options.photo).convert("RGB")
            factor = np.sqrt(pixels / (image.width * image.height))
            size = (round(image.width * factor), round(image.height * factor))
            path = Path(folder) / f"{pixels}.jpg"
            image.resize(size, Image.Resampling.LANCZOS).save(path, quality=95)
            for method in options.method or ["auto"]:
                runs = [measure(path, method, Path(folder) / "a.hand") for _ in range(options.runs)]
                seconds, processor, memory = np.median(runs, axis=0)
                row = {"photo": label, "size": f"{size[0]}x{size[1]}", "method": method}
                row |= {
                    "seconds": round(float(seconds), 1),
                    "processor_seconds": round(float(processor), 1),
                    "peak_gib": round(float(memory), 2),
                }
                rows.append(row)
                print(
                    f"{label:<15}{row['size']:<12}{method:<10}{seconds:7.1f} s wall"
                    f"{processor:7.1f} s processor {memory:6.2f} GiB",
                    flush=True,
                )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
