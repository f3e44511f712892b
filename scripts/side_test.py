"""A sheet for fresh eyes: which of these sides did a photo show, and which are invented?

    python scripts/side_test.py AVATARS -o sheet.png --key key.json [--count 10] [--seed 0]

AVATARS is a folder of .hand files, such as ``contact_sheet.py --avatars`` keeps. Of the COUNT whose
photos show most of one side and least of the other, as many palms as backs where there are such,
the seen and the hidden side are drawn alike: flat fingers, studio light, one number each, in random
order. Ask somebody who has not seen the photos to write down the numbers that look invented; the
key says which are. Half right is guessing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from hand_toolkit.avatar import Avatar
from hand_toolkit.core.errors import InputError
from hand_toolkit.pictures.drawing import evidence_of_sides
from hand_toolkit.pictures.report import avatar_views

SIDE = 384
ACROSS = 5
AZIMUTHS = {"palm": 0.0, "back": np.pi}


def best_hand(path: Path) -> Avatar:
    """The avatar with the hand alone that its photo shows best."""
    avatar = Avatar.load(path)
    hand = max((h for h in avatar.hands if h.observed), key=lambda h: float(h.evidence.mean()))
    return dataclasses.replace(avatar, hands=(hand,))


def chosen(folder: Path, count: int) -> list[tuple[Path, Avatar, str]]:
    """Avatars, each with the side that its photo shows: the clearest, both sides alike often.

    Raises:
        InputError: there are not so many.
    """
    clear: dict[str, list[tuple[float, Path]]] = {"palm": [], "back": []}
    for path in sorted(folder.glob("*.hand")):
        avatar = best_hand(path)
        evidence = evidence_of_sides(avatar, avatar.hands[0].side)
        seen = max(evidence, key=lambda side: evidence[side])
        clear[seen].append((abs(evidence["palm"] - evidence["back"]), path))
    for side in clear:
        clear[side].sort(reverse=True)
    backs = min(len(clear["back"]), max(count // 2, count - len(clear["palm"])))
    taken = [(p, "back") for _, p in clear["back"][:backs]]
    taken += [(p, "palm") for _, p in clear["palm"][: count - backs]]
    if len(taken) < count:
        raise InputError(
            f"{folder} holds {len(taken)} .hand files; give a folder with {count} or a smaller "
            "--count"
        )
    return [(path, best_hand(path), side) for path, side in taken]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("avatars", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cells: list[tuple[np.ndarray, dict[str, object]]] = []
    try:
        for path, avatar, seen in chosen(options.avatars, options.count):
            views = [(azimuth, "flat") for azimuth in AZIMUTHS.values()]
            pictures = avatar_views(avatar, views, SIDE, light="studio")
            for side, picture in zip(AZIMUTHS, pictures):
                told = {"avatar": path.stem, "side": side, "invented": side != seen}
                cells.append((picture, told))
    except InputError as error:
        raise SystemExit(f"side_test: {error}") from None
    order = np.random.default_rng(options.seed).permutation(len(cells))
    rows = -(-len(cells) // ACROSS)
    sheet = Image.new("RGB", (SIDE * ACROSS, SIDE * rows), (41, 41, 43))
    key = {}
    for number, k in enumerate(order, 1):
        picture, told = cells[k]
        at = ((number - 1) % ACROSS * SIDE, (number - 1) // ACROSS * SIDE)
        sheet.paste(Image.fromarray(picture), at)
        ImageDraw.Draw(sheet).text((at[0] + 8, at[1] + 6), str(number), (255, 255, 0), font_size=22)
        key[str(number)] = told
    sheet.save(options.output)
    options.key.write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")
    print(f"{options.output}: {len(cells)} sides; {options.key}: which are invented")


if __name__ == "__main__":
    main()
