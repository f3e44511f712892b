"""Modules' old names give the modules of today, with a warning."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from hand_toolkit._moved import MOVED


def test_an_old_name_warns_and_is_the_same_module() -> None:
    code = (
        "import hand_toolkit.prior.fit as old, hand_toolkit.systems.igsn.fit as new\n"
        "from hand_toolkit.errors import InputError\n"
        "from hand_toolkit.core.errors import InputError as today\n"
        "assert old is new and InputError is today\n"
        "assert new.__name__ == new.__spec__.name == 'hand_toolkit.systems.igsn.fit'\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "hand_toolkit.errors has moved to hand_toolkit.core.errors" in done.stderr


@pytest.mark.parametrize("today", sorted(set(MOVED.values())))
def test_every_target_exists(today: str) -> None:
    import_module(f"hand_toolkit.{today}")
