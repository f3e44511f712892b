"""What a batch costs beside a plain loop, what kills do to it, and how large its coordinator grows.

    python benchmarks/batch.py PHOTOS [--count N] [--workers N] [--kills N] [--lines N] [--ray]

PHOTOS is a folder of pictures, used over and over until there are ``--count``. Three tables:

1. ``hand-toolkit batch pose`` with its workers, against as many plain processes that each loop over
   their share of the same pictures with the same function, both from process start.
2. The same batch, whose coordinator is killed (-9) at random moments and begun again.
3. A manifest of ``--lines`` lines whose files do not exist: seconds to the first row of the index,
   and the coordinator's peak memory after all lines were read.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOOP = """
import sys
from pathlib import Path
from hand_toolkit.core.errors import HandToolkitError
from hand_toolkit.batch.tasks import TASKS
with TASKS["pose"].work({})() as do:
    for line in open(sys.argv[1]):
        try:
            do((line.strip(), sys.argv[2] + "/" + Path(line.strip()).name, {}))
        except HandToolkitError:
            pass
"""


def command(source: Path, out: Path, workers: int, *more: str) -> list[str]:
    """The batch as a user gives it."""
    start = [sys.executable, "-m", "hand_toolkit.cli", "batch", "pose", str(source)]
    return [*start, "-o", str(out), "--workers", str(workers), *more]


def rows(out: Path) -> list[dict]:
    """The index's rows, whole ones."""
    path = out / "index.jsonl"
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")[1:-1]
    return [json.loads(line) for line in lines]


def overhead(listed: Path, folder: Path, workers: int, more: tuple[str, ...]) -> None:
    """Table 1."""
    names = listed.read_text().splitlines()
    parts = [folder / f"part{k}.txt" for k in range(workers)]
    for k, part in enumerate(parts):
        part.write_text("\n".join(names[k::workers]) + "\n")
    (folder / "loop").mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    loops = [
        subprocess.Popen(
            [sys.executable, "-c", LOOP, str(part), str(folder / "loop")], env=environment
        )
        for part in parts
    ]
    for loop in loops:
        loop.wait()
    plain = time.perf_counter() - start
    start = time.perf_counter()
    subprocess.run(
        command(listed, folder / "batch", workers, *more),
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    batch = time.perf_counter() - start
    print(f"| photos | workers | {workers} loops s | batch s | ratio |\n|---|---|---|---|---|")
    print(f"| {len(names)} | {workers} | {plain:.1f} | {batch:.1f} | {batch / plain:.3f} |\n")


def killed(listed: Path, folder: Path, workers: int, kills: int) -> None:
    """Table 2."""
    out, random_ = folder / "killed", random.Random(0)
    count = len(listed.read_text().splitlines())
    before: set[str] = set()
    twice = 0
    for _ in range(kills):
        process = subprocess.Popen(command(listed, out, workers), stdout=subprocess.DEVNULL)
        goal = len(rows(out)) + random_.randint(1, max(1, count // (kills + 1)))
        while process.poll() is None and len(rows(out)) < goal:
            time.sleep(0.05)
        time.sleep(random_.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = [row["input"] for row in rows(out)]
        twice += len(done) - len(set(done))
        before = set(done)
    subprocess.run(command(listed, out, workers), check=True, stdout=subprocess.DEVNULL)
    done = [row["input"] for row in rows(out)]
    results = sum(row["status"] == "done" for row in rows(out))
    files = len(list(out.rglob("*.npz")))
    print("| kills | before the last run | rows | inputs | twice | results | files |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {kills} | {len(before)} | {len(done)} | {len(set(done))} | {twice} | {results} "
        f"| {files} |\n"
    )


def coordinator(folder: Path, lines: int) -> None:
    """Table 3."""
    listed, out = folder / "long.txt", folder / "long"
    with listed.open("w") as file:
        for k in range(lines):
            file.write(f"nowhere/{k // 1000:05d}/{k:09d}.jpg\n")
    code = (
        "import sys, time, resource\nfrom pathlib import Path\n"
        "from hand_toolkit.batch import run_batch\nfrom hand_toolkit.jobs import Outcome, Failure\n"
        "start, first = time.perf_counter(), []\n"
        "class Refuse:\n"
        "    def run(self, work, tasks):\n"
        "        for task in tasks:\n"
        "            first or first.append(time.perf_counter() - start)\n"
        "            yield Outcome(task.key, failure=Failure(task.key, 'not there', 'x'))\n"
        f"report = run_batch('pose', Path({str(listed)!r}), Path({str(out)!r}), engine=Refuse())\n"
        "print(first[0], report.failed, time.perf_counter() - start,\n"
        "      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, failed, seconds, memory = (float(v) for v in made.stdout.split())
    print("| lines | first input after s | rows | all after s | coordinator MiB |")
    print("|---|---|---|---|---|")
    print(f"| {lines} | {first:.2f} | {failed:.0f} | {seconds:.0f} | {memory:.0f} |\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--ray", action="store_true", help="table 1 on Ray instead")
    options = parser.parse_args()
    pictures = sorted(p for p in options.photos.rglob("*.jpg") if not p.stem.endswith("_mask"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        paths = []
        for k in range(options.count):
            path = folder / "photos" / f"{k:05d}.jpg"
            path.symlink_to(pictures[k % len(pictures)].resolve())
            paths.append(str(path))
        listed = folder / "list.txt"
        listed.write_text("\n".join(paths) + "\n")
        more = ("--engine", "ray") if options.ray else ()
        overhead(listed, folder, options.workers, more)
        if options.kills:
            killed(listed, folder, options.workers, options.kills)
        if options.lines:
            coordinator(folder, options.lines)


if __name__ == "__main__":
    main()
