"""``python -m hand_toolkit.synth.crops``: solves contacts and renders shards of crops."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from .contacts import write_contacts
from .shards import SHARD, render_shard
from .skins import bake_bank


def build_parser() -> argparse.ArgumentParser:
    """The three jobs."""
    parser = argparse.ArgumentParser(
        prog="python -m hand_toolkit.synth.crops", description="Render crops to train eyes on."
    )
    jobs = parser.add_subparsers(dest="job", required=True)
    solve = jobs.add_parser("contacts", help="solve poses of touching hands")
    solve.add_argument("out", type=Path, help="folder of poses")
    solve.add_argument("--minutes", type=float, default=20, help="(default: 20)")
    solve.add_argument("--seed", type=int, default=0, help="(default: 0)")
    draw = jobs.add_parser("render", help=f"render shards of {SHARD} crops")
    draw.add_argument("out", type=Path, help="folder of shards")
    draw.add_argument("--shards", type=int, default=40, help="(default: 40)")
    draw.add_argument("--seed", type=int, default=0, help="(default: 0)")
    draw.add_argument("--work", type=Path, required=True, help="folder that keeps baked skins")
    draw.add_argument("--contacts", type=Path, help="folder of poses from the other job")
    draw.add_argument("--skins", help="folder with MakeHuman skins")
    draw.add_argument("--looks", type=int, default=54, help="baked skins (default: 54)")
    draw.add_argument("--tones", type=Path, help="folder of skin pictures that give tones only")
    draw.add_argument("--held-out", action="store_true", help="use the skins that never train")
    draw.add_argument("--poses", type=Path, help="folder of recorded motion")
    draw.add_argument("--environments", type=Path, help="folder of EXR environment maps")
    heads = jobs.add_parser("bodies", help="draw heads and shoulders as clutter")
    heads.add_argument("out", type=Path, help="NPY file")
    heads.add_argument("--count", type=int, default=500, help="(default: 500)")
    heads.add_argument("--seed", type=int, default=1, help="(default: 1)")
    heads.add_argument("--skins", required=True, help="folder with MakeHuman skins")
    heads.add_argument("--environments", type=Path, required=True, help="folder of EXR maps")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a job; returns the exit code."""
    options = build_parser().parse_args(arguments)
    if options.job == "contacts":
        print(write_contacts(options.out, options.seed, options.minutes * 60), "poses")
        return 0
    if options.job == "bodies":
        from .bodies import body_sprites

        drawn = body_sprites(
            options.out, options.skins, options.count, options.seed, options.environments
        )
        print(len(drawn), "bodies")
        return 0
    from .render import load_assets

    part = "held" if options.held_out else "train"
    bank = options.work / f"skins_{part}_{options.looks}.npy"
    skins = bake_bank(
        bank, options.skins, options.looks, 1 + options.held_out, options.held_out, options.tones
    )
    for number in range(options.shards):
        # contacts may still be written by another process
        assets = load_assets(
            np.asarray(skins), options.contacts, options.poses, options.environments,
            options.work / "motion.npy",
        )  # fmt: skip
        begun = time.process_time()
        path = render_shard(options.out, options.seed, number, assets)
        speed = SHARD / (time.process_time() - begun)
        print(f"{path.name}: {speed:.1f} crops a CPU second, {len(assets.contacts)} contacts",
              flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
