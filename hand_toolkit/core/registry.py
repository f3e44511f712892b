"""Finds plugins by entry point and keeps what they register, one table per kind.

A plugin that cannot be imported or fails while registering is noted and skipped; two
registrations of one name raise, because the user could not tell which one runs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from . import hookspecs
from .errors import InputError, PluginError

ENTRY_POINT_GROUP = "hand_toolkit"
LOAD_SECONDS = 60.0
"""How long the import of somebody else's plugin may take."""

LOAD_LIMIT_ENV = "HAND_TOOLKIT_PLUGIN_SECONDS"
KINDS = (
    "pose_sources", "segmenters", "hand_models", "methods", "exporters", "trainings",
    "image_generators",
)  # fmt: skip

log = logging.getLogger(__name__)


@dataclass
class PluginRecord:
    """One entry point: what it registered, or why it failed.

    Attributes:
        name: the entry point's name.
        package: distribution and version, e.g. ``hand-toolkit 0.1.0``.
        provides: kind -> registered names.
        error: one line when the plugin could not be used, else None.
    """

    name: str
    package: str
    provides: dict[str, list[str]] = field(default_factory=dict)
    error: str | None = None


class Registry:
    """Tables of what plugins offer, by kind and name."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        self.aliases: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
        self.plugins: list[PluginRecord] = []

    def add_plugin(self, record: PluginRecord, plugin: Any) -> None:
        """Let ``plugin`` register what it has.

        Raises:
            PluginError: it claims a name that another plugin has.
        """
        manager = pluggy.PluginManager("hand_toolkit")
        manager.add_hookspecs(hookspecs)
        staged: list[tuple[str, str, Any]] = []
        try:
            manager.register(plugin)
            manager.check_pending()
            for kind in KINDS:
                getattr(manager.hook, f"register_{kind}")(
                    register=lambda item, kind=kind: staged.append((kind, _name_of(item), item))
                )
        except (Exception, SystemExit) as error:  # a broken plugin must not stop the rest
            record.error = f"{type(error).__name__}: {error}"
            log.warning("plugin %s was skipped: %s", record.name, record.error)
            self.plugins.append(record)
            return
        for kind, name, item in staged:
            aliases = tuple(getattr(item, "aliases", ()))
            for word in (name, *aliases):
                if word in self.tables[kind] or word in self.aliases[kind]:
                    raise PluginError(
                        f"plugin '{record.name}' ({record.package}) registers the "
                        f"{_singular(kind)} '{word}', which another plugin has; uninstall one of "
                        "the two"
                    )
            self.tables[kind][name] = item
            self.aliases[kind].update(dict.fromkeys(aliases, name))
            record.provides.setdefault(kind, []).append(name)
        self.plugins.append(record)

    def get(self, kind: str, name: str) -> Any:
        """The item ``name`` of ``kind`` ("pose_sources", ...).

        Raises:
            InputError: nothing of that name is installed.
        """
        table = self.tables[kind]
        name = self.aliases[kind].get(name, name)
        if name not in table:
            raise InputError(
                f"no {_singular(kind)} '{name}' is installed; "
                f"installed are: {', '.join(sorted(table)) or 'none'}"
                f"{_extra_hint(name)}{self._failed_hint()}"
            )
        return table[name]

    def names(self, kind: str) -> list[str]:
        """Sorted names of ``kind``."""
        return sorted(self.tables[kind])

    def _failed_hint(self) -> str:
        failed = [p.name for p in self.plugins if p.error]
        return (
            f" (failed to load: {', '.join(failed)}; see 'hand-toolkit plugins')" if failed else ""
        )


EXTRA_PLUGINS = ("mediapipe",)
"""Built-in plugins that register only with the extra of their name."""


def _extra_hint(name: str) -> str:
    return f"; run: pip install 'hand-toolkit[{name}]'" if name in EXTRA_PLUGINS else ""


def _name_of(item: Any) -> str:
    name = getattr(item, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginError(
            f"registered {type(item).__name__} has no 'name'; give it a non-empty string"
        )
    return name


def _singular(kind: str) -> str:
    return kind.replace("_", " ").rstrip("s")


def _loaded(entry: EntryPoint) -> Any:
    """What the entry point names; others' within a time limit.

    Raises:
        TimeoutError: it is still being imported after ``LOAD_SECONDS``.
    """
    if entry.dist is not None and entry.dist.name == "hand-toolkit":
        return entry.load()
    outcome: list[Any] = []

    def load() -> None:
        try:
            outcome.extend([entry.load(), None])
        except (Exception, SystemExit) as error:
            outcome.extend([None, error])

    thread = threading.Thread(target=load, name=f"plugin {entry.name}", daemon=True)
    thread.start()
    limit = float(os.environ.get(LOAD_LIMIT_ENV, LOAD_SECONDS))
    thread.join(limit)
    if not outcome:
        raise TimeoutError(
            f"the plugin '{entry.name}' was not imported within {limit:g} s "
            f"({LOAD_LIMIT_ENV} sets the limit)"
        )
    plugin, error = outcome
    if error is not None:
        raise error
    return plugin


@cache
def registry() -> Registry:
    """The process-wide registry, filled from the installed entry points on first use.

    Raises:
        PluginError: two plugins claim one name.
    """
    result = Registry()
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name):
        dist = entry.dist
        record = PluginRecord(entry.name, f"{dist.name} {dist.version}" if dist else "unknown")
        try:
            # what a plugin prints must not come between the lines that programs read
            with contextlib.redirect_stdout(sys.stderr):
                plugin = _loaded(entry)
        except (Exception, SystemExit) as error:  # a broken plugin must not stop the rest
            record.error = f"{type(error).__name__}: {error}"
            log.warning("plugin %s could not be imported: %s", entry.name, record.error)
            result.plugins.append(record)
            continue
        result.add_plugin(record, plugin)
    return result
