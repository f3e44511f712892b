"""Which tests are slow: those of ``slow.txt``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

SLOW = Path(__file__).with_name("slow.txt")


@cache
def slow_entries() -> tuple[str, ...]:
    """Folders, files and tests, as the beginnings of node ids."""
    lines = SLOW.read_text(encoding="utf-8").splitlines()
    return tuple(f"tests/{line}" for line in lines if line and not line.startswith("#"))


def is_slow(node: str) -> bool:
    """Whether an entry is the node id, or a folder, file or parametrized test that it is in."""
    return any(node == e or node.startswith((f"{e}/", f"{e}::", f"{e}[")) for e in slow_entries())
