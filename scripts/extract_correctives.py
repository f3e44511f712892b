"""Compute the default hand's pose correctives (needs the extra "extract"; six minutes)."""

from __future__ import annotations

import argparse
from pathlib import Path

from hand_toolkit.hand_model.default import CORRECTIVES_FILE, SECOND_DEFAULT_HAND
from hand_toolkit.hand_model.extract.correctives import extract_correctives


def main() -> None:
    """Write default_correctives.npz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=CORRECTIVES_FILE, help="where to write")
    path = extract_correctives(SECOND_DEFAULT_HAND.load("right"), parser.parse_args().file)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
