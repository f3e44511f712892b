# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that the toolkit's exporters and methods list themselves, as Blender shows them."""

from __future__ import annotations

import zlib

import bpy


def number(name):
    """A menu entry's number that stays the same when further entries come.

    Blender keeps what was chosen in a dynamic menu by its number.
    """
    return zlib.crc32(name.encode()) & 0x7FFFFFFF


def menu(kept, first, named):
    """Fill ``kept`` with menu entries: the default ``first``, then (name, description) pairs.

    Blender keeps no reference to the strings of dynamic menus, so the caller must.
    """
    kept[:] = [(*first, 0)]
    kept.extend((name, name.capitalize(), text, number(name)) for name, text in named)
    return kept


class HandToolkitOption(bpy.types.PropertyGroup):
    """One setting of the chosen exporter or method."""

    kind: bpy.props.StringProperty()
    help: bpy.props.StringProperty()
    choices: bpy.props.StringProperty()
    flag: bpy.props.BoolProperty(name="Value")
    whole: bpy.props.IntProperty(name="Value")
    number: bpy.props.FloatProperty(name="Value")
    text: bpy.props.StringProperty(name="Value")

    def field(self):
        """Name of the property that holds the value."""
        return {"bool": "flag", "int": "whole", "float": "number"}.get(self.kind, "text")


def fill(collection, listed):
    """Put the options that the worker listed, with their defaults, into a collection."""
    collection.clear()
    for option in listed:
        item = collection.add()
        item.name, item.kind, item.help = option["name"], option["type"], option["help"]
        item.choices = ", ".join(option["choices"])
        if option["default"] is not None:
            setattr(item, item.field(), option["default"])


def values(collection):
    """Name -> value."""
    return {item.name: getattr(item, item.field()) for item in collection}


def draw(layout, collection):
    """One line for each."""
    for item in collection:
        layout.prop(item, item.field(), text=item.name.replace("_", " ").capitalize())
        if item.choices:
            layout.label(text=item.choices)


CLASSES = (HandToolkitOption,)
