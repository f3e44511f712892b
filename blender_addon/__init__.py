# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand Toolkit for Blender: create, pose, animate and render hand avatars.

The extension is a thin client: it imports only bpy, numpy and the standard library, and asks the
toolkit's worker process for everything that takes thought.
"""

from __future__ import annotations

import bpy

from . import (
    avatar_operators,
    body_operators,
    compositing,
    contact_operators,
    create,
    edit_operators,
    engine,
    exporting,
    link,
    live,
    live_operators,
    look_operators,
    natural_operators,
    options,
    panels,
    pose_operators,
    preferences,
    render_operators,
    retarget_operators,
    scene_data,
    settings,
)

CLASSES = (
    *options.CLASSES,
    *settings.CLASSES,
    scene_data.HandToolkitObject,
    *preferences.CLASSES,
    *create.CLASSES,
    *avatar_operators.CLASSES,
    *pose_operators.CLASSES,
    *natural_operators.CLASSES,
    *retarget_operators.CLASSES,
    *body_operators.CLASSES,
    *contact_operators.CLASSES,
    *live_operators.CLASSES,
    *look_operators.CLASSES,
    *edit_operators.CLASSES,
    *render_operators.CLASSES,
    *exporting.CLASSES,
    *engine.CLASSES,
    *panels.CLASSES,
    live_operators.HAND_TOOLKIT_PT_live,
)


@bpy.app.handlers.persistent
def _forget_job(*_args):
    """A file was opened: the job that ran belongs to the old one."""
    link.job.cancel()
    link.job.clear()
    live.forget()


HANDLERS = (
    ("save_pre", scene_data.before_save),
    ("save_post", scene_data.after_save),
    ("load_pre", _forget_job),
    ("load_post", compositing.after_load),
    ("render_init", compositing.begin),
    ("render_complete", compositing.end),
    ("render_cancel", compositing.end),
)


def register():
    """Add everything to Blender."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Object.hand_toolkit = bpy.props.PointerProperty(type=scene_data.HandToolkitObject)
    bpy.types.Object.hand_toolkit_shape = bpy.props.CollectionProperty(
        type=look_operators.HandToolkitShapeParameter
    )
    bpy.types.Scene.hand_toolkit = bpy.props.PointerProperty(type=settings.HandToolkitScene)
    for name, function in HANDLERS:
        getattr(bpy.app.handlers, name).append(function)
    bpy.types.TOPBAR_MT_file_import.append(avatar_operators.draw_import)
    bpy.types.TOPBAR_MT_file_export.append(exporting.draw_export)
    engine.register_panels()


def unregister():
    """Take everything out again and end the worker."""
    live.forget()
    link.stop()
    engine.unregister_panels()
    bpy.types.TOPBAR_MT_file_export.remove(exporting.draw_export)
    bpy.types.TOPBAR_MT_file_import.remove(avatar_operators.draw_import)
    for name, function in reversed(HANDLERS):
        getattr(bpy.app.handlers, name).remove(function)
    del bpy.types.Scene.hand_toolkit
    del bpy.types.Object.hand_toolkit_shape
    del bpy.types.Object.hand_toolkit
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
