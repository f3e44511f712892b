"""What the contract checks share."""

from __future__ import annotations

from typing import Any


def require(holds: bool, problem: str) -> None:
    """Raise ``problem`` unless it ``holds``, also where Python runs with ``-O``.

    Raises:
        AssertionError: it does not.
    """
    if not holds:
        raise AssertionError(problem)


def check_names(plugin: Any, kind: str) -> None:
    """Check the ``name`` and ``description`` that every registered object has.

    Raises:
        AssertionError: one is missing, or unfit for the command line.
    """
    for field in ("name", "description"):
        value = getattr(plugin, field, None)
        require(isinstance(value, str) and bool(value), f"the {kind} has no {field}")
    require("\n" not in plugin.description, "the description is longer than one line")
    require(":" not in plugin.name, "the name has a colon, which sets off an option")
