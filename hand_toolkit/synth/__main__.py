"""``python -m hand_toolkit.synth``: the rendering command."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import time

from ..core.errors import HandToolkitError
from .config import SynthConfig
from .driver import synthesize

_HELP = {
    "size": "width and height of the pictures, pixels",
    "samples": "Cycles samples a pixel",
    "train_subjects": "subjects to train on",
    "test_subjects": "subjects that never train",
    "poses": "poses a train subject",
    "test_poses": "poses a test subject",
    "views": "cameras a pose",
    "two_hands": "share of poses with two hands",
    "skins": "folder with MakeHuman skins (without it skins are procedural)",
    "texture_scale": "resolution of the baked skins",
    "threads": "threads of each worker",
}


def build_parser() -> argparse.ArgumentParser:
    """Options: the fields of :class:`SynthConfig`, and how to run."""
    parser = argparse.ArgumentParser(
        prog="python -m hand_toolkit.synth", description="Render hands for training and testing."
    )
    parser.add_argument("out", help="data folder")
    for field in dataclasses.fields(SynthConfig):
        kind = str if field.name == "skins" else type(field.default)
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            type=kind,
            default=field.default,
            help=f"{_HELP[field.name]} (default: {field.default})",
        )
    parser.add_argument("--workers", type=int, default=1, help="rendering processes (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--no-resume", action="store_true", help="refuse a folder with pictures")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = vars(build_parser().parse_args(arguments))
    out, workers, seed = options.pop("out"), options.pop("workers"), options.pop("seed")
    resume = not options.pop("no_resume")
    # A polite kill cleans up like Ctrl-C, also where the shell made us ignore the latter.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begun = time.monotonic()
    last = [0.0]

    def progress(done: int, total: int) -> None:
        now = time.monotonic()
        if now - last[0] > 1 or done == total:
            last[0] = now
            print(f"{done}/{total} pictures, {now - begun:.0f} s", file=sys.stderr, flush=True)

    try:
        result = synthesize(SynthConfig(**options), out, workers, seed, resume, progress)
    except HandToolkitError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{result.out}: {result.pictures} pictures, {result.made} new")
    return 0


if __name__ == "__main__":
    sys.exit(main())
