from __future__ import annotations

from types import SimpleNamespace

import pytest

import hand_toolkit
from hand_toolkit.core.errors import InputError, PluginError
from hand_toolkit.core.registry import KINDS, PluginRecord, Registry


def plugin(kind: str, *items: object) -> SimpleNamespace:
    def implementation(register) -> None:
        for item in items:
            register(item)

    return SimpleNamespace(**{f"register_{kind}": hand_toolkit.hookimpl(implementation)})


@pytest.mark.parametrize("kind", KINDS)
def test_items_are_found_by_name(kind: str) -> None:
    registry = Registry()
    item = SimpleNamespace(name="mine")
    registry.add_plugin(PluginRecord("p", "p 1"), plugin(kind, item))
    assert registry.get(kind, "mine") is item
    assert registry.plugins[0].provides == {kind: ["mine"]}
    with pytest.raises(InputError, match=r"no .* 'other' is installed; installed are: mine"):
        registry.get(kind, "other")


def test_duplicate_names_raise() -> None:
    registry = Registry()
    item = SimpleNamespace(name="mine")
    registry.add_plugin(PluginRecord("a", "a 1"), plugin("exporters", item))
    with pytest.raises(PluginError, match="registers the exporter 'mine'"):
        registry.add_plugin(PluginRecord("b", "b 1"), plugin("exporters", item))


def test_aliases_find_an_item_and_are_nobody_else_s() -> None:
    registry = Registry()
    item = SimpleNamespace(name="new", aliases=("old",))
    registry.add_plugin(PluginRecord("a", "a 1"), plugin("methods", item))
    assert registry.get("methods", "old") is item
    assert registry.names("methods") == ["new"]
    for clash in (
        SimpleNamespace(name="old"),
        SimpleNamespace(name="other", aliases=("new",)),
        SimpleNamespace(name="other", aliases=("old",)),
    ):
        with pytest.raises(PluginError, match="which another plugin has"):
            registry.add_plugin(PluginRecord("b", "b 1"), plugin("methods", clash))


def test_one_broken_plugin_does_not_stop_the_rest() -> None:
    registry = Registry()

    def broken(register) -> None:
        raise ZeroDivisionError("oops")

    bad = SimpleNamespace(register_exporters=hand_toolkit.hookimpl(broken))
    registry.add_plugin(PluginRecord("bad", "bad 1"), bad)
    registry.add_plugin(PluginRecord("nameless", "n 1"), plugin("exporters", object()))
    registry.add_plugin(
        PluginRecord("good", "good 1"), plugin("exporters", SimpleNamespace(name="mine"))
    )
    assert registry.names("exporters") == ["mine"]
    assert registry.plugins[0].error == "ZeroDivisionError: oops"
    assert "has no 'name'" in (registry.plugins[1].error or "")


def test_an_unknown_hook_is_an_error_of_that_plugin() -> None:
    registry = Registry()
    odd = SimpleNamespace(register_cakes=hand_toolkit.hookimpl(lambda register: None))
    registry.add_plugin(PluginRecord("odd", "odd 1"), odd)
    assert "register_cakes" in (registry.plugins[0].error or "")


def test_every_hook_and_argument_is_documented() -> None:
    from pathlib import Path

    from hand_toolkit.core import hookspecs

    page = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
    for kind in KINDS:
        hook = getattr(hookspecs, f"register_{kind}")
        assert (hook.__doc__ or "").strip()
        assert f"register_{kind}" in page
    assert "`register`" in page
