"""What happens when a command is stopped, starved or disturbed: a table.

    python scripts/faults.py [--photo PICTURE] [--only WORDS]

Each row injects one fault into a command as users run it and looks at three things afterwards:
the file that was there before is what it was, nothing half-written bears a name that users would
open, and stderr has one sentence (or nothing, where the process was killed). ``disk full`` and
``read-only`` mount small file systems and need root on Linux. Exit code 1 when a row is not so.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

CLI = [sys.executable, "-m", "hand_toolkit.cli"]
OLD = b"what was there before"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: command and fault.
        how: it was injected.
        code: exit status; minus a signal's number where one ended the process.
        said: last line of stderr.
        fault: what is wrong, empty where nothing is.
    """

    what: str
    how: str
    code: int
    said: str
    fault: str = ""


class Bench:
    """A folder with a small avatar and a photo."""

    def __init__(self, root: Path, photo: Path) -> None:
        from hand_toolkit.testing.avatars import procedural_avatar

        self.root, self.photo = root, root / f"photo{photo.suffix}"
        shutil.copy(photo, self.photo)
        self.hand = procedural_avatar(0, sides=("right",), level=2).save(root / "a.hand")
        self.commands: dict[str, tuple[list[str], str]] = {
            "fit": (["fit", str(self.photo), "--quality", "draft", "-o"], "me.hand"),
            "export": (["export", str(self.hand), "--format", "glb", "-o"], "me.glb"),
            "render": (["render", str(self.hand), "--motion", "open-close", "--size", "320x240",
                        "-o"], "me.mp4"),
        }  # fmt: skip

    def start(
        self, name: str, folder: Path, before: Callable[[], None] | None = None,
        environment: dict[str, str] | None = None,
    ) -> subprocess.Popen[str]:  # fmt: skip
        """The command, writing into ``folder`` over a file that is there."""
        arguments, output = self.commands[name]
        return subprocess.Popen(
            [*CLI, *arguments, str(folder / output)], stdout=subprocess.PIPE, text=True,
            stderr=subprocess.PIPE, preexec_fn=before, env={**os.environ, **(environment or {})},
        )  # fmt: skip

    def folder(self, name: str) -> Path:
        """A fresh folder in which the command's output exists already."""
        folder = Path(tempfile.mkdtemp(dir=self.root))
        (folder / self.commands[name][1]).write_bytes(OLD)
        return folder


def finish(
    process: subprocess.Popen[str], what: str, how: str, folder: Path, accepted: tuple[int, ...],
    kept: bool = True,
) -> Row:  # fmt: skip
    """Wait, and look at what is left."""
    try:
        error = process.communicate(timeout=300)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return Row(what, how, -9, "", "it hangs")
    lines = [line for line in error.splitlines() if line.strip()]
    faults = []
    if process.returncode not in accepted:
        faults.append(f"exit code, accepted {accepted}")
    if "Traceback" in error:
        faults.append("a traceback")
    if process.returncode > 0 and sum(line.startswith("Error:") for line in lines) != 1:
        faults.append(f"{len(lines)} lines instead of one sentence")
    shown = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if kept and [path.read_bytes() for path in shown] != [OLD]:
        faults.append(f"the folder holds {[path.name for path in shown]}, or the old file changed")
    if process.returncode >= 0 and any(path.name.startswith(".") for path in folder.iterdir()):
        faults.append("a temporary file is left")
    return Row(what, how, process.returncode, lines[-1][:150] if lines else "", "; ".join(faults))


def signals(bench: Bench) -> Iterator[Row]:
    """kill -9, Ctrl-C once and twice, SIGTERM, at several moments of three commands."""
    ways = {
        "SIGKILL": ((signal.SIGKILL,), (-9,)),
        "Ctrl-C": ((signal.SIGINT,), (130,)),
        "Ctrl-C twice": ((signal.SIGINT, signal.SIGINT), (130,)),
        "SIGTERM": ((signal.SIGTERM,), (143,)),
    }
    for name in bench.commands:
        begin = time.monotonic()
        whole = bench.start(name, bench.folder(name))
        whole.communicate()
        took = time.monotonic() - begin
        for way, (numbers, codes) in ways.items():
            for share in (0.35, 0.6, 0.85):
                folder = bench.folder(name)
                process = bench.start(name, folder)
                time.sleep(share * took)
                for number in numbers:
                    process.send_signal(number)
                    time.sleep(0.02)
                # late moments come when the new file is there; then Python itself is stopped
                process.wait(300)
                done = (folder / bench.commands[name][1]).read_bytes() != OLD
                row = finish(process, f"{name}, {way}", f"after {share:.0%} of its time", folder,
                             (0, -2, -15, -9) if done else codes, kept=not done)  # fmt: skip
                yield row


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system at ``folder`` for a while."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def disks(bench: Bench) -> Iterator[Row]:
    """A full disk, a read-only one, and a file that may not grow."""

    def small() -> None:
        # Python ignores SIGXFSZ: writing further is an error like that of a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    for name, (_, output) in bench.commands.items():
        folder = bench.folder(name)
        # Python leaves compiled modules cut where it may not write on
        quiet = {"NUMBA_CACHE_DIR": str(bench.root / "numba"), "PYTHONDONTWRITEBYTECODE": "1"}
        process = bench.start(name, folder, before=small, environment=quiet)
        yield finish(process, f"{name}, no room", "RLIMIT_FSIZE of 20 kB", folder, (1, 2))
        for what, options in (("disk full", "size=16k"), ("read-only", "size=64k")):
            folder = bench.folder(name)
            try:
                with mounted(folder, options):
                    (folder / output).write_bytes(OLD)
                    if what == "read-only":
                        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
                    process = bench.start(name, folder)
                    yield finish(process, f"{name}, {what}", f"tmpfs, {options}", folder, (1, 2))
            except (OSError, subprocess.CalledProcessError) as error:
                yield Row(f"{name}, {what}", "tmpfs", 0, f"not run: {error}"[:120])


