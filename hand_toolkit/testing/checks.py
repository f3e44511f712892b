"""What the contract checks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.errors import InputError
from ..core.options import Option


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


def check_options(options: Sequence[Any]) -> None:
    """Check the options that an exporter or method declares.

    Raises:
        AssertionError: one is badly named, unexplained, or refuses its own default.
    """
    names = []
    for option in options:
        require(isinstance(option, Option), f"option {option!r} is no hand_toolkit Option")
        require(
            option.name.isidentifier() and option.name == option.name.lower(),
            f"option {option.name!r} must be a lower-case word with underscores",
        )
        require(bool(option.help), f"option {option.name} has no help")
        try:
            same = option.parse(str(option.default)) == option.default
        except InputError as error:
            same = False
            raise AssertionError(f"option {option.name} refuses its own default") from error
        require(same, f"option {option.name} reads its default as another value")
        names.append(option.name)
    require(len(set(names)) == len(names), f"an option is named twice: {names}")
