"""Commands of the training: ``python -m hand_toolkit.skin.training --help``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

TRAINING_FAMILIES = ("light_men", "dark_men", "real_hands", "painted_hands", "reom")
HELD_OUT_FAMILIES = ("light_women",)


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m hand_toolkit.skin.training")
    commands = parser.add_subparsers(dest="command", required=True)
    subjects = commands.add_parser("subjects", help="bake the subjects' skins")
    subjects.add_argument("out", type=Path)
    subjects.add_argument("--skins", type=Path, nargs="+", required=True)
    subjects.add_argument("--count", type=int, default=44)
    subjects.add_argument("--held-count", type=int, default=6)
    photos = commands.add_parser("photos", help="make synthetic photos and observe them")
    photos.add_argument("out", type=Path, help="the folder given to 'subjects'")
    photos.add_argument("--seed", type=int, default=1)
    photos.add_argument("--first", type=int, default=0)
    photos.add_argument("--count", type=int, default=2000)
    photos.add_argument("--families", nargs="*", default=[], help="of photographed subjects")
    train = commands.add_parser("train", help="train on the photos that there are")
    train.add_argument("out", type=Path, help="the folder given to 'subjects'")
    train.add_argument("weights", type=Path)
    train.add_argument("--minutes", type=float, default=45)
    train.add_argument("--batch", type=int, default=4)
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--families", nargs="*", default=[], help="of the subjects that are worn")
    train.add_argument("--device", default="cpu")
    train.add_argument("--capacity", type=int, default=8000)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if arguments.command == "subjects":
        from .families import make_subjects
        from .subjects import save_subjects

        for name, families, count, seed in (
            ("train", TRAINING_FAMILIES, arguments.count, 5),
            ("held", HELD_OUT_FAMILIES, arguments.held_count, 99),
        ):
            made = make_subjects(arguments.skins, families, count, seed)
            save_subjects(arguments.out / f"{name}.npz", made)
            print(f"{len(made)} subjects of {', '.join(families)}")
    elif arguments.command == "photos":
        from .records import write_photos

        families = tuple(arguments.families)
        write_photos(arguments.out, arguments.seed, arguments.first, arguments.count, families)
    else:
        from .train import train as run

        run(
            arguments.out,
            arguments.weights,
            arguments.minutes,
            arguments.batch,
            arguments.seed,
            tuple(arguments.families),
            arguments.device,
            arguments.capacity,
        )


if __name__ == "__main__":
    main()
