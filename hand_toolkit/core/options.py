"""Settings that a plugin declares, as the command line and Blender show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import InputError

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


@dataclass(frozen=True)
class Option:
    """One setting of an exporter or avatar method.

    Attributes:
        name: keyword in lower case with underscores.
        type: bool, int, float or str.
        default: value when not given.
        help: one line.
        choices: accepted values of a str, or empty for any.
        minimum: smallest accepted number, or None.
        maximum: largest accepted number, or None.
    """

    name: str
    type: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    def parse(self, value: Any) -> Any:
        """``value``, perhaps text from a command line, as this option's type.

        Raises:
            InputError: it cannot be read so, or is out of range.
        """
        parsed = self._convert(value)
        if self.choices and parsed not in self.choices:
            raise InputError(
                f"option {self.name} is {value!r}; accepted are: {', '.join(self.choices)}"
            )
        if self.type in (int, float):
            low = self.minimum is not None and parsed < self.minimum
            high = self.maximum is not None and parsed > self.maximum
            if low or high or parsed != parsed:
                raise InputError(
                    f"option {self.name} is {value!r}; accepted is {self.minimum} to {self.maximum}"
                )
        return parsed

    def _convert(self, value: Any) -> Any:
        if self.type is bool:
            if isinstance(value, bool):
                return value
            word = str(value).strip().lower()
            if word in _TRUE or word in _FALSE:
                return word in _TRUE
            raise InputError(f"option {self.name} is {value!r}; give true or false")
        if self.type is str:
            return str(value)
        try:
            return self.type(value)
        except (TypeError, ValueError, OverflowError) as error:
            kind = "a whole number" if self.type is int else "a number"
            raise InputError(f"option {self.name} is {value!r}; give {kind}") from error

    def described(self) -> dict[str, Any]:
        """What a host program needs to show it, of plain values."""
        return {
            "name": self.name,
            "type": self.type.__name__,
            "default": self.default,
            "help": self.help,
            "choices": list(self.choices),
            "minimum": self.minimum,
            "maximum": self.maximum,
        }


def parse_settings(
    owner: str, options: Sequence[Option], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Every option's value, from ``given`` or its default.

    Args:
        owner: who has the options, e.g. "format glb".
        options: what is declared.
        given: values by name, perhaps as text.

    Raises:
        InputError: an unknown name or a value that is not accepted.
    """
    known = {option.name: option for option in options}
    for name in given:
        if name not in known:
            raise InputError(
                f"the {owner} has no option '{name}'; it has: {', '.join(known) or 'none'}"
            )
    return {
        name: option.parse(given[name]) if name in given else option.default
        for name, option in known.items()
    }


def split_settings(pairs: Sequence[str]) -> dict[str, str]:
    """``OPTION=VALUE`` texts by name.

    Raises:
        InputError: one has no value.
    """
    result = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--set {pair!r} has no value; write --set OPTION=VALUE")
        result[name.strip().replace("-", "_")] = value
    return result
