"""``hand_toolkit``'s public names: all there, and none hidden by a submodule of the same name."""

from __future__ import annotations

import pkgutil
import types

import pytest

import hand_toolkit


@pytest.mark.parametrize("name", hand_toolkit.__all__)
def test_the_name_is_there(name: str) -> None:
    value = getattr(hand_toolkit, name)
    assert not isinstance(value, types.ModuleType)


def test_no_name_is_also_a_submodule() -> None:
    """Importing ``hand_toolkit.x`` sets the attribute ``x``, over whatever was public before."""
    modules = {module.name for module in pkgutil.iter_modules(hand_toolkit.__path__)}
    assert modules & set(hand_toolkit.__all__) == set()


def test_unknown_names_raise() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        hand_toolkit.nonsense  # noqa: B018
