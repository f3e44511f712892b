"""How people's backs of hands differ from their palms, from pairs of photos of one scene.

    python benchmarks/sides.py PHOTOS

PHOTOS is a folder with hand_gesture's pictures (docs/skin.md). A pair shows the back and the palm
of one hand in the same room, taken by the same camera one after the other. Prints the log of linear
R, G, B of the back over the palm, and how much more of red than of blue it has. Exposure differs
between the photos of a pair, so that the last column says more than the others.
The boxes were drawn by eye, (left, top, right, bottom) pixels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from hand_toolkit.geometry.colour import srgb_to_linear

NAME = "IMG-20230312-WA{}_jpg.jpg"
Box = tuple[int, int, int, int]
PAIRS: tuple[tuple[tuple[str, Box], tuple[str, Box]], ...] = (
    (("0559", (100, 130, 190, 180)), ("0572", (100, 140, 170, 200))),
    (("0740", (70, 110, 150, 145)), ("0738", (90, 100, 130, 130))),
    (("0185", (70, 130, 130, 200)), ("0191", (70, 140, 150, 180))),
    (("0262", (100, 120, 170, 165)), ("0276", (110, 100, 130, 130))),
    (("0316", (50, 100, 110, 150)), ("0313", (80, 100, 140, 150))),
    (("0326", (110, 70, 150, 130)), ("0301", (100, 100, 140, 140))),
)
"""Back and palm of each pair."""


def colour(path: Path, box: Box) -> np.ndarray:
    """(3,) log of the median linear colour in a box of a picture."""
    with Image.open(path) as picture:
        part = np.asarray(picture.convert("RGB").crop(box)).reshape(-1, 3)
    return np.asarray(np.log(np.median(srgb_to_linear(part / 255), axis=0)))


def main() -> None:
    """Print a row a pair."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path)
    folder = parser.parse_args().photos
    rows = []
    print(f"{'back over palm':16s}{'R':>7s}{'G':>7s}{'B':>7s}{'R - B':>7s}")
    for back, palm in PAIRS:
        rgb = [colour(folder / NAME.format(name), box) for name, box in (back, palm)]
        rows.append(rgb[0] - rgb[1])
        values = "".join(f"{v:7.2f}" for v in (*rows[-1], rows[-1][0] - rows[-1][2]))
        print(f"{back[0]} / {palm[0]:9s}{values}")
    table = np.array(rows)
    middle = [*np.median(table, axis=0), np.median(table[:, 0] - table[:, 2])]
    print(f"{'median':16s}" + "".join(f"{v:7.2f}" for v in middle))


if __name__ == "__main__":
    main()