def together(bench: Bench) -> Iterator[Row]:
    """Two processes that write one file."""
    for name, (_, output) in bench.commands.items():
        folder = bench.folder(name)
        pair = [bench.start(name, folder) for _ in range(2)]
        for process in pair:
            process.wait(300)
        rows = [finish(p, f"{name}, twice at once", "two processes, one output", folder, (0, 2),
                       kept=False) for p in pair]  # fmt: skip
        path = folder / output
        alone = bench.folder(name) / output
        bench.start(name, alone.parent).communicate()
        same = abs(path.stat().st_size / alone.stat().st_size - 1) < 0.02
        yield rows[0]
        yield rows[1] if same else replace(rows[1], fault="the file is not whole")


def clocks(bench: Bench) -> Iterator[Row]:
    """A wall clock that runs backwards, an hour at every look."""
    site = bench.root / "clock"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import time\n_real = time.time\n_looks = [0]\n\n\ndef _back():\n    _looks[0] += 1\n"
        "    return _real() - 3600 * _looks[0]\n\n\ntime.time = _back\n"
    )
    for name in bench.commands:
        folder = bench.folder(name)
        process = bench.start(name, folder, environment={"PYTHONPATH": str(site)})
        yield finish(process, f"{name}, clock", "time.time goes back 1 h a look", folder, (0,),
                     kept=False)  # fmt: skip


PLUGINS = {
    "exits": "raise SystemExit(3)",
    "hangs": "import time\ntime.sleep(1000)",
    "prints": "print('hello')",
    "of another version": "from hand_toolkit import nothing_of_this_name",
    "faults": "import ctypes\n1 / 0",
}


def plugins(bench: Bench) -> Iterator[Row]:
    """Somebody else's plugin that misbehaves as it is imported."""
    for what, code in PLUGINS.items():
        site = Path(tempfile.mkdtemp(dir=bench.root))
        module = f"bad_{what.split()[0]}"
        (site / f"{module}.py").write_text(code + "\n")
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[hand_toolkit]\n{module} = {module}\n")
        folder = bench.folder("export")
        settings = {"PYTHONPATH": str(site), "HAND_TOOLKIT_PLUGIN_SECONDS": "5"}
        process = bench.start("export", folder, environment=settings)
        works = what == "prints"
        row = finish(process, f"export, a plugin {what}", code.splitlines()[-1], folder,
                     (0,) if works else (0, 6), kept=False)  # fmt: skip
        named = works or module in row.said
        yield row if named else replace(row, fault="its name is not told")


def batches(bench: Bench) -> Iterator[Row]:
    """kill -9 of a batch and of one of its workers, then the same command again."""
    pictures = bench.root / "pictures"
    pictures.mkdir()
    for k in range(6):
        shutil.copy(bench.photo, pictures / f"p{k}{bench.photo.suffix}")
    out = bench.root / "batch"
    command = [*CLI, "batch", "pose", str(pictures), "-o", str(out), "--workers", "1"]
    for moment in (6.0, 9.0, 0.0):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if moment:
            time.sleep(moment)
            process.kill()
        error = process.communicate(timeout=300)[1]
        lines = [line for line in error.splitlines() if line.strip()]
        index = next(iter(sorted(out.glob("*.jsonl"))), None)
        rows = index.read_text().splitlines() if index else []
        done = sum('"done"' in row for row in rows)
        fault = "" if moment or (process.returncode == 0 and done == 6) else f"{done} of 6 done"
        yield Row("batch pose, SIGKILL" if moment else "batch pose, run again",
                  f"after {moment:.0f} s" if moment else "the same command",
                  process.returncode, f"{done} of 6 in the index" if moment else lines[-1][:150]
                  if lines else f"{done} of 6 in the index", fault)  # fmt: skip


GROUPS = (signals, disks, together, clocks, plugins, batches)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--photo", type=Path, default=Path(__file__).parents[1] / "hand_toolkit/media/demo.jpg"
    )
    parser.add_argument("--only", nargs="*", choices=[g.__name__ for g in GROUPS])
    args = parser.parse_args()
    bad = 0
    print("| fault | how | exit code | what was said | |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(Path(root), args.photo)
        for group in GROUPS:
            if args.only and group.__name__ not in args.only:
                continue
            for row in group(bench):
                bad += bool(row.fault)
                said = row.said.replace(root, "").replace("|", "/")
                print(f"| {row.what} | {row.how} | {row.code} | {said} | {row.fault or 'ok'} |",
                      flush=True)  # fmt: skip
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
