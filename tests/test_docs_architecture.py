"""docs/architecture.md names every room of the package, and no room that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_room_has_its_sentence() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.split("In `hand_toolkit/`:")[1].split("\n## ")[0]
    named = set(re.findall(r"^\| `([a-z_]+)/` \|", table, re.MULTILINE))
    there = {p.parent.name for p in (ROOT / "hand_toolkit").glob("*/__init__.py")}
    assert named == there
