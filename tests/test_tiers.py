"""The list of slow tests names tests that there are, so that it cannot hide new ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tiers import is_slow, slow_entries

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("entry", slow_entries())
def test_every_slow_entry_is_there(entry: str) -> None:
    path, _, name = entry.partition("::")
    assert (ROOT / path).exists(), f"{path} has gone; remove it from tests/slow.txt"
    if name:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^def {re.escape(name)}\(", text, re.M), f"{path} has no {name}"


def test_an_entry_is_listed_once() -> None:
    entries = slow_entries()
    assert len(set(entries)) == len(entries)


def test_an_entry_covers_what_is_in_it_and_no_more() -> None:
    assert is_slow("tests/see/test_networks.py::test_x") and is_slow("tests/test_readme.py::test_x")
    assert not is_slow("tests/see_through/test_x.py::test_x")
    assert not is_slow("tests/core/test_files.py::test_x")
