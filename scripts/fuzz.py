"""Feed damaged and hostile files to every reader for a while.

    python scripts/fuzz.py [--seconds 60] [--target NAME ...] [--seed 0] [--faults FOLDER]
    python scripts/fuzz.py --inputs 200            # a fixed number a target, as the tests do
    python scripts/fuzz.py --engine atheris --target npz --seconds 600   # led by coverage

A reader may give a value or raise one of the toolkit's errors in one line. Anything else is a
fault: another exception, a process that ends or hangs, more memory than the target's stated
multiple of the file's size, a file read or written outside its folder. Inputs that made faults
are kept in ``--faults``; the same seed makes the same inputs. Exit code 1 when there are any.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_targets import ROOM, TARGETS, Target

HANG = 60.0
"""Seconds after which an input hangs; two cores under load are slow."""


def peak_bytes() -> int:
    """The most memory this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


class Outside:
    """Notes files that are opened outside a folder while it watches (an audit hook)."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.seen: list[str] = []
        self._allowed = tuple(
            {sys.prefix, sys.base_prefix, str(Path(__file__).parents[1]), *filter(None, sys.path)}
        )
        sys.addaudithook(self._event)

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            path = str(Path(arguments[0].decode() if isinstance(arguments[0], bytes)
                            else arguments[0]).absolute())  # fmt: skip
            system = ("/proc/", "/sys/", "/usr/", "/dev/urandom", "/etc/mime", "/root/.cache")
            if not path.startswith((self.folder, *self._allowed, *system)):
                self.seen.append(f"opened {path}")
        elif event in ("os.system", "subprocess.Popen", "os.exec", "socket.connect"):
            self.seen.append(event)


def judge(target: Target, path: Path, outside: Outside) -> tuple[str, str]:
    """``accepted``, ``refused`` or ``fault``, and what was said."""
    from hand_toolkit.core.errors import HandToolkitError

    before = peak_bytes()
    outside.seen.clear()
    outside.folder = str(path.parent)
    try:
        target.read(path)
        result, said = "accepted", ""
    except HandToolkitError as error:
        result, said = "refused", str(error)
        if "\n" in said or len(said) > 800:
            result, said = "fault", f"an error of {len(said)} characters or several lines: {said}"
    except BaseException as error:
        result, said = "fault", f"{type(error).__module__}.{type(error).__name__}: {error}"
    finally:
        outside.folder = None
    grown = peak_bytes() - before
    if grown > ROOM + target.most_memory * path.stat().st_size:
        result, said = "fault", f"took {grown >> 20} MiB for a file of {path.stat().st_size} bytes"
    if outside.seen:
        result, said = "fault", f"reached outside: {outside.seen[0]}"
    return result, said


def mutated(target: Target, seeds: list[bytes], seed: int, index: int) -> bytes:
    """The input of that number."""
    rng = np.random.default_rng((seed, index))
    data = seeds[int(rng.integers(len(seeds)))]
    with np.errstate(all="ignore"):
        return target.mutate(data, rng)


def child(name: str, seed: int, first: int, seconds: float, inputs: int, folder: Path) -> None:
    """Read inputs and tell about each on stdout, one JSON list a line."""
    from hand_toolkit.core.errors import HandToolkitError

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    np.seterr(all="ignore")
    target = TARGETS[name]
    (folder / "seeds").mkdir(exist_ok=True)
    seeds = target.seeds(folder / "seeds")
    outside = Outside()
    box = folder / "box"
    box.mkdir(exist_ok=True)
    path = box / f"input{target.suffix}"
    accepted = 0
    for data in seeds:  # libraries and kernels are loaded now, from where they are installed
        path.write_bytes(data)
        try:
            target.read(path)
            accepted += 1
        except HandToolkitError as error:
            said = str(error)
    if not accepted:
        raise SystemExit(f"every good file of {name} is refused: {said}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
    print(json.dumps(["ready"]), flush=True)
    end = time.monotonic() + seconds
    index = first
    while index < first + inputs and time.monotonic() < end:
        data = mutated(target, seeds, seed, index)
        path.write_bytes(data)
        print(json.dumps(["input", index]), flush=True)
        begin = time.perf_counter()
        result, said = judge(target, path, outside)
        took = time.perf_counter() - begin
        print(json.dumps([result, index, said[:300], took]), flush=True)
        index += 1


def run_target(
    name: str, seed: int, seconds: float, inputs: int, faults: Path | None
) -> dict[str, Any]:
    """One row of the table; a child that ends or hangs is started again after that input."""
    import selectors

    counts: Counter[str] = Counter()
    kinds: dict[str, int] = {}
    slowest, first, current = 0.0, 0, -1
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # each round is a child; a round ends with an input that killed it, or with the time
        while first < inputs and (left := seconds - (time.monotonic() - begin)) > 0:
            command = [sys.executable, __file__, "--child", name, "--seed", str(seed), "--first"]
            command += [str(first), "--seconds", str(left), "--inputs", str(inputs - first)]
            process = subprocess.Popen(
                [*command, "--faults", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            assert process.stdout is not None
            said, current = "", -1
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                while True:
                    if not selector.select(HANG if current >= 0 else 300.0):
                        process.kill()
                        said = f"still reading after {HANG:.0f} s"
                        break
                    line = process.stdout.readline()
                    if not line:
                        break
                    word, *rest = json.loads(line)
                    if word == "input":
                        current = rest[0]
                    elif word != "ready":
                        counts[word] += 1
                        slowest = max(slowest, rest[2])
                        first, current = rest[0] + 1, -1
                        if word == "fault":
                            _keep(name, seed, rest[0], rest[1], kinds, faults, folder)
            error = process.communicate()[1].decode(errors="replace")
            if current >= 0:
                said = said or f"the process ended with {process.returncode}: {error[-200:]}"
                counts["fault"] += 1
                _keep(name, seed, current, said, kinds, faults, folder)
                first = current + 1
            elif process.returncode:
                raise SystemExit(f"the target {name} does not start: {error[-2000:]}")
    took = time.monotonic() - begin
    return {"name": name, "counts": counts, "kinds": kinds, "slowest": slowest, "took": took}


def _keep(
    name: str, seed: int, index: int, said: str, kinds: dict[str, int], faults: Path | None,
    folder: Path,
) -> None:  # fmt: skip
    """Count a fault by its first words and keep the first input of each kind."""
    kind = said.splitlines()[0][:70] if said else "ended"
    kinds[kind] = kinds.get(kind, 0) + 1
    if faults is not None and kinds[kind] == 1:
        target = TARGETS[name]
        seeds = target.seeds(folder / "seeds")
        faults.mkdir(parents=True, exist_ok=True)
        path = faults / f"{name}-{seed}-{index}{target.suffix}"
        path.write_bytes(mutated(target, seeds, seed, index))
        path.with_suffix(path.suffix + ".txt").write_text(said + "\n", encoding="utf-8")


def atheris_child(name: str, seed: int, seconds: float, corpus: Path) -> None:
    """libFuzzer over one reader, led by the branches of the toolkit's own code."""
    import atheris  # type: ignore[import-not-found]

    with atheris.instrument_imports(include=["hand_toolkit", "hand_toolkit_plugins"]):
        target = TARGETS[name]
        corpus.mkdir(parents=True, exist_ok=True)
        for k, data in enumerate(target.seeds(corpus)):
            (corpus / f"seed{k}").write_bytes(data)
        path = corpus / f"input{target.suffix}"
    from hand_toolkit.core.errors import HandToolkitError

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    rng = np.random.default_rng(seed)

    def mutate(data: bytes, most: int, seed_: int) -> bytes:
        try:
            made = target.mutate(bytes(data), rng)
        except Exception:  # an earlier fault broke the container that this damage opens
            return bytes(atheris.Mutate(data, most))
        return made[:most]

    def once(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(HandToolkitError):
            target.read(path)

    arguments = [sys.argv[0], f"-max_total_time={int(seconds)}", f"-seed={seed + 1}"]
    arguments += [f"-rss_limit_mb={8192}", "-max_len=200000", str(corpus)]
    atheris.Setup(arguments, once, custom_mutator=mutate)
    atheris.Fuzz()


def main() -> int:
    """Run the targets and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="in all, shared by the targets")
    parser.add_argument("--inputs", type=int, default=1 << 40, help="at most so many a target")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=Path, help="keep the first input of each kind here")
    parser.add_argument("--engine", choices=("mutate", "atheris"), default="mutate")
    parser.add_argument("--child", choices=list(TARGETS), help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.seed, args.first, args.seconds, args.inputs, args.faults)
        return 0
    names = args.target or list(TARGETS)
    if args.engine == "atheris":
        for name in names:
            atheris_child(name, args.seed, args.seconds, args.faults or Path("fuzz") / name)
        return 0
    print(f"{'target':<12} {'inputs':>9} {'accepted':>9} {'refused':>9} {'faults':>7} "
          f"{'a second':>9} {'slowest s':>10}")  # fmt: skip
    total: Counter[str] = Counter()
    for name in names:
        row = run_target(name, args.seed, args.seconds / len(names), args.inputs, args.faults)
        counts = row["counts"]
        total += counts
        inputs = sum(counts.values())
        print(f"{name:<12} {inputs:>9} {counts['accepted']:>9} {counts['refused']:>9} "
              f"{counts['fault']:>7} {inputs / row['took']:>9.0f} {row['slowest']:>10.2f}",
              flush=True)  # fmt: skip
        for kind, number in row["kinds"].items():
            print(f"    {number} x {kind}", flush=True)
    print(f"{'all':<12} {sum(total.values()):>9} {total['accepted']:>9} {total['refused']:>9} "
          f"{total['fault']:>7}")  # fmt: skip
    return 1 if total["fault"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
