"""Settings of the loop, and configs from JSON and from the command line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..core.errors import InputError

Config = TypeVar("Config")
Settings = TypeVar("Settings", bound="LoopSettings")


@dataclass(frozen=True)
class LoopSettings:
    """What every training has; a training's own settings extend it.

    Attributes:
        steps: optimiser steps to reach (a resumed run counts the earlier ones).
        minutes: most that one call trains; the schedule then runs by the clock where that is
            faster than by steps; 0 sets no limit.
        checkpoint_every: steps between two checkpoints.
        log_every: steps whose mean losses become one line of the log.
        score_every: steps between two scorings of held-out data; 0 never scores.
        average: most that a step leaves of the weights' moving average, which is then what is
            scored and shipped, e.g. 0.99; 0 keeps none.
        seed: of weights, order and every random choice.
    """

    steps: int = 20_000
    minutes: float = 0.0
    checkpoint_every: int = 200
    log_every: int = 20
    score_every: int = 0
    average: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("steps", 1),
            ("checkpoint_every", 1),
            ("log_every", 1),
            ("score_every", 0),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise InputError(f"{name} is {value!r}; give a whole number of at least {least}")
        if not 0 <= self.minutes < float("inf"):
            raise InputError(f"minutes is {self.minutes!r}; give a number of at least 0")
        if not 0 <= self.average < 1:
            raise InputError(f"average is {self.average!r}; accepted is 0 to below 1")


def from_mapping(kind: type, values: Mapping[str, Any]) -> Any:
    """A config of ``kind`` from JSON values.

    Raises:
        InputError: an unknown key.
    """
    known = {f.name for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(
            f"unknown setting {', '.join(unknown)} for {kind.__name__}; "
            f"accepted are: {', '.join(sorted(known))}"
        )
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return kind(**values)


def with_changes(
    config: Config, settings: Settings, changes: Sequence[str]
) -> tuple[Config, Settings]:
    """Both dataclasses with ``NAME=VALUE`` changes; VALUE is JSON.

    Raises:
        InputError: an unknown name, or a value that is not JSON.
    """
    for change in changes:
        name, _, text = change.partition("=")
        try:
            value = json.loads(text)
        except ValueError as error:
            raise InputError(
                f"{change!r} has no JSON value after '='; give e.g. steps=500"
            ) from error
        if isinstance(value, list):
            value = tuple(value)
        if name in _names(settings):
            settings = dataclasses.replace(settings, **{name: value})
        elif name in _names(config):
            config = dataclasses.replace(config, **{name: value})  # type: ignore[type-var]
        else:
            raise InputError(
                f"unknown setting {name!r}; {type(settings).__name__} has "
                f"{', '.join(_names(settings))}, {type(config).__name__} has "
                f"{', '.join(_names(config))}"
            )
    return config, settings


def _names(config: Any) -> list[str]:
    return [f.name for f in dataclasses.fields(config)]
